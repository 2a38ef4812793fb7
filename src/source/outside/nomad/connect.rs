//! The HTTP client towards servers and clients: mutual TLS, and a name in the certificate that is not in the address.

use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;

use reqwest::{Certificate, Client, Identity, redirect};
use url::Url;

use crate::model::{FailureClass, SourceFailure};
use crate::secret::{Secret, SecretRef};
use crate::source::outside::nomad::NomadSettings;

/// How long to wait for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub connect: Duration,
    pub call: Duration,
}

/// The servers.
pub(super) const SERVERS: Patience = Patience { connect: Duration::from_secs(10), call: Duration::from_secs(120) };
/// A client behind a wall does not answer at all, and there may be many.
pub(super) const CLIENTS: Patience = Patience { connect: Duration::from_secs(3), call: Duration::from_secs(10) };

/// Everything that the address alone does not say, read once.
pub(super) struct Keys {
    pub token: Option<Secret<String>>,
    authorities: Option<Vec<Certificate>>,
    identity: Option<Identity>,
    server_name: Option<String>,
}

impl Keys {
    pub fn read(settings: &NomadSettings) -> Result<Self, SourceFailure> {
        use_ring();
        let authorities = match &settings.ca {
            Some(reference) => {
                let pem = resolve(reference, "the authority (`ca`, NOMAD_CACERT)")?;
                let found = Certificate::from_pem_bundle(pem.expose().as_bytes()).unwrap_or_default();
                if found.is_empty() {
                    return Err(wrong("the authority (`ca`, NOMAD_CACERT) holds no certificate in PEM"));
                }
                Some(found)
            }
            None => None,
        };
        let identity = match (&settings.cert, &settings.key) {
            (Some(cert), Some(key)) => {
                let cert = resolve(cert, "the client certificate (`cert`, NOMAD_CLIENT_CERT)")?;
                let key = resolve(key, "the client's key (`key`, NOMAD_CLIENT_KEY)")?;
                let pem = Secret::new(format!("{}\n{}\n", cert.expose(), key.expose()));
                // What the parser says could quote the key.
                let identity = Identity::from_pem(pem.expose().as_bytes());
                Some(identity.map_err(|_| wrong("`cert` and `key` are no certificate and key in PEM"))?)
            }
            (None, None) => None,
            _ => return Err(wrong("`cert` and `key` belong together: one of them is missing")),
        };
        let token =
            settings.token.as_ref().map(|token| resolve(token, "the token (`token`, NOMAD_TOKEN)")).transpose()?;
        let token = token.filter(|token| !token.expose().is_empty());
        Ok(Self { token, authorities, identity, server_name: settings.server_name.clone() })
    }

    /// A client for that agent, and the address to ask it by.
    pub async fn client(
        &self,
        address: &Url,
        name: Option<&str>,
        patience: Patience,
    ) -> Result<(Client, Url), SourceFailure> {
        let (mut url, mut resolved) = (address.clone(), None);
        if let Some(name) = name.filter(|_| address.scheme() == "https") {
            let there = look_up(address).await?;
            url.set_host(Some(name)).map_err(|_| wrong(format!("`{name}` is no name that a certificate can have")))?;
            resolved = Some((name, there));
        }
        let builder = || {
            let mut builder = Client::builder()
                .http1_only()
                .connect_timeout(patience.connect)
                .timeout(patience.call)
                // A token is for one address.
                .redirect(redirect::Policy::none())
                .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")));
            if let Some(identity) = &self.identity {
                builder = builder.identity(identity.clone());
            }
            if let Some((name, there)) = resolved {
                // No proxy could look that name up.
                builder = builder.resolve(name, there).no_proxy();
            }
            builder
        };
        let built = match &self.authorities {
            Some(authorities) => builder().tls_certs_only(authorities.clone()).build(),
            // A bare container has no authorities at all; plain HTTP works there.
            None => builder().build().or_else(|_| builder().tls_certs_only([]).build()),
        };
        let client = built.map_err(|error| wrong(format!("no HTTP client can be made: {}", error.without_url())))?;
        Ok((client, url))
    }

    /// The name in the servers' certificate.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The name in a client's certificate: by Nomad's convention that of the server, with its first word changed.
    pub fn client_name(&self) -> Option<String> {
        let name = self.server_name.as_deref()?;
        match name.strip_prefix("server.").filter(|rest| rest.ends_with(".nomad")) {
            Some(rest) => Some(format!("client.{rest}")),
            None => Some(name.to_owned()),
        }
    }
}

async fn look_up(address: &Url) -> Result<SocketAddr, SourceFailure> {
    let host = address.host_str().unwrap_or_default();
    let port = address.port_or_known_default().unwrap_or_default();
    let unknown = |why: String| {
        SourceFailure::new(FailureClass::Unreachable, format!("nomad {host}"), format!("its name leads nowhere: {why}"))
            .cure("look at the spelling of the address, and whether names are resolved here (DNS)")
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut found = tokio::net::lookup_host((bare, port)).await.map_err(|error| unknown(error.to_string()))?;
    found.next().ok_or_else(|| unknown("no address".into()))
}

/// TLS by ring, whatever else the program links.
fn use_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Already installed by somebody else: then it is theirs to choose.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn resolve(reference: &SecretRef, what: &str) -> Result<Secret<String>, SourceFailure> {
    reference.resolve().map_err(|error| {
        let mut message = format!("cannot read {what}: {error}");
        if let Some(cause) = std::error::Error::source(&error) {
            message = format!("{message}: {cause}");
        }
        SourceFailure::new(FailureClass::Authentication, "nomad", message)
            .cure("`nomad:` in the policy says where it is")
    })
}

pub(super) fn wrong(message: impl Into<String>) -> SourceFailure {
    SourceFailure::new(FailureClass::Configuration, "nomad", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_certificate_has_a_name_of_its_own() {
        let name = |server: &str| {
            let keys = Keys { token: None, authorities: None, identity: None, server_name: Some(server.into()) };
            keys.client_name().unwrap()
        };
        assert_eq!(name("server.eu.nomad"), "client.eu.nomad");
        assert_eq!(name("nomad.example.com"), "nomad.example.com");
        assert_eq!(name("server.example.com"), "server.example.com");
    }
}
