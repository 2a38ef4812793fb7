//! The stream `keysets`: hash and length of each value, so that a restored platform can be told from one with other keys.
//! The value itself is in no record, error or log.

mod cluster;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::cluster_client::{self, Api, Settings};
use crate::context::Context;
use crate::model::{FailureClass, Finding, SourceFailure, sha256};
use crate::secret::{Secret, SecretRef};
use crate::source::cluster::failed;
use crate::source::outside::{Failures, Look, Record, Seen};

/// One value that data is encrypted or signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyset {
    pub name: String,
    pub at: KeysetAt,
}

/// Where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysetAt {
    Here(SecretRef),
    Secret {
        namespace: String,
        name: String,
        key: String,
    },
    /// What a container of a Deployment sees as that variable.
    Deployment {
        namespace: String,
        name: String,
        /// None: the only one that has the variable.
        container: Option<String>,
        env: String,
    },
}

pub struct Keysets {
    /// Asked only if a keyset lies there.
    pub cluster: Settings,
    pub keysets: Vec<Keyset>,
}

/// A value, and where it was found in the end.
struct Found {
    value: Secret<Vec<u8>>,
    at: String,
    findings: Vec<Finding>,
}

#[async_trait]
impl Look for Keysets {
    fn stream(&self) -> &'static str {
        "keysets"
    }

    async fn look(&self, cx: &Context) -> Result<Seen, SourceFailure> {
        let api = OnceCell::new();
        let (mut seen, mut failures) = (Seen::default(), Failures::default());
        for keyset in &self.keysets {
            let subject = format!("keyset {}", keyset.name);
            let found = match &keyset.at {
                KeysetAt::Here(reference) => here(reference, &subject),
                at => match api.get_or_try_init(|| self.connect(cx)).await {
                    Ok(api) => cluster::find(api.as_ref(), at, &subject).await,
                    // The same for every keyset of the cluster: said of the first, and of all the others in short.
                    Err(failure) => Err(SourceFailure { subject, ..failure }),
                },
            };
            let Some(Found { value, at, findings }) = failures.note(found) else { continue };
            if value.expose().is_empty() {
                let failure = SourceFailure::new(FailureClass::Configuration, format!("keyset {}", keyset.name), {
                    format!("the value of {at} is empty: the hash of nothing tells nothing")
                });
                failures.push(failure.cure("name the place where the keyset really lies"));
                continue;
            }
            seen.findings.extend(findings);
            seen.records.push(
                Record::new("keyset", &keyset.name)
                    .with("at", at)
                    .with("bytes", value.expose().len())
                    .with("sha256", sha256(value.expose()).to_string()),
            );
        }
        failures.finish()?;
        Ok(seen)
    }
}

impl Keysets {
    async fn connect(&self, cx: &Context) -> Result<Arc<dyn Api>, SourceFailure> {
        cluster_client::connect(&self.cluster, cx).await.map_err(failed)
    }
}

fn here(reference: &SecretRef, subject: &str) -> Result<Found, SourceFailure> {
    let value = reference.resolve().map_err(|error| {
        let causes = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
        SourceFailure::new(FailureClass::Configuration, subject, format!("{error}{causes}"))
            .cure(format!("see that {reference} is there, and that this account may read it"))
    })?;
    let value = Secret::new(value.expose().clone().into_bytes());
    Ok(Found { value, at: reference.to_string(), findings: Vec::new() })
}
