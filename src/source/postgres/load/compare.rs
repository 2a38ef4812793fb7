//! Holds what was loaded against what was captured.

use crate::context::Context;
use crate::model::{FailureClass, SourceFailure, StreamDetail};
use crate::source::postgres::load::session::{Session, get};
use crate::source::postgres::{ConnectSettings, database};

/// Counts the rows of every table that the capture counted. Returns their sum; any difference is a failure.
pub(super) async fn rows(
    settings: &ConnectSettings,
    name: &str,
    stream: &StreamDetail,
    cx: &Context,
) -> Result<u64, SourceFailure> {
    let session = Session::open(settings, name, cx).await?;
    let mut total = 0;
    for part in stream.parts.iter().filter(|part| part.name.starts_with('"')) {
        let Some(captured) = part.rows else { continue };
        let counted = session.rows(&format!("SELECT count(*) FROM ONLY {}", part.name), &[], "counting rows").await?;
        let counted: i64 = counted.first().map_or(Ok(0), |row| get(row, 0))?;
        if counted.unsigned_abs() != captured {
            let message = format!("table {} has {counted} rows after loading, {captured} were captured", part.name);
            return Err(SourceFailure::new(FailureClass::Different, database(name), message));
        }
        total += captured;
    }
    Ok(total)
}
