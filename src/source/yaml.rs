//! YAML as a tree whose nodes know their lines, within a strict budget.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and its line, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub line: usize,
    pub value: Value,
}

/// A value; mappings keep their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub line: usize,
    pub name: String,
}

/// Why a text is not taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub line: usize,
    pub message: String,
    /// Whether it was too much rather than wrong.
    pub budget: bool,
}

impl Value {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Parses one document.
pub(super) fn parse(text: &str) -> Result<Node, Failure> {
    let budget = serde_saphyr::budget! {
        max_events: 60_000,
        max_nodes: 20_000,
        max_aliases: 200,
        max_anchors: 200,
        max_depth: 24,
        max_documents: 1,
        max_merge_keys: 50,
        max_recorded_anchor_events: 20_000,
    };
    let mut limits = serde_saphyr::options::AliasLimits::default();
    limits.max_total_replayed_events = 20_000;
    limits.max_replay_stack_depth = 8;
    let options = serde_saphyr::options! {
        budget: budget,
        alias_limits: limits,
        with_snippet: false,
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line() as usize);
        let message: String =
            error.to_string().lines().next().unwrap_or_default().chars().take(300).collect();
        let lower = format!("{error:?}").to_lowercase();
        let budget = ["budget", "alias", "replay", "depth", "recursion limit"]
            .iter()
            .any(|word| lower.contains(word));
        Failure { line, message, budget }
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line() as usize, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let line = key.referenced.line() as usize;
            map.push((Key { line, name: key.value }, entries.next_value()?));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(node: &Node) -> Vec<(&str, usize, &Node)> {
        let Value::Map(map) = &node.value else { panic!("{node:?}") };
        map.iter().map(|(key, node)| (key.name.as_str(), key.line, node)).collect()
    }

    #[test]
    fn lines_and_kinds() {
        let node = parse("# c\na: x\nb:\n  - 1\n  - k: 1.10\n    l: ~\nc: yes\nd: true\n").unwrap();
        let top = entries(&node);
        assert_eq!((top[0].0, top[0].1, &top[0].2.value), ("a", 2, &Value::Text("x".into())));
        let Value::List(items) = &top[1].2.value else { panic!() };
        assert_eq!((items[0].line, items[0].value.kind()), (4, "a number"));
        let inner = entries(&items[1]);
        assert_eq!((inner[1].0, inner[1].1, inner[1].2.value.kind()), ("l", 6, "empty"));
        assert_eq!(top[2].2.value, Value::Text("yes".into()));
        assert_eq!(top[3].2.value, Value::Bool(true));
    }

    #[test]
    fn crlf_and_bom() {
        let node = parse("\u{feff}a: x\r\nb: \"y\"\r\n").unwrap();
        let top = entries(&node);
        assert_eq!((top[0].0, &top[0].2.value), ("a", &Value::Text("x".into())));
        assert_eq!((top[1].1, &top[1].2.value), (2, &Value::Text("y".into())));
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        let failure = parse(&bomb).unwrap_err();
        assert!(failure.budget, "{failure:?}");
        let failure = parse(&format!("a: {}{}", "[".repeat(5000), "]".repeat(5000))).unwrap_err();
        assert!(failure.budget, "{failure:?}");
        assert!(parse(&"- x\n".repeat(50_000)).unwrap_err().budget);
        assert!(!parse("a: 1\nb: [\n").unwrap_err().budget);
        assert_eq!(parse("a: 1\na: 2\n").unwrap_err().line, 2);
    }
}
