//! Names of objects below the user's prefix.

use std::fmt;

/// Why a text cannot name an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an object key: segments of letters, digits, `.`, `_`, `-` between single slashes")]
pub struct KeyError(pub String);

/// The name of one object: segments of `[A-Za-z0-9._-]` joined by `/`, none empty, `.` or `..`.
///
/// A `Key` can therefore be joined to any directory or bucket prefix and never leaves it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        let ok = text.len() <= 900 && text.split('/').all(valid_segment);
        if ok { Ok(Self(text)) } else { Err(KeyError(text)) }
    }

    /// A key put together from checked names, ids and numbers, which cannot be malformed.
    pub(crate) fn from_parts(text: String) -> Self {
        debug_assert!(Self::new(text.clone()).is_ok(), "`{text}` was put together from unchecked parts");
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn valid_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
}

/// Everything below one folder: empty (the whole repository), or a key followed by `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(String);

impl Prefix {
    /// The whole repository.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// The folder of that name.
    pub fn folder(key: &Key) -> Self {
        Self(format!("{key}/"))
    }

    /// Every name that begins like that one, and with it each version of the object itself.
    pub fn versions_of(key: &Key) -> Self {
        Self(key.to_string())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
