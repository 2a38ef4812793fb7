//! Who asks: Google's own client finds the credentials and keeps the token fresh.

use google_cloud_auth::credentials::service_account::AccessSpecifier;
use google_cloud_auth::credentials::{self, CacheableResource, Credentials, anonymous, service_account};
use google_cloud_auth::errors::CredentialsError;
use reqwest::RequestBuilder;

use crate::store::driver::{DriverError, ErrorKind};
use crate::store::http;
use crate::store::settings::{self, StoreSettings};
use crate::store::silence::silence;
use crate::store::trouble::{Trouble, chain};

/// Where Google's machines hand out tokens.
const METADATA: &str = "/computeMetadata/";
const READ_WRITE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// For a change of retention. What may be done is still for IAM to say.
const FULL_CONTROL: &str = "https://www.googleapis.com/auth/devstorage.full_control";

/// Adds the bearer token to requests.
pub(super) struct Bearer(Credentials);

impl Bearer {
    /// `elsewhere`: the endpoint is not Google's. Without any credentials such a one is asked without.
    pub fn find(settings: &StoreSettings, elsewhere: bool) -> Result<Self, DriverError> {
        http::use_ring();
        let scope = if settings.lock.is_some() { FULL_CONTROL } else { READ_WRITE };
        let refused = |cause: String| Trouble::NoCredentials.because(ErrorKind::Denied, cause);
        let named = std::env::var_os("GOOGLE_APPLICATION_CREDENTIALS").is_some_and(|path| !path.is_empty());
        let built = match &settings.credentials {
            settings::Credentials::ServiceAccount(json) => {
                // The parser's message could quote the key.
                let key = serde_json::from_str(json.expose())
                    .map_err(|_| refused("the key of the service account is not JSON".into()))?;
                let scopes = AccessSpecifier::from_scopes([scope]);
                service_account::Builder::new(key).with_access_specifier(scopes).build()
            }
            settings::Credentials::Chain if elsewhere && !named => {
                tracing::warn!("this endpoint is asked without credentials: it is not Google's, and none are given");
                Ok(anonymous::Builder::new().build())
            }
            settings::Credentials::Chain => credentials::Builder::default().with_scopes([scope]).build(),
            settings::Credentials::Profile(_) | settings::Credentials::Keys { .. } => {
                return Err(refused("Google's storage takes a service account, not keys or a profile".into()));
            }
        };
        built.map(Self).map_err(|error| {
            let said = error.to_string();
            refused(said.split(". ").next().unwrap_or_default().to_owned())
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

/// Who hands out tokens did not. Its address is none of a signed kind, and names who was asked.
fn no_token(error: CredentialsError) -> DriverError {
    let why = chain(&error);
    let kind = if error.is_transient() { ErrorKind::Unavailable } else { ErrorKind::Denied };
    if why.contains(METADATA) {
        // Only asked when nothing else was found, and only there on Google's machines. It may be back soon.
        let last = why.rsplit(": ").next().unwrap_or_default();
        let nothing = "no GOOGLE_APPLICATION_CREDENTIALS, no login by gcloud, and no account of this machine";
        return Trouble::NoCredentials.because(kind, format!("{nothing}: {last}"));
    }
    if let Some((trouble, kind)) = silence(&error) {
        return trouble.because(kind, error);
    }
    meaning(&why).because(kind, error)
}

/// What a refused exchange says, in the words of OAuth.
fn meaning(why: &str) -> Trouble {
    let why = why.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    match () {
        () if says(&["timeframe", "iat and exp"]) => Trouble::Clock,
        () if says(&["invalid jwt signature"]) => Trouble::WrongSecret,
        () if says(&["account not found", "invalid_client"]) => Trouble::UnknownKey,
        () if says(&["invalid_grant", "expired", "revoked"]) => Trouble::Expired,
        () => Trouble::NoCredentials,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Google's token endpoint words them.
    #[test]
    fn a_refused_exchange_has_its_reason() {
        for (said, trouble) in [
            (
                r#"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values"}"#,
                Trouble::Clock,
            ),
            (r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#, Trouble::WrongSecret),
            (
                r#"{"error":"invalid_grant","error_description":"Invalid grant: account not found"}"#,
                Trouble::UnknownKey,
            ),
            (r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#, Trouble::Expired),
            ("no idea", Trouble::NoCredentials),
        ] {
            assert_eq!(meaning(said), trouble, "{said}");
        }
    }
}
