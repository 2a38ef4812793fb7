//! A place for a repository in a real store, and what somebody does to it behind the program's back.

use std::sync::Arc;

use bytes::Bytes;
use lifeboat::clock::{self, Clock};
use lifeboat::model::StoreUrl;
use lifeboat::secret::Secret;
use lifeboat::store::{Access, Credentials, Store, StoreSettings};

use super::gcs::GcsServer;
use super::s3::{Kind, REGION, S3Server, fresh};
use super::{gcs, minio, seaweed};

/// Which driver speaks to which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pair {
    S3Minio,
    MinioMinio,
    S3Weed,
    MinioWeed,
    Gcs,
}

impl Pair {
    pub const ALL: [Pair; 5] = [Pair::S3Minio, Pair::MinioMinio, Pair::S3Weed, Pair::MinioWeed, Pair::Gcs];

    pub fn name(self) -> &'static str {
        match self {
            Pair::S3Minio => "s3 on MinIO",
            Pair::MinioMinio => "minio on MinIO",
            Pair::S3Weed => "s3 on SeaweedFS",
            Pair::MinioWeed => "minio on SeaweedFS",
            Pair::Gcs => "gcs on fake-gcs-server",
        }
    }

    /// Whether the server tells a lock from a missing right.
    pub fn says_locked(self) -> bool {
        !matches!(self, Pair::S3Weed | Pair::MinioWeed)
    }

    /// A new bucket on the server that the tests share, and a prefix in it.
    pub async fn place(self, kind: Kind) -> Place {
        match self {
            Pair::S3Minio | Pair::MinioMinio => self.on(minio::shared().await, kind).await,
            Pair::S3Weed | Pair::MinioWeed => self.on(seaweed::shared().await, kind).await,
            Pair::Gcs => {
                let server = gcs::shared().await;
                let bucket = server.bucket(kind).await;
                Place::new(self, Server::Gcs(server), bucket, server.endpoint.clone(), "repo")
            }
        }
    }

    /// A new bucket on an S3 server of the test's own.
    pub async fn on(self, server: &'static S3Server, kind: Kind) -> Place {
        let bucket = server.bucket(kind).await;
        Place::new(self, Server::S3(server), bucket, server.endpoint.clone(), "repo")
    }
}

