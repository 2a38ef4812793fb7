//! `lifeboat cat`: the plain bytes of one stream, checked on the way.

use crate::context::Context;
use crate::job::JobError;
use crate::job::nearest::{Nearest, Wanted, nearest};
use crate::job::types::{CatRequest, CatStream};
use crate::source::cluster::{MEDIA_OBJECTS, export};

pub async fn run(request: CatRequest, cx: &Context) -> Result<CatStream, JobError> {
    let CatRequest { place, copies, backup, source, .. } = &request;
    // One copy is read as it is; which of several is whole, is asked before the first byte.
    let whole = !copies.is_empty();
    let wanted = Wanted { place, copies, backup, source, whole };
    let found = tokio::select! {
        biased;
        () = cx.cancel.cancelled() => return Err(JobError::interrupted()),
        found = nearest(&wanted, Vec::new(), cx) => found?,
    };
    let Nearest { url, backup, reader, findings, next, .. } = found;
    for finding in &findings {
        cx.found(finding.clone());
    }
    let stream = reader.stream_named(&request.stream).map_err(|names| {
        JobError::usage(format!("there is no stream `{}` in {}", request.stream, request.source))
            .hint(format!("it has: {}", names.join(", ")))
    })?;
    let run = backup.manifest.run;
    if let Some(wanted) = &request.yaml {
        if stream.media != MEDIA_OBJECTS {
            return Err(JobError::usage(format!("stream {} holds no objects of a cluster", stream.name))
                .hint("--as yaml is for the stream `objects` of a source of kind cluster"));
        }
        let bytes = export::export(wanted.clone(), reader.read(stream.n), reader.read(stream.n));
        return Ok(CatStream { run, url, findings, next, total_bytes: stream.bytes, bytes });
    }
    let Some(name) = &request.part else {
        return Ok(CatStream { run, url, findings, next, total_bytes: stream.bytes, bytes: reader.read(stream.n) });
    };
    let part = stream.parts.iter().find(|part| part.name == *name).ok_or_else(|| {
        JobError::usage(format!("there is no part `{name}` in stream {}", stream.name))
            .hint("lifeboat show BACKUP --identity FILE --json lists the parts")
    })?;
    Ok(CatStream { run, url, findings, next, total_bytes: part.bytes, bytes: reader.read_part(stream.n, part) })
}

/// The capture of that source, which the backup may lack although it is a backup.
pub(in crate::job) fn source_of<'a>(
    backup: &'a crate::repository::Backup,
    source: &crate::model::Name,
) -> Result<&'a crate::model::SourceEntry, JobError> {
    backup.manifest.sources.iter().find(|entry| entry.name == *source).ok_or_else(|| {
        let names: Vec<_> = backup.manifest.sources.iter().map(|entry| entry.name.to_string()).collect();
        JobError::usage(format!("backup {} has no source `{source}`", backup.manifest.run))
            .hint(format!("it has: {}", names.join(", ")))
    })
}
