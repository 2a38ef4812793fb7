//! Our own connections, by tokio-postgres and rustls.

use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::{debug, warn};

use crate::clock::pause;
use crate::context::Context;
use crate::model::{FailureClass, SourceFailure};
use crate::source::postgres::defaults;
use crate::source::postgres::failure::{chain, connect_failed};
use crate::source::postgres::settings::{ConnectSettings, Host, TlsMode};
use crate::source::postgres::tls;

/// What servers show in `pg_stat_activity` for everything that we start.
pub const APPLICATION_NAME: &str = "lifeboat";
/// How long one attempt to reach a server may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens a session. The password and certificates are resolved now; dropping the client ends the session.
pub async fn connect(settings: &ConnectSettings, database: &str, cx: &Context) -> Result<Client, SourceFailure> {
    let mut config = Config::new();
    match &settings.host {
        Host::Tcp(name) => config.host(name),
        Host::Socket(dir) => config.host_path(dir),
    };
    config.port(settings.port).user(&settings.user).dbname(database);
    config.options(defaults::startup()).application_name(APPLICATION_NAME).connect_timeout(CONNECT_TIMEOUT);
    config.keepalives_idle(Duration::from_secs(60)).keepalives_interval(Duration::from_secs(15));
    if let Some(password) = &settings.password {
        let password = password.resolve().map_err(|error| unresolved(settings, "password", &error))?;
        config.password(password.expose());
    }
    let encrypted = settings.tls.mode != TlsMode::Disable;
    config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
    let opening = async {
        if encrypted {
            let tls = MakeRustlsConnect::new(tls::client_config(settings)?);
            let (client, connection) =
                config.connect(tls).await.map_err(|error| connect_failed(settings, database, &error))?;
            tokio::spawn(drive(connection));
            Ok(client)
        } else {
            let (client, connection) =
                config.connect(NoTls).await.map_err(|error| connect_failed(settings, database, &error))?;
            tokio::spawn(drive(connection));
            Ok(client)
        }
    };
    tokio::select! {
        opened = opening => opened,
        () = cx.cancel.cancelled() => {
            Err(SourceFailure::new(FailureClass::Cancelled, settings.subject(), "stopped while connecting"))
        }
        () = pause(CONNECT_TIMEOUT * 2) => {
            Err(SourceFailure::new(FailureClass::Unreachable, settings.subject(), "accepted the connection, and then said nothing"))
        }
    }
}

/// Moves the session's bytes until either side ends it. Whoever holds the client learns of it by the next query.
async fn drive<F>(connection: F)
where
    F: Future<Output = Result<(), tokio_postgres::Error>>,
{
    match connection.await {
        Ok(()) => debug!("session ended"),
        Err(error) => warn!(error = %chain(&error), "session lost"),
    }
}

/// A secret that the settings refer to is not there.
pub(super) fn unresolved(settings: &ConnectSettings, what: &str, error: &dyn std::error::Error) -> SourceFailure {
    let message = format!("cannot read the {what}: {}", chain(error));
    SourceFailure::new(FailureClass::Configuration, settings.subject(), message)
        .cure(format!("provide the {what} where the policy refers to it"))
}
