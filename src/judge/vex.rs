//! OpenVEX documents (specification 0.2.0, and the shape of 0.0.1) to statements.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde_json::{Map, Value};

use crate::model::finding::Status;
use crate::model::source::VexDocument;
use crate::model::statement::{Statement, StatementCheck, StatementState};

use super::product::Product;
use super::purl::Purl;

const MAX_BYTES: usize = 4 * 1024 * 1024;
const MAX_STATEMENTS: usize = 10_000;
const MAX_IDS: usize = 2_000;
const MAX_ALIASES: usize = 64;
const MAX_TEXT: usize = 2_000;

const JUSTIFICATIONS: [&str; 5] = [
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
];

const TOO_MANY: &str = "the document pairs too many products with components of their own";

type Object = Map<String, Value>;

/// Reads an OpenVEX document: the valid statements, and a check for each that is not. OpenVEX has no
/// expiry; `expires` or `x-expires` on a statement or the document is taken (RFC 3339, or a date, at
/// whose beginning in UTC it ends). At most 4 MiB, 10,000 statements and 2,000 ids in each.
pub fn parse_vex(document: &VexDocument) -> (Vec<Statement>, Vec<StatementCheck>) {
    let (mut valid, mut invalid) = (Vec::new(), Vec::new());
    let refused = |origin: &str, id: &str, message: String| StatementCheck {
        origin: origin.to_owned(),
        id: id.to_owned(),
        image: String::new(),
        state: StatementState::Invalid,
        message: format!("not used: {message}"),
        expires: None,
    };
    let (root, statements) = match open(&document.text) {
        Ok(opened) => opened,
        Err(message) => return (valid, vec![refused(&document.path, "", message)]),
    };
    for (place, value) in statements.iter().take(MAX_STATEMENTS).enumerate() {
        let origin = format!("{}#{}", document.path, place + 1);
        let reader = Reader { document, root: &root, origin: &origin };
        match reader.statement(value) {
            Ok(read) if valid.len() + read.len() <= MAX_STATEMENTS => valid.extend(read),
            Ok(_) => invalid.push(refused(&origin, &first_id(value), TOO_MANY.to_owned())),
            Err(message) => invalid.push(refused(&origin, &first_id(value), message)),
        }
    }
    if statements.len() > MAX_STATEMENTS {
        let message = format!("only the first {MAX_STATEMENTS} of {} statements", statements.len());
        invalid.push(refused(&document.path, "", message));
    }
    (valid, invalid)
}

fn open(text: &str) -> Result<(Object, Vec<Value>), String> {
    if text.len() > MAX_BYTES {
        return Err(format!("the document has {} bytes, at most {MAX_BYTES} are read", text.len()));
    }
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    let Value::Object(mut root) = value else {
        return Err("the document is not a JSON object".into());
    };
    if let Some(context) = root.get("@context")
        && !context.as_str().is_some_and(|context| context.contains("openvex.dev/ns"))
    {
        return Err("`@context` is not OpenVEX's, https://openvex.dev/ns/v0.2.0".into());
    }
    match root.remove("statements") {
        Some(Value::Array(statements)) => Ok((root, statements)),
        Some(_) => Err("`statements` is not a list".into()),
        None => Err("the document has no `statements`".into()),
    }
}

struct Reader<'a> {
    document: &'a VexDocument,
    root: &'a Object,
    origin: &'a str,
}

/// Alternative ids of one product, and of its subcomponents.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    products: Vec<String>,
    components: Vec<String>,
}

impl Reader<'_> {
    /// One statement for each set of products with the same components.
    fn statement(&self, value: &Value) -> Result<Vec<Statement>, String> {
        let object = value.as_object().ok_or("the statement is not a JSON object")?;
        let ids = ids(object)?;
        let status = status(object)?;
        let [justification, impact, action] =
            ["justification", "impact_statement", "action_statement"].map(|key| text(object, key));
        check_reasons(status, justification.as_deref(), impact.as_deref(), action.as_deref())?;
        let timestamp = self.time(object, &["timestamp"])?;
        let timestamp =
            timestamp.ok_or("neither the statement nor the document has a `timestamp`")?;
        let expires = self.time(object, &["expires", "x-expires"])?;
        let build = |group: Group| Statement {
            origin: self.origin.to_owned(),
            folder: self.document.folder.clone(),
            ids: ids.clone(),
            products: group.products,
            components: group.components,
            status,
            justification: justification.clone(),
            impact: impact.clone(),
            action: action.clone(),
            author: text(object, "author").or(text(self.root, "author")).unwrap_or_default(),
            timestamp,
            expires,
        };
        Ok(self.groups(object)?.into_iter().map(build).collect())
    }

    fn time(&self, object: &Object, keys: &[&str]) -> Result<Option<DateTime<Utc>>, String> {
        let found = [object, self.root].into_iter().flat_map(|place| {
            keys.iter().filter_map(move |key| place.get(*key).map(|value| (*key, value)))
        });
        let Some((key, value)) = found.into_iter().find(|(_, value)| !value.is_null()) else {
            return Ok(None);
        };
        let parsed = value.as_str().and_then(instant);
        parsed.map(Some).ok_or_else(|| format!("`{key}` is no RFC 3339 time: {value}"))
    }

    fn groups(&self, object: &Object) -> Result<Vec<Group>, String> {
        let products = match object.get("products").or(object.get("product")) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(products)) => products.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let shared = components(object.get("subcomponents"))?;
        if products.is_empty() {
            return Ok(vec![Group { products: Vec::new(), components: shared }]);
        }
        let mut groups: Vec<Group> = Vec::new();
        for product in products.iter().take(MAX_IDS) {
            let own = product.get("subcomponents").map(|own| components(Some(own))).transpose()?;
            let group = self.group(alternatives(product)?, own.unwrap_or_else(|| shared.clone()));
            match groups.iter_mut().find(|known| same_scope(known, &group)) {
                Some(known) => known.products.extend(group.products),
                None => groups.push(group),
            }
        }
        if products.len() > MAX_IDS {
            return Err(format!("it has {} products, at most {MAX_IDS} are read", products.len()));
        }
        Ok(groups)
    }

    /// A package as the product is a component of the image beside it, or of any image.
    fn group(&self, products: Vec<String>, components: Vec<String>) -> Group {
        let packages = products.iter().any(|id| matches!(Product::parse(id), Product::Package(_)));
        if !packages || !components.is_empty() {
            return Group { products, components };
        }
        let components = products.iter().filter(|id| Purl::parse(id).is_some()).cloned().collect();
        let products = if self.document.folder.is_some() { Vec::new() } else { products };
        Group { products, components }
    }
}

