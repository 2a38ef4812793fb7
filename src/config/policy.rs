//! A policy: which sources, into which repository, under which keys, proved how well.

use std::path::PathBuf;

use crate::config::{Outside, Period, Retention};
use crate::model::{LabelSelector, Level, LockMode, Name, PublicKey, RepositoryId, StoreUrl, Trust};
use crate::secret::SecretRef;

/// A policy whose every field was checked. Secrets are still references.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub name: Name,
    /// The file it was read from.
    pub file: PathBuf,
    /// The document as it was read, comments included: it goes sealed into every backup.
    pub text: String,
    /// The one that is written.
    pub repository: Repository,
    /// Those that receive verified copies.
    pub copies: Vec<Repository>,
    pub keys: Keys,
    /// At least one; names are unique.
    pub sources: Vec<Source>,
    /// What is set to zero while they are captured; none: nothing.
    pub quiesce: Option<Quiesce>,
    /// How long backups are kept; none: for ever.
    pub retention: Option<Retention>,
    /// What is proved right after a backup: `present` or `hashed`.
    pub verify_after_backup: Option<Level>,
    pub objectives: Objectives,
}

/// Where backups go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    pub url: StoreUrl,
    /// Pinned: another repository at that address is refused.
    pub id: Option<RepositoryId>,
    pub credentials: RoleCredentials,
    pub lock: Option<Lock>,
    /// An authority to believe beside the system's own (PEM).
    pub ca: Option<SecretRef>,
}

/// Whose keys each role uses towards the store; none: what the environment says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleCredentials {
    pub writer: Option<Credentials>,
    pub restorer: Option<Credentials>,
    pub prover: Option<Credentials>,
    pub collector: Option<Credentials>,
}

/// One way to show who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A profile of `~/.aws/config` (S3).
    Profile(String),
    /// S3 and MinIO.
    Keys { access_key: SecretRef, secret_key: SecretRef, session_token: Option<SecretRef> },
    /// The JSON of a service account's key (GCS).
    ServiceAccount(SecretRef),
}

/// Objects can not be deleted before their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    pub mode: LockMode,
    pub period: Period,
}

/// Which keys are used and which are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// age recipients (`age1...`), at least one, none twice.
    pub recipients: Vec<String>,
    /// Where the dedup key is, base64 of 32 bytes.
    pub dedup: SecretRef,
    pub signing: Signing,
    pub trusted: Option<Trusted>,
}

/// Where the private keys of the roles are; only those of roles that act with this policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signing {
    pub writer: Option<SecretRef>,
    pub prover: Option<SecretRef>,
    pub collector: Option<SecretRef>,
    pub operator: Option<SecretRef>,
}

/// The public keys that this policy believes, whatever the bucket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    pub operator: PublicKey,
    pub writer: Vec<PublicKey>,
    pub prover: Vec<PublicKey>,
    pub collector: Vec<PublicKey>,
}

/// How much may be lost, and how long coming back may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Objectives {
    pub rpo: Option<Period>,
    pub rto: Option<Period>,
}

/// What is set to zero replicas while the sources are captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiesce {
    pub selector: LabelSelector,
    /// The longest that it may be at zero.
    pub max: Period,
    /// A source of kind `cluster`: its cluster and namespaces are meant.
    pub cluster: Name,
    pub watchdog: Option<Watchdog>,
}

/// The pod in the cluster that scales back when we are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchdog {
    pub namespace: String,
    pub image: String,
    pub service_account: String,
}

/// One thing to capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub name: Name,
    pub kind: SourceKind,
}

/// What kind of thing, with everything needed to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    Postgres(Postgres),
    Cluster(Cluster),
    Outside(Outside),
}

/// The objects of a Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// None: the kubeconfig's current one.
    pub context: Option<String>,
    /// None: as kubectl finds it, else the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// Empty: all.
    pub namespaces: Vec<String>,
    pub selector: Option<String>,
    /// Empty: all kinds.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub cluster_scoped: ClusterScoped,
}

/// Which objects that belong to no namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterScoped {
    All,
    /// Those that the captured namespaces need.
    Referenced,
    None,
}

/// A Postgres server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// A host name, an address, or the directory of a Unix socket (begins with `/`).
    pub host: String,
    pub port: u16,
    pub user: String,
    /// None: the server lets this user in without one (Unix socket, certificate).
    pub password: Option<SecretRef>,
    pub databases: Databases,
    pub tls: Tls,
    /// Folders to look for `pg_dump` and its kin in, before all others.
    pub tools: Vec<PathBuf>,
    /// A tool that moves no byte for this long is stopped.
    pub stall_timeout: Option<Period>,
}

/// Which databases of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Databases {
    /// Every database that allows connections.
    All,
    /// These; at least one, none twice.
    Named(Vec<String>),
}

/// How the connection is protected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// None: `verify-full`, but `disable` for loopback and Unix sockets.
    pub mode: Option<TlsMode>,
    /// The authority that signed the server's certificate (PEM).
    pub ca: Option<SecretRef>,
    /// The client's own certificate and key (PEM); both or none.
    pub cert: Option<SecretRef>,
    pub key: Option<SecretRef>,
}

/// As libpq's `sslmode`, without its half-hearted modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    Disable,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Policy {
    /// All of them, the written one first.
    pub fn repositories(&self) -> impl Iterator<Item = &Repository> {
        std::iter::once(&self.repository).chain(&self.copies)
    }

    /// What this policy pins of the repository that it writes.
    pub fn trust(&self) -> Option<Trust> {
        self.trust_at(&self.repository.url)
    }

    /// What this policy pins of what lies at that address: needs both the repository's id and the trusted keys, else
    /// nothing is pinned. At an address that it does not name, any of its repositories may lie, moved there.
    pub fn trust_at(&self, url: &StoreUrl) -> Option<Trust> {
        let trusted = self.keys.trusted.as_ref()?;
        let known = self.repositories().find(|repository| repository.url == *url);
        let ids: Vec<RepositoryId> = match known {
            Some(repository) => repository.id.into_iter().collect(),
            None => self.repositories().filter_map(|repository| repository.id).collect(),
        };
        if ids.is_empty() {
            return None;
        }
        Some(Trust {
            repositories: ids,
            operator: trusted.operator,
            writer: trusted.writer.clone(),
            prover: trusted.prover.clone(),
            collector: trusted.collector.clone(),
            recipients: self.keys.recipients.clone(),
            dedup: None,
        })
    }
}
