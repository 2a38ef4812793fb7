//! Archives made by hand, byte by byte, as the format's description says. Real ones are in `tests/it/postgres_archive.rs`.

use bytes::Bytes;
use proptest::prelude::*;

use super::error::ArchiveError;
use super::reader::Reader;
use crate::model::{StreamItem, sha256};

#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn int(mut self, value: i64) -> Self {
        self.0.push(u8::from(value < 0));
        self.0.extend_from_slice(&u32::try_from(value.abs()).unwrap().to_le_bytes());
        self
    }

    fn string(self, text: &str) -> Self {
        let mut this = self.int(i64::try_from(text.len()).unwrap());
        this.0.extend_from_slice(text.as_bytes());
        this
    }

    fn head(minor: u8, entries: i64) -> Self {
        let mut this = Archive::default();
        this.0.extend_from_slice(&[b'P', b'G', b'D', b'M', b'P', 1, minor, 0, 4, 8, 1]);
        this = if minor < 15 { this.int(0) } else { Archive([&this.0[..], &[0]].concat()) };
        let this = (0..7).fold(this, |this, _| this.int(7));
        this.string("shop").string("15.18").string("15.18").int(entries)
    }

    fn entry(self, minor: u8, id: i64, desc: &str, tag: &str, data: bool) -> Self {
        let this = self.int(id).int(data.into()).string("1259").string("16400").string(tag).string(desc).int(3);
        let this = this.string("").string("").string("COPY x FROM stdin;\n").string("public").int(-1).string("");
        let this = if minor >= 16 { this.int(114) } else { this };
        let mut this = this.string("owner").string("false").string("5").int(-1);
        this.0.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0]);
        this
    }

    fn table(mut self, id: i64, chunks: &[&str]) -> Self {
        self.0.push(1);
        chunks.iter().fold(self.int(id), |this, chunk| this.string(chunk)).int(0)
    }

    fn objects(mut self, id: i64, objects: &[(i64, &str)]) -> Self {
        self.0.push(3);
        let chunk = |this: Self, text: &str| if text.is_empty() { this } else { this.string(text) };
        objects.iter().fold(self.int(id), |this, (oid, text)| chunk(this.int(*oid), text).int(0)).int(0)
    }
}

fn whole(minor: u8) -> Vec<u8> {
    Archive::head(minor, 4)
        .entry(minor, 1, "TABLE", "a", false)
        .entry(minor, 2, "TABLE DATA", "a", true)
        .entry(minor, 3, "TABLE DATA", "empty", true)
        .entry(minor, 4, "BLOBS", "BLOBS", true)
        .table(2, &["1\tx\n", "2\ty\n", "\\.\n", "\n\n"])
        .table(3, &["\\.\n\n\n"])
        .objects(4, &[(16400, "eins"), (-5, "")])
        .0
}

/// Feeds pieces of `size` bytes; gives back what came out, as (items, bytes put together again).
fn read(bytes: &[u8], size: usize) -> Result<(Vec<StreamItem>, Vec<u8>), ArchiveError> {
    let mut reader = Reader::default();
    let mut out = Vec::new();
    for piece in bytes.chunks(size) {
        reader.push(&Bytes::copy_from_slice(piece), &mut out)?;
    }
    reader.finish()?;
    let mut joined = Vec::new();
    for item in &out {
        if let StreamItem::Bytes(bytes) = item {
            joined.extend_from_slice(bytes);
        }
    }
    out.retain(|item| !matches!(item, StreamItem::Bytes(_)));
    Ok((out, joined))
}

/// Offset and size of every part.
fn ranges(bytes: &[u8], size: usize) -> Vec<(String, usize, usize)> {
    let mut reader = Reader::default();
    let mut out = Vec::new();
    bytes.chunks(size).for_each(|piece| reader.push(&Bytes::copy_from_slice(piece), &mut out).unwrap());
    let (mut at, mut begun, mut found) = (0, None, Vec::new());
    for item in out {
        match item {
            StreamItem::Bytes(bytes) => at += bytes.len(),
            StreamItem::Part(name) => begun = Some((name, at)),
            StreamItem::PartEnd { .. } => {
                let (name, from) = begun.take().unwrap();
                found.push((name, from, at - from));
            }
        }
    }
    found
}