/// Products without an id of their own (the image beside) are never merged with named ones.
fn same_scope(a: &Group, b: &Group) -> bool {
    a.components == b.components && a.products.is_empty() == b.products.is_empty()
}

fn first_id(value: &Value) -> String {
    let ids = value.as_object().map(ids);
    ids.and_then(Result::ok).and_then(|ids| ids.into_iter().next()).unwrap_or_default()
}

fn ids(object: &Object) -> Result<Vec<String>, String> {
    let mut ids: Vec<String> = Vec::new();
    match object.get("vulnerability") {
        Some(Value::String(name)) => ids.push(short_id(name)),
        Some(Value::Object(vulnerability)) => {
            let name = text(vulnerability, "name").or(text(vulnerability, "@id"));
            ids.extend(name.map(|name| short_id(&name)));
            if let Some(Value::Array(aliases)) = vulnerability.get("aliases") {
                let aliases = aliases.iter().take(MAX_ALIASES).filter_map(Value::as_str);
                ids.extend(aliases.map(short_id));
            }
        }
        _ => {}
    }
    ids.retain(|id| !id.is_empty());
    if ids.is_empty() { Err("it names no `vulnerability`".into()) } else { Ok(ids) }
}

/// The last part of an address such as `https://nvd.nist.gov/vuln/detail/CVE-2024-1`.
fn short_id(text: &str) -> String {
    let text = text.trim();
    let last = text.contains("://").then(|| text.trim_end_matches('/').rsplit('/').next());
    cut(last.flatten().unwrap_or(text))
}

fn status(object: &Object) -> Result<Status, String> {
    match object.get("status").and_then(Value::as_str) {
        Some("not_affected") => Ok(Status::NotAffected),
        Some("affected") => Ok(Status::Affected),
        Some("fixed") => Ok(Status::Fixed),
        Some("under_investigation") => Ok(Status::UnderInvestigation),
        Some(other) => Err(format!(
            "status `{}` is none of not_affected, affected, fixed, under_investigation",
            cut(other)
        )),
        None => Err("it has no `status`".into()),
    }
}

fn check_reasons(
    status: Status,
    justification: Option<&str>,
    impact: Option<&str>,
    action: Option<&str>,
) -> Result<(), String> {
    match status {
        Status::NotAffected if justification.is_none() && impact.is_none() => {
            Err("not_affected needs a `justification` or an `impact_statement`".into())
        }
        Status::Affected if action.is_none() => Err("affected needs an `action_statement`".into()),
        _ => match justification.filter(|label| !JUSTIFICATIONS.contains(label)) {
            Some(label) => {
                Err(format!("justification `{label}` is none of {}", JUSTIFICATIONS.join(", ")))
            }
            None => Ok(()),
        },
    }
}

fn components(value: Option<&Value>) -> Result<Vec<String>, String> {
    let list = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    if list.len() > MAX_IDS {
        return Err(format!("it has {} subcomponents, at most {MAX_IDS} are read", list.len()));
    }
    let mut ids = Vec::new();
    for component in list {
        ids.extend(alternatives(component)?);
    }
    Ok(ids)
}

/// All ids of one product or subcomponent; where one of them names a version, only such ones.
fn alternatives(value: &Value) -> Result<Vec<String>, String> {
    let mut ids: Vec<String> = Vec::new();
    match value {
        Value::String(id) => ids.push(cut(id.trim())),
        Value::Object(object) => {
            ids.extend(text(object, "@id").or(text(object, "id")));
            if let Some(Value::Object(identifiers)) = object.get("identifiers") {
                ids.extend(
                    identifiers.keys().take(MAX_ALIASES).filter_map(|key| text(identifiers, key)),
                );
            }
            if let Some(Value::Object(hashes)) = object.get("hashes") {
                ids.extend(text(hashes, "sha-256").map(|hex| format!("sha256:{hex}")));
            }
        }
        _ => {}
    }
    ids.retain(|id| !id.is_empty());
    ids.dedup();
    if ids.is_empty() {
        return Err("a product or subcomponent has neither `@id` nor `identifiers`".into());
    }
    let pinned = |id: &String| match Product::parse(id) {
        Product::Image(image) => {
            image.is_pinned() && !["http", "cpe:"].iter().any(|p| id.starts_with(p))
        }
        Product::Package(purl) => purl.version.is_some(),
    };
    if ids.iter().any(pinned) {
        ids.retain(pinned);
    }
    Ok(ids)
}

fn text(object: &Object, key: &str) -> Option<String> {
    let text = object.get(key)?.as_str()?.trim();
    (!text.is_empty()).then(|| cut(text))
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').take(MAX_TEXT).collect()
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let date = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()).or_else(date)
}
