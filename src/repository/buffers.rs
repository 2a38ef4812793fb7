//! Buffers that go round between the ends of the pipeline.
//!
//! Fresh memory for every chunk costs a page fault for each 4 KiB of it, which was a tenth of the whole time.

use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

/// Buffers that nobody uses at the moment. There are never more than were in use at the same time.
#[derive(Debug, Default)]
pub(in crate::repository) struct Buffers(Mutex<Vec<BytesMut>>);

impl Buffers {
    /// An empty buffer with room for `capacity` bytes.
    pub(in crate::repository) fn take(&self, capacity: usize) -> BytesMut {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        buffer.reserve(capacity);
        buffer
    }

    /// Takes a buffer back, if nobody else still reads it.
    pub(in crate::repository) fn give(&self, used: Bytes) {
        if let Ok(mut buffer) = used.try_into_mut() {
            buffer.clear();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_round_unless_it_is_still_read() {
        let buffers = Buffers::default();
        let mut first = buffers.take(100);
        first.extend_from_slice(b"chunk");
        let place = first.as_ptr();
        let read = first.freeze();
        let reader = read.clone();
        buffers.give(read);
        assert_ne!(buffers.take(100).as_ptr(), place, "somebody still reads it");
        buffers.give(reader);
        let again = buffers.take(50);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert!(again.capacity() >= 100);
    }
}
