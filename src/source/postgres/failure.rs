//! What goes wrong with a server, as a person should read it: class, cause, cure.

use std::error::Error as _;
use std::io;

use rustls::CertificateError;
use tokio_postgres::error::SqlState;

use crate::model::{FailureClass, SourceFailure};
use crate::source::postgres::settings::{ConnectSettings, Host};

/// Every message of an error and its sources, once each.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let message = source.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        next = source.source();
    }
    text
}

/// How messages call a database: `database "shop"`.
pub fn database(name: &str) -> String {
    format!("database {}", quoted(name))
}

/// A name between quotes on one line, however odd it is.
pub fn quoted(name: &str) -> String {
    format!("{name:?}")
}

/// A query on an open session failed.
pub fn query_failed(subject: impl Into<String>, doing: &str, error: &tokio_postgres::Error) -> SourceFailure {
    let subject = subject.into();
    let Some(db) = error.as_db_error() else {
        let class = if error.is_closed() || io_kind(error).is_some() {
            FailureClass::Terminated
        } else {
            FailureClass::Internal
        };
        let message = format!("the session was lost while {doing}: {}", chain(error));
        return SourceFailure::new(class, subject, message)
            .cure("see the server's log for why it ended the session, then run the same command again");
    };
    let class = match *db.code() {
        SqlState::INSUFFICIENT_PRIVILEGE => FailureClass::Permission,
        SqlState::LOCK_NOT_AVAILABLE | SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
            FailureClass::Inconsistent
        }
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::DATABASE_DROPPED
        | SqlState::QUERY_CANCELED
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => FailureClass::Terminated,
        _ => FailureClass::ToolFailed,
    };
    let failure = SourceFailure::new(class, subject, format!("{doing} failed: {}", db_text(db)));
    match *db.code() {
        SqlState::INSUFFICIENT_PRIVILEGE => failure.cure("grant the role pg_read_all_data, or connect as a superuser"),
        SqlState::LOCK_NOT_AVAILABLE => {
            failure.cure("another session holds an exclusive lock: see pg_stat_activity and pg_locks, then try again")
        }
        _ => failure,
    }
}

/// A session could not be opened.
pub(super) fn connect_failed(
    settings: &ConnectSettings,
    database_name: &str,
    error: &tokio_postgres::Error,
) -> SourceFailure {
    let subject = settings.subject();
    let fail = |class, message: String| SourceFailure::new(class, subject.clone(), message);
    if let Some(db) = error.as_db_error() {
        return refused(settings, database_name, db, fail);
    }
    if let Some(tls) = rustls_error(error) {
        return tls_failed(tls, fail);
    }
    if let Some(kind) = io_kind(error) {
        return unreachable(settings, kind, error, fail);
    }
    let text = chain(error);
    if text.contains("server does not support TLS") {
        return fail(FailureClass::Unreachable, "the server does not speak TLS".into()).cure(
            "switch TLS on at the server (ssl = on), or write `tls: {mode: disable}` (sslmode=disable) and accept plain text",
        );
    }
    if text.contains("password missing") {
        return fail(FailureClass::Authentication, format!("a password is needed for role {}", quoted(&settings.user)))
            .cure("set PGPASSWORD; for a source of a policy also `password: {env: NAME}` or `{file: PATH}`");
    }
    if text.contains("timed out") {
        return fail(FailureClass::Unreachable, "no answer".into()).cure("check address, firewall and network policy");
    }
    fail(FailureClass::Unreachable, format!("cannot connect: {text}"))
}

