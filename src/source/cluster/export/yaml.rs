//! Writes JSON values as YAML that every reader of YAML 1.1 and 1.2 takes for the same: what could be read as anything
//! but a text is quoted.

use std::fmt::Write as _;

use serde_json::Value;

/// One document, without the line that begins it.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(_) | Value::Array(_) if !is_empty(value) => block(&mut text, value, 0),
        other => {
            scalar(&mut text, other, 0);
            text.push('\n');
        }
    }
    text
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A mapping or a list that is not empty, each entry on lines of its own.
fn block(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                pad(text, indent);
                key(text, name);
                text.push(':');
                entry(text, value, indent);
            }
        }
        Value::Array(items) => {
            for item in items {
                pad(text, indent);
                text.push('-');
                entry(text, item, indent);
            }
        }
        other => scalar(text, other, indent),
    }
}

/// What stands behind a `name:` or a `-`.
fn entry(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(_) | Value::Array(_) if !is_empty(value) => {
            text.push('\n');
            block(text, value, indent + 2);
        }
        other => {
            text.push(' ');
            scalar(text, other, indent + 2);
            text.push('\n');
        }
    }
}

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

fn key(text: &mut String, name: &str) {
    // A quoted key is one line, whatever is in it.
    if is_plain(name) { text.push_str(name) } else { quoted(text, name) }
}

fn scalar(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(string) if is_plain(string) => text.push_str(string),
        Value::String(string) if is_literal(string) => literal(text, string, indent),
        Value::String(string) => quoted(text, string),
        // Numbers, true, false, null, {} and [] are what they are in JSON.
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

fn quoted(text: &mut String, string: &str) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            // Line breaks of Unicode, the byte order mark, and what YAML calls not printable.
            other
                if other.is_control()
                    || matches!(other, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(text, "\\u{:04x}", u32::from(other));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

/// Words that some reader takes for something else.
const NOT_TEXT: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity"];

/// Nothing but letters first, and nothing in it that ends or changes a plain scalar anywhere.
fn is_plain(string: &str) -> bool {
    let mut bytes = string.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    first && bytes.all(rest) && string.len() <= 253 && !NOT_TEXT.contains(&string.to_ascii_lowercase().as_str())
}

/// Several lines that a block keeps as they are, the end of the last one included.
fn is_literal(string: &str) -> bool {
    let body = string.strip_suffix('\n').unwrap_or(string);
    let plain = |character: char| {
        character == '\n'
            || character == '\t'
            || !(character.is_control()
                || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
    };
    let first = body.lines().next().unwrap_or_default();
    body.contains('\n')
        && !body.ends_with('\n')
        && string.chars().all(plain)
        && !first.is_empty()
        && !first.starts_with([' ', '\t'])
        // A line of nothing but space is read as an empty one by some.
        && body.split('\n').all(|line| line.is_empty() || !line.trim().is_empty())
}

fn literal(text: &mut String, string: &str, indent: usize) {
    text.push_str(if string.ends_with('\n') { "|" } else { "|-" });
    for line in string.strip_suffix('\n').unwrap_or(string).split('\n') {
        text.push('\n');
        if !line.is_empty() {
            pad(text, indent);
            text.push_str(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_as_a_person_would_have_written_it() {
        let value = json!({
            "apiVersion": "apps/v1",
            "data": {"config.yaml": "a: 1\nb:\n  - x\n", "end": "one\ntwo", "empty": "", "on": "yes", "n": "0123", "space": "a b"},
            "list": [{"name": "a", "args": ["-x", "--y=1"]}, [], {}, [1, [2.5]], null, true],
        });
        insta::assert_snapshot!(document(&value), @r#"
        apiVersion: apps/v1
        data:
          config.yaml: |
            a: 1
            b:
              - x
          empty: ""
          end: |-
            one
            two
          "n": "0123"
          "on": "yes"
          space: "a b"
        list:
          -
            args:
              - "-x"
              - "--y=1"
            name: a
          - []
          - {}
          -
            - 1
            -
              - 2.5
          - null
          - true
        "#);
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "[ -~\n\t]{0,40}",
            "(yes|no|on|~|0x1F|1_000|12:30:00|2001-01-01|=|<<|null|\\.inf|1e3|-|\\?|:|#x|\\| x|a: b|a #b|%x|@x|`x|&a|\\*a|!t)",
            "([a-z ]{0,6}\n){0,4}[a-z ]{0,6}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(text.clone(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_reads_back(value in values()) {
            let text = document(&value);
            let back: Value = serde_saphyr::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(back, value, "{}", text);
        }
    }
}
