//! What a failed call means for the caller, and what it tells a person.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::store::bucket::pause;
use crate::store::driver::{DriverError, ErrorKind, Operation};
use crate::store::s3_refusal::{Refused, meaning, printable};
use crate::store::silence::silence;
use crate::store::trouble::Trouble;

pub(super) fn failure<E>(operation: Operation, error: SdkError<E, HttpResponse>) -> DriverError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let Some(response) = error.raw_response() else { return no_answer(error) };
    let header = |name: &str| response.headers().get(name);
    let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
    // HEAD has no body; MinIO tells the reason in headers.
    let code = header("x-minio-error-code").or(meta.and_then(|meta| meta.code())).unwrap_or_default();
    let message = meta.and_then(|meta| meta.message()).or(header("x-minio-error-desc")).unwrap_or_default();
    let refused = Refused { status: response.status().as_u16(), code: code.into(), message: printable(message) };
    let region = header("x-amz-bucket-region").map(str::to_owned).or_else(|| region_named(response.body().bytes()));
    let retry_after = header("retry-after").and_then(|asked| pause(asked, header("date")));
    let marker = header("x-amz-delete-marker") == Some("true");
    DriverError { retry_after, ..meaning(operation, refused, region, marker) }
}

/// What `AuthorizationHeaderMalformed` says between its lines.
fn region_named(body: Option<&[u8]>) -> Option<String> {
    let text = std::str::from_utf8(body?).ok()?;
    let (region, _) = text.split_once("<Region>")?.1.split_once("</Region>")?;
    Some(region.to_owned())
}

/// No server answered: why not, as far as the causes say.
fn no_answer<E>(error: SdkError<E, HttpResponse>) -> DriverError
where
    E: Error + Send + Sync + 'static,
{
    let timed_out = matches!(error, SdkError::TimeoutError(_))
        || matches!(&error, SdkError::DispatchFailure(failure) if failure.is_timeout());
    let built = matches!(error, SdkError::ConstructionFailure(_));
    let source = match error.into_source() {
        Ok(source) => source,
        Err(error) => error.into(),
    };
    let (trouble, kind) = match without_credentials(source.as_ref()).or_else(|| silence(source.as_ref())) {
        Some((trouble, kind)) => (trouble, kind),
        None if timed_out => (Trouble::Slow, ErrorKind::Unavailable),
        None if built => return DriverError::new(ErrorKind::Other, source),
        None => return DriverError::new(ErrorKind::Unavailable, source),
    };
    trouble.because(kind, source)
}

/// Whoever hands credentials out is asked before the server is.
fn without_credentials(error: &(dyn Error + 'static)) -> Option<(Trouble, ErrorKind)> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<CredentialsError>() {
            // It did not answer in time: perhaps next time.
            Some(CredentialsError::ProviderTimedOut(_)) => {
                return Some((Trouble::NoCredentials, ErrorKind::Unavailable));
            }
            Some(_) => return Some((Trouble::NoCredentials, ErrorKind::Denied)),
            None => next = error.source(),
        }
    }
    None
}
