//! What a store can do, as far as it was found out.

use std::fmt;

use serde::{Serialize, Serializer};

/// The answer to one question put to a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// It could not be asked, and why.
    Unknown(String),
}

impl Answer {
    pub fn of(yes: bool) -> Self {
        if yes { Answer::Yes } else { Answer::No }
    }

    pub(in crate::store) fn is_unknown(&self) -> bool {
        matches!(self, Answer::Unknown(_))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Yes => f.write_str("yes"),
            Answer::No => f.write_str("no"),
            Answer::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// `yes`, `no`, or `unknown: why`.
impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a store can do, printed by `init` and `check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Features {
    /// The store itself refuses to create an existing name.
    pub create_only: Answer,
    /// The store refuses a body that is not what its checksum says.
    pub checksums: Answer,
    /// What is overwritten or deleted stays as an older version.
    pub versions: Answer,
    /// Objects can be locked against everybody.
    pub locks: Answer,
    /// What was just stored is in the next list.
    pub lists: Answer,
    /// Who asked can write only where its role has to.
    pub prefix_permissions: Answer,
    /// How the roles are kept apart, in words.
    pub roles: String,
}

/// What is known of a store without writing to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Nature {
    /// All of it, by how the driver works.
    Known(Features),
    /// A bucket says some of it; the rest shows in what it does.
    Bucket {
        roles: &'static str,
        versions: Answer,
        locks: Answer,
        /// Only where versions are kept, a new object is given the name of its version.
        names_tell: bool,
    },
}
