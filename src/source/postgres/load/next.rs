//! What to type after a database was replaced, with every name filled in.

use crate::secret::SecretRef;
use crate::source::postgres::load::quote::{ident, shell};
use crate::source::postgres::{ConnectSettings, Credential, Host};

/// How to go back to the old one, and how to drop it. `maintenance` is a database that neither of them is.
pub(super) fn commands(settings: &ConnectSettings, maintenance: &str, name: &str, aside: &str) -> [String; 2] {
    let restored = aside.replacen("__old_", "__undone_", 1);
    let psql = format!("psql {}", shell(&address(settings, maintenance)));
    let back = [
        format!("ALTER DATABASE {} RENAME TO {}", ident(name), ident(&restored)),
        format!("ALTER DATABASE {} RENAME TO {}", ident(aside), ident(name)),
        format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", ident(name)),
    ];
    let back = back.map(|sql| format!("-c {}", shell(&sql))).join(" ");
    let drop = shell(&format!("DROP DATABASE {}", ident(aside)));
    [
        format!("{psql} --single-transaction {back}   # back to what was before"),
        format!("{psql} -c {drop}   # when nobody misses it"),
    ]
}

/// As libpq reads it. Never with a password: psql takes that from the environment, or asks.
fn address(settings: &ConnectSettings, database: &str) -> String {
    let host = match &settings.host {
        Host::Tcp(host) if host.contains(':') => format!("[{host}]"),
        Host::Tcp(host) => host.clone(),
        Host::Socket(dir) => encode(&dir.to_string_lossy()),
    };
    let ca = match &settings.tls.ca {
        Some(Credential::Reference(SecretRef::File(path))) => {
            format!("&sslrootcert={}", encode(&path.to_string_lossy()))
        }
        _ => String::new(),
    };
    let (user, database, mode) = (encode(&settings.user), encode(database), settings.tls.mode.as_str());
    format!("postgres://{user}@{host}:{}/{database}?sslmode={mode}{ca}", settings.port)
}

fn encode(text: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    text.bytes().map(|c| if plain(c) { char::from(c).to_string() } else { format!("%{c:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_reach_the_server_as_they_are() {
        let mut settings = ConnectSettings::new(Host::parse("/run/my pg"), "o'x");
        settings.tls.ca = Some(Credential::Reference(SecretRef::File("/ca file.pem".into())));
        let [back, drop] = commands(&settings, "postgres", "it's \"x\"", "it's \"x\"__old_1");
        let address =
            "psql 'postgres://o%27x@%2Frun%2Fmy%20pg:5432/postgres?sslmode=disable&sslrootcert=%2Fca%20file.pem'";
        assert!(back.starts_with(address) && drop.starts_with(address), "{back}");
        assert!(drop.contains(r#"-c 'DROP DATABASE "it'\''s ""x""__old_1"'"#), "{drop}");
        assert!(back.contains(r#"-c 'ALTER DATABASE "it'\''s ""x""" ALLOW_CONNECTIONS true'"#), "{back}");
    }
}
