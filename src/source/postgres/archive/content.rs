//! What a data block holds once its framing is taken away: rows of COPY, or large objects.

use sha2::{Digest as _, Sha256};

use super::rows::{RowKey, RowSet};
use crate::model::Digest;

/// What pg_dump writes behind the rows; it is no part of what COPY sends.
const TERMINATOR: &[u8] = b"\\.\n\n\n";
/// Rows are gathered to this many bytes, so that hashing and counting work on large pieces.
const GATHER: usize = 64 << 10;

/// Rows of one table in passing.
#[derive(Default)]
pub struct CopyContent {
    hash: Sha256,
    rows: u64,
    gathered: Vec<u8>,
    set: Option<RowSet>,
}

/// What a table held.
#[derive(Debug, PartialEq, Eq)]
pub struct Rows {
    pub count: u64,
    pub sha256: Digest,
    /// Whatever their order; only where it was asked for.
    pub set: Option<Digest>,
}

impl CopyContent {
    pub fn new(key: Option<RowKey>) -> Self {
        CopyContent { set: key.map(RowSet::new), ..CopyContent::default() }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER {
            // The end may be the beginning of the terminator.
            self.settle(self.gathered.len() - TERMINATOR.len());
        }
    }

    /// None if the terminator is missing.
    pub fn finish(mut self) -> Option<Rows> {
        let end = self.gathered.strip_suffix(TERMINATOR)?.len();
        self.settle(end);
        let sha256 = Digest(self.hash.finalize().into());
        Some(Rows { count: self.rows, sha256, set: self.set.map(RowSet::finish) })
    }

    /// In the text format a row ends with exactly one line break, and those within values are escaped. No encoding
    /// that PostgreSQL sends has the byte of a line break inside a character.
    fn settle(&mut self, count: usize) {
        let settled = &self.gathered[..count];
        self.rows += memchr::memchr_iter(b'\n', settled).count() as u64;
        self.hash.update(settled);
        if let Some(set) = &mut self.set {
            set.push(settled);
        }
        self.gathered.drain(..count);
    }
}

/// Large objects of one block in passing. The order in which they come does not matter to the hash.
#[derive(Default)]
pub struct LargeObjects {
    finished: Vec<(u32, [u8; 32])>,
    current: Option<(u32, Sha256)>,
}

impl LargeObjects {
    pub fn begin(&mut self, oid: u32) {
        self.current = Some((oid, Sha256::new()));
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if let Some((_, hash)) = &mut self.current {
            hash.update(bytes);
        }
    }

    pub fn end(&mut self) {
        if let Some((oid, hash)) = self.current.take() {
            self.finished.push((oid, hash.finalize().into()));
        }
    }

    /// How many there are, and SHA-256 over lines of `<oid> <sha256 in hexadecimal>` in the order of OIDs.
    pub fn finish(mut self) -> (u64, Digest) {
        self.finished.sort_unstable();
        let mut all = Sha256::new();
        for (oid, hash) in &self.finished {
            all.update(format!("{oid} {}\n", hex::encode(hash)));
        }
        (self.finished.len() as u64, Digest(all.finalize().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sha256;

    fn content(pieces: &[&[u8]]) -> Option<(u64, Digest)> {
        let mut content = CopyContent::default();
        pieces.iter().for_each(|piece| content.push(piece));
        content.finish().map(|rows| (rows.count, rows.sha256))
    }

    #[test]
    fn the_terminator_is_no_row() {
        assert_eq!(content(&[b"1\ta\n", b"2\tb\n", b"\\.\n\n\n"]), Some((2, sha256(b"1\ta\n2\tb\n"))));
        assert_eq!(content(&[b"\\.\n", b"\n\n"]), Some((0, sha256(b""))));
        assert_eq!(content(&[b"1\n"]), None);
        // A table without columns has empty rows.
        assert_eq!(content(&[b"\n", b"\n", b"\\.\n\n\n"]), Some((2, sha256(b"\n\n"))));
    }

    #[test]
    fn long_tables_are_hashed_in_pieces() {
        let row = [b'x'; 999];
        let mut content = CopyContent::default();
        let mut all = Vec::new();
        for _ in 0..1000 {
            for piece in [&row[..], b"\n"] {
                content.push(piece);
                all.extend_from_slice(piece);
            }
            assert!(content.gathered.len() <= GATHER + 1000);
        }
        content.push(TERMINATOR);
        assert_eq!(content.finish(), Some(Rows { count: 1000, sha256: sha256(&all), set: None }));
    }

    #[test]
    fn large_objects_hash_alike_in_any_order() {
        let of = |list: &[(u32, &[u8])]| {
            let mut objects = LargeObjects::default();
            for (oid, bytes) in list {
                objects.begin(*oid);
                objects.push(bytes);
                objects.end();
            }
            objects.finish()
        };
        let there = of(&[(7, b"seven"), (12, b"twelve")]);
        assert_eq!(there, of(&[(12, b"twelve"), (7, b"seven")]));
        assert_ne!(there, of(&[(7, b"twelve"), (12, b"seven")]));
        let lines = format!("7 {}\n12 {}\n", sha256(b"seven"), sha256(b"twelve"));
        assert_eq!(there, (2, sha256(lines.as_bytes())));
    }
}
