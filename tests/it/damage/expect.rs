//! At which level each damage shows, and how the program ends then.

use super::harm::{Harm, Kind};

#[derive(Debug)]
pub struct Expected {
    /// Exit codes of `verify` to `present`, `hashed`, `opened`.
    pub codes: [i32; 3],
    /// The level that the row of the damage names, where a row of the backup names it.
    pub shows: Option<&'static str>,
    /// Said, but no damage.
    pub warns: bool,
}

impl Expected {
    /// Whether the repository can be opened at all.
    pub fn opens(&self) -> bool {
        self.codes[0] != 10 && (self.codes[0] != 12 || self.shows == Some("key"))
    }
}

pub fn expected(kind: Kind, harm: Harm, harmless: bool) -> Expected {
    let row = |codes, shows| Expected { codes, shows: Some(shows), warns: false };
    let all = |code| Expected { codes: [code; 3], shows: None, warns: false };
    let gone = !harm.leaves_a_file();
    // Who signs or seals it knows its length.
    let resized = matches!(harm, Harm::Cut | Harm::Empty | Harm::Grow);
    match kind {
        _ if harmless => all(0),
        Kind::Marker if gone => all(10),
        Kind::Marker | Kind::Config => all(12),
        // Nothing is recognised without it; its content shows only to who can open it.
        Kind::DedupKey if gone => row([12, 12, 12], "key"),
        Kind::DedupKey => row([0, 0, 12], "key"),
        Kind::RestoreText => Expected { warns: true, ..all(0) },
        // Nothing names these by hash.
        Kind::Started | Kind::Progress if gone => row([4, 4, 4], "present"),
        Kind::Started | Kind::Progress => row([0, 4, 4], "hashed"),
        // Without it nobody knows what to look for, so it is read at every level.
        Kind::ChunkList if gone || resized || harm == Harm::Swap => row([4, 4, 4], "present"),
        Kind::ChunkList => row([4, 4, 4], "hashed"),
        Kind::Detail | Kind::Part | Kind::Chunk if gone || resized => row([4, 4, 4], "present"),
        Kind::Detail | Kind::Part | Kind::Chunk if harm == Harm::Swap => row([4, 4, 4], "present"),
        Kind::Detail | Kind::Part | Kind::Chunk => row([0, 4, 4], "hashed"),
        Kind::Manifest => all(4),
        // What nobody proved is not missing; nor does a backup that is not expired.
        Kind::Proof | Kind::Tombstone if gone => all(0),
        Kind::Proof | Kind::Tombstone => all(4),
    }
}
