//! Object Lock: until when a version cannot be deleted.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};

use crate::model::{Key, Lock, LockMode, Timestamp, Version};
use crate::store::driver::DriverError;
use crate::store::minio::answer::{accepted, text};
use crate::store::minio::{BASE64, Minio, value};

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
    /// Asks first: a server that lets its lock be shortened would do so here.
    pub(super) async fn extend(&self, key: &Key, version: &Version, lock: Lock) -> Result<(), DriverError> {
        let url = self.object(key, Some(version), &[])?;
        let found = accepted(self.send(Method::HEAD, url, HeaderMap::new(), Bytes::new(), None).await?).await?;
        let strict = text(found.headers(), MODE.as_str()) == Some(mode(LockMode::Compliance));
        let until = text(found.headers(), UNTIL.as_str()).and_then(|text| text.parse::<Timestamp>().ok());
        // What nobody can take back is not asked to become weaker.
        let wanted = if strict { LockMode::Compliance } else { lock.mode };
        let upgrade = !strict && until.is_some() && lock.mode == LockMode::Compliance;
        if !upgrade && until.is_some_and(|until| until >= lock.until) {
            return Ok(());
        }
        let until = until.map_or(lock.until, |until| until.max(lock.until));
        let body = Bytes::from(format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode>\
             <RetainUntilDate>{}</RetainUntilDate></Retention>",
            mode(wanted),
            seconds(until)
        ));
        let mut headers = HeaderMap::new();
        headers.insert(MD5, value(&BASE64.encode(md5::compute(&body).0))?);
        if upgrade {
            // Servers see a change of GOVERNANCE as a way around it, even to more. The time is not shortened: see above.
            headers.insert(BYPASS, value("true")?);
        }
        let url = self.object(key, Some(version), &[("retention", "")])?;
        accepted(self.send(Method::PUT, url, headers, body, None).await?).await.map(drop)
    }
}

fn mode(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Governance => "GOVERNANCE",
        LockMode::Compliance => "COMPLIANCE",
    }
}

/// Without fractions, which some servers refuse; rounded up, so that no lock ends early.
fn seconds(time: Timestamp) -> String {
    let up = time.as_second() + i64::from(time.subsec_nanosecond() > 0);
    Timestamp::from_second(up).unwrap_or(time).to_string()
}
