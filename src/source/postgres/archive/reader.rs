//! The state machine: bytes in, the same bytes with part boundaries out.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

use super::content::{CopyContent, LargeObjects};
use super::cursor::{Cursor, INT, MAX_ENTRY, Stop, int};
use super::digests::PartDigest;
use super::error::ArchiveError;
use super::rows::RowKey;
use super::toc::{Header, TocEntry};
use crate::model::{Digest, StreamItem};

/// Entries with data of one archive. The sealed detail that names them could not hold more.
const MAX_PARTS: usize = 1 << 19;

/// Block types.
const TABLE: u8 = 1;
const LARGE_OBJECTS: u8 = 3;

/// Parses one archive as its bytes pass. Memory: the entries that have data, and one entry of the contents.
#[derive(Default)]
pub struct Reader {
    state: State,
    /// Bytes seen before the piece at hand.
    offset: u64,
    /// Table of contents: what arrived of the header or entry that is not whole yet.
    pending: BytesMut,
    header: Option<Header>,
    entries_left: u64,
    /// Parts that must still come, by dump id.
    expected: HashMap<i64, String>,
    seen: std::collections::HashSet<i64>,
    part: String,
    /// Asks for the set of rows of each part.
    key: Option<RowKey>,
    digests: Vec<PartDigest>,
}

#[derive(Default)]
enum State {
    #[default]
    Contents,
    /// Between blocks: type and dump id, as far as they arrived.
    Block(Small<{ 1 + INT }>),
    /// Length of the next chunk of the content.
    Length(Content, Small<INT>),
    Chunk(Content, usize),
    /// OID of the next large object.
    Oid(LargeObjects, Small<INT>),
    Failed,
}

enum Content {
    Rows(CopyContent),
    Object(LargeObjects),
}

/// A few bytes that may arrive in pieces.
struct Small<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Default for Small<N> {
    fn default() -> Self {
        Small { bytes: [0; N], len: 0 }
    }
}

impl<const N: usize> Small<N> {
    /// Takes what is still missing from the front of `input`.
    fn fill(mut self, input: &mut &[u8]) -> Result<[u8; N], Self> {
        let count = (N - self.len).min(input.len());
        let (taken, rest) = input.split_at(count);
        self.bytes[self.len..self.len + count].copy_from_slice(taken);
        self.len += count;
        *input = rest;
        if self.len == N { Ok(self.bytes) } else { Err(self) }
    }
}

impl Reader {
    /// A reader that also keeps what each part held, for comparing.
    pub fn with_row_sets(key: RowKey) -> Self {
        Reader { key: Some(key), ..Reader::default() }
    }

    pub fn into_digests(self) -> Vec<PartDigest> {
        self.digests
    }

    /// Takes the next piece. Everything in it comes out again in `out`, unchanged and in order, except that the few
    /// bytes of a block's head are held back until it is known which part they begin.
    pub fn push(&mut self, piece: &Bytes, out: &mut Vec<StreamItem>) -> Result<(), ArchiveError> {
        let mut rest: &[u8] = piece;
        // Where in `piece` the bytes begin that were not given out yet.
        let mut from = 0;
        while !rest.is_empty() {
            let at = piece.len() - rest.len();
            match std::mem::replace(&mut self.state, State::Failed) {
                State::Contents => {
                    let used = self.contents(rest)?;
                    rest = &rest[used..];
                }
                State::Block(head) => {
                    let held = head.bytes;
                    let held = &held[..head.len];
                    give(out, piece, from, at);
                    from = at;
                    match head.fill(&mut rest) {
                        Ok(head) => {
                            self.state = self.begin(&head, at)?;
                            out.push(StreamItem::Part(self.part.clone()));
                            if !held.is_empty() {
                                out.push(StreamItem::Bytes(Bytes::copy_from_slice(held)));
                            }
                        }
                        Err(head) => {
                            self.state = State::Block(head);
                            from = piece.len();
                        }
                    }
                }
                State::Length(content, length) => {
                    self.state = match length.fill(&mut rest) {
                        Err(length) => State::Length(content, length),
                        Ok(length) => match self.size(length, at)? {
                            0 => match content {
                                Content::Rows(rows) => {
                                    let missing = || ArchiveError::NoTerminator(self.part.clone());
                                    let rows = rows.finish().ok_or_else(missing)?;
                                    let end = piece.len() - rest.len();
                                    give(out, piece, from, end);
                                    from = end;
                                    out.push(self.end(rows.count, rows.sha256, rows.set));
                                    State::Block(Small::default())
                                }
                                Content::Object(mut objects) => {
                                    objects.end();
                                    State::Oid(objects, Small::default())
                                }
                            },
                            size => State::Chunk(content, size),
                        },
                    };
                }
                State::Chunk(mut content, size) => {
                    let (chunk, after) = rest.split_at(size.min(rest.len()));
                    match &mut content {
                        Content::Rows(rows) => rows.push(chunk),
                        Content::Object(objects) => objects.push(chunk),
                    }
                    rest = after;
                    self.state = match size - chunk.len() {
                        0 => State::Length(content, Small::default()),
                        left => State::Chunk(content, left),
                    };
                }
                State::Oid(mut objects, oid) => {
                    self.state = match oid.fill(&mut rest) {
                        Err(oid) => State::Oid(objects, oid),
                        Ok(oid) => match self.oid(oid, at)? {
                            0 => {
                                let (rows, sha256) = objects.finish();
                                let end = piece.len() - rest.len();
                                give(out, piece, from, end);
                                from = end;
                                out.push(self.end(rows, sha256, Some(sha256)));
                                State::Block(Small::default())
                            }
                            oid => {
                                objects.begin(oid);
                                State::Length(Content::Object(objects), Small::default())
                            }
                        },
                    };
                }
                State::Failed => return Err(ArchiveError::Truncated("reading, which failed before")),
            }
        }
        give(out, piece, from, piece.len());
        self.offset += piece.len() as u64;
        Ok(())
    }

