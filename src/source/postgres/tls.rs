//! The four TLS modes, with rustls doing what libpq does under the same names.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::model::{FailureClass, SourceFailure};
use crate::source::authorities::system_bundle;
use crate::source::postgres::connect::unresolved;
use crate::source::postgres::failure::chain;
use crate::source::postgres::settings::{ConnectSettings, Credential, TlsMode};

pub(super) fn client_config(settings: &ConnectSettings) -> Result<ClientConfig, SourceFailure> {
    let provider = Arc::new(ring::default_provider());
    let broken = |error: &dyn std::error::Error| {
        let message = format!("cannot set up TLS: {}", chain(error));
        SourceFailure::new(FailureClass::Configuration, settings.subject(), message)
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(&error))?;
    let builder = match settings.tls.mode {
        TlsMode::VerifyFull => {
            let roots = Arc::new(roots(settings)?);
            let verifier =
                WebPkiServerVerifier::builder_with_provider(roots, provider).build().map_err(|error| broken(&error))?;
            builder.with_webpki_verifier(verifier)
        }
        TlsMode::VerifyCa => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Weaker { roots: Some(roots(settings)?), provider })),
        TlsMode::Require | TlsMode::Disable => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Weaker { roots: None, provider }))
        }
    };
    match (&settings.tls.cert, &settings.tls.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(settings, "certificate", &text(settings, "certificate", cert)?)?;
            let key = text(settings, "key of the certificate", key)?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| broken(&error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| broken(&error))
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        _ => Err(SourceFailure::new(
            FailureClass::Configuration,
            settings.subject(),
            "tls needs `cert` and `key` together",
        )),
    }
}

fn roots(settings: &ConnectSettings) -> Result<RootCertStore, SourceFailure> {
    let (pem, own) = match &settings.tls.ca {
        Some(ca) => (text(settings, "certificate authority", ca)?, true),
        None => {
            let missing = || {
                let message = "this machine has no list of trusted certificate authorities";
                SourceFailure::new(FailureClass::Configuration, settings.subject(), message)
                    .cure("name the server's authority with `tls.ca` (sslrootcert), or install ca-certificates")
            };
            let path = system_bundle().ok_or_else(missing)?;
            (std::fs::read_to_string(path).map_err(|_| missing())?, false)
        }
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(settings, "certificate authority", &pem)? {
        match roots.add(certificate) {
            Ok(()) => (),
            // The system's list may hold something that rustls does not take; our own must not.
            Err(error) if own => {
                let message = format!("cannot use the certificate authority: {error}");
                return Err(SourceFailure::new(FailureClass::Configuration, settings.subject(), message));
            }
            Err(_) => (),
        }
    }
    Ok(roots)
}

fn certificates(
    settings: &ConnectSettings,
    what: &str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, SourceFailure> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(list) if !list.is_empty() => Ok(list),
        _ => {
            let message = format!("the {what} is not a PEM certificate");
            Err(SourceFailure::new(FailureClass::Configuration, settings.subject(), message))
        }
    }
}

fn text(settings: &ConnectSettings, what: &str, given: &Credential) -> Result<String, SourceFailure> {
    let secret = given.resolve().map_err(|error| unresolved(settings, what, &error))?;
    Ok(secret.expose().clone())
}

/// `require` (no roots: anybody) and `verify-ca` (a trusted chain under any name).
///
/// Where anybody is accepted, the handshake's signature proves nothing that matters, and checking it would refuse the
/// certificates of X.509 version 1 that following PostgreSQL's own manual gives.
#[derive(Debug)]
struct Weaker {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Weaker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let cert = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&cert, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.roots {
            Some(_) => verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.roots {
            Some(_) => verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
