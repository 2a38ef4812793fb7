//! `postgres://user@host:port/database?sslmode=...&sslrootcert=...`, read as libpq reads it.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::secret::SecretRef;
use crate::source::postgres::settings::{ConnectSettings, Credential, Host, TlsMode};

/// What is wrong with an address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetUrlError {
    #[error("not a postgres://user@host:port/database address")]
    Syntax,
    #[error("the address holds a password, which every user of this machine could read")]
    PasswordInUrl,
    #[error("the address names no user")]
    NoUser,
    #[error("the address names no host")]
    NoHost,
    #[error("sslmode={0} does not exist here: disable, require, verify-ca or verify-full")]
    Mode(String),
    #[error("unknown parameter {0}: sslmode, sslrootcert, sslcert, sslkey and host are known")]
    Parameter(String),
}

impl TargetUrlError {
    /// What to do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            TargetUrlError::PasswordInUrl => "leave it out and set PGPASSWORD, or refer to it in the policy",
            TargetUrlError::Mode(_) => "`prefer` and `allow` fall back to plain text without a word",
            _ => "write it as postgres://user@host:port/database",
        }
    }
}

/// A server, and the database on it where the address names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUrl {
    pub settings: ConnectSettings,
    /// None means the whole server.
    pub database: Option<String>,
}

impl std::str::FromStr for TargetUrl {
    type Err = TargetUrlError;

    /// The password, if any, is the environment's `PGPASSWORD`.
    fn from_str(text: &str) -> Result<Self, TargetUrlError> {
        let url = Url::parse(&with_host(text)).map_err(|_| TargetUrlError::Syntax)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(TargetUrlError::Syntax);
        }
        if url.password().is_some() {
            return Err(TargetUrlError::PasswordInUrl);
        }
        let decoded = |text: &str| {
            percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| TargetUrlError::Syntax)
        };
        let mut host = url.host_str().map(decoded).transpose()?.filter(|host| !host.is_empty() && host != NO_HOST);
        let mut mode = None;
        let (mut ca, mut cert, mut key) = (None, None, None);
        for (name, value) in url.query_pairs() {
            let file = || Some(Credential::Reference(SecretRef::File(PathBuf::from(&*value))));
            match &*name {
                "sslmode" => {
                    mode = Some(TlsMode::parse(&value).ok_or_else(|| TargetUrlError::Mode(value.to_string()))?)
                }
                "sslrootcert" if value == "system" => ca = None,
                "sslrootcert" => ca = file(),
                "sslcert" => cert = file(),
                "sslkey" => key = file(),
                "host" => host = Some(value.to_string()),
                "password" => return Err(TargetUrlError::PasswordInUrl),
                other => return Err(TargetUrlError::Parameter(other.to_owned())),
            }
        }
        let host = host.ok_or(TargetUrlError::NoHost)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        let user = decoded(url.username())?;
        if user.is_empty() {
            return Err(TargetUrlError::NoUser);
        }
        let mut settings = ConnectSettings::new(Host::parse(host), user);
        settings.port = url.port().unwrap_or(settings.port);
        settings.tls.mode = mode.unwrap_or(settings.tls.mode);
        (settings.tls.ca, settings.tls.cert, settings.tls.key) = (ca, cert, key);
        if std::env::var_os("PGPASSWORD").is_some() {
            settings.password = Some(SecretRef::Env("PGPASSWORD".into()).into());
        }
        let database = decoded(url.path().strip_prefix('/').unwrap_or_default())?;
        Ok(TargetUrl { settings, database: Some(database).filter(|name| !name.is_empty()) })
    }
}

/// Stands for an empty host, which libpq takes and the URL standard does not. No host can have this name.
const NO_HOST: &str = "-";

fn with_host(text: &str) -> String {
    let authority = text.find("://").map(|at| at + 3);
    let end = authority.and_then(|from| Some(from + text[from..].find(['/', '?', '#'])?));
    match end {
        Some(end) if text[..end].ends_with('@') => format!("{}{NO_HOST}{}", &text[..end], &text[end..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TargetUrl, TargetUrlError> {
        text.parse()
    }

    #[test]
    fn reads_host_port_and_database() {
        let target = parse("postgres://me@db.example:6543/my%20shop?sslrootcert=/ca.pem").unwrap();
        assert_eq!(target.settings.host, Host::Tcp("db.example".into()));
        assert_eq!(target.settings.port, 6543);
        assert_eq!(target.settings.user, "me");
        assert_eq!(target.database.as_deref(), Some("my shop"));
        assert_eq!(target.settings.tls.mode, TlsMode::VerifyFull);
        assert_eq!(target.settings.tls.ca, Some(Credential::Reference(SecretRef::File("/ca.pem".into()))));
    }

    #[test]
    fn a_socket_is_a_folder() {
        let target = parse("postgresql://me@%2Fvar%2Frun%2Fpostgresql:5433").unwrap();
        assert_eq!(target.settings.host, Host::Socket("/var/run/postgresql".into()));
        assert_eq!(target.settings.port, 5433);
        assert_eq!(target.database, None);
        assert_eq!(target.settings.tls.mode, TlsMode::Disable);
        let by_parameter = parse("postgres://me@/shop?host=/tmp/x").unwrap();
        assert_eq!(by_parameter.settings.host, Host::Socket("/tmp/x".into()));
        assert_eq!(by_parameter.database.as_deref(), Some("shop"));
    }

    #[test]
    fn loopback_needs_no_tls_and_others_do() {
        for local in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(
                parse(&format!("postgres://me@{local}/")).unwrap().settings.tls.mode,
                TlsMode::Disable,
                "{local}"
            );
        }
        for far in ["db", "10.0.0.1", "localhost.example"] {
            assert_eq!(
                parse(&format!("postgres://me@{far}/")).unwrap().settings.tls.mode,
                TlsMode::VerifyFull,
                "{far}"
            );
        }
    }

    #[test]
    fn refuses_what_is_dangerous_or_unknown() {
        assert_eq!(parse("postgres://me:secret@db/shop"), Err(TargetUrlError::PasswordInUrl));
        assert_eq!(parse("postgres://me@db/shop?password=x"), Err(TargetUrlError::PasswordInUrl));
        assert_eq!(parse("postgres://me@db/?sslmode=prefer"), Err(TargetUrlError::Mode("prefer".into())));
        assert_eq!(parse("postgres://me@db/?sslmod=require"), Err(TargetUrlError::Parameter("sslmod".into())));
        assert_eq!(parse("postgres://db/shop"), Err(TargetUrlError::NoUser));
        assert_eq!(parse("mysql://me@db/shop"), Err(TargetUrlError::Syntax));
        assert!(!TargetUrlError::PasswordInUrl.to_string().contains("secret"));
    }
}
