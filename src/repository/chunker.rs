//! Content-defined chunking: FastCDC (v2020, normalisation level 1) with a gear table of the lineage's own key.
//!
//! Cut points must never move: a moved cut costs every user one full backup. Golden vectors hold them.
//! The keyed table hinders guessing the content from chunk sizes; it does not prevent it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::Chunking;

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
        // Four bytes are looked at before one branch is taken. h1 to h3 hang on `h` alone, not on each other,
        // so that the processor computes them side by side.
        let (groups, rest) = data.as_chunks::<4>();
        let mut done = 0;
        for &[a, b, c, d] in groups {
            let (a, b, c, d) = (self.word(a), self.word(b), self.word(c), self.word(d));
            let ab = (a << 1).wrapping_add(b);
            let cd = (c << 1).wrapping_add(d);
            let h1 = (h << 1).wrapping_add(a);
            let h2 = (h << 2).wrapping_add(ab);
            let h3 = (h2 << 1).wrapping_add(c);
            let h4 = (h << 4).wrapping_add((ab << 2).wrapping_add(cd));
            if (h1 < limit) | (h2 < limit) | (h3 < limit) | (h4 < limit) {
                return [h1, h2, h3, h4].iter().position(|h| *h < limit).map(|i| done + i + 1);
            }
            h = h4;
            done += 4;
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
    buffer: Vec<u8>,
}

impl Chunker {
    pub fn new(chunking: Chunking, gear: Arc<Gear>) -> Self {
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
            buffer: Vec::new(),
        }
    }

    /// Takes more of the stream; whole chunks are added to `out`.
    pub fn push(&mut self, mut data: &[u8], out: &mut Vec<Bytes>) {
        while !data.is_empty() {
            let filled = self.buffer.len();
            if filled == 0 {
                // The whole chunk fits, so nothing is copied a second time. Pages that stay unused are not touched.
                self.buffer.reserve_exact(self.max);
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
        let mut chunk = std::mem::take(&mut self.buffer);
        // Gives the unused tail back in place.
        chunk.shrink_to_fit();
        Bytes::from(chunk)
    }
}
