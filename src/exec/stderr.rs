use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes kept from the beginning, and again from the end.
const KEEP: usize = 64 << 10;

/// What a child said on standard error: its first and last 64 KiB. Cheap to clone, readable while the child runs.
#[derive(Debug, Clone, Default)]
pub struct Stderr(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    first: Vec<u8>,
    last: VecDeque<u8>,
    left_out: u64,
}

impl Stderr {
    pub(super) fn push(&self, bytes: &[u8]) {
        let mut kept = self.lock();
        let room = KEEP - kept.first.len().min(KEEP);
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        kept.first.extend_from_slice(first);
        kept.last.extend(rest);
        let over = kept.last.len().saturating_sub(KEEP);
        kept.last.drain(..over);
        kept.left_out += over as u64;
    }

    /// Everything that was kept.
    pub fn text(&self) -> String {
        let kept = self.lock();
        let last: Vec<u8> = kept.last.iter().copied().collect();
        let mut text = String::from_utf8_lossy(&kept.first).into_owned();
        if kept.left_out > 0 {
            text.push_str(&format!("\n[{} bytes left out]\n", kept.left_out));
        }
        text.push_str(&String::from_utf8_lossy(&last));
        text
    }

    /// The last lines, short enough for an error message.
    pub fn tail(&self) -> String {
        const LONGEST: usize = 2000;
        let text = self.text();
        let text = text.trim_end();
        let from = text.len().saturating_sub(LONGEST);
        let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text[from..].to_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere cannot leave the bytes half written in a way that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_both_ends() {
        let stderr = Stderr::default();
        stderr.push(b"begin ");
        for _ in 0..300 {
            stderr.push(&[b'x'; 1000]);
        }
        stderr.push(b" end");
        let text = stderr.text();
        assert!(text.starts_with("begin xxx"));
        assert!(text.ends_with("xxx end"));
        assert!(text.contains("bytes left out"));
        assert!(text.len() < 2 * KEEP + 100);
        assert!(stderr.tail().len() <= 2000);
    }

    #[test]
    fn tail_cuts_at_a_character() {
        let stderr = Stderr::default();
        stderr.push("ü".repeat(1500).as_bytes());
        stderr.push(b"a");
        assert!(stderr.tail().ends_with("üa"));
    }
}
