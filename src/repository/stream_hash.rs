//! The SHA-256 of a stream and the ids of its chunks, in one pass.

use hmac::Mac as _;
use sha2::{Digest as _, Sha256};

use crate::model::Digest;
use crate::repository::keys::LineageKeys;

/// What SHA-256 works on at a time.
const BLOCK: usize = 64;

/// The SHA-256 of a stream so far.
#[derive(Default)]
pub(in crate::repository) struct StreamHash {
    hash: Sha256,
    /// Bytes that wait for their block to be full.
    waiting: usize,
}

impl StreamHash {
    /// Takes the next chunk of the stream, and gives its id.
    ///
    /// A block of either hash waits for the block before it, but not for the other hash: block by block in turn, the
    /// processor works on both at once, which takes a quarter less time than one after the other (measured).
    pub(in crate::repository) fn chunk(&mut self, plain: &[u8], keys: &LineageKeys) -> Digest {
        let mut id = keys.chunk_mac();
        // So that the blocks that follow are whole ones of this hash too, and none is copied.
        let (head, rest) = plain.split_at(plain.len().min((BLOCK - self.waiting) % BLOCK));
        self.hash.update(head);
        let (blocks, tail) = rest.as_chunks::<BLOCK>();
        let (id_blocks, id_tail) = plain.split_at(blocks.len() * BLOCK);
        for (block, id_block) in blocks.iter().zip(id_blocks.as_chunks::<BLOCK>().0) {
            self.hash.update(block);
            id.update(id_block);
        }
        self.hash.update(tail);
        id.update(id_tail);
        self.waiting = (self.waiting + plain.len()) % BLOCK;
        Digest(id.finalize().into_bytes().into())
    }

    pub(in crate::repository) fn finish(self) -> Digest {
        Digest(self.hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::model::sha256;
    use crate::repository::keys::tests::lineage;

    use super::*;

    proptest! {
        #[test]
        fn both_are_what_each_would_be_alone(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..8)) {
            let keys = lineage();
            let mut hash = StreamHash::default();
            for chunk in &chunks {
                prop_assert_eq!(hash.chunk(chunk, &keys), keys.chunk_id(chunk));
            }
            prop_assert_eq!(hash.finish(), sha256(&chunks.concat()));
        }
    }
}
