//! The Nomad cluster whose nodes and jobs are recorded.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::check::Checker;
use crate::config::fields::SecretField;
use crate::secret::SecretRef;

/// A Nomad cluster. What is left out is what Nomad's own tools would take: NOMAD_ADDR, NOMAD_TOKEN, NOMAD_REGION,
/// NOMAD_CACERT, NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY, NOMAD_TLS_SERVER_NAME.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NomadField {
    /// Of one of the servers, or of what stands before them. Left out: NOMAD_ADDR.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"https://nomad.example.com:4646")]
    pub address: Option<Spanned<String>>,
    /// An ACL token that may read nodes, agents and jobs. Left out: NOMAD_TOKEN, else none.
    #[serde(default)]
    pub token: Option<SecretField>,
    /// Left out: NOMAD_REGION, else that of the agent.
    #[serde(default)]
    pub region: Option<String>,
    /// Whose jobs are recorded. Left out: those of every namespace that the token sees.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", length(min = 1), example = ["default"])]
    pub namespaces: Option<Spanned<Vec<Spanned<String>>>>,
    /// The authority of servers and clients (PEM), believed instead of the system's own.
    #[serde(default)]
    pub ca: Option<SecretField>,
    /// The certificate to be shown (PEM), with `key`.
    #[serde(default)]
    pub cert: Option<SecretField>,
    /// Its key (PEM), with `cert`.
    #[serde(default)]
    pub key: Option<SecretField>,
    /// The name in the servers' certificate, where it is not that of the address. Clients are then expected to be called
    /// client.REGION.nomad where the servers are server.REGION.nomad.
    #[serde(default)]
    #[schemars(example = &"server.global.nomad")]
    pub server_name: Option<String>,
    /// Whether each client is asked, at the address that it tells its servers, which servers it knows. Default true.
    #[serde(default)]
    pub ask_clients: Option<bool>,
    /// Clients that are reached elsewhere.
    #[serde(default)]
    #[schemars(with = "Vec<NomadClientField>")]
    pub clients: Vec<Spanned<NomadClientField>>,
}

/// Where the API of one client is reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NomadClientField {
    /// The name or the id of its node.
    #[schemars(example = &"nomad-client-1")]
    pub node: String,
    /// Of its API.
    #[schemars(example = &"https://127.0.0.1:14646")]
    pub address: String,
}

/// A Nomad cluster; what is none is said by the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NomadCluster {
    pub address: Option<String>,
    pub token: Option<SecretRef>,
    pub region: Option<String>,
    /// Empty: all that the token sees.
    pub namespaces: Vec<String>,
    pub ca: Option<SecretRef>,
    /// Both or none.
    pub cert: Option<SecretRef>,
    pub key: Option<SecretRef>,
    pub server_name: Option<String>,
    pub ask_clients: bool,
    /// Name or id of a node, and the address of its API.
    pub clients: Vec<(String, String)>,
}

impl Checker<'_> {
    pub(super) fn nomad(&mut self, field: Spanned<NomadField>) -> NomadCluster {
        let place = Spanned { value: (), referenced: field.referenced, defined: field.defined };
        let field = field.value;
        if let Some(address) = field.address.as_ref().filter(|address| !is_address(&address.value)) {
            // It is not repeated: it may hold a password.
            let cure = "write https://HOST:4646 or http://HOST:4646, and the token as `token`";
            self.wrong(address, "this is not the address of a Nomad agent", Some(cure));
        }
        if field.cert.is_some() != field.key.is_some() {
            self.wrong(&place, "`cert` and `key` belong together: one of them is missing", None);
        }
        let mut namespaces: Vec<String> = Vec::new();
        if let Some(list) = field.namespaces {
            self.not_empty(&list, "every namespace is to leave `namespaces` out");
            for name in list.value {
                if name.value.is_empty() || namespaces.contains(&name.value) {
                    self.wrong(&name, format!("namespace `{}` is empty, or there twice", name.value), None);
                }
                namespaces.push(name.value);
            }
        }
        let mut clients: Vec<(String, String)> = Vec::new();
        for client in field.clients {
            let NomadClientField { node, address } = &client.value;
            if node.is_empty() || clients.iter().any(|(other, _)| other == node) {
                self.wrong(&client, format!("the client `{node}` has no name, or is there twice"), None);
            }
            if !is_address(address) {
                let message = format!("the address of client `{node}` is not http://HOST:PORT or https://HOST:PORT");
                self.wrong(&client, message, None);
            }
            clients.push((node.clone(), address.clone()));
        }
        let secret = |field: Option<SecretField>| field.map(|field| self.secret(field));
        NomadCluster {
            address: field.address.map(|address| address.value),
            token: secret(field.token),
            region: field.region,
            namespaces,
            ca: secret(field.ca),
            cert: secret(field.cert),
            key: secret(field.key),
            server_name: field.server_name,
            ask_clients: field.ask_clients.unwrap_or(true),
            clients,
        }
    }
}

/// A scheme, a host and perhaps a port.
fn is_address(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = host.map(|host| host.strip_suffix('/').unwrap_or(host));
    host.is_some_and(|host| {
        !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'))
    })
}
