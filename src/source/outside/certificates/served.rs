//! The chain that a server shows, whatever one thinks of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::context::Context;
use crate::model::{FailureClass, SourceFailure};

/// From the first packet to the end of the handshake.
const LIMIT: Duration = Duration::from_secs(10);

type Chain = Vec<CertificateDer<'static>>;

pub async fn chain(
    host: &str,
    port: u16,
    name: ServerName<'static>,
    subject: &str,
    _: &Context,
) -> Result<Chain, SourceFailure> {
    let failed = |message: String| {
        SourceFailure::new(FailureClass::Unreachable, subject, message)
            .cure("see that it runs, speaks TLS from the first byte on, and can be reached from here")
    };
    let shown = Arc::new(Shown { chain: Mutex::default(), provider: Arc::new(ring::default_provider()) });
    let config = ClientConfig::builder_with_provider(shown.provider.clone()).with_safe_default_protocol_versions();
    let config = config
        .map_err(|error| SourceFailure::new(FailureClass::Internal, subject, error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(shown.clone())
        .with_no_client_auth();
    let handshake = async {
        let stream = TcpStream::connect((host, port)).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map(drop)
    };
    let ended = timeout(LIMIT, handshake).await;
    // Whoever wants a certificate of ours has shown its own before.
    let chain = std::mem::take(&mut *shown.chain.lock().unwrap_or_else(PoisonError::into_inner));
    match ended {
        _ if !chain.is_empty() => Ok(chain),
        Ok(Ok(())) => Err(failed("shows no certificate".into())),
        Ok(Err(error)) => Err(failed(format!("cannot be asked: {error}"))),
        Err(_) => Err(failed(format!("does not show a certificate within {} s", LIMIT.as_secs()))),
    }
}

/// Notes what is shown. Whether it is believed is judged later: one that is not is what a person wants to know of.
#[derive(Debug)]
struct Shown {
    chain: Mutex<Chain>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|der| der.clone().into_owned());
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
