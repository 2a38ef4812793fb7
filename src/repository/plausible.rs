//! What a good signature does not say: that a document makes sense. A writer's key can be stolen, so whoever reads on
//! may rely on numbers that add up, names that are there once, and counts that fit into memory.

use std::collections::BTreeSet;

use crate::model::{Chunking, Detail, Manifest, SourceEntry, StreamDetail};
use crate::repository::MAX_DOCUMENT_BYTES;
use crate::work;

/// Plain bytes of the largest chunk of format 1.
pub(in crate::repository) const MAX_CHUNK_BYTES: u32 = Chunking::LARGE.max;
/// A sealed chunk costs a little more than its plain bytes; padding may add an eighth.
pub(in crate::repository) const MAX_SEALED_CHUNK_BYTES: u32 = 2 * MAX_CHUNK_BYTES;
/// Values in the JSON of a document, and in that of a detail. Each takes memory, however short it is written.
pub(in crate::repository) const MAX_VALUES: usize = 1 << 20;
pub(in crate::repository) const MAX_DETAIL_VALUES: usize = 1 << 21;

/// Says what is wrong with it.
pub(in crate::repository) fn check_manifest(manifest: &Manifest) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for entry in &manifest.sources {
        if !names.insert(&entry.name) {
            return Err(format!("it names source {} twice", entry.name));
        }
        check_entry(entry)?;
    }
    let stats = || manifest.sources.iter().map(|entry| entry.stats);
    let fits = adds_up(stats().map(|stats| stats.raw))
        && adds_up(stats().map(|stats| stats.stored_new))
        && adds_up(stats().map(|stats| stats.seconds))
        && adds_up(manifest.sources.iter().flat_map(|entry| &entry.streams).map(|stream| stream.chunks));
    if fits { Ok(()) } else { Err("its totals are impossible".into()) }
}

pub(in crate::repository) fn check_entry(entry: &SourceEntry) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("source {}: {what}", entry.name));
    if entry.streams.iter().zip(0..).any(|(stream, n)| stream.n != n) {
        return wrong("its streams are not numbered from 0 on");
    }
    if entry.chunk_lists.iter().zip(0..).any(|(list, n)| list.n != n) {
        return wrong("its chunk lists are not numbered from 0 on");
    }
    let lists = entry.chunk_lists.iter().map(|list| list.bytes);
    let mut documents = lists.chain([entry.detail.bytes]).chain(entry.part.iter().map(|part| part.bytes));
    if documents.any(|bytes| bytes > MAX_DOCUMENT_BYTES) {
        return wrong("it names a document larger than any may be");
    }
    let fits = adds_up(entry.streams.iter().map(|stream| stream.bytes))
        && adds_up(entry.streams.iter().map(|stream| stream.chunks))
        && adds_up(entry.chunk_lists.iter().map(|list| list.count));
    if !fits {
        return wrong("its totals are impossible");
    }
    // Only the last chunk of a stream may be shorter than the minimum.
    let min = if work::simulated() { 1 } else { u64::from(Chunking::SMALL.min) };
    if entry.streams.iter().any(|stream| stream.chunks > stream.bytes / min + 1) {
        return wrong("it has more chunks than its bytes can be cut into");
    }
    Ok(())
}

/// Half of the range is far beyond anything that exists, and leaves room for whoever adds two of them.
fn adds_up(numbers: impl Iterator<Item = u64>) -> bool {
    numbers.into_iter().try_fold(0_u64, u64::checked_add).is_some_and(|sum| sum <= u64::MAX / 2)
}

/// Holds the sealed detail against the manifest's entry. A copy carries the detail over as it was sealed, with the
/// attempt of the original in it.
pub(in crate::repository) fn check_detail(detail: &Detail, entry: &SourceEntry, copied: bool) -> Result<(), String> {
    let agree = detail.streams.len() == entry.streams.len()
        && (copied || detail.attempt == entry.attempt)
        && detail.source == entry.name
        && entry.streams.iter().zip(&detail.streams).all(|(a, b)| a.n == b.n && a.bytes == b.bytes);
    if !agree {
        return Err("it describes other streams than the manifest".into());
    }
    let mut names = BTreeSet::new();
    for stream in &detail.streams {
        if !names.insert(&stream.name) {
            return Err(format!("it names stream {:?} twice", stream.name));
        }
        check_parts(stream)?;
    }
    let rows = detail.streams.iter().flat_map(|stream| &stream.parts).filter_map(|part| part.rows);
    if adds_up(rows) { Ok(()) } else { Err("its rows are impossible".into()) }
}

fn check_parts(stream: &StreamDetail) -> Result<(), String> {
    let mut end = 0;
    for part in &stream.parts {
        let after = part.offset.checked_add(part.bytes).filter(|after| part.offset >= end && *after <= stream.bytes);
        end = after.ok_or_else(|| format!("part {:?} of stream {:?} lies outside of it", part.name, stream.name))?;
    }
    Ok(())
}

/// Whether a JSON text has at most that many values. It need not be valid: its parser says so later.
pub(in crate::repository) fn has_few_values(json: &[u8], max: usize) -> bool {
    let mut values = 1;
    let (mut in_text, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values <= max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_texts() {
        let json = br#"{"a":[1,2,{}],"b":"[,{\",[","c":null}"#;
        assert!(has_few_values(json, 9), "object, a, 1, 2, {{}}, b, c, and what openers count too much");
        assert!(!has_few_values(json, 4));
        assert!(!has_few_values("[0,0,0,0]".as_bytes(), 4));
        assert!(has_few_values(b"\"", 1), "no JSON at all");
    }

    #[test]
    fn sums_are_bounded() {
        assert!(adds_up([u64::MAX / 2].into_iter()));
        assert!(!adds_up([u64::MAX / 2, 1].into_iter()));
        assert!(!adds_up([u64::MAX, u64::MAX].into_iter()));
    }
}
