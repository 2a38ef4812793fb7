//! Names of databases that this program makes or keeps aside.

use std::collections::BTreeSet;

use crate::model::RunId;

/// Bytes of the user's own name that are kept; the whole stays within the server's 63.
const KEPT: usize = 28;

/// Where a database is loaded first: `<first 28 bytes, whole characters>__lb_<run>`.
pub(super) fn beside(name: &str, run: RunId, taken: &mut BTreeSet<String>) -> String {
    fresh(format!("{}__lb_{run}", head(name)), taken)
}

/// Where the replaced database is kept: `<first 28 bytes, whole characters>__old_<run>`.
pub(super) fn old(name: &str, run: RunId, taken: &mut BTreeSet<String>) -> String {
    fresh(format!("{}__old_{run}", head(name)), taken)
}

fn head(name: &str) -> &str {
    let mut end = name.len().min(KEPT);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Two databases may share their first 28 bytes: the second one gets `_2`.
fn fresh(name: String, taken: &mut BTreeSet<String>) -> String {
    let mut candidate = name.clone();
    let mut n = 2;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{name}_{n}");
        n += 1;
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "01K4M2Z5J6T7V8W9X0Y1Z2A3B4";

    #[test]
    fn long_names_are_cut_at_a_character() {
        let run: RunId = RUN.parse().unwrap();
        let mut taken = BTreeSet::new();
        assert_eq!(beside("shop", run, &mut taken), format!("shop__lb_{RUN}"));
        let umlauts = "ü".repeat(31);
        let name = old(&umlauts, run, &mut taken);
        assert_eq!(name, format!("{}__old_{RUN}", "ü".repeat(14)));
        assert!(name.len() <= 60);
        let odd = format!("a{umlauts}");
        assert_eq!(beside(&odd, run, &mut taken), format!("a{}__lb_{RUN}", "ü".repeat(13)));
    }

    #[test]
    fn the_same_beginning_twice_gives_two_names() {
        let run: RunId = RUN.parse().unwrap();
        let mut taken = BTreeSet::new();
        let first = beside("customer_database_production_eu", run, &mut taken);
        let second = beside("customer_database_production_us", run, &mut taken);
        assert_ne!(first, second);
        assert!(second.len() <= 63, "{second}");
    }
}
