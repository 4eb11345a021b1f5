//! Maintainers and partner advocates of a manifest.

use super::findings::{Findings, entry, shown};
use super::manifest::{Settings, fixme};
use super::yaml::{Key, Node, Value};
use crate::model::manifest::Person;
use crate::model::pipeline::Schema;
use crate::model::source::Level;

/// Reads `maintainers`: at least one, each once.
pub(super) fn maintainers(
    node: &Node,
    settings: Settings<'_>,
    found: &mut Findings,
) -> Vec<Person> {
    let people = people("maintainers", node, found);
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        let help = "name at least one person who gets the mails";
        found.hard(node.line, "manifest.maintainers.count", "there is no maintainer", help);
    }
    for (line, person) in &people {
        contact(*line, person, settings, found);
    }
    people.into_iter().map(|(_, person)| person).collect()
}

/// Reads `partner_advocates`.
pub(super) fn advocates(node: &Node, found: &mut Findings) -> Vec<Person> {
    let people = people("partner_advocates", node, found);
    for (line, person) in &people {
        if person.name.is_empty() || person.username.is_empty() {
            let message = "a partner advocate lacks `name` or `username`";
            found.hard(*line, "manifest.partner-advocates.required", message, "add it");
        }
    }
    people.into_iter().map(|(_, person)| person).collect()
}

/// The strict schema asks for name and username, the relaxed one for an address.
fn contact(line: usize, person: &Person, settings: Settings<'_>, found: &mut Findings) {
    let (named, mailed) =
        (!person.name.is_empty() && !person.username.is_empty(), person.email.is_some());
    let missing = |found: &mut Findings, level: Level, what: &str| {
        let message = format!("a maintainer has no {what}");
        found.add(level, line, "manifest.maintainers.required", message, format!("add {what}"));
    };
    match settings.schema {
        Schema::Strict if !named => missing(found, Level::Hard, "`name` and `username`"),
        Schema::Relaxed if !mailed => missing(found, Level::Hard, "`email`"),
        Schema::Auto if !named && !mailed => {
            missing(found, Level::Hard, "`name` and `username`, or `email`");
        }
        Schema::Auto if !named => {
            let level = settings.strict_only().unwrap_or(Level::Soft);
            missing(found, level, "`name` and `username`");
        }
        _ => {}
    }
}

fn people(what: &str, node: &Node, found: &mut Findings) -> Vec<(usize, Person)> {
    let mut people: Vec<(usize, Person)> = Vec::new();
    for (at, item) in found.list(what, node).iter().enumerate() {
        let Some(entries) = found.map(&format!("{what}[{at}]"), item) else { continue };
        found.unknown(what, entries, &["name", "username", "email", "cht_member"]);
        let person = Person {
            name: field(what, "name", entries, found).unwrap_or_default(),
            username: field(what, "username", entries, found).unwrap_or_default(),
            email: field(what, "email", entries, found).filter(|text| email(text, item, found)),
        };
        if let Some((_, node)) = entry(entries, "cht_member")
            && !matches!(node.value, Value::Bool(_))
        {
            let message =
                format!("`cht_member` must be true or false, it is {}", node.value.kind());
            found.hard(node.line, "manifest.type", message, "write `true` or `false`");
        }
        if people.iter().any(|(_, known)| *known == person) {
            let rule = format!("manifest.{}.unique", what.replace('_', "-"));
            found.hard(item.line, &rule, "the same person stands twice", "remove one entry");
        }
        people.push((item.line, person));
    }
    people
}

fn field(what: &str, name: &str, entries: &[(Key, Node)], found: &mut Findings) -> Option<String> {
    let (_, node) = entry(entries, name)?;
    let text = found.text(&format!("{what}.{name}"), node)?;
    fixme(&format!("{what}.{name}"), text, node.line, found);
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Whether a mail could go there; a text with line breaks must never reach a mail's head.
fn email(text: &str, item: &Node, found: &mut Findings) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || "<>,;:\"()[]\\".contains(c);
    let plausible = text.len() <= 254
        && !text.contains(bad)
        && text.split_once('@').is_some_and(|(user, domain)| {
            let edges =
                |part: &str| part.starts_with('.') || part.ends_with('.') || part.is_empty();
            !edges(user) && !edges(domain) && !domain.contains('@') && !domain.contains("..")
        });
    if !plausible {
        let message = format!("`{}` is not a mail address", shown(text));
        found.hard(item.line, "manifest.email", message, "write it as user@example.org");
    }
    plausible
}
