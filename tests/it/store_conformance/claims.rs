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

/// A test that the table names, and that is no more, proves nothing.
#[test]
fn the_manual_names_tests_that_exist() {
    let manual = include_str!("../../../docs/stores.md");
    let (_, rest) = manual.split_once("## Buckets: what is proven, and how").unwrap();
    let (table, _) = rest.split_once("What these servers can not prove").unwrap();
    let main = include_str!("../main.rs");
    let mut named = 0;
    for cell in table.lines().filter(|line| line.starts_with('|')).flat_map(|row| row.split('|').skip(2)) {
        for module in cell.split('`').skip(1).step_by(2) {
            assert!(main.contains(&format!("\nmod {module};\n")), "docs/stores.md names `{module}`");
            named += 1;
        }
    }
    assert!(named > 80, "{named}");
}

#[test]
fn the_manual_says_what_is_not_proven() {
    let manual = include_str!("../../../docs/stores.md");
    for (pair, claim, why) in UNPROVEN {
        assert!(manual.contains(why), "docs/stores.md does not say of {} and {claim}: {why}", pair.name());
    }
}
