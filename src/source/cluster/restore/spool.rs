//! The stream `objects` on disk while it is restored: read once, in one go, then line by line in the order of the tiers.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Mutex, PoisonError};

use futures::TryStreamExt as _;

use crate::model::{ByteStream, FailureClass, SourceFailure};
use crate::source::cluster::line::MAX_LINE;
use crate::source::cluster::sealed::{Opened, Sealing, Trouble};

pub(super) struct Spool(Mutex<Place>);

/// Where the reader stands: who reads on from there needs no seek, which would open a piece anew.
struct Place {
    reader: Opened,
    at: u64,
}

/// Where a line lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub offset: u64,
    pub bytes: u32,
}

impl Spool {
    /// Reads a stream to its end, which is checked on the way. `take` sees each line without its end.
    pub async fn write(
        mut stream: ByteStream,
        mut take: impl FnMut(Line, &[u8]) -> Result<(), SourceFailure>,
    ) -> Result<Self, SourceFailure> {
        let mut file = Sealing::begin().map_err(|error| trouble("cannot be made", error))?;
        let mut begun: Vec<u8> = Vec::new();
        let mut offset = 0;
        while let Some(piece) = stream.try_next().await? {
            file.write_all(&piece).map_err(|error| failure("cannot be written", &error))?;
            let mut rest = &piece[..];
            while let Some(end) = memchr::memchr(b'\n', rest) {
                let (line, after) = rest.split_at(end);
                let whole = if begun.is_empty() { line } else { joined(&mut begun, line)? };
                let at = Line { offset, bytes: length(whole)? };
                take(at, whole)?;
                offset += u64::from(at.bytes) + 1;
                begun.clear();
                rest = &after[1..];
            }
            joined(&mut begun, rest)?;
        }
        if !begun.is_empty() {
            return Err(damaged("its last line has no end"));
        }
        let reader = file.finish().map_err(|error| trouble("cannot be written", error))?;
        Ok(Self(Mutex::new(Place { reader, at: 0 })))
    }

    /// A few kilobytes that were written a moment ago: handing them to another thread would cost more than the read.
    pub fn read(&self, line: Line) -> Result<Vec<u8>, SourceFailure> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error| failure("cannot be read", &error);
        // Between two lines lies one byte, their end.
        if place.at + 1 == line.offset {
            place.reader.read_exact(&mut [0]).map_err(failed)?;
        } else if place.at != line.offset {
            place.reader.seek(SeekFrom::Start(line.offset)).map_err(failed)?;
        }
        // A failure in between leaves it nowhere.
        place.at = u64::MAX - 1;
        let mut bytes = vec![0; line.bytes as usize];
        place.reader.read_exact(&mut bytes).map_err(failed)?;
        place.at = line.offset + u64::from(line.bytes);
        Ok(bytes)
    }
}

fn trouble(what: &str, trouble: Trouble) -> SourceFailure {
    match trouble {
        Trouble::Disk(error) => failure(what, &error),
        Trouble::Seal(error) => {
            let message = format!("objects that waited to be restored cannot be read back: {error}");
            SourceFailure::new(FailureClass::Internal, "cluster", message)
        }
    }
}

fn joined<'a>(begun: &'a mut Vec<u8>, more: &[u8]) -> Result<&'a [u8], SourceFailure> {
    begun.extend_from_slice(more);
    length(begun).map(|_| begun.as_slice())
}

fn length(line: &[u8]) -> Result<u32, SourceFailure> {
    if line.len() > MAX_LINE {
        return Err(damaged("a line is larger than any object"));
    }
    Ok(line.len() as u32)
}

fn damaged(message: &str) -> SourceFailure {
    SourceFailure::new(FailureClass::Damaged, "stream objects", message)
}

fn failure(what: &str, error: &std::io::Error) -> SourceFailure {
    let folder = std::env::temp_dir();
    let subject = format!("temporary file in {}", folder.display());
    SourceFailure::new(FailureClass::ToolFailed, subject, format!("{what}: {error}"))
        .cure("set TMPDIR to a folder with room for the whole stream `objects`; what lies there is sealed, and gone with the process")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures::StreamExt as _;

    async fn spool(pieces: &[&'static [u8]]) -> Result<(Spool, Vec<(Line, Vec<u8>)>), SourceFailure> {
        let stream = futures::stream::iter(pieces.to_vec()).map(|piece| Ok(Bytes::from_static(piece))).boxed();
        let mut lines = Vec::new();
        let spool = Spool::write(stream, |at, line| {
            lines.push((at, line.to_vec()));
            Ok(())
        });
        spool.await.map(|spool| (spool, lines))
    }

    #[tokio::test]
    async fn lines_are_found_again_wherever_the_pieces_were_cut() {
        for pieces in [vec![&b"one\ntwo\n\nthree\n"[..]], vec![b"on", b"e\nt", b"wo\n", b"\nthree", b"\n"]] {
            let (spool, lines) = spool(&pieces).await.unwrap();
            let seen: Vec<&[u8]> = lines.iter().map(|(_, line)| line.as_slice()).collect();
            assert_eq!(seen, [&b"one"[..], b"two", b"", b"three"]);
            for (at, line) in lines.iter().chain(lines.iter().rev()) {
                assert_eq!(spool.read(*at).unwrap(), *line);
            }
        }
    }

    #[tokio::test]
    async fn what_no_capture_writes_is_damage() {
        let long: &'static [u8] = vec![b'x'; MAX_LINE + 1].leak();
        for pieces in [vec![&b"one\ntw"[..]], vec![long], vec![&long[..MAX_LINE], b"x\n"]] {
            assert_eq!(spool(&pieces).await.err().map(|failure| failure.class), Some(FailureClass::Damaged));
        }
    }
}
