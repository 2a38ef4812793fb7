//! Certificates that are recorded: of servers, and in files.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::check::Checker;
use crate::config::fields::SecretField;
use crate::secret::SecretRef;

/// Of a server, or in a file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateField {
    /// A server that speaks TLS from the first byte on: host and port.
    #[serde(default)]
    #[schemars(example = &"app.example.com:443")]
    pub connect: Option<String>,
    /// The name that is asked for and must be in the certificate. Left out: the host of `connect`.
    #[serde(default)]
    #[schemars(example = &"app.example.com")]
    pub server_name: Option<String>,
    /// The authority that must have signed it (PEM). Left out: the system's.
    #[serde(default)]
    pub ca: Option<SecretField>,
    /// A PEM file with one certificate or a chain. A relative path counts from the folder of this file.
    #[serde(default)]
    #[schemars(example = &"/etc/tls/app.pem")]
    pub file: Option<PathBuf>,
}

/// One chain that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub at: CertificateAt,
    /// None: the system's authorities.
    pub ca: Option<SecretRef>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateAt {
    Served {
        /// An IPv6 address is without its brackets.
        host: String,
        port: u16,
        /// None: the host.
        name: Option<String>,
    },
    File(PathBuf),
}

impl Checker<'_> {
    pub(super) fn certificates(&mut self, list: Vec<Spanned<CertificateField>>) -> Vec<Certificate> {
        let mut certificates: Vec<Certificate> = Vec::new();
        for field in list {
            let CertificateField { connect, server_name, file, .. } = &field.value;
            let at = match (connect, file) {
                (Some(connect), None) => match host_and_port(connect) {
                    Some((host, port)) => CertificateAt::Served { host, port, name: server_name.clone() },
                    None => {
                        let message = format!("`{connect}` is not a host and a port");
                        self.wrong(&field, message, Some("app.example.com:443, [2001:db8::1]:443"));
                        continue;
                    }
                },
                (None, Some(file)) if server_name.is_none() => CertificateAt::File(self.absolute(file)),
                (None, Some(_)) => {
                    self.wrong(
                        &field,
                        "`serverName` is for `connect`",
                        Some("leave it out of a certificate in a file"),
                    );
                    continue;
                }
                _ => {
                    let cure = "write `connect: HOST:PORT` or `file: PATH`";
                    self.wrong(&field, "a certificate is in exactly one place", Some(cure));
                    continue;
                }
            };
            if certificates.iter().any(|known| known.at == at) {
                self.wrong(&field, "this certificate is there twice", None);
            }
            let ca = field.value.ca.map(|ca| self.secret(ca));
            certificates.push(Certificate { at, ca });
        }
        certificates
    }
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = inner.unwrap_or(host);
    let odd = host.is_empty() || host.contains(['/', '@', ' ', '[', ']']) || inner.is_none() && host.contains(':');
    (!odd).then(|| (host.to_owned(), port))
}
