//! Fields whose shape serde cannot derive with good messages.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::config::hints::{INLINE_SECRET, unknown};
use crate::config::period::Period;
use crate::secret::SecretRef;

/// `{env: NAME}` or `{file: PATH}`; anything else could be the secret itself, and is never repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretField(pub SecretRef);

impl<'de> Deserialize<'de> for SecretField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = SecretField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reference to a secret: `{env: NAME}` or `{file: PATH}`")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<SecretField, E> {
        Err(E::custom(INLINE_SECRET))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SecretField, E> {
        Err(E::custom(INLINE_SECRET))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretField, E> {
        Err(E::custom(INLINE_SECRET))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<SecretField, E> {
        Err(E::custom(INLINE_SECRET))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<SecretField, E> {
        Err(E::custom(INLINE_SECRET))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<SecretField, E> {
        Err(E::custom(INLINE_SECRET))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SecretField, E> {
        Err(E::custom(INLINE_SECRET))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<SecretField, A::Error> {
        let mut found = None;
        while let Some(key) = access.next_key::<String>()? {
            let reference = match key.as_str() {
                "env" => SecretRef::Env(access.next_value()?),
                "file" => SecretRef::File(access.next_value::<PathBuf>()?),
                other => {
                    let (message, cure) = unknown("kind of secret", other, &["env", "file"]);
                    return Err(A::Error::custom(format!("{message}; {cure}")));
                }
            };
            if found.replace(SecretField(reference)).is_some() {
                return Err(A::Error::custom("a secret comes from one place: `env` or `file`, not both"));
            }
        }
        match found {
            Some(SecretField(SecretRef::Env(name))) if name.is_empty() || name.contains(['=', '$', ' ']) => {
                Err(A::Error::custom("`env` wants the bare name of an environment variable, such as PGPASSWORD"))
            }
            Some(SecretField(SecretRef::File(path))) if path.as_os_str().is_empty() => {
                Err(A::Error::custom("`file` wants a path"))
            }
            Some(field) => Ok(field),
            None => Err(A::Error::custom("a secret needs a place: `{env: NAME}` or `{file: PATH}`")),
        }
    }
}

impl JsonSchema for SecretField {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a secret is found: an environment variable, or a file. The secret itself is refused here. \
                            A relative path counts from the folder of this file.",
            "type": "object",
            "properties": {
                "env": { "type": "string", "description": "Name of an environment variable.", "examples": ["PGPASSWORD"] },
                "file": { "type": "string", "description": "Path of a file.", "examples": ["writer.key"] },
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
        })
    }
}

/// `all`, or a list of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DatabasesField {
    #[default]
    All,
    Named(Vec<String>),
}

impl<'de> Deserialize<'de> for DatabasesField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DatabasesVisitor)
    }
}

struct DatabasesVisitor;

impl<'de> Visitor<'de> for DatabasesVisitor {
    type Value = DatabasesField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`all` or a list of database names")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<DatabasesField, E> {
        match text {
            "all" => Ok(DatabasesField::All),
            other => Err(E::custom(format!("expected `all` or a list of names; for one database write `[{other}]`"))),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<DatabasesField, A::Error> {
        let mut names: Vec<String> = Vec::new();
        while let Some(name) = access.next_element::<String>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format!("database `{name}` is there twice")));
            }
            names.push(name);
        }
        if names.is_empty() {
            Err(A::Error::custom("the list is empty; every database is `all`"))
        } else {
            Ok(DatabasesField::Named(names))
        }
    }
}

impl JsonSchema for DatabasesField {
    fn schema_name() -> Cow<'static, str> {
        "Databases".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Every database that allows connections, or these.",
            "oneOf": [
                { "const": "all" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1, "uniqueItems": true },
            ],
        })
    }
}

/// An age recipient, checked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Recipient(pub String);

impl TryFrom<String> for Recipient {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY") {
            return Err("this is a private age key; here belongs its public half (age-keygen -y FILE shows it)".into());
        }
        match text.parse::<age::x25519::Recipient>() {
            Ok(_) => Ok(Self(text)),
            Err(reason) => Err(format!("`{text}` is not an age recipient (age1 and 58 characters): {reason}")),
        }
    }
}

/// An age recipient as typed on the command line.
pub fn check_recipient(text: &str) -> Result<String, String> {
    Recipient::try_from(text.to_owned()).map(|recipient| recipient.0)
}

impl JsonSchema for Recipient {
    fn schema_name() -> Cow<'static, str> {
        "Recipient".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A public age key.", "type": "string", "pattern": "^age1[02-9ac-hj-np-z]{58}$" })
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: 90s, 15m, 24h, 7d, 1h30m.",
            "type": "string",
            "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
            "minLength": 2,
        })
    }
}
