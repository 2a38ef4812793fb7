//! Files that ship with lifeboat are what they say; mistakes in them are named with their place.

use std::path::Path;

use lifeboat::config::{self, Databases, Recipients, SourceKind};
use lifeboat::secret::SecretRef;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn production() -> String {
    std::fs::read_to_string(root().join("policies/production.yaml")).unwrap()
}

#[test]
fn every_shipped_policy_parses() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("policies")).unwrap() {
        let path = entry.unwrap().path();
        let (policy, trust) = config::load_policy(&path, Recipients::AtLeastTwo).unwrap();
        assert!(policy.trust().is_some(), "{} pins its repository", path.display());
        assert!(trust.is_none());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["minimal.yaml", "production.yaml"]);
}

#[test]
fn the_minimal_policy_is_fifteen_lines_and_takes_the_defaults() {
    let path = root().join("policies/minimal.yaml");
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 15);
    let (policy, _) = config::load_policy(&path, Recipients::AtLeastTwo).unwrap();
    let SourceKind::Postgres(postgres) = &policy.sources[0].kind else { panic!("another kind") };
    assert_eq!((postgres.port, &postgres.databases), (5432, &Databases::All));
    assert_eq!(postgres.tls, config::Tls::default());
    assert_eq!(postgres.stall_timeout, None);
    assert_eq!(policy.keys.dedup, SecretRef::File(root().join("policies/dedup.key")), "relative to the policy");
    assert_eq!(policy.verify_after_backup, None);
}

/// A field that is in the schema but not in the commented file would be a field that nobody finds.
#[test]
fn the_production_policy_shows_every_field() {
    let text = production();
    let mut fields = Vec::new();
    collect_fields(&config::policy_schema(), &mut fields);
    assert!(fields.len() > 25, "{fields:?}");
    for field in fields {
        assert!(text.contains(&format!("{field}:")), "policies/production.yaml does not show `{field}`");
    }
}

/// What an editor shows beside a field is all that most people read.
#[test]
fn every_field_says_what_it_is() {
    for schema in [config::policy_schema(), config::trust_schema()] {
        silent_fields(&schema, "");
    }
}

#[track_caller]
fn silent_fields(schema: &serde_json::Value, path: &str) {
    let Some(map) = schema.as_object() else { return };
    for (name, field) in map.get("properties").and_then(|p| p.as_object()).into_iter().flatten() {
        assert!(field["description"].is_string(), "{path}.{name} has no description");
    }
    for (name, below) in map {
        silent_fields(below, &format!("{path}.{name}"));
    }
}

fn collect_fields(schema: &serde_json::Value, fields: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(map) => {
            if let Some(serde_json::Value::Object(properties)) = map.get("properties") {
                fields.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| collect_fields(value, fields));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| collect_fields(value, fields)),
        _ => {}
    }
}

/// `UPDATE=1 cargo test shipped_files` rewrites them.
#[test]
fn the_committed_schemas_are_those_of_the_code() {
    for (name, schema) in [("policy", config::policy_schema()), ("trust", config::trust_schema())] {
        let path = root().join(format!("docs/schema/{name}.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{} is old: UPDATE=1 cargo test --test it shipped_files", path.display());
    }
}
