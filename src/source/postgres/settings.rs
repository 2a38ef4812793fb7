//! Where a server is and who we are there: one description, for our own connections and for libpq's tools.

use std::path::PathBuf;

use crate::secret::{Secret, SecretError, SecretRef};

/// Everything needed to reach a server. Nothing is resolved before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectSettings {
    pub host: Host,
    pub port: u16,
    pub user: String,
    pub password: Option<Credential>,
    /// The database that is connected to where no other is named.
    pub database: String,
    pub tls: TlsSettings,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// Name or address.
    Tcp(String),
    /// Folder of the server's Unix socket.
    Socket(PathBuf),
}

/// A secret that was given by reference, or one that somebody else resolved already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    Reference(SecretRef),
    Value(Secret<String>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    pub mode: TlsMode,
    /// PEM certificates to trust; the system's where absent.
    pub ca: Option<Credential>,
    /// PEM certificate chain that we show.
    pub cert: Option<Credential>,
    /// PEM key of `cert`.
    pub key: Option<Credential>,
}

/// As libpq's `sslmode`. The modes that fall back to plain text when asked politely do not exist here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsMode {
    Disable,
    /// Encrypted, but to whom is not checked.
    Require,
    /// The certificate comes from a trusted authority; the host's name is not checked.
    VerifyCa,
    #[default]
    VerifyFull,
}

impl Credential {
    pub fn resolve(&self) -> Result<Secret<String>, SecretError> {
        match self {
            Credential::Reference(reference) => reference.resolve(),
            Credential::Value(value) => Ok(value.clone()),
        }
    }
}

impl From<SecretRef> for Credential {
    fn from(reference: SecretRef) -> Self {
        Credential::Reference(reference)
    }
}

impl Host {
    /// A host as people write it: a path is a socket's folder.
    pub fn parse(text: &str) -> Self {
        if text.starts_with('/') { Host::Socket(text.into()) } else { Host::Tcp(text.to_owned()) }
    }

    /// Whether bytes never leave this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Host::Socket(_) => true,
            Host::Tcp(name) => {
                name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            }
        }
    }
}

impl TlsMode {
    /// What holds where nothing was said.
    pub fn default_for(host: &Host) -> Self {
        if host.is_local() { TlsMode::Disable } else { TlsMode::VerifyFull }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            TlsMode::Disable => "disable",
            TlsMode::Require => "require",
            TlsMode::VerifyCa => "verify-ca",
            TlsMode::VerifyFull => "verify-full",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [TlsMode::Disable, TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}

impl ConnectSettings {
    /// With the defaults of everything that may be left out.
    pub fn new(host: Host, user: impl Into<String>) -> Self {
        let tls = TlsSettings { mode: TlsMode::default_for(&host), ..TlsSettings::default() };
        ConnectSettings { host, port: 5432, user: user.into(), password: None, database: "postgres".into(), tls }
    }

    /// How messages call the server: `server db.example:5432`.
    pub fn subject(&self) -> String {
        match &self.host {
            Host::Tcp(name) if name.contains(':') => format!("server [{name}]:{}", self.port),
            Host::Tcp(name) => format!("server {name}:{}", self.port),
            Host::Socket(dir) => format!("server {}/.s.PGSQL.{}", dir.display(), self.port),
        }
    }
}
