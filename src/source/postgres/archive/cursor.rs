//! The primitive values of an archive: bytes, integers with a sign byte, counted strings, offsets.

use super::error::ArchiveError;

/// Longest entry of a table of contents that is taken in. PostgreSQL itself stops at 1 GiB for one statement; no view or
/// function that a person wrote comes near this.
pub const MAX_ENTRY: usize = 64 << 20;

/// Why a value could not be read from the bytes at hand.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// More bytes are needed. Nothing was consumed for good: start again with more.
    Incomplete,
    Bad(ArchiveError),
}

impl From<ArchiveError> for Stop {
    fn from(error: ArchiveError) -> Self {
        Stop::Bad(error)
    }
}

/// Reads values from the front of what has arrived.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(count).filter(|end| *end <= MAX_ENTRY);
        let end = end.ok_or(Stop::Bad(ArchiveError::EntryTooLarge))?;
        let taken = self.bytes.get(self.at..end).ok_or(Stop::Incomplete)?;
        self.at = end;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, Stop> {
        self.take(1).map(|byte| byte[0])
    }

    pub fn int(&mut self) -> Result<i64, Stop> {
        let raw = self.take(INT)?;
        int(raw.try_into().unwrap_or_default()).ok_or(Stop::Bad(ArchiveError::Toc("an integer has no sign")))
    }

    /// None is SQL-like null, which is not the empty string.
    pub fn string(&mut self) -> Result<Option<&'a [u8]>, Stop> {
        match self.int()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| ArchiveError::Toc("a negative length"))?;
                self.take(length).map(Some)
            }
        }
    }
}

/// Size of an integer: a sign byte and four bytes, least significant first.
pub const INT: usize = 5;

/// Decodes one integer; None if its sign byte is neither 0 nor 1.
pub fn int(raw: [u8; INT]) -> Option<i64> {
    let [sign, rest @ ..] = raw;
    let magnitude = i64::from(u32::from_le_bytes(rest));
    match sign {
        0 => Some(magnitude),
        1 => Some(-magnitude),
        _ => None,
    }
}
