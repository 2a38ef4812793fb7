//! The signature of a request (AWS Signature Version 4), in its headers.

use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use s3::Region;
use s3::error::S3Error;
use s3::signing;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::Timestamp;
use crate::store::driver::{DriverError, ErrorKind};
use crate::store::minio::credentials::Keys;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// SHA-256 of the body in hexadecimal: the server refuses another body, whatever lies between.
pub(super) const BODY_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Signs requests to one server with one pair of keys.
#[derive(Debug)]
pub(super) struct Signer {
    keys: Keys,
    region: Region,
}

impl Signer {
    pub fn new(keys: Keys, region: &str) -> Self {
        // Only the name is asked of it here; where requests go is ours to say.
        Self { keys, region: Region::Custom { region: region.into(), endpoint: String::new() } }
    }

    /// Adds what the server checks. Every header set before is part of it, so that none can be taken away on the way:
    /// without `If-None-Match` a write would replace what is there.
    pub fn sign(
        &self,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
        body_sha256: &str,
        now: Timestamp,
    ) -> Result<(), DriverError> {
        let wrong = |error| DriverError::new(ErrorKind::Other, Unsigned(error));
        self.try_sign(method, url, headers, body_sha256, now).map_err(wrong)
    }

    fn try_sign(
        &self,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
        body_sha256: &str,
        now: Timestamp,
    ) -> Result<(), S3Error> {
        headers.insert(HOST, HeaderValue::from_str(&authority(url))?);
        headers.insert(DATE, HeaderValue::from_str(&now.strftime("%Y%m%dT%H%M%SZ").to_string())?);
        headers.insert(BODY_SHA256, HeaderValue::from_str(body_sha256)?);
        if let Some(token) = &self.keys.token {
            headers.insert(TOKEN, secret(token.expose())?);
        }
        let at = (SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_second().unsigned_abs())).into();
        let request = signing::canonical_request(method.as_str(), url, headers, body_sha256)?;
        let text = signing::string_to_sign(&at, &self.region, &request)?;
        let key = signing::signing_key(&at, self.keys.secret.expose(), &self.region, "s3")?;
        let signed = signing::signed_header_string(headers);
        let value = signing::authorization_header(
            self.keys.access.expose(),
            &at,
            &self.region,
            &signed,
            &hex_mac(&key, &text),
        )?;
        headers.insert(AUTHORIZATION, secret(&value)?);
        Ok(())
    }
}

/// A request could not be put together. What rust-s3 says of it stays out of sight: it may quote what it signed.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be signed")]
struct Unsigned(#[source] S3Error);

/// As the client will send it: without the port that the scheme implies.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Not printed by the debug log of the HTTP client.
fn secret(text: &str) -> Result<HeaderValue, S3Error> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn hex_mac(key: &[u8], text: &str) -> String {
    // HMAC itself fills a short key up with zeros; doing it here leaves nothing that could fail.
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(slot, byte)| *slot = *byte);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}
