//! IAM policies, as AWS and MinIO read them.

use serde_json::{Value, json};

use super::{ALL_BUT_DATA, KEPT, below};
use crate::model::BucketUrl;

/// MinIO knows the same language with fewer words: it refuses a policy with a condition that it does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Aws,
    Minio,
}

struct Place<'a> {
    bucket: &'a str,
    below: String,
    dialect: Dialect,
}

pub(super) fn documents(bucket: &BucketUrl, dialect: Dialect) -> Vec<(&'static str, Value)> {
    let place = Place { bucket: &bucket.bucket, below: below(bucket), dialect };
    let everything = place.objects(&["*"]);
    let read = || place.allow("Read", &["s3:GetObject", "s3:GetObjectVersion"], &everything);
    let proofs = ["backups/*/proofs/*"];
    let writer = vec![
        place.list(),
        place.ask(),
        read(),
        place.create("Create", &["data/*", "backups/*", "audit/*"]),
        // A wildcard crosses slashes, so the writer could write proofs.
        place.deny("NoProofs", &["s3:PutObject", "s3:PutObjectRetention"], &place.objects(&proofs)),
        place.allow(
            "LockAndExtend",
            &["s3:GetObjectRetention", "s3:PutObjectRetention"],
            &place.objects(&KEPT.map(whole)),
        ),
    ];
    let restorer = vec![place.list(), read()];
    let prover = vec![place.list(), read(), place.create("Create", &["backups/*/proofs/*", "journal/*"])];
    let collector = vec![
        place.list(),
        place.allow(
            "ReadAllButData",
            &["s3:GetObject", "s3:GetObjectVersion"],
            &place.objects(&ALL_BUT_DATA.map(whole)),
        ),
        place.create("Create", &["expired/*", "holds/*"]),
        place.delete_versions(&["data/*", "backups/*", "expired/*"]),
    ];
    let document = |statements: Vec<Value>| json!({"Version": "2012-10-17", "Statement": statements});
    [("writer", writer), ("restorer", restorer), ("prover", prover), ("collector", collector)]
        .map(|(role, statements)| (role, document(statements)))
        .into()
}

/// A folder stands for all that is in it.
fn whole(name: &str) -> String {
    if name.ends_with('/') { format!("{name}*") } else { name.into() }
}

impl Place<'_> {
    fn objects(&self, names: &[impl AsRef<str>]) -> Vec<String> {
        names.iter().map(|name| format!("arn:aws:s3:::{}/{}{}", self.bucket, self.below, name.as_ref())).collect()
    }

    fn allow(&self, sid: &str, actions: &[&str], objects: &[String]) -> Value {
        json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": objects})
    }

    fn deny(&self, sid: &str, actions: &[&str], objects: &[String]) -> Value {
        json!({"Sid": sid, "Effect": "Deny", "Action": actions, "Resource": objects})
    }

    /// Create-only where the dialect can say so: a PUT without `If-None-Match` is refused.
    fn create(&self, sid: &str, names: &[&str]) -> Value {
        let mut statement = self.allow(sid, &["s3:PutObject"], &self.objects(names));
        if let (Dialect::Aws, Value::Object(fields)) = (self.dialect, &mut statement) {
            fields.insert("Condition".into(), json!({"Null": {"s3:if-none-match": "false"}}));
        }
        statement
    }

    /// Versions only: a delete marker frees nothing. MinIO knows the right to delete versions only as something that can
    /// be denied, and asks for the right to delete; where that names no version, it is not given.
    fn delete_versions(&self, names: &[&str]) -> Value {
        let objects = self.objects(names);
        if self.dialect == Dialect::Aws {
            return self.allow("DeleteVersions", &["s3:DeleteObjectVersion"], &objects);
        }
        let mut statement = self.allow("DeleteVersions", &["s3:DeleteObject"], &objects);
        if let Value::Object(fields) = &mut statement {
            fields.insert("Condition".into(), json!({"StringLike": {"s3:versionid": ["?*"]}}));
        }
        statement
    }

    /// What the bucket can do: `lifeboat check` says it.
    fn ask(&self) -> Value {
        let bucket = [format!("arn:aws:s3:::{}", self.bucket)];
        self.allow("Ask", &["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"], &bucket)
    }

    fn list(&self) -> Value {
        let bucket = vec![format!("arn:aws:s3:::{}", self.bucket)];
        let mut statement = self.allow("List", &["s3:ListBucket", "s3:ListBucketVersions"], &bucket);
        if let (false, Value::Object(fields)) = (self.below.is_empty(), &mut statement) {
            let condition = json!({"StringLike": {"s3:prefix": [format!("{}*", self.below)]}});
            fields.insert("Condition".into(), condition);
        }
        statement
    }
}
