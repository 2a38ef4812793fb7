//! The buckets that a policy watches, through the drivers of the stores.

use async_trait::async_trait;

use crate::config::{self, WatchedBucket};
use crate::context::Context;
use crate::job::JobError;
use crate::job::acting::{resolve, resolved};
use crate::model::{BucketFacts, FailureClass, SourceFailure};
use crate::repository::with_causes;
use crate::source::outside::buckets::{Buckets, Surveyor};
use crate::store::{Access, ErrorKind, Store, StoreError, StoreSettings, Trouble};

/// All that are named.
pub(in crate::job) fn buckets(outside: &config::Outside) -> Buckets {
    let watched = |bucket: &WatchedBucket| -> Box<dyn Surveyor> {
        Box::new(Watched { address: bucket.url.to_string(), bucket: bucket.clone() })
    };
    Buckets(outside.buckets.iter().map(watched).collect())
}

struct Watched {
    address: String,
    bucket: WatchedBucket,
}

#[async_trait]
impl Surveyor for Watched {
    fn address(&self) -> &str {
        &self.address
    }

    async fn facts(&self, count_up_to: Option<u64>, cx: &Context) -> Result<BucketFacts, SourceFailure> {
        let store = self.open(cx).await?;
        let up_to = count_up_to.unwrap_or(self.bucket.count_up_to);
        store.survey(&self.bucket.canaries, up_to).await.map_err(|error| self.failed(&error))
    }
}

impl Watched {
    async fn open(&self, cx: &Context) -> Result<Store, SourceFailure> {
        let settings = self.settings().map_err(|error| {
            let class = FailureClass::Authentication;
            SourceFailure::new(class, self.subject(), error.with_causes())
                .cure("`outside.buckets[].credentials` in the policy")
        })?;
        let opened = Store::open(&self.bucket.url, &settings, Access::ReadOnly, cx.clock.clone()).await;
        opened.map_err(|error| self.failed(&error))
    }

    fn settings(&self) -> Result<StoreSettings, JobError> {
        let credentials = self.bucket.credentials.as_ref().map(resolved).transpose()?;
        let ca = self.bucket.ca.as_ref().map(|ca| resolve(ca, "the store's authority")).transpose()?;
        Ok(StoreSettings {
            credentials: credentials.unwrap_or_default(),
            lock: None,
            ca_pem: ca.map(|pem| pem.expose().clone()),
        })
    }

    fn subject(&self) -> String {
        format!("bucket {}", self.address)
    }

    fn failed(&self, error: &StoreError) -> SourceFailure {
        let class = match error.trouble() {
            Some(Trouble::Denied | Trouble::EncryptionKey) => FailureClass::Permission,
            Some(trouble) if trouble.is_about_credentials() => FailureClass::Authentication,
            Some(Trouble::BucketMissing | Trouble::WrongRegion(_) | Trouble::NoRegion | Trouble::PlainHttp) => {
                FailureClass::Configuration
            }
            _ if error.kind() == ErrorKind::Unavailable => FailureClass::Unreachable,
            Some(Trouble::UnknownAuthority | Trouble::Certificate) => FailureClass::Unreachable,
            _ => FailureClass::ToolFailed,
        };
        let failure = SourceFailure::new(class, self.subject(), with_causes(error.to_string(), error));
        // Hints of the stores speak of repositories.
        match (error.trouble(), error.hint()) {
            (Some(Trouble::NoCredentials), _) => failure.cure(
                "`outside.buckets[].credentials` in the policy, or the variables and files that the store's own tools read",
            ),
            (Some(Trouble::UnknownAuthority), _) => failure.cure("`outside.buckets[].ca` in the policy, or SSL_CERT_FILE"),
            (Some(Trouble::Denied), _) => failure.cure("keys that may list it and ask how it is kept"),
            (_, Some(hint)) => failure.cure(hint),
            (_, None) => failure,
        }
    }
}
