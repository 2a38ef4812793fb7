//! Whether a visitor would believe a chain, and why not. The reason is the same every day: no time is in it.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use crate::model::{FailureClass, SourceFailure};
use crate::secret::SecretRef;
use crate::source::authorities::system_bundle;

/// The authorities of that reference, else the system's.
pub fn roots(ca: Option<&SecretRef>, subject: &str) -> Result<RootCertStore, SourceFailure> {
    let failed = |message: String| {
        SourceFailure::new(FailureClass::Configuration, subject, message)
            .cure("name the authority with `ca` (a PEM file), or install ca-certificates")
    };
    let (text, from) = match ca {
        Some(reference) => {
            let text = reference.resolve().map_err(|error| {
                let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
                failed(format!("the authority: {error}{cause}"))
            })?;
            (text.expose().clone(), reference.to_string())
        }
        None => {
            let none = || failed("this machine has no list of trusted certificate authorities".into());
            let path = system_bundle().ok_or_else(none)?;
            (std::fs::read_to_string(&path).map_err(|_| none())?, format!("file {}", path.display()))
        }
    };
    let mut roots = RootCertStore::empty();
    // A list of the system may hold one that is not taken here.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(text.as_bytes()).filter_map(Result::ok));
    if roots.is_empty() { Err(failed(format!("{from} holds no certificate of an authority"))) } else { Ok(roots) }
}

/// Who judges.
pub struct Trust<'a> {
    pub roots: &'a RootCertStore,
    /// None: whatever it is for.
    pub name: Option<&'a ServerName<'static>>,
    /// Seconds since 1970.
    pub now: i64,
}

impl Trust<'_> {
    /// Why; none: it is believed.
    pub fn refuses(&self, chain: &[CertificateDer<'_>]) -> Option<String> {
        let Some((leaf, further)) = chain.split_first() else { return Some("is empty".into()) };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(self.now.unsigned_abs()));
        let judged = ParsedCertificate::try_from(leaf).and_then(|leaf| {
            let algorithms = ring::default_provider().signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&leaf, self.roots, further, now, algorithms)?;
            self.name.map_or(Ok(()), |name| verify_server_name(&leaf, name))
        });
        judged.err().map(|error| self.why(&error))
    }

    fn why(&self, error: &Error) -> String {
        let name = self.name.map_or("that name".into(), ServerName::to_str);
        let Error::InvalidCertificate(error) = error else { return format!("cannot be judged: {error}") };
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "has expired, or one of its chain".into()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet".into(),
            CertificateError::UnknownIssuer => "is signed by nobody who is believed here".into(),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("is not for {name}")
            }
            CertificateError::BadSignature => {
                "is not signed by the authority of that name that is believed here".into()
            }
            CertificateError::BadEncoding => "is not written as a certificate is".into(),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "is not for servers".into()
            }
            CertificateError::Revoked => "was revoked".into(),
            other => format!("is refused: {other}"),
        }
    }
}
