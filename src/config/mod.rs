//! Files that people write: as typed, with every mistake named by line and column, then as checked values.
//!
//! The only place that parses YAML.

mod period;
mod policy;

pub use period::{Period, PeriodError};
pub use policy::{
    Databases, Keys, Objectives, Policy, Postgres, Repository, Signing, Source, SourceKind, Tls, TlsMode, Trusted,
};
