//! JSON Schema as far as `ops/schema` uses it: type, enum, required, properties,
//! additionalProperties, items and local references; anything else in a schema is an error.

use std::fs;
use std::path::Path;

use serde_json::Value;

const KNOWN: [&str; 13] = [
    "$schema",
    "$id",
    "$defs",
    "$ref",
    "title",
    "description",
    "format",
    "type",
    "enum",
    "required",
    "properties",
    "additionalProperties",
    "items",
];

pub fn load(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Whether `value` is as `root` says; the error names the place.
pub fn check(root: &Value, value: &Value) -> Result<(), String> {
    at(root, root, value, "$")
}

fn at(root: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(target) = schema["$ref"].as_str() {
        return at(root, resolve(root, target)?, value, place);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is(name, value)) {
        return Err(format!("{place} is not {types:?}: {value}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{place} is none of {allowed:?}: {value}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        at(root, &schema["items"], item, &format!("{place}[{index}]"))?;
    }
    let Some(object) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            return Err(format!("{place} lacks {name}"));
        }
    }
    for (name, inner) in object {
        match schema["properties"].get(name) {
            Some(schema) => at(root, schema, inner, &format!("{place}.{name}"))?,
            None if schema["additionalProperties"] == false => {
                return Err(format!("{place}.{name} is not in the schema"));
            }
            None => {}
        }
    }
    Ok(())
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn resolve<'a>(root: &'a Value, target: &str) -> Result<&'a Value, String> {
    let pointer = target.strip_prefix('#').ok_or(format!("{target} is not local"))?;
    root.pointer(pointer).ok_or(format!("{target} leads nowhere"))
}

/// Whether a schema keeps to the subset, its references resolve and what it requires is described.
pub fn sound(root: &Value) -> Result<(), String> {
    inner(root, root)
}

fn inner(root: &Value, schema: &Value) -> Result<(), String> {
    let object = schema.as_object().ok_or(format!("not a schema: {schema}"))?;
    if let Some(strange) = object.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("{strange} is outside of the subset"));
    }
    if let Some(target) = schema["$ref"].as_str() {
        resolve(root, target)?;
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        schema["properties"].get(name).ok_or(format!("{name} is required, but not described"))?;
    }
    let groups = [&schema["properties"], &schema["$defs"]];
    for group in groups.into_iter().filter_map(Value::as_object) {
        group.values().try_for_each(|schema| inner(root, schema))?;
    }
    schema.get("items").map_or(Ok(()), |schema| inner(root, schema))
}
