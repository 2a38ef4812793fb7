//! Object Lock: until when a version cannot be deleted.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};

use crate::model::{Key, Lock, LockMode, Timestamp, Version};
use crate::store::driver::{DriverError, Operation};
use crate::store::minio::answer::{accepted, text};
use crate::store::minio::{BASE64, Minio, value};
use crate::store::relock::{Relock, end_second, relock};

use base64::Engine as _;

const MODE: HeaderName = HeaderName::from_static("x-amz-object-lock-mode");
const UNTIL: HeaderName = HeaderName::from_static("x-amz-object-lock-retain-until-date");
const BYPASS: HeaderName = HeaderName::from_static("x-amz-bypass-governance-retention");
/// Of the body: this call is refused without it.
const MD5: HeaderName = HeaderName::from_static("content-md5");

/// Locks the object that is about to be written.
pub(super) fn add(headers: &mut HeaderMap, lock: &Lock) -> Result<(), DriverError> {
    headers.insert(MODE, value(mode(lock.mode))?);
    headers.insert(UNTIL, value(&seconds(lock.until))?);
    Ok(())
}

impl Minio {
    /// Asks for what is there before it asks for more.
    pub(super) async fn extend(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        let url = self.object(key, Some(version), &[])?;
        let found =
            accepted(Operation::Head, self.send(Method::HEAD, url, HeaderMap::new(), Bytes::new(), None).await?)
                .await?;
        let held = |name: &HeaderName| text(found.headers(), name.as_str());
        let strict = held(&MODE).filter(|held| *held == mode(LockMode::Compliance)).map(|_| LockMode::Compliance);
        let until = held(&UNTIL).and_then(|text| text.parse::<Timestamp>().ok());
        let Some(Relock { lock, upgrade }) = relock(strict, until, &lock) else { return Ok(()) };
        let body = Bytes::from(format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode>\
             <RetainUntilDate>{}</RetainUntilDate></Retention>",
            mode(lock.mode),
            seconds(lock.until)
        ));
        let mut headers = HeaderMap::new();
        headers.insert(MD5, value(&BASE64.encode(md5::compute(&body).0))?);
        if upgrade {
            headers.insert(BYPASS, value("true")?);
        }
        let url = self.object(key, Some(version), &[("retention", "")])?;
        accepted(Operation::ExtendLock, self.send(Method::PUT, url, headers, body, None).await?).await.map(drop)
    }
}

fn mode(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Governance => "GOVERNANCE",
        LockMode::Compliance => "COMPLIANCE",
    }
}

fn seconds(until: Timestamp) -> String {
    Timestamp::from_second(end_second(until)).unwrap_or(until).to_string()
}
