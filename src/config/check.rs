//! From what was typed to checked values. Every mistake of a document is named at once.

use std::path::{Path, PathBuf};

use serde_saphyr::Spanned;

use crate::config::fields::{DatabasesField, Recipient, SecretField};
use crate::config::load::Recipients;
use crate::config::policy::{
    Databases, Keys, Objectives, Policy, Postgres, Signing, Source, SourceKind, Tls, TlsMode, Trusted,
};
use crate::config::problem::Problem;
use crate::config::typed::{
    AfterBackup, KeysField, PolicyFile, PostgresField, SigningField, SourceField, TlsField, TlsModeField, TrustFile,
};
use crate::config::yaml::{Document, place};
use crate::model::{DedupPin, Level, Name, Trust};
use crate::secret::SecretRef;

pub fn policy(document: &Document, recipients: Recipients) -> Result<Policy, Vec<Problem>> {
    let typed: PolicyFile = document.parse().map_err(|problem| vec![problem])?;
    let mut check = Checker { document, problems: Vec::new() };
    let spec = typed.spec;
    let mut repositories = check.repositories(spec.repositories).into_iter();
    let keys = check.keys(spec.keys, recipients);
    let sources = check.sources(spec.sources);
    let quiesce = spec.quiesce.and_then(|field| check.quiesce(field, &sources));
    let retention = spec.retention.map(|field| check.retention(field));
    let (None, Some(repository)) = (check.problems.first(), repositories.next()) else { return Err(check.problems) };
    Ok(Policy {
        name: typed.metadata.name,
        file: document.file.to_owned(),
        text: document.text.to_owned(),
        repository,
        copies: repositories.collect(),
        keys,
        sources,
        quiesce,
        retention,
        verify_after_backup: spec.verify.after_backup.map(|level| match level {
            AfterBackup::Present => Level::Present,
            AfterBackup::Hashed => Level::Hashed,
        }),
        objectives: Objectives { rpo: spec.objectives.rpo, rto: spec.objectives.rto },
    })
}

pub fn trust(document: &Document) -> Result<Trust, Vec<Problem>> {
    let spec = document.parse::<TrustFile>().map_err(|problem| vec![problem])?.spec;
    let mut check = Checker { document, problems: Vec::new() };
    check.not_empty(&spec.repositories, "name at least one repository id");
    check.not_empty(&spec.writer, "name at least one writer's key");
    check.not_empty(&spec.recipients, "name at least one recipient");
    if !check.problems.is_empty() {
        return Err(check.problems);
    }
    Ok(Trust {
        repositories: spec.repositories.value,
        operator: spec.operator,
        writer: spec.writer.value,
        prover: spec.prover,
        collector: spec.collector,
        recipients: spec.recipients.value.into_iter().map(|recipient| recipient.0).collect(),
        dedup: spec.dedup.map(|pin| DedupPin { id: pin.id, check: pin.check }),
    })
}

