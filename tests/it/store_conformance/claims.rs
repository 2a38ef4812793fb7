//! What a test server cannot prove of a driver, in one place. `docs/stores.md` has to say the same.

use crate::support::servers::place::Pair;

pub const LOCKS: &str = "locks";
pub const ACCESS: &str = "access";
pub const CHECKSUM: &str = "checksum";

/// Server, claim, and why the server proves nothing about it.
const UNPROVEN: [(Pair, &str, &str); 3] = [
    (Pair::Gcs, LOCKS, "fake-gcs-server stores retention and holds, and enforces neither"),
    (Pair::Gcs, ACCESS, "fake-gcs-server takes every request, whoever asks"),
    (
        Pair::Gcs,
        CHECKSUM,
        "Google checks MD5 and CRC32C, never SHA-256: a body damaged on its way is found when it is read",
    ),
];

/// Whether the pair's server would notice if the claim were false.
pub fn proves(pair: Pair, claim: &str) -> bool {
    !UNPROVEN.iter().any(|row| (row.0, row.1) == (pair, claim))
}

#[test]
fn the_manual_says_what_is_not_proven() {
    let manual = include_str!("../../../docs/stores.md");
    for (pair, claim, why) in UNPROVEN {
        assert!(manual.contains(why), "docs/stores.md does not say of {} and {claim}: {why}", pair.name());
    }
}
