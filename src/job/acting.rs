//! In which role a verb asks the store, and with whose keys.

use crate::config::{self, Policy};
use crate::job::JobError;
use crate::model::StoreUrl;
use crate::secret::{Secret, SecretRef};
use crate::store::{Access, Credentials, LockRule, StoreSettings};

/// Each role has credentials of its own, which can do no more than it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::job) enum Acting {
    /// Makes a repository; with the person's own keys, not those of a role.
    Operator,
    Writer,
    /// Reads what a copy is made from. With the writer's keys: it may read all of it, and is who runs at night.
    Copier,
    Restorer,
    Prover,
    Collector,
}

impl Acting {
    pub fn access(self) -> Access {
        match self {
            Acting::Copier | Acting::Restorer => Access::ReadOnly,
            Acting::Operator | Acting::Writer | Acting::Prover | Acting::Collector => Access::ReadWrite,
        }
    }

    /// How the policy says that the store is reached; what it does not mention is reached as the environment says.
    pub fn settings(self, url: &StoreUrl, policy: Option<&Policy>) -> Result<StoreSettings, JobError> {
        let Some(repository) = policy.and_then(|policy| policy.repositories().find(|found| found.url == *url)) else {
            return Ok(StoreSettings::default());
        };
        let roles = &repository.credentials;
        let credentials = match self {
            Acting::Operator => None,
            Acting::Writer | Acting::Copier => roles.writer.as_ref(),
            Acting::Restorer => roles.restorer.as_ref(),
            Acting::Prover => roles.prover.as_ref(),
            Acting::Collector => roles.collector.as_ref(),
        };
        let lock = repository.lock.map(|lock| LockRule { mode: lock.mode, duration: lock.period.duration() });
        let ca_pem = repository.ca.as_ref().map(|ca| resolve(ca, "the store's authority")).transpose()?;
        Ok(StoreSettings {
            credentials: credentials.map(resolved).transpose()?.unwrap_or_default(),
            lock,
            ca_pem: ca_pem.map(|pem| pem.expose().clone()),
        })
    }
}

pub(in crate::job) fn resolved(credentials: &config::Credentials) -> Result<Credentials, JobError> {
    Ok(match credentials {
        config::Credentials::Profile(name) => Credentials::Profile(name.clone()),
        config::Credentials::Keys { access_key, secret_key, session_token } => Credentials::Keys {
            access_key: resolve(access_key, "the store's access key")?,
            secret_key: resolve(secret_key, "the store's secret key")?,
            session_token: session_token
                .as_ref()
                .map(|token| resolve(token, "the store's session token"))
                .transpose()?,
        },
        config::Credentials::ServiceAccount(file) => {
            Credentials::ServiceAccount(resolve(file, "the key of the service account")?)
        }
    })
}

pub(in crate::job) fn resolve(reference: &SecretRef, what: &str) -> Result<Secret<String>, JobError> {
    reference.resolve().map_err(|error| {
        JobError::refused(format!("cannot use {what}"))
            .because(error)
            .hint("repositories[].credentials in the policy says where it is")
    })
}
