//! Content-defined chunking: FastCDC (v2020, normalisation level 1) with a gear table of the lineage's own key.
//!
//! Cut points must never move: a moved cut costs every user one full backup. Golden vectors hold them.
//! The keyed table hinders guessing the content from chunk sizes; it does not prevent it.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::model::Chunking;

use super::buffers::Buffers;
use super::keys::hmac;

/// 256 words, one for each value of a byte.
pub struct Gear {
    words: [u64; 256],
}

impl Gear {
    /// Word `4 i + j` is the big-endian number in bytes `8 j .. 8 j + 8` of HMAC-SHA-256(K(gear), the one byte `i`).
    pub fn new(key: &[u8; 32]) -> Self {
        let mut words = [0; 256];
        for (i, four) in (0u8..).zip(words.chunks_exact_mut(4)) {
            let block = hmac(key, &[&[i]]);
            for (word, bytes) in four.iter_mut().zip(block.chunks_exact(8)) {
                *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            }
        }
        Self { words }
    }

    fn word(&self, byte: u8) -> u64 {
        self.words[usize::from(byte)]
    }

    /// Rolls `hash` over `data` and stops behind the first byte where it falls below `limit`.
    fn scan(&self, hash: &mut u64, data: &[u8], limit: u64) -> Option<usize> {
        let mut h = *hash;
        let mut done = 0;
        // Two bytes in each round: the second hash hangs on `h`, not on the first one, which halves the chain of
        // operations that wait for each other. Wider rounds and two lanes were measured to be no faster.
        let (pairs, rest) = data.as_chunks::<2>();
        for &[a, b] in pairs {
            let (a, b) = (self.word(a), self.word(b));
            let first = (h << 1).wrapping_add(a);
            h = (h << 2).wrapping_add((a << 1).wrapping_add(b));
            if first < limit {
                return Some(done + 1);
            }
            if h < limit {
                return Some(done + 2);
            }
            done += 2;
        }
        for &byte in rest {
            h = (h << 1).wrapping_add(self.word(byte));
            done += 1;
            if h < limit {
                return Some(done);
            }
        }
        *hash = h;
        None
    }
}

impl fmt::Debug for Gear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gear([secret])")
    }
}

/// Cuts one stream. Where it cuts depends on the bytes only, not on how they were pushed.
#[derive(Debug)]
pub struct Chunker {
    gear: Arc<Gear>,
    min: usize,
    avg: usize,
    max: usize,
    /// Below this, the hash cuts before `avg` ...
    strict: u64,
    /// ... and below this one after it.
    loose: u64,
    hash: u64,
    buffer: BytesMut,
    buffers: Arc<Buffers>,
}

impl Chunker {
    pub fn new(chunking: Chunking, gear: Arc<Gear>) -> Self {
        Self::with_buffers(chunking, gear, Arc::default())
    }

    /// Fills buffers that somebody gives back.
    pub(in crate::repository) fn with_buffers(chunking: Chunking, gear: Arc<Gear>, buffers: Arc<Buffers>) -> Self {
        // Sizes out of order cannot make an endless chunk or an empty one.
        let max = chunking.max.max(2);
        let avg = chunking.avg.clamp(2, max);
        let min = chunking.min.min(avg);
        let bits = avg.ilog2();
        Self {
            gear,
            min: min as usize,
            avg: avg as usize,
            max: max as usize,
            strict: 1 << (64 - (bits + 1)),
            loose: 1 << (64 - (bits - 1)).min(63),
            hash: 0,
            buffer: BytesMut::new(),
            buffers,
        }
    }

    /// Takes more of the stream; whole chunks are added to `out`.
    pub fn push(&mut self, mut data: &[u8], out: &mut Vec<Bytes>) {
        while !data.is_empty() {
            let filled = self.buffer.len();
            if filled == 0 {
                // The whole chunk fits, so nothing is copied a second time. Pages that stay unused are not touched.
                self.buffer = self.buffers.take(self.max);
            }
            let (end, limit) = match filled {
                _ if filled < self.min => (self.min, None),
                _ if filled < self.avg => (self.avg, Some(self.strict)),
                _ => (self.max, Some(self.loose)),
            };
            let window = &data[..data.len().min(end - filled)];
            let cut = limit.and_then(|limit| self.gear.scan(&mut self.hash, window, limit));
            let taken = cut.unwrap_or(window.len());
            self.buffer.extend_from_slice(&data[..taken]);
            data = &data[taken..];
            if cut.is_some() || self.buffer.len() == self.max {
                out.push(self.take());
            }
        }
    }

