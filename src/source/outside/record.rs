//! One record, and the one way in which it is written as a line.

use bytes::Bytes;
use serde_json::{Map, Value};

/// Bytes of a line, its line feed included. The longest are jobs of a scheduler, with their templates.
pub const MAX_LINE: usize = 8 << 20;
/// Bytes of a kind or a name.
const MAX_WORD: usize = 1024;

/// What was seen of one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Which sort of thing. A part of the stream is called so.
    pub kind: &'static str,
    /// Tells it from all others of its kind, today and tomorrow.
    pub name: String,
    /// Neither `kind` nor `name` is among them.
    pub fields: Map<String, Value>,
}

/// A record that was read from a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub kind: String,
    pub name: String,
    pub fields: Map<String, Value>,
}

impl Record {
    pub fn new(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), fields: Map::new() }
    }

    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// With its line feed.
    pub fn line(&self) -> Bytes {
        line(self.kind, &self.name, &self.fields)
    }
}

fn line(kind: &str, name: &str, fields: &Map<String, Value>) -> Bytes {
    let mut text = format!("{{\"kind\":{},\"name\":{}", Value::from(kind), Value::from(name));
    for (field, value) in fields {
        text.push_str(&format!(",{}:{value}", Value::from(field.as_str())));
    }
    text.push_str("}\n");
    Bytes::from(text)
}

/// Reads a line with its line feed. Only what [`Record::line`] writes is a record: one thing has one spelling, so that
/// equal days have equal bytes. The error says what the line does wrong.
pub fn parse(text: &[u8]) -> Result<Stored, String> {
    if text.len() > MAX_LINE {
        return Err("is longer than 8 MiB".into());
    }
    // The parser stops at 128 levels by itself, so that a hostile line cannot use up the stack.
    let value: Value = serde_json::from_slice(text).map_err(|error| format!("is no JSON: {error}"))?;
    let Value::Object(mut fields) = value else { return Err("is no record".into()) };
    let mut word = |field: &str| match fields.remove(field) {
        Some(Value::String(word)) if !word.is_empty() && word.len() <= MAX_WORD => Ok(word),
        _ => Err(format!("has no `{field}` of at most {MAX_WORD} bytes")),
    };
    let (kind, name) = (word("kind")?, word("name")?);
    if line(&kind, &name, &fields) != text {
        return Err("is not written as a record is".into());
    }
    Ok(Stored { kind, name, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_one_spelling() {
        let record = Record::new("name", "www").with("ttl", 60).with("answers", vec!["192.0.2.1"]);
        let line = record.line();
        assert_eq!(line, "{\"kind\":\"name\",\"name\":\"www\",\"answers\":[\"192.0.2.1\"],\"ttl\":60}\n");
        let stored = parse(&line).unwrap();
        assert_eq!((stored.kind.as_str(), stored.name.as_str(), stored.fields), ("name", "www", record.fields));
        for (text, why) in [
            ("{\"name\":\"www\",\"kind\":\"name\"}\n", "not written as"),
            ("{\"kind\":\"name\",\"name\":\"www\",\"b\":1,\"a\":1}\n", "not written as"),
            ("{\"kind\":\"name\",\"name\":\"www\",\"a\":1,\"a\":1}\n", "not written as"),
            ("{\"kind\":\"name\",\"name\":\"www\" }\n", "not written as"),
            ("{\"kind\":\"name\",\"name\":\"\"}\n", "has no `name`"),
            ("{\"name\":\"www\"}\n", "has no `kind`"),
            ("[]\n", "is no record"),
            ("{\n", "is no JSON"),
        ] {
            let said = parse(text.as_bytes()).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
        let deep = format!("{{\"kind\":\"a\",\"name\":\"b\",\"c\":{}{}}}\n", "[".repeat(500), "]".repeat(500));
        assert!(parse(deep.as_bytes()).is_err());
    }
}
