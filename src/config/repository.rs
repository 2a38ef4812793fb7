//! The repositories of a policy: where, with whose keys, and what the kind of store can do at all.

use serde_saphyr::Spanned;

use crate::config::check::Checker;
use crate::config::policy::{Credentials, Lock, Repository, RoleCredentials};
use crate::config::typed::{CredentialsField, LockField, LockModeField, RepositoryField, RoleCredentialsField};
use crate::model::{LockMode, StoreUrl};

impl Checker<'_> {
    pub(in crate::config) fn repositories(&mut self, list: Spanned<Vec<RepositoryField>>) -> Vec<Repository> {
        self.not_empty(&list, "name the repository to write");
        let mut repositories: Vec<Repository> = Vec::new();
        for field in list.value {
            let url = &field.url.value;
            if repositories.iter().any(|other| other.url == *url) {
                self.wrong(&field.url, format!("repository {url} is there twice"), None);
            }
            if repositories.iter().any(|other| other.id.is_some() && other.id == field.id) {
                self.wrong(&field.url, "the id of this repository is that of another one above", None);
            }
            let directory = matches!(url, StoreUrl::Local(_));
            if let (true, Some(tls)) = (directory, &field.tls) {
                self.wrong(tls, "a directory is reached without TLS", Some("leave `tls` out"));
            }
            let repository = Repository {
                credentials: self.role_credentials(field.credentials, url),
                lock: field.lock.and_then(|lock| self.lock(lock, directory)),
                ca: field.tls.map(|tls| self.secret(tls.value.ca)),
                id: field.id,
                url: field.url.value,
            };
            repositories.push(repository);
        }
        repositories
    }

    fn lock(&mut self, field: Spanned<LockField>, directory: bool) -> Option<Lock> {
        if directory {
            let cure = "leave `lock` out, and keep a copy where this machine cannot delete";
            self.wrong(&field, "a directory knows no locks", Some(cure));
            return None;
        }
        let mode = match field.value.mode {
            LockModeField::Governance => LockMode::Governance,
            LockModeField::Compliance => LockMode::Compliance,
        };
        Some(Lock { mode, period: field.value.period })
    }

    fn role_credentials(&mut self, field: RoleCredentialsField, url: &StoreUrl) -> RoleCredentials {
        let mut one = |field: Option<Spanned<CredentialsField>>| self.credentials(field?, url);
        RoleCredentials {
            writer: one(field.writer),
            restorer: one(field.restorer),
            prover: one(field.prover),
            collector: one(field.collector),
        }
    }

    pub(in crate::config) fn credentials(
        &mut self,
        field: Spanned<CredentialsField>,
        url: &StoreUrl,
    ) -> Option<Credentials> {
        let wanted = match url {
            StoreUrl::Local(_) => "not asked for: leave `credentials` out",
            StoreUrl::S3(_) => "`profile`, or `accessKey` and `secretKey`",
            StoreUrl::Minio(_) => "`accessKey` and `secretKey`",
            StoreUrl::Gcs(_) => "`serviceAccount`",
        };
        let place = Spanned { value: (), referenced: field.referenced, defined: field.defined };
        let CredentialsField { profile, access_key, secret_key, session_token, service_account } = field.value;
        let found = match (url, profile, access_key, secret_key, session_token, service_account) {
            (StoreUrl::S3(_), Some(profile), None, None, None, None) if !profile.is_empty() => {
                Some(Credentials::Profile(profile))
            }
            (StoreUrl::S3(_) | StoreUrl::Minio(_), None, Some(access), Some(secret), token, None) => {
                Some(Credentials::Keys {
                    access_key: self.secret(access),
                    secret_key: self.secret(secret),
                    session_token: token.map(|token| self.secret(token)),
                })
            }
            (StoreUrl::Gcs(_), None, None, None, None, Some(account)) => {
                Some(Credentials::ServiceAccount(self.secret(account)))
            }
            _ => None,
        };
        if found.is_none() {
            self.wrong(&place, format!("for {url} credentials are {wanted}"), None);
        }
        found
    }
}
