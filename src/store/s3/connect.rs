//! How a bucket is reached: endpoint, region, credentials, TLS and proxy.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_types::retry::RetryConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::model::{Addressing, BucketUrl};
use crate::store::driver::{DriverError, ErrorKind};
use crate::store::settings::{Credentials, StoreSettings};
use crate::store::trouble::Trouble;

/// Until a server, or the proxy before it, takes the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What servers take that have no regions.
const ANY_REGION: &str = "us-east-1";
/// As the SDK reads them, the more special first.
const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

pub(super) async fn client(url: &BucketUrl, settings: &StoreSettings) -> Result<Client, DriverError> {
    let http = http_client(settings.ca_pem.as_deref())?;
    let named = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = url.endpoint.clone().or_else(|| ENDPOINT_VARIABLES.iter().find_map(named));
    let region = region(url, &settings.credentials, endpoint.is_some(), &http).await;
    let region = region.ok_or_else(|| DriverError::new(ErrorKind::Other, Trouble::NoRegion))?;
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        .region(region.clone())
        .timeout_config(timeouts);
    let loader = match &settings.credentials {
        Credentials::Chain => loader,
        // The default chain would look at the environment first, and this was said more plainly.
        Credentials::Profile(name) => {
            let provider = ProviderConfig::without_region().with_region(Some(region)).with_http_client(http);
            let profile = ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(name).build();
            loader.profile_name(name).credentials_provider(profile)
        }
        Credentials::Keys { access_key, secret_key, session_token } => {
            let token = session_token.as_ref().map(|token| token.expose().clone());
            let keys = aws_credential_types::Credentials::new(
                access_key.expose().clone(),
                secret_key.expose().clone(),
                token,
                None,
                "policy",
            );
            loader.credentials_provider(SharedCredentialsProvider::new(keys))
        }
        Credentials::ServiceAccount(_) => {
            return Err(DriverError::new(ErrorKind::Other, "a service account is for Google's storage, not for S3"));
        }
    };
    let shared = loader.load().await;
    let custom = endpoint.is_some() || shared.endpoint_url().is_some();
    let path = match url.addressing {
        Some(addressing) => addressing == Addressing::Path,
        None => custom,
    };
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(path)
        .retry_config(RetryConfig::disabled())
        // The deadline of a call sees to it, and does not end an upload that is slow but alive.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // Each write brings its own SHA-256, and what is read is checked above; other servers refuse the SDK's extras.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(config.build()))
}

/// The address's, else what the environment or profile says. Servers other than Amazon's take any.
async fn region(url: &BucketUrl, credentials: &Credentials, custom: bool, http: &SharedHttpClient) -> Option<Region> {
    if let Some(region) = &url.region {
        return Some(Region::new(region.clone()));
    }
    let mut profile = ProfileFileRegionProvider::builder();
    if let Credentials::Profile(name) = credentials {
        profile = profile.profile_name(name);
    }
    let said = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile.build());
    if custom {
        // Nobody is asked: outside of Amazon's machines it is an address that does not answer.
        return said.or_else(Region::new(ANY_REGION)).region().await;
    }
    // As in the SDK's own chain, which brings no HTTP client along to ask the machine with, and panics.
    let machine = ProviderConfig::without_region().with_http_client(http.clone());
    said.or_else(ImdsRegionProvider::builder().configure(&machine).build()).region().await
}

/// TLS by ring, the system's authorities (`SSL_CERT_FILE`) and the one given, and the proxy variables.
fn http_client(ca_pem: Option<&str>) -> Result<SharedHttpClient, DriverError> {
    let mut trust = TrustStore::default();
    if let Some(pem) = ca_pem {
        // The client would panic at what it cannot read.
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        if !read.is_ok_and(|found| !found.is_empty()) {
            let message = "the store's authority (`tls.ca`) holds no certificate in PEM";
            return Err(DriverError::new(ErrorKind::Other, message));
        }
        trust = trust.with_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|error| DriverError::new(ErrorKind::Other, error))?;
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder()
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        builder.build()
    }))
}
