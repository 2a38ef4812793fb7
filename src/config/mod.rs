//! Files that people write: as typed, with every mistake named by line and column, then as checked values.
//!
//! The only place that parses YAML. Kinds: `Policy` and `Trust`.

mod check;
mod cluster;
mod fields;
mod hints;
mod load;
mod outside;
mod period;
mod policy;
mod problem;
mod quiesce;
mod repository;
mod retention;
mod schema;
mod trust;
mod typed;
mod write;
mod yaml;

pub use fields::check_recipient;
pub use load::{Loaded, Recipients, load, load_policy, load_trust};
pub use outside::{Certificate, CertificateAt, DnsZone, Keyset, KeysetAt, NomadCluster, Outside, WatchedBucket};
pub use period::{Period, PeriodError};
pub use policy::{
    Cluster, ClusterScoped, Credentials, Databases, Keys, Lock, Objectives, Policy, Postgres, Quiesce, Repository,
    RoleCredentials, Signing, Source, SourceKind, Tls, TlsMode, Trusted, Watchdog,
};
pub use problem::{ConfigError, Problem};
pub use retention::{Retention, TagRule};
pub use schema::{policy_schema, trust_schema};
pub use trust::{TrustDiffers, agreed_trust};
pub use write::{Starter, starter_policy, trust_file};
