//! Where a repository is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::bucket_url::{self, BucketUrl};

/// Address of a store: `file:///dir`, `s3://bucket/prefix`, `minio+https://host/bucket/prefix`, `gs://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum StoreUrl {
    /// A directory on this machine, by absolute path.
    Local(PathBuf),
    /// Amazon S3, or a server that speaks like it.
    S3(BucketUrl),
    /// MinIO and other S3-compatible servers, by their own address; always has an endpoint.
    Minio(BucketUrl),
    /// Google Cloud Storage.
    Gcs(BucketUrl),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    #[error("`{0}` has no scheme; a directory is written file:///absolute/path")]
    NoScheme(String),
    #[error(
        "`{0}`: an address begins with file:///absolute/path, s3://bucket, minio+https://host/bucket or gs://bucket"
    )]
    UnknownScheme(String),
    #[error("`{0}`: a directory is written file:///absolute/path, with three slashes and without `..`")]
    NotAbsolute(String),
    /// The address is not repeated: what does not parse may hold a password.
    #[error("the address of a bucket: {0}")]
    Bucket(String),
}

impl StoreUrl {
    pub fn local(path: &Path) -> Result<Self, StoreUrlError> {
        let plain = !path.components().any(|c| matches!(c, std::path::Component::ParentDir));
        if path.is_absolute() && plain {
            Ok(StoreUrl::Local(path.components().collect()))
        } else {
            Err(StoreUrlError::NotAbsolute(path.display().to_string()))
        }
    }

    /// The last word of the address: of the folder, or of the prefix, or the bucket itself.
    pub fn last_name(&self) -> Option<&str> {
        match self {
            StoreUrl::Local(path) => path.file_name().and_then(|name| name.to_str()),
            StoreUrl::S3(url) | StoreUrl::Minio(url) | StoreUrl::Gcs(url) => url.last_name(),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;
    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        match text.split_once("://") {
            Some(("file", path)) => {
                StoreUrl::local(Path::new(path)).map_err(|_| StoreUrlError::NotAbsolute(text.into()))
            }
            Some(("s3", rest)) => bucket_url::plain(rest).map(StoreUrl::S3),
            Some(("gs", rest)) => bucket_url::plain(rest).map(StoreUrl::Gcs),
            Some(("minio+https", rest)) => bucket_url::with_host("https", rest).map(StoreUrl::Minio),
            Some(("minio+http", rest)) => bucket_url::with_host("http", rest).map(StoreUrl::Minio),
            Some((_, rest)) if rest.contains('@') => Err(StoreUrlError::UnknownScheme("that".into())),
            Some(_) => Err(StoreUrlError::UnknownScheme(text.into())),
            None => Err(StoreUrlError::NoScheme(text.into())),
        }
    }
}

impl TryFrom<String> for StoreUrl {
    type Error = StoreUrlError;
    fn try_from(text: String) -> Result<Self, StoreUrlError> {
        text.parse()
    }
}

impl From<StoreUrl> for String {
    fn from(url: StoreUrl) -> String {
        url.to_string()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Local(path) => write!(f, "file://{}", path.display()),
            StoreUrl::S3(url) => write!(f, "s3://{}", url.plain()),
            StoreUrl::Gcs(url) => write!(f, "gs://{}", url.plain()),
            StoreUrl::Minio(url) => write!(f, "minio+{}", url.with_host()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were_typed() {
        for text in [
            "file:///srv/lifeboat",
            "s3://bucket",
            "s3://my.bucket/prefix/below?region=eu-west-1",
            "s3://bucket/p?region=us-east-1&endpoint=http://127.0.0.1:9000&addressing=path",
            "minio+https://minio.example.com/bucket",
            "minio+http://127.0.0.1:9000/bucket/prefix?region=eu-central-1",
            "gs://bucket/prefix",
            "gs://bucket?endpoint=https://storage.example.com",
        ] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), text);
        }
        assert_eq!("s3://bucket/prefix/".parse::<StoreUrl>().unwrap().to_string(), "s3://bucket/prefix");
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong() {
        for (text, says) in [
            ("s3://", "no name of a bucket"),
            ("s3://b/x", "no name of a bucket"),
            ("s3://Bucket/x", "no name of a bucket"),
            ("s3://bucket/../x", "prefix"),
            ("s3://bucket//x", "prefix"),
            ("s3://bucket/x?regoin=eu", "region"),
            ("s3://bucket/x?region=", "region"),
            ("s3://bucket/x?endpoint=ftp://x", "http://"),
            ("minio+https://host", "bucket"),
            ("minio+https:///bucket", "host"),
            ("minio+https://user:geheim@host/bucket", "keys do not belong"),
            ("s3://key:geheim@bucket/x", "keys do not belong"),
            ("ftp://u:geheim@host/x", "begins with"),
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains("geheim"), "{error}");
        }
    }
}
