//! `init --print-access`: the documents are those that were reviewed, and none gives away what no role may have.

use std::path::Path;

use lifeboat::job::access;
use lifeboat::job::types::{AccessDialect, AccessReport, AccessRequest};

fn report(dialect: AccessDialect, url: &str) -> AccessReport {
    access::run(&AccessRequest { url: url.parse().unwrap(), dialect }).unwrap()
}

fn all() -> [(&'static str, AccessReport); 3] {
    [
        ("aws", report(AccessDialect::Aws, "s3://example-backups/shop?region=eu-central-1")),
        ("gcp", report(AccessDialect::Gcp, "gs://example-backups/shop")),
        ("minio", report(AccessDialect::Minio, "minio+https://minio.example.com/example-backups")),
    ]
}

/// `UPDATE=1 cargo test --test it access` rewrites them: every change is to be read.
#[test]
fn the_documents_are_those_that_were_reviewed() {
    for (name, report) in all() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/access/{name}.json"));
        let text = serde_json::to_string_pretty(&report).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{} differs: read the change, then UPDATE=1", path.display());
    }
}

#[test]
fn only_the_collector_deletes_and_nobody_bypasses() {
    for (name, report) in all() {
        let roles: Vec<&str> = report.roles.iter().map(|row| row.role).collect();
        assert_eq!(roles, ["writer", "restorer", "prover", "collector"]);
        for row in &report.roles {
            let text = row.document.to_string();
            let deletes = text.contains("Delete") || text.contains("objects.delete");
            assert_eq!(deletes, row.role == "collector", "{name}, {}", row.role);
            for never in
                ["Bypass", "overrideUnlockedRetention", "LegalHold", "PutBucket", "s3:*", "\"*\"", "buckets.update"]
            {
                assert!(!text.contains(never), "{name}, {}: {never}", row.role);
            }
            let creates = text.contains("s3:PutObject\"") || text.contains("objects.create");
            assert_eq!(creates, row.role != "restorer", "{name}, {}", row.role);
        }
    }
}

/// Without it, whoever creates could store newer versions over what is there.
#[test]
fn on_aws_every_right_to_create_asks_for_if_none_match() {
    let report = report(AccessDialect::Aws, "s3://example-backups");
    let mut seen = 0;
    for row in &report.roles {
        for statement in row.document["Statement"].as_array().unwrap() {
            let puts = statement["Action"].as_array().unwrap().iter().any(|action| action == "s3:PutObject");
            if puts && statement["Effect"] == "Allow" {
                assert_eq!(statement["Condition"]["Null"]["s3:if-none-match"], "false", "{}", row.role);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 3);
}

#[test]
fn an_address_of_another_kind_is_refused() {
    for (dialect, url) in [
        (AccessDialect::Aws, "gs://bkt"),
        (AccessDialect::Aws, "minio+http://h/bkt"),
        (AccessDialect::Gcp, "s3://bkt"),
        (AccessDialect::Minio, "file:///b"),
    ] {
        let error = access::run(&AccessRequest { url: url.parse().unwrap(), dialect }).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{url}: {error}");
    }
    // MinIO answers to the S3 driver too.
    report(AccessDialect::Minio, "s3://bkt?region=us-east-1&endpoint=http://127.0.0.1:9000&addressing=path");
}
