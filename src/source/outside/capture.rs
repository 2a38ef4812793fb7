//! Everything is looked at at once, before the first byte of it is passed on: a stream that has begun is whole.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use serde_json::json;

use crate::context::Context;
use crate::model::{CaptureItem, CaptureSummary, Consistency, FailureClass, SourceFailure, SourceStream};
use crate::source::outside::records::Items;
use crate::source::outside::{Failures, Look, MEDIA_RECORDS, OutsideSource, Record, Seen};
use crate::source::{Capture, Probe};

/// Bytes that a record roughly has.
const RECORD_BYTES: u64 = 512;

pub(super) async fn probe(looks: &[Box<dyn Look>], cx: &Context) -> Probe {
    let reached = join_all(looks.iter().map(|look| look.reach(cx))).await;
    let mut findings = Vec::new();
    let mut failures = Failures::default();
    for found in reached {
        findings.extend(failures.note(found).unwrap_or_default());
    }
    findings.extend(failures.findings());
    Probe {
        version: "recorded, not copied".into(),
        estimate_bytes: RECORD_BYTES * looks.len() as u64,
        streams: looks.iter().map(|look| look.stream().to_owned()).collect(),
        findings,
    }
}

/// All of it, or a failure that names all that could not be looked at.
async fn see(looks: &[Box<dyn Look>], cx: &Context) -> Result<Vec<(&'static str, Seen)>, SourceFailure> {
    let seen = tokio::select! {
        biased;
        () = cx.cancel.cancelled() => return Err(SourceFailure::new(FailureClass::Cancelled, "outside", "interrupted")),
        seen = join_all(looks.iter().map(|look| look.look(cx))) => seen,
    };
    let mut failures = Failures::default();
    let mut all = Vec::new();
    for (look, seen) in looks.iter().zip(seen) {
        all.extend(failures.note(seen).map(|seen| (look.stream(), seen)));
    }
    failures.finish()?;
    Ok(all)
}

pub(super) async fn capture(looks: &[Box<dyn Look>], cx: &Context) -> Result<Capture, SourceFailure> {
    let from = cx.clock.now();
    let all = see(looks, cx).await?;
    let to = cx.clock.now();
    let (mut streams, mut counted) = (Vec::new(), BTreeMap::new());
    for (name, Seen { records, findings }) in all {
        for finding in findings {
            cx.found(finding);
        }
        counted.insert(name, records.len());
        let items = items(name, records)?;
        streams.push(Ok(CaptureItem::Stream(SourceStream { name: name.into(), media: MEDIA_RECORDS.into(), items })));
    }
    let looked_at: Vec<&str> = counted.keys().copied().collect();
    let commands = vec![format!("look at {}", looked_at.join(", "))];
    streams.push(Ok(CaptureItem::End(CaptureSummary {
        consistency: Consistency { kind: "record".into(), from, to, marker: None },
        properties: json!({ "format": 1, "records": counted }),
        commands,
        stderr: String::new(),
    })));
    Ok(stream::iter(streams).boxed())
}

/// The records as they are stored: what the parser of the stored stream makes of them.
fn items(name: &str, mut records: Vec<Record>) -> Result<Items, SourceFailure> {
    records.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    let twice = records.windows(2).find(|pair| matches!(pair, [a, b] if a.kind == b.kind && a.name == b.name));
    if let Some([record, ..]) = twice {
        let message = format!("{} {} was seen twice", record.kind, record.name);
        return Err(SourceFailure::new(FailureClass::Internal, format!("stream {name}"), message));
    }
    let lines: Vec<Result<Bytes, SourceFailure>> = records.iter().map(|record| Ok(record.line())).collect();
    Ok(super::split(name.to_owned(), stream::iter(lines).boxed()))
}

/// What is outside now, stream by stream, and what was found beside it.
pub type LiveRecords = (BTreeMap<String, Items>, Vec<crate::model::Finding>);

pub async fn live(source: &OutsideSource, cx: &Context) -> Result<LiveRecords, SourceFailure> {
    let (mut streams, mut found) = (BTreeMap::new(), Vec::new());
    for (name, Seen { records, findings }) in see(&source.looks, cx).await? {
        streams.insert(name.to_owned(), items(name, records)?);
        found.extend(findings);
    }
    Ok((streams, found))
}
