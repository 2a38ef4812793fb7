//! A bucket as records, and what such a record says about how safe it is.

use serde_json::{Map, Value, json};

use crate::model::{BucketFacts, BucketKeeping, Canary, Content, ReplicationRule, Said, Versioning};
use crate::source::outside::Record;

/// Kind of the record of a bucket; its name is the address.
pub const BUCKET: &str = "bucket";
/// Kind of the record of an object that is looked at each time; its name is the address and the object's.
pub const CANARY: &str = "canary";

const MAY_NOT_ASK: &str = "may not be asked";
const NOT_OFFERED: &str = "not offered";

pub(super) fn of(address: &str, facts: &BucketFacts) -> Vec<Record> {
    let mut bucket = of_keeping(address, &facts.keeping);
    // A number of objects changes by itself, and is what a person wants to see change.
    bucket = match &facts.count {
        Said::Is(count) => bucket
            .with("bytes", count.bytes)
            .with("counted", if count.complete { "all" } else { "at least" })
            .with("objects", count.objects),
        said => bucket.with("counted", no_answer(said)),
    };
    let canaries = facts.canaries.iter().map(|(name, canary)| of_canary(&format!("{address} {name}"), canary));
    [bucket].into_iter().chain(canaries).collect()
}

pub(super) fn of_keeping(address: &str, keeping: &BucketKeeping) -> Record {
    let versioning = keeping.versioning.known().map(|versioning| match versioning {
        Versioning::Enabled => json!("enabled"),
        Versioning::Suspended => json!("suspended"),
        Versioning::Off => json!("off"),
    });
    let lifecycle = keeping.lifecycle.known().map(|rules| {
        let rules = rules
            .iter()
            .map(|rule| json!({"id": rule.id, "enabled": rule.enabled, "filter": rule.filter, "action": rule.action}));
        Value::Array(rules.collect())
    });
    let replication = keeping.replication.known().map(|rules| {
        let rules = rules.iter().map(|rule| {
            json!({"id": rule.id, "enabled": rule.enabled, "prefix": rule.prefix, "tagged": rule.tagged,
                "destination": rule.destination})
        });
        Value::Array(rules.collect())
    });
    let mut record = Record::new(BUCKET, address)
        .with("versioning", versioning.unwrap_or_else(|| no_answer(&keeping.versioning).into()))
        .with("lifecycle", lifecycle.unwrap_or_else(|| no_answer(&keeping.lifecycle).into()))
        .with("replication", replication.unwrap_or_else(|| no_answer(&keeping.replication).into()))
        .with("replicated", replicated(address, keeping))
        .with("locks", keeping.locks.known().map_or_else(|| no_answer(&keeping.locks).into(), |yes| json!(yes)));
    if let Some(seconds) = keeping.soft_delete_seconds {
        record = record.with("softDeleteSeconds", seconds);
    }
    if let Some(location) = &keeping.location {
        record = record.with("location", location.name.as_str()).with("severalRegions", location.several_regions);
    }
    record
}

fn no_answer<T>(said: &Said<T>) -> &'static str {
    match said {
        Said::MayNotAsk(_) => MAY_NOT_ASK,
        Said::NotOffered(_) | Said::Is(_) => NOT_OFFERED,
    }
}

/// How much of what the policy names is copied elsewhere by the store itself.
fn replicated(address: &str, keeping: &BucketKeeping) -> &'static str {
    if keeping.location.as_ref().is_some_and(|location| location.several_regions) {
        return "all";
    }
    let Some(rules) = keeping.replication.known() else { return "unknown" };
    let prefix = prefix(address);
    let copies: Vec<&ReplicationRule> = rules.iter().filter(|rule| rule.enabled).collect();
    if copies.iter().any(|rule| !rule.tagged && prefix.starts_with(&rule.prefix)) {
        "all"
    } else if copies.iter().any(|rule| rule.prefix.starts_with(&prefix) || prefix.starts_with(&rule.prefix)) {
        "part"
    } else {
        "none"
    }
}

/// What names below an address begin with: `prefix/`, or nothing.
fn prefix(address: &str) -> String {
    let path = address.split_once("://").map_or(address, |(_, path)| path);
    let path = path.split('?').next().unwrap_or_default();
    // Of `minio+https://` the first word is the host.
    let words = if address.starts_with("minio+") { 2 } else { 1 };
    let below: Vec<&str> = path.split('/').skip(words).filter(|word| !word.is_empty()).collect();
    if below.is_empty() { String::new() } else { format!("{}/", below.join("/")) }
}

