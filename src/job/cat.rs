//! `lifeboat cat`: the plain bytes of one stream, checked on the way.

use crate::context::Context;
use crate::job::JobError;
use crate::job::acting::Acting;
use crate::job::open::{catalog, from_repository, open_pinned, required_identities, select};
use crate::job::types::{CatRequest, CatStream};

pub async fn run(request: CatRequest, cx: &Context) -> Result<CatStream, JobError> {
    let repository = open_pinned(&request.place, Acting::Restorer, cx).await?;
    let identities = required_identities(&request.place)?;
    let catalog = catalog(&repository, &request.place).await?;
    let backup = select(&catalog, &request.backup, Some(&request.source))?;
    let entry = source_of(backup, &request.source)?;
    let reader = repository.open_capture(backup, entry, identities).await.map_err(from_repository)?;
    let stream = reader.stream_named(&request.stream).map_err(|names| {
        JobError::usage(format!("there is no stream `{}` in {}", request.stream, request.source))
            .hint(format!("it has: {}", names.join(", ")))
    })?;
    let run = backup.manifest.run;
    let Some(name) = &request.part else {
        return Ok(CatStream { run, total_bytes: stream.bytes, bytes: reader.read(stream.n) });
    };
    let part = stream.parts.iter().find(|part| part.name == *name).ok_or_else(|| {
        JobError::usage(format!("there is no part `{name}` in stream {}", stream.name))
            .hint("lifeboat show BACKUP --identity FILE --json lists the parts")
    })?;
    Ok(CatStream { run, total_bytes: part.bytes, bytes: reader.read_part(stream.n, part) })
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
