//! PostgreSQL 12 and newer: probe, capture and load.

pub mod archive;
mod connect;
mod failure;
mod libpq;
pub mod load;
pub mod properties;
mod settings;
mod target_url;
mod tls;
mod tools;

pub use connect::{APPLICATION_NAME, connect};
pub use failure::{chain, database, query_failed, quoted};
pub use libpq::ClientEnv;
pub use settings::{ConnectSettings, Credential, Host, TlsMode, TlsSettings};
pub use target_url::{TargetUrl, TargetUrlError};
pub use tools::Tools;