pub(in crate::config) struct Checker<'a> {
    document: &'a Document<'a>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    pub(in crate::config) fn wrong<T>(&mut self, at: &Spanned<T>, message: impl Into<String>, cure: Option<&str>) {
        let problem = self.document.problem(place(&at.referenced), message);
        self.problems.push(Problem { cure: cure.map(str::to_owned), ..problem });
    }

    pub(in crate::config) fn not_empty<T>(&mut self, list: &Spanned<Vec<T>>, message: &str) {
        if list.value.is_empty() {
            self.wrong(list, format!("the list is empty: {message}"), None);
        }
    }

    fn keys(&mut self, keys: KeysField, wanted: Recipients) -> Keys {
        let list = &keys.recipients;
        let mut recipients: Vec<String> = Vec::new();
        for recipient in &list.value {
            let Recipient(text) = &recipient.value;
            if recipients.contains(text) {
                self.wrong(recipient, format!("recipient `{text}` is there twice"), None);
            } else {
                recipients.push(text.clone());
            }
        }
        self.not_empty(list, "without a recipient nobody could decrypt a backup");
        if wanted == Recipients::AtLeastTwo && recipients.len() == 1 {
            let cure = "add the public key of an identity that is kept offline, or give --allow-single-recipient";
            self.wrong(list, "one recipient only: whoever loses its identity loses every backup", Some(cure));
        }
        let SigningField { writer, prover, collector, operator } = keys.signing;
        let secret = |field: Option<SecretField>| field.map(|field| self.secret(field));
        Keys {
            recipients,
            dedup: self.secret(keys.dedup),
            signing: Signing {
                writer: secret(writer),
                prover: secret(prover),
                collector: secret(collector),
                operator: secret(operator),
            },
            trusted: keys.trusted.map(|trusted| Trusted {
                operator: trusted.operator,
                writer: trusted.writer,
                prover: trusted.prover,
                collector: trusted.collector,
            }),
        }
    }

    fn sources(&mut self, list: Spanned<Vec<SourceField>>) -> Vec<Source> {
        self.not_empty(&list, "name at least one source");
        let mut names: Vec<Name> = Vec::new();
        let mut sources = Vec::new();
        for source in list.value {
            if names.contains(&source.name.value) {
                self.wrong(&source.name, format!("source `{}` is there twice", source.name.value), None);
            }
            names.push(source.name.value.clone());
            let SourceField { name, postgres, cluster, outside } = source;
            let mut kinds: Vec<SourceKind> = Vec::new();
            kinds.extend(postgres.map(|field| SourceKind::Postgres(self.postgres(field))));
            kinds.extend(cluster.map(|field| SourceKind::Cluster(self.cluster(field))));
            kinds.extend(outside.map(|field| SourceKind::Outside(self.outside(&name, field))));
            match (kinds.pop(), kinds.is_empty()) {
                (Some(kind), true) => sources.push(Source { name: name.value, kind }),
                (Some(_), false) => {
                    let cure = "give each a source of its own";
                    self.wrong(&name, format!("source `{}` is of two kinds", name.value), Some(cure));
                }
                (None, _) => {
                    let message = format!("source `{}` does not say of which kind it is", name.value);
                    let cure = "write `postgres: {...}`, `cluster: {}` or `outside: {...}` beside its name";
                    self.wrong(&name, message, Some(cure));
                }
            }
        }
        sources
    }

    fn postgres(&mut self, field: PostgresField) -> Postgres {
        let host = &field.host.value;
        if host.is_empty() {
            self.wrong(&field.host, "the host is empty", None);
        } else if !host.starts_with('/') && (host.contains('/') || host.matches(':').count() == 1) {
            let cure = "write `host: NAME` and `port: NUMBER` apart, or the folder of a Unix socket";
            // An address of another form may hold a password.
            let shown = if host.contains('@') { "it".into() } else { format!("`{host}`") };
            self.wrong(&field.host, format!("{shown} is not a host name or address"), Some(cure));
        }
        if field.port.value == 0 {
            self.wrong(&field.port, "port 0 is no port", None);
        }
        Postgres {
            tls: field.tls.map(|tls| self.tls(tls)).unwrap_or_default(),
            host: field.host.value,
            port: field.port.value,
            user: field.user,
            password: field.password.map(|secret| self.secret(secret)),
            databases: match field.databases {
                DatabasesField::All => Databases::All,
                DatabasesField::Named(names) => Databases::Named(names),
            },
            tools: field.tools.iter().map(|path| self.absolute(path)).collect(),
            stall_timeout: field.stall_timeout,
        }
    }

    fn tls(&mut self, field: Spanned<TlsField>) -> Tls {
        if field.value.cert.is_some() != field.value.key.is_some() {
            self.wrong(&field, "`cert` and `key` belong together: one of them is missing", None);
        }
        let TlsField { mode, ca, cert, key } = field.value;
        if matches!(mode, Some(TlsModeField::Disable)) && (ca.is_some() || cert.is_some()) {
            let at = self.document.problem(place(&field.referenced), "`mode: disable` uses no certificate");
            self.problems.push(at);
        }
        let secret = |field: Option<SecretField>| field.map(|field| self.secret(field));
        Tls {
            mode: mode.map(|mode| match mode {
                TlsModeField::Disable => TlsMode::Disable,
                TlsModeField::Require => TlsMode::Require,
                TlsModeField::VerifyCa => TlsMode::VerifyCa,
                TlsModeField::VerifyFull => TlsMode::VerifyFull,
            }),
            ca: secret(ca),
            cert: secret(cert),
            key: secret(key),
        }
    }

    pub(in crate::config) fn secret(&self, field: SecretField) -> SecretRef {
        match field.0 {
            SecretRef::File(path) => SecretRef::File(self.absolute(&path)),
            other => other,
        }
    }

    /// A relative path counts from the folder of the file that names it, so that keys and policy move together.
    pub(in crate::config) fn absolute(&self, path: &Path) -> PathBuf {
        self.document.file.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }
}
