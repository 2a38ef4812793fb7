//! What can go wrong with a store, told so that a person can act on it.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

use crate::model::Key;
use crate::store::driver::{Cause, DriverError, ErrorKind, Operation};
use crate::store::trouble::Trouble;

/// One failed call of a [`super::Store`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name was taken before this call: by somebody else, or by an earlier call of ours.
    #[error("`{key}` exists already in {store}")]
    AlreadyExists { key: Key, store: String },
    #[error("cannot store `{key}`: {store} was opened for reading only")]
    ReadOnly { key: Key, store: String },
    #[error("{}", Sentence { operation: *operation, key, store })]
    Failed {
        operation: Operation,
        key: String,
        store: String,
        kind: ErrorKind,
        /// The store asked to be left alone for so long.
        retry_after: Option<Duration>,
        #[source]
        source: Cause,
    },
}

impl StoreError {
    pub(in crate::store) fn new(operation: Operation, key: &str, store: &str, error: DriverError) -> Self {
        let DriverError { kind, retry_after, source } = error;
        StoreError::Failed { operation, key: key.to_owned(), store: store.to_owned(), kind, retry_after, source }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            StoreError::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            StoreError::ReadOnly { .. } => ErrorKind::Denied,
            StoreError::Failed { kind, .. } => *kind,
        }
    }

    pub fn operation(&self) -> Operation {
        match self {
            StoreError::AlreadyExists { .. } | StoreError::ReadOnly { .. } => Operation::Put,
            StoreError::Failed { operation, .. } => *operation,
        }
    }

    /// The object or folder; empty if the call was about the store as a whole.
    pub fn key(&self) -> &str {
        match self {
            StoreError::AlreadyExists { key, .. } | StoreError::ReadOnly { key, .. } => key.as_str(),
            StoreError::Failed { key, .. } => key,
        }
    }

    /// How long the store asked to be left alone, for who decides himself when to try again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            StoreError::Failed { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What a person can mend, if the driver recognised it.
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            StoreError::Failed { source, .. } => Trouble::find(source.as_ref()),
            _ => None,
        }
    }

    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        let StoreError::Failed { operation, kind, source, .. } = self else { return None };
        if let Some(trouble) = self.trouble() {
            return Some(trouble.hint());
        }
        match (errno(source.as_ref()), operation, kind) {
            (Some(Errno::NOSPC | Errno::DQUOT), ..) => {
                Some("the disk or the quota is full: free some space and run it again; what was stored stays good")
            }
            (Some(Errno::ROFS), ..) => Some("the file system is mounted read-only: a disk error may have caused that"),
            (Some(Errno::IO), ..) => Some("the disk reports an error: look at the kernel's log before you trust it"),
            (Some(Errno::NOTDIR | Errno::LOOP), ..) => {
                Some("a file or a symbolic link stands where a directory belongs")
            }
            (Some(Errno::ACCESS | Errno::PERM), ..) => {
                Some("run it as the user who owns the directory, or let that user's group in (docs/stores.md)")
            }
            (Some(Errno::MFILE | Errno::NFILE), ..) => Some("too many open files: raise `ulimit -n`"),
            (Some(Errno::STALE), ..) => Some("the network file system was taken away: mount it again"),
            (_, Operation::Open, ErrorKind::NotFound) => {
                Some("is the disk mounted? a new repository is made by `lifeboat init`")
            }
            (_, _, ErrorKind::Unavailable) => Some("it was tried several times: look whether the store is up"),
            _ => None,
        }
    }
}

/// The first operating system's error number in the chain.
fn errno(error: &(dyn Error + 'static)) -> Option<Errno> {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if let Some(number) = io.and_then(io::Error::raw_os_error) {
            return Some(Errno::from_raw_os_error(number));
        }
        next = error.source();
    }
    None
}

struct Sentence<'a> {
    operation: Operation,
    key: &'a str,
    store: &'a str,
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sentence { operation, key, store } = self;
        match operation {
            Operation::Create => write!(f, "cannot create {store}"),
            Operation::Open => write!(f, "cannot open {store}"),
            Operation::Put => write!(f, "cannot store `{key}` in {store}"),
            Operation::Get => write!(f, "cannot read `{key}` from {store}"),
            Operation::Head => write!(f, "cannot look up `{key}` in {store}"),
            Operation::List if key.is_empty() => write!(f, "cannot list {store}"),
            Operation::List => write!(f, "cannot list `{key}` in {store}"),
            Operation::ListVersions => write!(f, "cannot list the versions of `{key}` in {store}"),
            Operation::Delete => write!(f, "cannot delete `{key}` in {store}"),
            Operation::ExtendLock => write!(f, "cannot extend the lock of `{key}` in {store}"),
            Operation::Barrier => write!(f, "cannot make sure that {store} keeps what was stored"),
            Operation::Now => write!(f, "cannot learn the time of {store}"),
            Operation::Inspect => write!(f, "cannot ask {store} what it can do"),
        }
    }
}
