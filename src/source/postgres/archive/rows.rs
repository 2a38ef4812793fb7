//! The rows of a table, whatever the order in which they come.
//!
//! A restored table need not give its rows in the order in which it got them: the server puts a row that does not fit
//! into the current page into an earlier one with room. Two captures then differ in their bytes and not in their rows.

use sha2::{Digest as _, Sha256};

use crate::model::Digest;

/// A secret of one comparison, so that nobody can make two sets of rows on purpose that look alike.
pub type RowKey = [u8; 32];

/// Adds up a keyed hash of each row: equal sums, equal rows, each as often.
pub(super) struct RowSet {
    key: RowKey,
    sum: [u64; 4],
    row: Sha256,
}

impl RowSet {
    pub(super) fn new(key: RowKey) -> Self {
        RowSet { key, sum: [0; 4], row: Sha256::new_with_prefix(key) }
    }

    /// The next bytes of what COPY sends; rows may be cut anywhere.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.row.update(&rest[..end]);
            let row = std::mem::replace(&mut self.row, Sha256::new_with_prefix(self.key));
            self.add(row.finalize().into());
            rest = &rest[end + 1..];
        }
        self.row.update(rest);
    }

    fn add(&mut self, hash: [u8; 32]) {
        let mut carry = false;
        for (sum, bytes) in self.sum.iter_mut().zip(hash.chunks_exact(8)) {
            let word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            let (added, first) = sum.overflowing_add(word);
            let (added, second) = added.overflowing_add(u64::from(carry));
            (*sum, carry) = (added, first || second);
        }
    }

    pub(super) fn finish(self) -> Digest {
        let mut bytes = [0; 32];
        for (to, word) in bytes.chunks_exact_mut(8).zip(self.sum) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        Digest(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pieces: &[&str]) -> Digest {
        let mut rows = RowSet::new([7; 32]);
        pieces.iter().for_each(|piece| rows.push(piece.as_bytes()));
        rows.finish()
    }

    #[test]
    fn order_and_cuts_do_not_matter_and_everything_else_does() {
        let rows = set(&["1\ta\n2\tb\n2\tb\n"]);
        assert_eq!(rows, set(&["2\tb\n1", "\ta", "\n2\tb\n"]));
        assert_ne!(rows, set(&["1\ta\n2\tb\n"]), "a row that is there twice counts twice");
        assert_ne!(rows, set(&["1\ta\n1\ta\n2\tb\n"]));
        assert_ne!(rows, set(&["1\tb\n2\ta\n2\tb\n"]));
        assert_ne!(set(&["ab\nc\n"]), set(&["a\nbc\n"]));
        assert_ne!(set(&["\n"]), set(&[""]), "a table without columns has rows too");
    }

    #[test]
    fn the_sum_carries() {
        let mut rows = RowSet::new([0; 32]);
        rows.sum = [u64::MAX, u64::MAX, 0, u64::MAX];
        let mut one = [0; 32];
        one[0] = 1;
        rows.add(one);
        assert_eq!(rows.sum, [0, 0, 1, u64::MAX]);
    }
}
