//! The roles that an archive names: loading it fails where one is missing.

use std::collections::BTreeSet;

use crate::source::postgres::archive::TocEntry;
use crate::source::postgres::load::statements::{Word, words};

/// No honest database needs more.
const MAX_ROLES: usize = 100_000;

/// Adds the owner of an entry, and whom its privileges and policies name.
pub(super) fn add(entry: &TocEntry, roles: &mut BTreeSet<String>) {
    if roles.len() >= MAX_ROLES {
        return;
    }
    // Only `pg_restore --create` would read these; what belongs to the database itself is set by us.
    if entry.desc.starts_with("DATABASE") || entry.tag.starts_with("DATABASE ") {
        return;
    }
    let mut needs = |role: &str| {
        // Of a name in another encoding only a part is known here.
        if !role.is_empty() && !role.contains('\u{fffd}') {
            roles.insert(role.to_owned());
        }
    };
    needs(&entry.owner);
    if !matches!(&*entry.desc, "ACL" | "DEFAULT ACL" | "POLICY") {
        return;
    }
    // A statement that can not be read is told elsewhere.
    let words: Vec<Word> = words(&entry.defn).unwrap_or_default().into_iter().map(|(_, word)| word).collect();
    for pair in words.windows(2) {
        let named = pair[0].is("to") || pair[0].is("from") || pair[0].is("role");
        if let Some(role) = pair[1].name().filter(|_| named && !pair[1].is("public")) {
            needs(role);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::postgres::archive::Section;

    #[test]
    fn owners_grantees_and_policies() {
        let entry = |desc: &str, owner: &str, defn: &str| TocEntry {
            dump_id: 1,
            has_data: false,
            desc: desc.into(),
            section: Section::PreData,
            namespace: String::new(),
            tag: String::new(),
            owner: owner.into(),
            defn: defn.into(),
            copy_stmt: String::new(),
            part: String::new(),
        };
        let mut roles = BTreeSet::new();
        for entry in [
            entry("DATABASE", "landlord", "CREATE DATABASE shop WITH TEMPLATE = template0;"),
            entry("TABLE", "app", "CREATE TABLE public.t (\"to\" int, x text DEFAULT 'to nobody');"),
            entry(
                "ACL",
                "app",
                "REVOKE ALL ON TABLE t FROM app;GRANT SELECT ON TABLE t TO \"Odd, One\";GRANT ALL ON TABLE t TO PUBLIC;",
            ),
            entry(
                "DEFAULT ACL",
                "",
                "ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA s GRANT SELECT ON TABLES TO reader;",
            ),
            entry("POLICY", "app", "CREATE POLICY p ON t TO guest USING ((x = 'to me'::text));"),
        ] {
            add(&entry, &mut roles);
        }
        assert_eq!(roles.into_iter().collect::<Vec<_>>(), ["Odd, One", "app", "guest", "maker", "reader"]);
    }
}
