//! Settings of every session that we or the tools open. A server, role or database may have defaults of its own that
//! change what bytes mean, or that end a session before it did anything: these win over all of them.

/// What every major knows. A blank in a value is written `\ `.
const ALWAYS: [(&str, &str); 15] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("search_path", ""),
    ("row_security", "off"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_isolation", "read\\ committed"),
    ("default_transaction_deferrable", "off"),
    ("synchronize_seqscans", "off"),
    ("standard_conforming_strings", "on"),
    ("transform_null_equals", "off"),
    ("array_nulls", "on"),
    ("xmloption", "content"),
    ("extra_float_digits", "3"),
    // The text of a `money` value depends on it, and would be read as another amount under another one.
    ("lc_monetary", "C"),
];

/// How values are written. Not while loading: there it would change what a materialized view computes.
const READING: [(&str, &str); 5] = [
    ("timezone", "UTC"),
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("bytea_output", "hex"),
    ("quote_all_identifiers", "off"),
];

/// Makes triggers, rules and foreign keys work as usual, whatever the role's default is. For superusers alone until 15,
/// where it can be granted.
const LOADING: [(&str, &str); 1] = [("session_replication_role", "origin")];

/// Settings that only some majors know.
const NEWER: [(u32, &str, &str); 2] = [(140_000, "idle_session_timeout", "0"), (170_000, "transaction_timeout", "0")];

/// What goes into the start packet of a session of our own, whose server is not known yet.
pub(super) fn startup() -> String {
    join(ALWAYS.iter().copied())
}

/// `PGOPTIONS` for a tool that reads from a server of that version.
pub(super) fn reading(version_num: u32) -> String {
    join(ALWAYS.iter().chain(&READING).copied().chain(newer(version_num)))
}

/// `PGOPTIONS` for a tool that loads into a server of that version.
pub(super) fn loading(version_num: u32, superuser: bool) -> String {
    let loading: &[_] = if superuser { &LOADING } else { &[] };
    join(ALWAYS.iter().chain(loading).copied().chain(newer(version_num)))
}

fn newer(version_num: u32) -> impl Iterator<Item = (&'static str, &'static str)> {
    NEWER.iter().filter(move |(from, ..)| version_num >= *from).map(|(_, name, value)| (*name, *value))
}

fn join<'a>(settings: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    settings.map(|(name, value)| format!("-c {name}={value}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_follow_the_version() {
        let old = loading(120_000, true);
        assert!(old.contains("-c search_path= ") && !old.contains("idle_session_timeout"));
        assert!(old.contains("session_replication_role") && !startup().contains("session_replication_role"));
        let new = reading(180_000);
        assert!(new.contains("-c transaction_timeout=0") && new.contains("-c timezone=UTC"));
        assert!(!loading(180_000, false).contains("session_replication_role"));
        assert!(!loading(180_000, false).contains("timezone"));
    }
}
