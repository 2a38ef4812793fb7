//! `lifeboat init --print-access`: what each role may do in the store, as the store's own access documents.
//!
//! Pure text: nothing is asked of any store. `docs/roles.md` says what each thief can do, and what not.

mod gcp;
mod s3;

use crate::job::JobError;
use crate::job::types::{AccessDialect, AccessDocument, AccessReport, AccessRequest};
use crate::model::{BucketUrl, StoreUrl};

/// Makes the documents of all four roles.
pub fn run(request: &AccessRequest) -> Result<AccessReport, JobError> {
    let (dialect, url) = (request.dialect, &request.url);
    let unfit = |what: &str| {
        JobError::usage(format!("{url} is no address for {what}"))
            .hint("lifeboat init --print-access aws s3://BUCKET/PREFIX; gcp gs://...; minio minio+https://...")
    };
    let documents = match (dialect, url) {
        (AccessDialect::Aws, StoreUrl::S3(bucket)) => s3::documents(bucket, s3::Dialect::Aws),
        (AccessDialect::Minio, StoreUrl::S3(bucket) | StoreUrl::Minio(bucket)) => {
            s3::documents(bucket, s3::Dialect::Minio)
        }
        (AccessDialect::Gcp, StoreUrl::Gcs(bucket)) => gcp::documents(bucket),
        (AccessDialect::Aws, _) => return Err(unfit("AWS")),
        (AccessDialect::Minio, _) => return Err(unfit("MinIO")),
        (AccessDialect::Gcp, _) => return Err(unfit("Google Cloud")),
    };
    let role = |(role, document)| AccessDocument { role, document };
    Ok(AccessReport { url: url.clone(), dialect, roles: documents.into_iter().map(role).collect() })
}

/// What the names of a bucket's objects begin with.
fn below(bucket: &BucketUrl) -> String {
    if bucket.prefix.is_empty() { String::new() } else { format!("{}/", bucket.prefix) }
}

/// Folders and objects that the collector may read: all but the chunks.
const ALL_BUT_DATA: [&str; 9] =
    ["lifeboat.json", "RESTORE.txt", "config/", "keys/", "backups/", "expired/", "holds/", "journal/", "audit/"];

/// What backups are read with, and therefore locked: whoever may lock it can neither change nor delete it by that.
const KEPT: [&str; 6] = ["lifeboat.json", "RESTORE.txt", "config/", "keys/", "data/", "backups/"];
