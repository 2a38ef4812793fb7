//! What the drivers of buckets have in common.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, Stream};
use futures::{StreamExt, TryStreamExt};

use crate::model::{BucketUrl, Key, ObjectInfo};
use crate::store::driver::{DriverError, ErrorKind};
use crate::store::features::Answer;
use crate::store::trouble::{Trouble, chain};

/// Until a server, or the proxy before it, takes the connection.
pub(in crate::store) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one call, from its first byte to the last of the answer: 8 MiB at 64 KiB/s.
pub(in crate::store) const CALL_TIMEOUT: Duration = Duration::from_secs(128);
/// What servers take that have no regions.
#[cfg(any(feature = "s3", feature = "minio"))]
pub(in crate::store) const ANY_REGION: &str = "us-east-1";

/// What was given as an authority is none.
#[derive(Debug, thiserror::Error)]
#[error("the store's authority (`tls.ca`) holds no certificate in PEM")]
pub(in crate::store) struct NoCertificate;

/// Where in its bucket a repository lies: all names begin with it.
#[derive(Debug)]
pub(in crate::store) struct Below(String);

impl Below {
    pub fn new(url: &BucketUrl) -> Self {
        Self(if url.prefix.is_empty() { String::new() } else { format!("{}/", url.prefix) })
    }

    /// The key as the bucket knows it.
    pub fn name(&self, key: &str) -> String {
        format!("{}{key}", self.0)
    }

    /// What of the bucket's name is ours.
    pub fn inside<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.0)
    }

    /// The key of a listed name. None: what others put there, which is no object of ours.
    pub fn listed(&self, name: &str) -> Result<Option<Key>, DriverError> {
        let Some(key) = self.inside(name) else {
            return Err(odd(format!("a list below `{}` has `{name}` in it", self.0)));
        };
        let Ok(key) = Key::new(key) else {
            tracing::warn!(key, "an object whose name cannot be ours lies in the repository; it is ignored");
            return Ok(None);
        };
        Ok(Some(key))
    }
}

/// The server did what was asked, but its answer is not what the protocol says.
pub(in crate::store) fn odd(what: impl Into<String>) -> DriverError {
    DriverError::new(ErrorKind::Other, format!("the server's answer makes no sense: {}", what.into()))
}

/// A list is whole before its first row is told: only then its order is known.
pub(in crate::store) fn rows(
    list: impl Future<Output = Result<Vec<ObjectInfo>, DriverError>> + Send + 'static,
) -> BoxStream<'static, Result<ObjectInfo, DriverError>> {
    stream::once(list).map_ok(|rows| stream::iter(rows.into_iter().map(Ok))).try_flatten().boxed()
}

/// What is not there need not be deleted: an earlier try whose answer was lost, or another collector, did it.
pub(in crate::store) fn gone(deleted: Result<(), DriverError>) -> Result<(), DriverError> {
    deleted.or_else(|error| if error.kind == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// What `Retry-After` asks for: seconds, or a moment by the server's own clock, which `Date` tells (RFC 9110, 10.2.3).
pub(in crate::store) fn pause(retry_after: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = retry_after.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = |text: &str| jiff::fmt::rfc2822::parse(text.trim()).ok().map(|moment| moment.timestamp());
    moment(retry_after)?.duration_since(moment(date?)?).try_into().ok()
}

/// The whole body, if it has at most `max_bytes`. Of a longer one no more is read than that.
pub(in crate::store) async fn whole(
    announced_bytes: Option<u64>,
    max_bytes: u64,
    parts: impl Stream<Item = Result<Bytes, DriverError>>,
) -> Result<Bytes, DriverError> {
    if announced_bytes.is_some_and(|bytes| bytes > max_bytes) {
        return Err(ErrorKind::TooLarge.into());
    }
    let mut body = BytesMut::with_capacity(usize::try_from(announced_bytes.unwrap_or_default()).unwrap_or_default());
    let mut parts = pin!(parts);
    while let Some(part) = parts.try_next().await? {
        if (body.len() + part.len()) as u64 > max_bytes {
            return Err(ErrorKind::TooLarge.into());
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

/// What a bucket said to one question about itself. `right` is what this role's key lacks, if it may not ask.
pub(in crate::store) fn answer(said: Result<bool, DriverError>, right: &str) -> Result<Answer, DriverError> {
    match said {
        Ok(yes) => Ok(Answer::of(yes)),
        Err(error) if Trouble::find(error.source.as_ref()) == Some(&Trouble::NoLocks) => Ok(Answer::No),
        // Trying again, or other keys, may help: that is for the caller.
        Err(error) if error.kind == ErrorKind::Unavailable => Err(error),
        Err(error) => match Trouble::find(error.source.as_ref()) {
            Some(Trouble::Denied) => Ok(Answer::Unknown(format!("this key may not ask ({right})"))),
            None => Ok(Answer::Unknown(chain(error.source.as_ref()))),
            Some(_) => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_moment_by_the_servers_clock() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for (retry_after, date, seconds) in [
            ("7", None, Some(7)),
            (" 0 ", date, Some(0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", date, Some(30)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", None, None),
            ("Sun, 06 Nov 1994 08:49:07 GMT", date, None),
            ("soon", date, None),
        ] {
            assert_eq!(pause(retry_after, date), seconds.map(Duration::from_secs), "{retry_after}");
        }
    }
}
