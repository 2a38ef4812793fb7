//! Buckets that a policy watches: referenced, not copied, so only their store stands between them and a loss.

use serde_json::{Map, Value};

use crate::model::Finding;
use crate::source::outside::buckets::{BUCKET, CANARY, Safe, safety};

/// Of one record of the stream `buckets`, read from a backup or just made. None: it says nothing about safety.
pub fn bucket(kind: &str, name: &str, fields: &Map<String, Value>) -> Option<Finding> {
    match kind {
        BUCKET => Some(kept(name, fields)),
        CANARY => Some(canary(name, fields)),
        _ => None,
    }
}

fn kept(address: &str, fields: &Map<String, Value>) -> Finding {
    let subject = format!("bucket {address}");
    let soft = fields.get("softDeleteSeconds").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
    let soft = soft.map(|seconds| format!("; what is deleted can be brought back for {} days", seconds / 86_400));
    let soft = soft.unwrap_or_default();
    match safety(fields) {
        Safe::Versioned => Finding::ok(subject, format!("referenced, not copied; versioned{soft}")),
        Safe::Replicated => Finding::ok(subject, format!("referenced, not copied; replicated by the store{soft}")),
        Safe::No => {
            let suspended = fields.get("versioning").and_then(Value::as_str) == Some("suspended");
            let part = fields.get("replicated").and_then(Value::as_str) == Some("part");
            let versions = if suspended { "versioning is suspended" } else { "not versioned" };
            let copies = if part { "only part of it is replicated" } else { "not replicated" };
            let lost = if soft.is_empty() { "; what is deleted there is lost" } else { "" };
            Finding::problem(subject, format!("referenced, not copied; {versions}, {copies}{lost}{soft}"))
                .cure("turn versioning on, or have the store replicate all of it")
        }
        Safe::Unknown => Finding::problem(
            subject,
            "referenced, not copied; whether it is versioned or replicated, nobody could tell",
        )
        .cure(
            "keys that may ask it: s3:GetBucketVersioning and s3:GetReplicationConfiguration, or storage.buckets.get",
        ),
    }
}

fn canary(name: &str, fields: &Map<String, Value>) -> Finding {
    let (address, object) = name.split_once(' ').unwrap_or((name, ""));
    let subject = format!("canary {object} in {address}");
    match fields.get("state").and_then(Value::as_str) {
        Some("present") => Finding::ok(subject, "is there"),
        Some("missing") => Finding::problem(subject, "is not there")
            .cure("see whether what the bucket holds is lost, or the policy names another object than is meant"),
        _ => Finding::warning(subject, "was not read, so nobody can tell whether it is there")
            .cure("an object in no archive tier, and keys that may list the bucket and read it"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Severity;

    fn told(kind: &str, fields: Value) -> (Severity, String) {
        let Value::Object(fields) = fields else { unreachable!() };
        let finding = bucket(kind, "s3://b a b", &fields).unwrap();
        assert_eq!(finding.cure.is_none(), finding.severity == Severity::Ok, "{finding:?}");
        (finding.severity, format!("{}: {}", finding.subject, finding.message))
    }

    #[test]
    fn red_is_what_nobody_keeps() {
        for (versioning, replicated, severity, says) in [
            ("enabled", "none", Severity::Ok, "versioned"),
            ("off", "all", Severity::Ok, "replicated by the store"),
            ("off", "none", Severity::Problem, "is lost"),
            ("suspended", "part", Severity::Problem, "versioning is suspended, only part of it is replicated"),
            ("may not be asked", "none", Severity::Problem, "nobody could tell"),
            ("not offered", "unknown", Severity::Problem, "nobody could tell"),
        ] {
            let (found, text) = told(BUCKET, json!({"versioning": versioning, "replicated": replicated}));
            assert!(found == severity && text.contains(says), "{versioning} {replicated}: {text}");
        }
        let soft = json!({"versioning": "off", "replicated": "none", "softDeleteSeconds": 604_800});
        assert!(told(BUCKET, soft).1.ends_with("can be brought back for 7 days"));
        assert_eq!(told(CANARY, json!({"state": "present"})), (Severity::Ok, "canary a b in s3://b: is there".into()));
        assert_eq!(told(CANARY, json!({"state": "missing"})).0, Severity::Problem);
        assert_eq!(told(CANARY, json!({"state": "archived"})).0, Severity::Warning);
        assert!(bucket("zone", "x", &Map::new()).is_none());
    }
}
