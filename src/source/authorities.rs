//! Whom this machine believes.

use std::path::PathBuf;

/// Where distributions keep the authorities that the machine trusts.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The system's trusted authorities as one PEM file; `SSL_CERT_FILE` overrides.
pub(in crate::source) fn system_bundle() -> Option<PathBuf> {
    let own = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    own.into_iter().chain(SYSTEM_BUNDLES.map(PathBuf::from)).find(|path| path.is_file())
}
