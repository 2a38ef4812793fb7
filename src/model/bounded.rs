//! JSON of any shape out of a document that may be hostile: an object costs hundreds of bytes however short its text.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What all values together may cost. A server of 10,000 roles and 1,000 databases is at a twentieth of it.
const BUDGET: usize = 2 << 20;
/// What an object takes, in values.
const OBJECT: usize = 20;

/// For `#[serde(deserialize_with)]`: any JSON, as long as there is not too much of it.
pub(super) fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Bounded(&Cell::new(BUDGET)).deserialize(deserializer)
}

#[derive(Clone, Copy)]
struct Bounded<'a>(&'a Cell<usize>);

impl Bounded<'_> {
    fn pay<E: Error>(self, cost: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(cost).ok_or_else(|| E::custom("more values than any capture records"))?;
        self.0.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.pay(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(value) = values.next_element_seed(self)? {
            array.push(value);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.pay(OBJECT)?;
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            object.insert(name, fields.next_value_seed(self)?);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Value, serde_json::Error> {
        value(&mut serde_json::Deserializer::from_str(json))
    }

    #[test]
    fn reads_what_serde_json_reads() {
        for json in [r#"{"a":[1,-2,3.5,"x\n",null,true,{"b":{}}],"c":18446744073709551615}"#, "null", "[]", "\"ü\""] {
            assert_eq!(read(json).unwrap(), serde_json::from_str::<Value>(json).unwrap());
        }
        assert!(read("[1").is_err());
        assert!(read(&"[".repeat(100_000)).is_err(), "depth is bounded by the parser");
    }

    #[test]
    fn stops_at_the_budget() {
        let objects = |n: usize| format!("[{}]", vec!["{}"; n].join(","));
        assert!(read(&objects(90_000)).is_ok());
        assert!(read(&objects(110_000)).is_err());
        assert!(read(&format!("[{}]", vec!["0"; 3 << 20].join(","))).is_err());
    }
}
