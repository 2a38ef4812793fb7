//! Buckets of S3 servers, made and tampered with by a client that knows nothing of repositories.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, VersioningConfiguration,
};

use super::process::Process;

pub const REGION: &str = "us-east-1";

/// A running S3 server, and the keys of who owns it.
pub struct S3Server {
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    pub access_key: String,
    pub secret_key: String,
    pub(super) process: Process,
}

/// What a bucket does with what is overwritten or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Forgets it.
    Plain,
    /// Keeps it as an older version.
    Versioned,
    /// Keeps it, and locks can be set.
    Locked,
}

impl S3Server {
    pub fn client(&self) -> Client {
        client(&self.endpoint, &self.access_key, &self.secret_key)
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Tries until it is so.
    pub async fn until<T, F: Future<Output = Option<T>>>(&self, works: impl Fn() -> F) -> T {
        self.process.until(works).await
    }

    /// A new bucket with a name of its own.
    pub async fn bucket(&self, kind: Kind) -> String {
        let name = fresh("bucket");
        make(&self.client(), &name, kind).await.unwrap_or_else(|error| panic!("{error}"));
        name
    }

    /// Returns when a bucket can be made and an object stored: an open port alone says nothing.
    pub(super) async fn ready(self) -> Self {
        let client = self.client();
        self.process.until(|| async { make(&client, "readiness", Kind::Plain).await.ok() }).await;
        let put = || client.put_object().bucket("readiness").key("object").body(vec![0; 100].into()).send();
        self.process.until(|| async { put().await.ok() }).await;
        self
    }
}

pub fn client(endpoint: &str, access_key: &str, secret_key: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
        .build();
    Client::from_conf(config)
}

async fn make(client: &Client, name: &str, kind: Kind) -> Result<(), String> {
    let known = |error: String| if error.contains("BucketAlreadyOwnedByYou") { Ok(()) } else { Err(error) };
    let mut request = client.create_bucket().bucket(name);
    if kind == Kind::Locked {
        request = request.object_lock_enabled_for_bucket(true);
    }
    match request.send().await {
        Ok(_) => {}
        Err(error) => known(format!("{error:?}"))?,
    }
    if kind == Kind::Versioned {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let put = client.put_bucket_versioning().bucket(name).versioning_configuration(on);
        put.send().await.map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}

/// A bucket in a region of that name, for servers that know several.
pub async fn make_in_region(client: &Client, name: &str, region: &str) {
    let place =
        CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region)).build();
    client.create_bucket().bucket(name).create_bucket_configuration(place).send().await.unwrap();
}

/// A name that no other bucket of this process has.
pub fn fresh(word: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{word}-{}", COUNT.fetch_add(1, Ordering::SeqCst))
}
