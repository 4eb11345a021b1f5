//! The embedded templates, compiled once: HTML escapes what it is given, text does not.

use std::sync::LazyLock;

use handlebars::{
    Context, Handlebars, Helper, Output, RenderContext, RenderError, RenderErrorReason,
    html_escape, no_escape,
};
use serde::Serialize;

use super::Error;

type Registry = Result<Handlebars<'static>, Error>;

static HTML: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Handlebars::new();
    registry.register_escape_fn(html_escape);
    compile(
        registry,
        &[
            ("verdict", include_str!("../../templates/mail/morning/verdict.hbs")),
            ("morning.html", include_str!("../../templates/mail/morning/body.html.hbs")),
            ("night.html", include_str!("../../templates/page/night.html.hbs")),
        ],
    )
});

static TEXT: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Handlebars::new();
    registry.register_escape_fn(no_escape);
    compile(
        registry,
        &[
            ("verdict", include_str!("../../templates/mail/morning/verdict.hbs")),
            ("morning.subject", include_str!("../../templates/mail/morning/subject.txt.hbs")),
            ("morning.text", include_str!("../../templates/mail/morning/body.txt.hbs")),
        ],
    )
});

fn compile(mut registry: Handlebars<'static>, files: &[(&str, &str)]) -> Registry {
    registry.set_strict_mode(true);
    registry.register_helper("number", Box::new(number));
    registry.register_helper("count", Box::new(count));
    registry.register_helper("soft", Box::new(soft));
    for (name, text) in files {
        registry.register_template_string(name, text).map_err(|error| broken(name, &error))?;
    }
    Ok(registry)
}

fn broken(name: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Template { name: name.into(), reason: error.to_string() }
}

/// Renders an HTML template.
pub(super) fn html(name: &str, view: &impl Serialize) -> Result<String, Error> {
    with(&HTML, name, view)
}

/// Renders a text template.
pub(super) fn text(name: &str, view: &impl Serialize) -> Result<String, Error> {
    with(&TEXT, name, view)
}

fn with(registry: &'static Registry, name: &str, view: &impl Serialize) -> Result<String, Error> {
    let registry = registry.as_ref().map_err(|error| broken(name, error))?;
    registry.render(name, view).map_err(|error| broken(name, &error))
}

fn parameter<'a>(helper: &'a Helper<'_>, at: usize) -> Result<&'a serde_json::Value, RenderError> {
    let missing = || RenderErrorReason::ParamNotFoundForIndex("helper", at);
    Ok(helper.param(at).ok_or_else(missing)?.value())
}

/// `{{number n}}`: `1,812`.
fn number(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> Result<(), RenderError> {
    Ok(out.write(&grouped(parameter(helper, 0)?.as_u64().unwrap_or(0)))?)
}

/// `{{count n "image" "images"}}`: `1 image`, `1,812 images`.
fn count(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> Result<(), RenderError> {
    let n = parameter(helper, 0)?.as_u64().unwrap_or(0);
    let noun = parameter(helper, if n == 1 { 1 } else { 2 })?.as_str().unwrap_or("");
    Ok(out.write(&format!("{} {noun}", grouped(n)))?)
}

/// `{{soft text}}`: escaped, with a place to break after every 18 characters of a long word.
fn soft(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> Result<(), RenderError> {
    let value = parameter(helper, 0)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 {
            out.write(" ")?;
        }
        if word.chars().count() <= 26 {
            out.write(&html_escape(word))?;
            continue;
        }
        let letters: Vec<char> = word.chars().collect();
        for (at, piece) in letters.chunks(18).enumerate() {
            if at > 0 {
                out.write("<wbr>")?;
            }
            out.write(&html_escape(&piece.iter().collect::<String>()))?;
        }
    }
    Ok(())
}

/// A number with its thousands apart: `1,812`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