/// The server answered, and said no.
fn refused(
    settings: &ConnectSettings,
    database_name: &str,
    db: &tokio_postgres::error::DbError,
    fail: impl Fn(FailureClass, String) -> SourceFailure,
) -> SourceFailure {
    let role = quoted(&settings.user);
    match *db.code() {
        SqlState::INVALID_PASSWORD => {
            fail(FailureClass::Authentication, format!("the password of role {role} is wrong, or the role does not exist"))
                .cure("check PGPASSWORD, or what `password` in the policy refers to")
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION if db.message().contains("pg_hba.conf") => {
            let failure = fail(FailureClass::Authentication, format!("the server lets role {role} not in: {}", db.message()));
            if db.message().contains("no encryption") {
                failure.cure("the server may want TLS: `tls: {mode: verify-full}` (sslmode=verify-full); else add a line to pg_hba.conf")
            } else {
                failure.cure("add a line for this role, database and address to pg_hba.conf, then SELECT pg_reload_conf()")
            }
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            fail(FailureClass::Authentication, format!("the server refuses role {role}: {}", db.message()))
                .cure("check the role's name, that it may log in, and its client certificate if the server asks for one")
        }
        SqlState::INVALID_CATALOG_NAME => {
            fail(FailureClass::Configuration, format!("{} does not exist", database(database_name)))
                .cure("name an existing one: `database:` in the policy, the path of a postgres:// address")
        }
        SqlState::TOO_MANY_CONNECTIONS => {
            fail(FailureClass::Unreachable, format!("too many connections: {}", db.message()))
                .cure("raise max_connections or the role's limit, or end idle sessions; a backup needs one session for each database and two more")
        }
        _ if db.message().contains("unsupported startup parameter") => {
            fail(FailureClass::Configuration, format!("a connection pooler answers there: {}", db.message()))
                .cure("connect to the server itself: a pooler cannot hold a snapshot and its locks")
        }
        SqlState::CANNOT_CONNECT_NOW => {
            fail(FailureClass::Unreachable, format!("not ready: {}", db.message())).cure("try again when the server is up")
        }
        SqlState::INSUFFICIENT_PRIVILEGE => {
            fail(FailureClass::Permission, format!("role {role} may not connect to {}", database(database_name)))
                .cure(format!("GRANT CONNECT ON DATABASE to {role}, or leave the database out"))
        }
        _ => fail(FailureClass::Unreachable, format!("cannot connect to {}: {}", database(database_name), db_text(db))),
    }
}

fn tls_failed(tls: &rustls::Error, fail: impl Fn(FailureClass, String) -> SourceFailure) -> SourceFailure {
    let fail = |message: &str| fail(FailureClass::Unreachable, message.to_owned());
    match tls {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => fail("the server's certificate belongs to another host name")
            .cure("connect by a name in its subjectAltName, or use `tls: {mode: verify-ca}` (sslmode=verify-ca)"),
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            fail("the server's certificate has expired").cure("renew the certificate of the server")
        }
        rustls::Error::InvalidCertificate(problem) if format!("{problem:?}").contains("UnsupportedCertVersion") => {
            fail("the server's certificate is of X.509 version 1, which cannot be verified")
                .cure("make it again with a subjectAltName (openssl x509 -req -extfile ...), which makes it version 3")
        }
        rustls::Error::InvalidCertificate(problem) => {
            fail(&format!("the server's certificate is not trusted: {problem}"))
                .cure("name the authority that signed it: `tls.ca` (sslrootcert=FILE)")
        }
        rustls::Error::AlertReceived(alert) => fail(&format!("the server refuses our TLS: {alert:?}"))
            .cure("it may ask for a client certificate: `tls.cert` and `tls.key`"),
        other => fail(&format!("TLS failed: {other}")),
    }
}

fn unreachable(
    settings: &ConnectSettings,
    kind: io::ErrorKind,
    error: &tokio_postgres::Error,
    fail: impl Fn(FailureClass, String) -> SourceFailure,
) -> SourceFailure {
    let text = chain(error);
    match (&settings.host, kind) {
        (Host::Tcp(name), _) if text.contains("lookup") || text.contains("resolve") => {
            fail(FailureClass::Unreachable, format!("the name {} is unknown", quoted(name)))
                .cure("check the host's spelling and the name server")
        }
        (_, io::ErrorKind::ConnectionRefused) => {
            fail(FailureClass::Unreachable, "nothing listens there: connection refused".into())
                .cure("start the server, and check host and port")
        }
        (Host::Socket(_), io::ErrorKind::NotFound) => {
            fail(FailureClass::Unreachable, "no server has its socket there".into())
                .cure("start the server, or name the folder in its unix_socket_directories")
        }
        (_, io::ErrorKind::TimedOut) => {
            fail(FailureClass::Unreachable, "no answer".into()).cure("check address, firewall and network policy")
        }
        (_, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            fail(FailureClass::Unreachable, format!("the connection was closed while it was opened: {text}"))
                .cure("check that a PostgreSQL server listens there, and its log")
        }
        _ => fail(FailureClass::Unreachable, format!("cannot connect: {text}")),
    }
}

fn db_text(db: &tokio_postgres::error::DbError) -> String {
    let mut text = db.message().to_owned();
    for more in [db.detail(), db.hint()].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}

fn io_kind(error: &tokio_postgres::Error) -> Option<io::ErrorKind> {
    find(error, |source| source.downcast_ref::<io::Error>()).map(io::Error::kind)
}

fn rustls_error(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    find(error, |source| {
        source.downcast_ref::<rustls::Error>().or_else(|| {
            // An io::Error hides what it wraps from `source`.
            source.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()
        })
    })
}

fn find<'a, T>(
    error: &'a tokio_postgres::Error,
    pick: impl Fn(&'a (dyn std::error::Error + 'static)) -> Option<T>,
) -> Option<T> {
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(found) = pick(source) {
            return Some(found);
        }
        next = source.source();
    }
    None
}
