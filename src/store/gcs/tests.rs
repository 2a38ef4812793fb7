//! What an answer means, without a server.

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

use super::answer::meaning;
use super::*;
use crate::store::trouble::Trouble;

fn means(asked: Asked, status: u16, message: &str, reason: &str) -> (ErrorKind, Option<Trouble>) {
    let error = meaning(asked, StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), message, reason);
    (error.kind, Trouble::find(error.source.as_ref()).cloned())
}

#[test]
fn each_answer_means_one_thing() {
    use ErrorKind::{AlreadyExists, Denied, NotFound, Other, Unavailable};
    let missing = "The specified bucket does not exist.";
    let create = "x@y does not have storage.objects.create access to the Google Cloud Storage object.";
    let anonymous = "Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object.";
    let off = "Object Retention is not enabled on this bucket.";
    for (asked, status, message, reason, kind, trouble) in [
        (Asked::Read, 404, "No such object: b/o", "notFound", NotFound, None),
        (Asked::Read, 404, missing, "notFound", Other, Some(Trouble::BucketMissing)),
        (Asked::Bucket, 404, "Not Found", "notFound", Other, Some(Trouble::BucketMissing)),
        (Asked::Create, 404, "Not Found", "notFound", Other, Some(Trouble::BucketMissing)),
        (Asked::Create, 412, "conditionNotMet", "conditionNotMet", AlreadyExists, None),
        (Asked::Lock, 412, "conditionNotMet", "conditionNotMet", Unavailable, None),
        (Asked::Create, 403, create, "forbidden", Denied, Some(Trouble::Denied)),
        (Asked::Read, 401, anonymous, "required", Denied, Some(Trouble::NoCredentials)),
        (Asked::Read, 401, "Invalid Credentials", "authError", Denied, Some(Trouble::Expired)),
        (Asked::Create, 403, "Rate Limit Exceeded", "rateLimitExceeded", Unavailable, None),
        (Asked::Create, 400, off, "invalid", Other, Some(Trouble::NoLocks)),
        (Asked::Lock, 403, "under active retention", "retentionPolicyNotMet", Denied, Some(Trouble::Locked)),
        (Asked::Delete, 403, "is under active Retention", "forbidden", Denied, Some(Trouble::Locked)),
        (Asked::Delete, 403, "no access", "forbidden", Denied, Some(Trouble::Denied)),
        (Asked::Create, 400, "Provided CRC32C does not match", "invalid", Unavailable, Some(Trouble::BodyDiffers)),
        (Asked::Read, 429, "", "", Unavailable, None),
        (Asked::Read, 503, "Backend Error", "backendError", Unavailable, None),
        (Asked::Read, 501, "", "", Other, None),
    ] {
        assert_eq!(means(asked, status, message, reason), (kind, trouble), "{asked:?} {status} {message}");
    }
}

#[test]
fn a_permission_is_named_and_a_wait_is_kept() {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
    let error = meaning(Asked::Create, StatusCode::FORBIDDEN, &headers, "x lacks storage.objects.create", "forbidden");
    assert_eq!(error.retry_after.unwrap().as_secs(), 7);
    headers.insert(reqwest::header::DATE, HeaderValue::from_static("Tue, 24 Nov 2020 13:00:00 GMT"));
    let late = meaning(Asked::Read, StatusCode::UNAUTHORIZED, &headers, "Invalid Credentials", "authError");
    assert_eq!(Trouble::find(late.source.as_ref()), Some(&Trouble::Clock));
    let words = std::error::Error::source(error.source.as_ref()).unwrap().to_string();
    assert!(words.contains("storage.objects.create"), "{words}");
}
