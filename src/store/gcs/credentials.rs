//! Who asks: Google's own client finds the credentials and keeps the token fresh.

use google_cloud_auth::credentials::service_account::AccessSpecifier;
use google_cloud_auth::credentials::{self, CacheableResource, Credentials, anonymous, service_account};
use google_cloud_auth::errors::CredentialsError;
use reqwest::RequestBuilder;

use crate::store::driver::{DriverError, ErrorKind};
use crate::store::http;
use crate::store::settings;

const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";

/// Adds the bearer token to requests.
pub(super) struct Bearer(Credentials);

impl Bearer {
    /// `elsewhere`: the endpoint is not Google's. Without any credentials such a one is asked without.
    pub fn find(wanted: &settings::Credentials, elsewhere: bool) -> Result<Self, DriverError> {
        http::use_ring();
        let refused = |cause: String| DriverError::new(ErrorKind::Denied, cause);
        let named = std::env::var_os("GOOGLE_APPLICATION_CREDENTIALS").is_some_and(|path| !path.is_empty());
        let built = match wanted {
            settings::Credentials::ServiceAccount(json) => {
                // The parser's message could quote the key.
                let key = serde_json::from_str(json.expose())
                    .map_err(|_| refused("the key of the service account is not JSON".into()))?;
                let scopes = AccessSpecifier::from_scopes([SCOPE]);
                service_account::Builder::new(key).with_access_specifier(scopes).build()
            }
            settings::Credentials::Chain if elsewhere && !named => {
                tracing::warn!("this endpoint is asked without credentials: it is not Google's, and none are given");
                Ok(anonymous::Builder::new().build())
            }
            settings::Credentials::Chain => credentials::Builder::default().with_scopes([SCOPE]).build(),
            settings::Credentials::Profile(_) | settings::Credentials::Keys { .. } => {
                return Err(refused("Google's storage takes a service account, not keys or a profile".into()));
            }
        };
        built.map(Self).map_err(|error| {
            refused(format!(
                "no credentials of Google's are usable ({error}): give GOOGLE_APPLICATION_CREDENTIALS, or \
                 repositories[].credentials in the policy"
            ))
        })
    }

    pub async fn sign(&self, request: RequestBuilder) -> Result<RequestBuilder, DriverError> {
        match self.0.headers(Default::default()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(request.headers(data)),
            // Only told to who names what it has, and nothing is named here.
            Ok(CacheableResource::NotModified) => Ok(request),
            Err(error) => Err(no_token(error)),
        }
    }
}

fn no_token(error: CredentialsError) -> DriverError {
    let kind = if error.is_transient() { ErrorKind::Unavailable } else { ErrorKind::Denied };
    DriverError::new(kind, error)
}