    /// The rest of the stream; nothing if the stream is empty or ended at a cut.
    pub fn finish(mut self) -> Option<Bytes> {
        (!self.buffer.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Bytes {
        self.hash = 0;
        self.buffer.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::model::sha256;
    use crate::repository::keys::tests::lineage;

    use super::*;

    /// xorshift64 from seed 1, eight little-endian bytes a step.
    fn stream(length: usize) -> Vec<u8> {
        let mut x = 1u64;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            bytes.extend_from_slice(&x.to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    fn cut<'a>(chunking: Chunking, gear: &Arc<Gear>, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Bytes> {
        let mut chunker = Chunker::new(chunking, gear.clone());
        let mut chunks = Vec::new();
        for piece in pieces {
            chunker.push(piece, &mut chunks);
        }
        chunks.extend(chunker.finish());
        chunks
    }

    // The constants below come from tests/testdata/format1/oracle.py, which shares no code with this program.

    #[test]
    fn the_gear_table_is_the_golden_one() {
        let gear = lineage().gear();
        let words = [0, 1, 2, 3, 4, 255].map(|byte| gear.word(byte));
        let golden = [
            0x9821d2d4b45b6052,
            0xa77a763336a73ac8,
            0x62b32f3f91e6ecef,
            0x9c439b1f080df00d,
            0x2c1b4441bbd4bdbd,
            0xe5e6793a91f2426c,
        ];
        assert_eq!(words, golden);
    }

    #[test]
    fn cut_points_and_ids_are_the_golden_ones() {
        let data = stream(20_000_000);
        assert_eq!(
            sha256(&data).to_string(),
            "de13033d80ea8ecd86042b5e83c0a40a22cf6673dbf7abf9a477ad0d2666c08d",
            "the test's own generator"
        );
        let keys = lineage();
        let gear = Arc::new(keys.gear());
        let check = |chunking, lengths: &[usize], ids: &[&str]| {
            let chunks = cut(chunking, &gear, [&data[..]]);
            assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), lengths);
            let found: Vec<String> =
                chunks.iter().map(|chunk| keys.chunk_id(chunk).to_string()[..16].to_owned()).collect();
            assert_eq!(found, ids);
        };
        check(
            Chunking::for_estimate((4 << 30) - 1),
            &[
                1149825, 1403022, 1390370, 1136425, 1646052, 1554106, 860568, 498390, 1810744, 490074, 2076975, 754651,
                1117601, 1253437, 1196142, 757937, 599758, 303923,
            ],
            &[
                "6c30298e3b22e09e",
                "6e0df161b7bc3b1f",
                "46a38b645639353a",
                "41aabddced4fc687",
                "53153e1b2e99f63f",
                "80a39951c009d221",
                "049ca6e76ec0a275",
                "36100a4128341075",
                "0a3982abf1d7002b",
                "888417d0b8d40486",
                "0cc1f2432f3c0536",
                "2f84137358c448ad",
                "9088a2328661f8fa",
                "f6640f0d6c1c92a6",
                "fac632a6352f11fb",
                "0ee42291209dfa71",
                "09f8165538a7b302",
                "239cb9c31885c084",
            ],
        );
        check(
            Chunking::for_estimate(4 << 30),
            &[5079642, 4559116, 4377793, 5079768, 903681],
            &["f4771745b0f14e35", "7418e88fb8f9f85f", "18c09cc73dfeebaa", "fd6b3d3be94b9b86", "262d6ebff84796d6"],
        );
    }

    #[test]
    fn an_empty_stream_has_no_chunk_and_a_dull_one_is_cut_at_the_maximum() {
        let gear = Arc::new(lineage().gear());
        assert!(cut(Chunking::SMALL, &gear, [&[][..]]).is_empty());
        let zeros = vec![0; 9 << 20];
        let lengths: Vec<usize> = cut(Chunking::SMALL, &gear, [&zeros[..]]).iter().map(Bytes::len).collect();
        assert_eq!(lengths, [4 << 20, 4 << 20, 1 << 20]);
    }

    #[test]
    fn after_an_insertion_the_cuts_come_back_to_where_they_were() {
        let gear = Arc::new(lineage().gear());
        let before = stream(3 << 20);
        let mut after = before.clone();
        after.splice(100_000..100_000, b"one more row".iter().copied());
        let chunking = Chunking { min: 4 << 10, avg: 16 << 10, max: 64 << 10 };
        let old: std::collections::HashSet<Bytes> = cut(chunking, &gear, [&before[..]]).into_iter().collect();
        let new = cut(chunking, &gear, [&after[..]]);
        let fresh = new.iter().filter(|chunk| !old.contains(*chunk)).count();
        assert!(new.len() > 100 && (1..=4).contains(&fresh), "{fresh} of {} chunks are new", new.len());
    }

    proptest! {
        #[test]
        fn cuts_do_not_depend_on_how_the_stream_was_pushed(
            seed in 0usize..1000,
            pieces in prop::collection::vec(0usize..3000, 0..60),
            (min, avg, max) in prop_oneof![Just((64, 256, 1024)), Just((63, 255, 1001)), Just((0, 0, 0)), Just((9, 3, 5))],
        ) {
            let gear = Arc::new(lineage().gear());
            let length = pieces.iter().sum::<usize>();
            let data = &stream(length + seed)[seed..];
            let chunking = Chunking { min, avg, max };
            let whole = cut(chunking, &gear, [data]);
            let mut rest = data;
            let split = pieces.iter().map(|length| {
                let (piece, behind) = rest.split_at(*length);
                rest = behind;
                piece
            });
            prop_assert_eq!(&whole, &cut(chunking, &gear, split));
            prop_assert_eq!(whole.concat(), data);
            prop_assert!(whole.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= max.max(2) as usize));
            let (_, full) = whole.split_last().map_or((None, &[][..]), |(last, full)| (Some(last), full));
            prop_assert!(full.iter().all(|chunk| chunk.len() > min.min(avg) as usize || chunk.len() == max.max(2) as usize));
        }
    }
}
