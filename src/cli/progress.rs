//! A night's progress: live lines on a terminal, plain lines in a log file.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::config;
use crate::model::event::Event;
use crate::model::night::{ImageResult, Outcome};

/// The live lines, so that log lines and final words go above them.
static LIVE: OnceLock<MultiProgress> = OnceLock::new();

/// Stderr for log lines; suspends the live lines while it writes.
#[derive(Debug, Default)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match LIVE.get() {
            Some(live) => live.suspend(|| io::stderr().write(buffer)),
            None => io::stderr().write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Follows a night's events until its sender is gone.
pub async fn follow(mut events: UnboundedReceiver<Event>) {
    let mut view = View::new(io::stderr().is_terminal());
    while let Some(event) = events.recv().await {
        view.show(event);
    }
    view.close();
}

struct View {
    live: Option<Live>,
    colour: bool,
    total: usize,
    done: usize,
    /// The width of the longest image name.
    width: usize,
}

struct Live {
    all: MultiProgress,
    total: ProgressBar,
    images: Mutex<BTreeMap<String, ProgressBar>>,
}

impl View {
    fn new(terminal: bool) -> Self {
        let live = terminal.then(|| {
            let all = LIVE.get_or_init(MultiProgress::new).clone();
            let total = all.add(ProgressBar::new(0));
            total.set_style(style("{elapsed_precise} {bar:32.cyan/dim} {pos}/{len}  {msg}"));
            total.enable_steady_tick(Duration::from_millis(500));
            Live { all, total, images: Mutex::default() }
        });
        Self { live, colour: terminal && !config::no_color(), total: 0, done: 0, width: 0 }
    }

    fn show(&mut self, event: Event) {
        match event {
            Event::Opened { night, kind, resumed } => {
                let resumed = if resumed { ", going on where it was interrupted" } else { "" };
                self.line(&format!("night {night} ({}{resumed})", kind.as_str()));
            }
            Event::Source { commit } => {
                self.line(&format!("source at commit {}", crate::model::plan::short(&commit)));
            }
            Event::Planned { images, done } => self.planned(&images, done),
            Event::Started { image, reason } => self.started(&image, &reason),
            Event::Step { image, step } => self.step(&image, &step),
            Event::Finished(result) => self.finished(&result),
            Event::Note(note) => self.line(&note),
        }
    }

    fn planned(&mut self, images: &[String], done: usize) {
        self.total = images.len();
        self.done = done;
        self.width = images.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(48);
        if let Some(live) = &self.live {
            live.total.set_length(self.total as u64);
            live.total.set_position(done as u64);
        }
        let already = if done > 0 { format!(", {done} done before") } else { String::new() };
        let images = if self.total == 1 { "image" } else { "images" };
        self.line(&format!("{} {images} planned{already}", self.total));
    }

    fn started(&mut self, image: &str, reason: &str) {
        let Some(live) = &self.live else {
            let width = self.width;
            let image = plain(image);
            return self.line(&format!("        start     {image:<width$}  {reason}"));
        };
        let bar = live.all.insert_before(&live.total, ProgressBar::new_spinner());
        bar.set_style(style("  {spinner:.cyan} {prefix}  {elapsed:>4}  {wide_msg}"));
        bar.set_prefix(format!("{:<width$}", plain(image), width = self.width));
        bar.set_message(plain(reason));
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Ok(mut images) = live.images.lock() {
            images.insert(image.to_owned(), bar);
            live.total.set_message(format!("{} running", images.len()));
        }
    }

    fn step(&self, image: &str, step: &str) {
        let Some(live) = &self.live else { return };
        if let Some(bar) = live.images.lock().ok().and_then(|images| images.get(image).cloned()) {
            bar.set_message(plain(step));
        }
    }

    fn finished(&mut self, result: &ImageResult) {
        self.done += 1;
        if let Some(live) = &self.live {
            if let Ok(mut images) = live.images.lock() {
                if let Some(bar) = images.remove(&result.name) {
                    bar.finish_and_clear();
                }
                live.total.set_message(format!("{} running", images.len()));
            }
            live.total.set_position(self.done as u64);
        }
        let (done, total, width) = (self.done, self.total, self.width);
        let digits = total.to_string().len();
        let outcome = self.paint(result.outcome);
        let seconds = result.took_ms as f64 / 1000.0;
        let name = plain(&result.name);
        let what = plain(&sentence(result));
        self.coloured(&format!(
            "[{done:>digits$}/{total}] {outcome}  {name:<width$}  {seconds:>6.1} s  {what}"
        ));
    }

    fn paint(&self, outcome: Outcome) -> String {
        let word = format!("{:<8}", outcome.as_str());
        if !self.colour {
            return word;
        }
        let code = match outcome {
            Outcome::Released | Outcome::Reused => 32,
            Outcome::Held => 33,
            Outcome::Failed => 31,
            Outcome::Blocked => 35,
            Outcome::Skipped => 2,
        };
        format!("\u{1b}[{code}m{word}\u{1b}[0m")
    }

    /// A line of words from anywhere.
    fn line(&self, text: &str) {
        self.coloured(&plain(text));
    }

    /// A line whose control characters are our own.
    fn coloured(&self, text: &str) {
        match &self.live {
            Some(live) => {
                let _ = live.all.println(text);
            }
            None => eprintln!("{text}"),
        }
    }

    fn close(self) {
        if let Some(live) = self.live {
            live.total.finish_and_clear();
        }
    }
}

/// Fit for a terminal and for one line: no control characters, no turned writing direction.
pub fn plain(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() || turns(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// What an image's end says, on one line.
fn sentence(result: &ImageResult) -> String {
    match result.outcome {
        Outcome::Failed => format!(
            "{}: {}",
            result.stage.as_deref().unwrap_or("failed"),
            result.error.as_deref().unwrap_or("")
        ),
        Outcome::Blocked => format!("by {}", result.blocked_by.as_deref().unwrap_or("a parent")),
        Outcome::Held => result.held_by.join("; "),
        _ => {
            let grade = result.grade.as_deref().unwrap_or("N/A");
            match result.score {
                Some(score) => format!("{grade} {score:.1}"),
                None => grade.to_owned(),
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_line_stays_a_line_and_moves_no_cursor() {
        assert_eq!(plain("a\nb\u{1b}[2J\u{202e}é"), "a b\u{fffd}[2J\u{fffd}é");
    }
}