#[test]
fn tells_parts_rows_and_hashes_however_the_bytes_arrive() {
    for minor in 14..=16 {
        let bytes = whole(minor);
        let lines = format!("16400 {}\n4294967291 {}\n", sha256(b"eins"), sha256(b""));
        let end = |rows, content: &[u8]| StreamItem::PartEnd { rows: Some(rows), sha256: Some(sha256(content)) };
        let expected = vec![
            StreamItem::Part(r#""public"."a""#.into()),
            end(2, b"1\tx\n2\ty\n"),
            StreamItem::Part(r#""public"."empty""#.into()),
            end(0, b""),
            StreamItem::Part("BLOBS".into()),
            end(2, lines.as_bytes()),
        ];
        for size in [1, 2, 3, 5, 7, 64, bytes.len()] {
            let (items, joined) = read(&bytes, size).unwrap();
            assert_eq!(joined, bytes, "pieces of {size}");
            assert_eq!(items, expected, "pieces of {size}");
            assert_eq!(ranges(&bytes, size), ranges(&bytes, bytes.len()), "pieces of {size}");
        }
        let last = ranges(&bytes, 11).pop().unwrap();
        assert_eq!(last.1 + last.2, bytes.len());
    }
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = whole(16);
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end], 13).is_err(), "cut at {end}");
    }
    assert!(matches!(read(&[&bytes[..], &[1]].concat(), 13), Err(ArchiveError::Truncated(_))));
}

#[test]
fn what_is_not_such_an_archive_is_refused() {
    let changed = |at: usize, to: u8| {
        let mut bytes = whole(15);
        bytes[at] = to;
        read(&bytes, 100).unwrap_err()
    };
    assert_eq!(changed(0, b'X'), ArchiveError::NotAnArchive);
    assert_eq!(changed(6, 17), ArchiveError::UnknownVersion(1, 17));
    assert_eq!(changed(8, 8), ArchiveError::Layout(8, 8));
    assert_eq!(changed(10, 3), ArchiveError::NotAnArchive);
    assert_eq!(changed(11, 1), ArchiveError::Compressed);
    let twice = Archive::head(14, 1).entry(14, 2, "TABLE DATA", "a", true).table(2, &["\\.\n\n\n"]);
    assert!(read(&twice.0, 100).is_ok());
    assert_eq!(read(&Archive(twice.0).table(2, &["\\.\n\n\n"]).0, 9), Err(ArchiveError::Twice("entry 2".into())));
    let endless = Archive::head(14, 1).entry(14, 2, "TABLE DATA", "a", true).table(2, &["1\n"]);
    assert_eq!(read(&endless.0, 100), Err(ArchiveError::NoTerminator(r#""public"."a""#.into())));
    let missing = Archive::head(14, 1).entry(14, 2, "TABLE DATA", "a", true);
    assert_eq!(read(&missing.0, 100), Err(ArchiveError::Missing(r#""public"."a""#.into())));
    // A string that claims 4 GiB must not be waited for, let alone allocated.
    let claims = Archive(Archive::head(14, 1).int(2).int(1).int(4_294_967_295).0);
    assert_eq!(read(&claims.0, 100), Err(ArchiveError::EntryTooLarge));
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic(at in 0usize..400, flip in 1u8..=255, size in 1usize..50) {
        let mut bytes = whole(16);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok((_, joined)) = read(&bytes, size) {
            prop_assert_eq!(joined, bytes);
        }
    }

    #[test]
    fn noise_behind_a_good_header_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [&Archive::head(16, 3).0[..], &noise].concat();
        let _ = read(&bytes, 17);
    }
}
