//! The same settings for the tools that use libpq: by their environment alone.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;

use crate::exec::Command;
use crate::model::{FailureClass, SourceFailure};
use crate::secret::{Secret, SecretRef};
use crate::source::authorities::system_bundle;
use crate::source::postgres::connect::{APPLICATION_NAME, CONNECT_TIMEOUT, unresolved};
use crate::source::postgres::settings::{ConnectSettings, Credential, Host, TlsMode};

/// Names a file that cannot exist, so that libpq does not pick one up from the home folder.
const NO_FILE: &str = "/dev/null/none";

/// Environment of a libpq tool. Keep it as long as the tool runs: it may own a private folder with certificates.
pub struct ClientEnv {
    vars: Vec<(&'static str, OsString)>,
    password: Option<Secret<String>>,
    files: Option<TempDir>,
}

impl ConnectSettings {
    /// What makes a libpq tool connect to `database` exactly as [`super::connect()`] does.
    pub fn client_env(&self, database: &str) -> Result<ClientEnv, SourceFailure> {
        let mut env = ClientEnv { vars: Vec::new(), password: None, files: None };
        match &self.host {
            Host::Tcp(name) => env.set("PGHOST", name),
            Host::Socket(dir) => env.set("PGHOST", dir),
        }
        env.set("PGPORT", self.port.to_string());
        env.set("PGUSER", &self.user);
        // By environment the name is taken as it is: neither a space nor a `=` in it can become an option.
        env.set("PGDATABASE", database);
        env.set("PGAPPNAME", APPLICATION_NAME);
        env.set("PGCONNECT_TIMEOUT", CONNECT_TIMEOUT.as_secs().to_string());
        env.set("PGGSSENCMODE", "disable");
        env.set("PGPASSFILE", NO_FILE);
        env.set("PGSSLMODE", self.tls.mode.as_str());
        env.set("PGSSLCRL", NO_FILE);
        match self.tls.mode {
            // With a root certificate at hand, libpq's `require` would verify: leave it none.
            TlsMode::Disable | TlsMode::Require => env.set("PGSSLROOTCERT", NO_FILE),
            TlsMode::VerifyCa | TlsMode::VerifyFull => match &self.tls.ca {
                Some(ca) => env.pem(self, "PGSSLROOTCERT", "certificate authority", ca)?,
                None => env.set("PGSSLROOTCERT", system_bundle().unwrap_or_else(|| NO_FILE.into())),
            },
        }
        match (self.tls.mode, &self.tls.cert, &self.tls.key) {
            (TlsMode::Disable, ..) | (_, None, _) | (_, _, None) => env.set("PGSSLCERT", NO_FILE),
            (_, Some(cert), Some(key)) => {
                env.pem(self, "PGSSLCERT", "certificate", cert)?;
                env.pem(self, "PGSSLKEY", "key of the certificate", key)?;
            }
        }
        if let Some(password) = &self.password {
            env.password = Some(password.resolve().map_err(|error| unresolved(self, "password", &error))?);
        }
        Ok(env)
    }
}

impl ClientEnv {
    pub fn apply(&self, command: Command) -> Command {
        let command = self.vars.iter().fold(command, |command, (name, value)| command.env(name, value));
        match &self.password {
            Some(password) => command.secret_env("PGPASSWORD", password),
            None => command,
        }
    }

    fn set(&mut self, name: &'static str, value: impl AsRef<std::ffi::OsStr>) {
        self.vars.push((name, value.as_ref().to_owned()));
    }

    /// A file is passed on by its path; anything else is written to a private folder first.
    fn pem(
        &mut self,
        settings: &ConnectSettings,
        name: &'static str,
        what: &str,
        given: &Credential,
    ) -> Result<(), SourceFailure> {
        if let Credential::Reference(SecretRef::File(path)) = given {
            self.set(name, path);
            return Ok(());
        }
        let content = given.resolve().map_err(|error| unresolved(settings, what, &error))?;
        let failed = |source: std::io::Error| {
            let message = format!("cannot write the {what} to a temporary file: {source}");
            SourceFailure::new(FailureClass::Internal, settings.subject(), message)
        };
        let dir = match self.files.take() {
            Some(dir) => dir,
            None => tempfile::Builder::new().prefix("lifeboat-").tempdir().map_err(failed)?,
        };
        let path = dir.path().join(name);
        write_private(&path, content.expose()).map_err(failed)?;
        self.set(name, &path);
        self.files = Some(dir);
        Ok(())
    }
}

fn write_private(path: &Path, content: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())
}

/// A value in libpq's `key=value` syntax: a name with a blank, `=` or `://` in it stays a name.
pub(super) fn conninfo_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_stay_one_value() {
        assert_eq!(conninfo_value(r"a b=c'd\e"), r"'a b=c\'d\\e'");
    }
}