    /// No more bytes will come: says whether the archive is whole.
    pub fn finish(&self) -> Result<(), ArchiveError> {
        match &self.state {
            State::Contents => Err(ArchiveError::Truncated("table of contents")),
            State::Block(head) if head.len == 0 => match self.expected.values().min() {
                None => Ok(()),
                Some(part) => Err(ArchiveError::Missing(part.clone())),
            },
            _ => Err(ArchiveError::Truncated("data")),
        }
    }

    /// Works on header and entries; says how many of `bytes` belong to them.
    fn contents(&mut self, bytes: &[u8]) -> Result<usize, ArchiveError> {
        let before = self.pending.len();
        self.pending.extend_from_slice(bytes);
        loop {
            let mut cursor = Cursor::new(&self.pending);
            let step = match &self.header {
                None => Header::read(&mut cursor).map(|header| {
                    self.entries_left = header.entries;
                    self.header = Some(header);
                }),
                Some(_) if self.entries_left == 0 => break,
                Some(_) if self.expected.len() > MAX_PARTS => {
                    return Err(ArchiveError::Toc("more tables than a backup can name"));
                }
                Some(header) => header.read_entry(&mut cursor, false).map(|entry| {
                    self.entries_left -= 1;
                    Self::expect(&mut self.expected, entry);
                }),
            };
            match step {
                Ok(()) => {
                    let used = cursor.at;
                    let _ = self.pending.split_to(used);
                }
                Err(Stop::Incomplete) if self.pending.len() > MAX_ENTRY => return Err(ArchiveError::EntryTooLarge),
                Err(Stop::Incomplete) => {
                    self.state = State::Contents;
                    return Ok(bytes.len());
                }
                Err(Stop::Bad(error)) => return Err(error),
            }
        }
        let after = self.pending.len();
        debug_assert!(before <= after || after <= bytes.len());
        self.pending = BytesMut::new();
        self.state = State::Block(Small::default());
        // Whatever is left behind the last entry came with this piece.
        Ok(bytes.len() - after)
    }

    fn expect(expected: &mut HashMap<i64, String>, entry: TocEntry) {
        if entry.has_data {
            expected.insert(i64::from(entry.dump_id), entry.part);
        }
    }

    fn begin(&mut self, head: &[u8; 1 + INT], at: usize) -> Result<State, ArchiveError> {
        let [kind, id @ ..] = *head;
        let id = int(id).ok_or_else(|| self.block(at, "its number has no sign"))?;
        self.part = match self.expected.remove(&id) {
            Some(part) => part,
            None if self.seen.contains(&id) => return Err(ArchiveError::Twice(format!("entry {id}"))),
            None => return Err(self.block(at, "no entry of the table of contents has its number")),
        };
        self.seen.insert(id);
        match kind {
            TABLE => Ok(State::Length(Content::Rows(CopyContent::new(self.key)), Small::default())),
            LARGE_OBJECTS => Ok(State::Oid(LargeObjects::default(), Small::default())),
            _ => Err(self.block(at, "its type is unknown")),
        }
    }

    fn end(&mut self, rows: u64, sha256: Digest, set: Option<Digest>) -> StreamItem {
        if let (Some(_), Some(set)) = (self.key, set) {
            self.digests.push(PartDigest { name: self.part.clone(), rows, sha256, set });
        }
        StreamItem::PartEnd { rows: Some(rows), sha256: Some(sha256) }
    }

    fn size(&self, raw: [u8; INT], at: usize) -> Result<usize, ArchiveError> {
        let size = int(raw).and_then(|size| usize::try_from(size).ok());
        size.ok_or_else(|| self.block(at, "a length is impossible"))
    }

    /// OIDs are unsigned, but pg_dump writes them as signed integers.
    fn oid(&self, raw: [u8; INT], at: usize) -> Result<u32, ArchiveError> {
        let oid = int(raw).ok_or_else(|| self.block(at, "an OID is impossible"))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the sign is part of the OID")]
        let oid = oid as u32;
        Ok(oid)
    }

    fn block(&self, at: usize, what: &'static str) -> ArchiveError {
        ArchiveError::Block { offset: self.offset + at as u64, what }
    }
}

fn give(out: &mut Vec<StreamItem>, piece: &Bytes, from: usize, to: usize) {
    if from < to {
        out.push(StreamItem::Bytes(piece.slice(from..to)));
    }
}
