//! JSON Schema of the files that people write, for editors.

use schemars::{JsonSchema, generate::SchemaSettings};

use crate::config::typed::{PolicyFile, TrustFile};

/// JSON Schema (draft 2020-12) of `kind: Policy`.
pub fn policy_schema() -> serde_json::Value {
    schema::<PolicyFile>()
}

/// JSON Schema (draft 2020-12) of `kind: Trust`.
pub fn trust_schema() -> serde_json::Value {
    schema::<TrustFile>()
}

fn schema<T: JsonSchema>() -> serde_json::Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}