fn of_canary(name: &str, canary: &Canary) -> Record {
    let record = Record::new(CANARY, name);
    match canary {
        Canary::Missing => record.with("state", "missing"),
        Canary::Archived => record.with("state", "archived"),
        Canary::MayNotRead => record.with("state", "may not be read"),
        Canary::Present { bytes, content } => {
            let record = record.with("state", "present").with("bytes", *bytes);
            match content {
                Content::Sha256(digest) => record.with("sha256", digest.to_string()),
                Content::Tag(tag) => record.with("tag", tag.as_str()),
            }
        }
    }
}

/// What stands between a bucket and the loss of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safe {
    /// What is overwritten or deleted stays as an older version.
    Versioned,
    /// The store itself copies all of it elsewhere.
    Replicated,
    No,
    /// Nobody could tell.
    Unknown,
}

/// From the fields of a bucket's record, be it read from a backup or just made.
pub fn safety(fields: &Map<String, Value>) -> Safe {
    let word = |field: &str| fields.get(field).and_then(Value::as_str).unwrap_or_default();
    match (word("versioning"), word("replicated")) {
        ("enabled", _) => Safe::Versioned,
        (_, "all") => Safe::Replicated,
        ("off" | "suspended", "none" | "part") => Safe::No,
        _ => Safe::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BucketLocation, ObjectCount};

    fn keeping() -> BucketKeeping {
        BucketKeeping {
            versioning: Said::Is(Versioning::Off),
            lifecycle: Said::Is(Vec::new()),
            replication: Said::Is(Vec::new()),
            locks: Said::Is(false),
            soft_delete_seconds: None,
            location: None,
        }
    }

    fn copies(prefix: &str, enabled: bool, tagged: bool) -> BucketKeeping {
        let rule =
            ReplicationRule { id: "r".into(), enabled, prefix: prefix.into(), tagged, destination: "there".into() };
        BucketKeeping { replication: Said::Is(vec![rule]), ..keeping() }
    }

    #[test]
    fn only_a_rule_for_all_of_it_makes_a_bucket_safe() {
        let versioning = |versioning| BucketKeeping { versioning, ..keeping() };
        let several = Some(BucketLocation { name: "EU".into(), several_regions: true });
        for (keeping, safe) in [
            (versioning(Said::Is(Versioning::Enabled)), Safe::Versioned),
            (versioning(Said::Is(Versioning::Suspended)), Safe::No),
            (versioning(Said::MayNotAsk("x")), Safe::Unknown),
            (versioning(Said::NotOffered("x".into())), Safe::Unknown),
            (keeping(), Safe::No),
            (copies("", true, false), Safe::Replicated),
            (copies("app/", true, false), Safe::Replicated),
            (copies("app/data/x", true, false), Safe::No),
            (copies("other/", true, false), Safe::No),
            (copies("", false, false), Safe::No),
            (copies("", true, true), Safe::No),
            (BucketKeeping { replication: Said::MayNotAsk("x"), ..keeping() }, Safe::Unknown),
            (BucketKeeping { location: several, ..keeping() }, Safe::Replicated),
        ] {
            let record = of_keeping("s3://bucket/app/data?region=eu", &keeping);
            assert_eq!(safety(&record.fields), safe, "{record:?}");
        }
        assert_eq!(safety(&Map::new()), Safe::Unknown);
        for (address, below) in
            [("s3://b", ""), ("s3://b/p/q?region=x", "p/q/"), ("minio+http://h:1/b/p", "p/"), ("gs://b/", "")]
        {
            assert_eq!(prefix(address), below, "{address}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_off() {
        let keeping =
            BucketKeeping { lifecycle: Said::NotOffered("501".into()), locks: Said::MayNotAsk("x"), ..keeping() };
        let count = ObjectCount { objects: 1000, bytes: 7, complete: false };
        let tag = Canary::Present { bytes: 9, content: Content::Tag("\"a-2\"".into()) };
        let facts = BucketFacts {
            keeping,
            count: Said::Is(count),
            canaries: vec![("a b".into(), tag), ("c".into(), Canary::Missing)],
        };
        let lines: Vec<String> =
            of("gs://b", &facts).iter().map(|r| String::from_utf8(r.line().to_vec()).unwrap()).collect();
        insta::assert_snapshot!(lines.concat(), @r#"
        {"kind":"bucket","name":"gs://b","bytes":7,"counted":"at least","lifecycle":"not offered","locks":"may not be asked","objects":1000,"replicated":"none","replication":[],"versioning":"off"}
        {"kind":"canary","name":"gs://b a b","bytes":9,"state":"present","tag":"\"a-2\""}
        {"kind":"canary","name":"gs://b c","state":"missing"}
        "#);
    }
}
