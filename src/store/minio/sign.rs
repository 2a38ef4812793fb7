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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sha256;
    use crate::secret::Secret;

    /// The first example of Amazon's own page on signatures in headers.
    #[test]
    fn the_signature_is_the_one_that_amazon_prints() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let keys = |token: Option<&str>| Keys {
            access: secret("AKIAIOSFODNN7EXAMPLE"),
            secret: secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            token: token.map(secret),
        };
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
        let sign = |keys: Keys| {
            let mut headers = HeaderMap::new();
            headers.insert(reqwest::header::RANGE, HeaderValue::from_static("bytes=0-9"));
            let (body, now) = (sha256(b"").to_string(), "2013-05-24T00:00:00Z".parse().unwrap());
            Signer::new(keys, "us-east-1").sign(&Method::GET, &url, &mut headers, &body, now).unwrap();
            headers
        };
        let headers = sign(keys(None));
        let signed = headers[AUTHORIZATION].to_str().unwrap();
        assert!(
            signed.ends_with("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            "{signed}"
        );
        let headers = sign(keys(Some("canary")));
        assert!(headers[AUTHORIZATION].to_str().unwrap().contains("x-amz-security-token"));
        let shown = format!("{headers:?} {:?}", Signer::new(keys(Some("canary")), "eu"));
        assert!(!shown.contains("canary") && !shown.contains("bPxRfi") && !shown.contains("Signature"), "{shown}");
    }

    #[test]
    fn the_host_is_signed_as_it_is_sent() {
        for (url, host) in [
            ("https://minio:443/b/", "minio"),
            ("https://minio:9000/b/", "minio:9000"),
            ("http://minio:80/b/", "minio"),
            ("http://minio:443/b/", "minio:443"),
            ("http://[::1]:9000/b/", "[::1]:9000"),
        ] {
            assert_eq!(authority(&Url::parse(url).unwrap()), host);
        }
    }
}
