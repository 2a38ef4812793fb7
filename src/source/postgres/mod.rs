//! PostgreSQL 12 and newer: probe, capture and load.

pub mod archive;
mod capture;
mod connect;
mod defaults;
mod dump;
mod failure;
mod inventory;
mod job;
mod libpq;
pub mod load;
mod probe;
pub mod properties;
mod seam;
mod settings;
mod snapshot;
mod target_url;
mod tls;
mod tools;

pub use capture::{Databases, PostgresSource};
pub use connect::{APPLICATION_NAME, connect};
pub use dump::archive as dump_archive;
pub use failure::{chain, database, query_failed, quoted};
pub use libpq::ClientEnv;
pub use seam::{Moment, Seam};
pub use settings::{ConnectSettings, Credential, Host, TlsMode, TlsSettings};
pub use target_url::{TargetUrl, TargetUrlError};
pub use tools::Tools;