#[derive(Clone, Copy)]
enum Server {
    S3(&'static S3Server),
    Gcs(&'static GcsServer),
}

/// One prefix of one bucket.
#[derive(Clone)]
pub struct Place {
    pub pair: Pair,
    pub bucket: String,
    pub prefix: String,
    /// Where the driver is sent: the server, or what stands in front of it.
    pub endpoint: String,
    server: Server,
}

impl Place {
    fn new(pair: Pair, server: Server, bucket: String, endpoint: String, prefix: &str) -> Self {
        Self { pair, bucket, prefix: prefix.into(), endpoint, server }
    }

    /// Another prefix of the same bucket, in which nothing is yet.
    pub fn beside(&self) -> Self {
        Self { prefix: fresh("repo"), ..self.clone() }
    }

    /// The same, reached by another address.
    pub fn through(&self, endpoint: &str) -> Self {
        Self { endpoint: endpoint.into(), ..self.clone() }
    }

    /// The port of the server itself.
    pub fn port(&self) -> u16 {
        let endpoint = match self.server {
            Server::S3(server) => &server.endpoint,
            Server::Gcs(server) => &server.endpoint,
        };
        endpoint.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub fn url(&self) -> StoreUrl {
        let Place { bucket, prefix, endpoint, .. } = self;
        let text = match self.pair {
            Pair::S3Minio | Pair::S3Weed => {
                format!("s3://{bucket}/{prefix}?region={REGION}&endpoint={endpoint}&addressing=path")
            }
            Pair::MinioMinio | Pair::MinioWeed => format!("minio+{endpoint}/{bucket}/{prefix}"),
            Pair::Gcs => format!("gs://{bucket}/{prefix}?endpoint={endpoint}"),
        };
        text.parse().unwrap()
    }

    /// With the keys of who owns the bucket.
    pub fn settings(&self) -> StoreSettings {
        let credentials = match self.server {
            Server::S3(server) => keys(&server.access_key, &server.secret_key),
            Server::Gcs(_) => Credentials::Chain,
        };
        StoreSettings { credentials, ..StoreSettings::default() }
    }

    /// What the program needs in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        match self.server {
            Server::S3(server) => vec![
                ("AWS_ACCESS_KEY_ID", server.access_key.clone()),
                ("AWS_SECRET_ACCESS_KEY", server.secret_key.clone()),
                // No machine's identity is asked for.
                ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ],
            Server::Gcs(_) => vec![],
        }
    }

    pub async fn store(&self) -> Store {
        self.store_at(clock::system()).await
    }

    pub async fn store_at(&self, clock: Arc<dyn Clock>) -> Store {
        Store::open(&self.url(), &self.settings(), Access::ReadWrite, clock).await.unwrap()
    }

    /// Stores or overwrites, by a client that knows nothing of repositories.
    pub async fn put(&self, key: &str, body: impl Into<Bytes>) {
        let (name, body) = (self.name(key), body.into());
        match self.server {
            Server::S3(server) => {
                let put = server.client().put_object().bucket(&self.bucket).key(name).body(body.into());
                put.send().await.unwrap();
            }
            Server::Gcs(server) => server.put(&self.bucket, &name, body).await,
        }
    }

    pub async fn get(&self, key: &str) -> Bytes {
        let name = self.name(key);
        match self.server {
            Server::S3(server) => {
                let got = server.client().get_object().bucket(&self.bucket).key(name).send().await.unwrap();
                got.body.collect().await.unwrap().into_bytes()
            }
            Server::Gcs(server) => server.get(&self.bucket, &name).await,
        }
    }

    /// In a bucket with versions this leaves a delete marker.
    pub async fn delete(&self, key: &str) {
        let name = self.name(key);
        match self.server {
            Server::S3(server) => {
                server.client().delete_object().bucket(&self.bucket).key(name).send().await.unwrap();
            }
            Server::Gcs(server) => server.delete(&self.bucket, &name).await,
        }
    }

    /// Names that a delete marker hides; none where there is no such thing.
    pub async fn markers(&self) -> Vec<String> {
        let Server::S3(server) = self.server else { return Vec::new() };
        let found = server.client().list_object_versions().bucket(&self.bucket).send().await.unwrap();
        found.delete_markers.unwrap_or_default().into_iter().filter_map(|marker| marker.key).collect()
    }

    /// Keys below the prefix, in order.
    pub async fn list(&self) -> Vec<String> {
        let names = match self.server {
            Server::S3(server) => {
                let list = server.client().list_objects_v2().bucket(&self.bucket).into_paginator();
                let pages = list.send().collect::<Result<Vec<_>, _>>().await.unwrap();
                let rows = pages.into_iter().flat_map(|page| page.contents.unwrap_or_default());
                rows.map(|row| row.key.unwrap()).collect()
            }
            Server::Gcs(server) => server.list(&self.bucket).await,
        };
        let below = format!("{}/", self.prefix);
        let mut keys: Vec<String> = names.iter().filter_map(|name| Some(name.strip_prefix(&below)?.into())).collect();
        keys.sort();
        keys
    }

    /// A client of the server with its owner's keys; none for Google's.
    pub fn raw(&self) -> Option<aws_sdk_s3::Client> {
        match self.server {
            Server::S3(server) => Some(server.client()),
            Server::Gcs(_) => None,
        }
    }

    pub fn name(&self, key: &str) -> String {
        format!("{}/{key}", self.prefix)
    }
}

pub fn keys(access_key: &str, secret_key: &str) -> Credentials {
    Credentials::Keys {
        access_key: Secret::new(access_key.to_owned()),
        secret_key: Secret::new(secret_key.to_owned()),
        session_token: None,
    }
}

/// One test for each pair, by its name, which runs `$run` on it.
macro_rules! on_every_pair {
    ($run:path) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn s3_on_minio() {
            $run($crate::support::servers::place::Pair::S3Minio).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn minio_on_minio() {
            $run($crate::support::servers::place::Pair::MinioMinio).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn s3_on_seaweedfs() {
            $run($crate::support::servers::place::Pair::S3Weed).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn minio_on_seaweedfs() {
            $run($crate::support::servers::place::Pair::MinioWeed).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn gcs_on_fake_gcs_server() {
            $run($crate::support::servers::place::Pair::Gcs).await;
        }
    };
}
pub(crate) use on_every_pair;
