//! Holds what a throw-away server gives back against what was captured.
//!
//! The same `pg_dump` that captured dumps the loaded database again: the same columns, the same settings of the session,
//! the same conditions on the configuration tables of extensions. Each part of that dump is then held against the part
//! of the capture: by its bytes, or, where the server stored the rows in another order, by the set of its rows.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};

use crate::context::Context;
use crate::exec::Command;
use crate::model::{PartDetail, SourceFailure};
use crate::source::postgres::archive::{PartDigest, RowKey, digests};
use crate::source::postgres::{ConnectSettings, database};

/// How many parts were compared, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    pub by_bytes: u64,
    /// The same rows in another order.
    pub by_rows: u64,
    /// The capture recorded no hash.
    pub by_count: u64,
    /// What differs, in words; names tables.
    pub different: Vec<String>,
}

/// Dumps a loaded database by the `pg_dump` that is given, and takes the digest of each part.
pub(super) async fn dump(
    command: Command,
    settings: &ConnectSettings,
    name: &str,
    key: RowKey,
    cx: &Context,
) -> Result<Vec<PartDigest>, SourceFailure> {
    let subject = database(name);
    let env = settings.client_env(name)?;
    let running = env.apply(command.arg("--data-only")).start(cx).map_err(|error| error.into_failure(&*subject))?;
    let told = subject.clone();
    let bytes = running.map_err(move |error| error.into_failure(&*told)).boxed();
    digests(&subject, bytes, key).await
}

impl Compared {
    /// `captured` is what the backup says, `loaded` what passed by while loading, `found` what came back.
    pub(super) fn add(&mut self, name: &str, captured: &[PartDetail], loaded: &[PartDigest], found: &[PartDigest]) {
        let by_name = |digests: &[PartDigest]| -> BTreeMap<String, PartDigest> {
            digests.iter().map(|digest| (digest.name.clone(), digest.clone())).collect()
        };
        let (loaded, mut found) = (by_name(loaded), by_name(found));
        for part in captured {
            let different = match found.remove(&part.name) {
                None => Some("is not there after loading".to_owned()),
                Some(found) => self.judge(part, loaded.get(&part.name), &found),
            };
            if let Some(message) = different {
                self.different.push(format!("{}: {} {message}", database(name), what(&part.name)));
            }
        }
        for (part, found) in found {
            let message = format!("has {} rows after loading, and was not captured", found.rows);
            self.different.push(format!("{}: {} {message}", database(name), what(&part)));
        }
    }

    fn judge(&mut self, part: &PartDetail, loaded: Option<&PartDigest>, found: &PartDigest) -> Option<String> {
        match part.rows {
            Some(rows) if rows != found.rows => {
                return Some(format!("has {} rows after loading, {rows} were captured", found.rows));
            }
            _ => {}
        }
        let Some(sha256) = part.sha256 else {
            self.by_count += 1;
            return None;
        };
        if sha256 == found.sha256 {
            self.by_bytes += 1;
        } else if loaded.is_some_and(|loaded| loaded.sha256 == sha256 && loaded.set == found.set) {
            self.by_rows += 1;
        } else {
            return Some("holds other values after loading than were captured".to_owned());
        }
        None
    }
}

fn what(part: &str) -> String {
    if part.starts_with("BLOBS") { format!("large objects ({part})") } else { format!("table {part}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, sha256};

    fn digest(name: &str, rows: u64, bytes: &[u8], set: u8) -> PartDigest {
        PartDigest { name: name.into(), rows, sha256: sha256(bytes), set: Digest([set; 32]) }
    }

    fn part(name: &str, rows: u64, bytes: Option<&[u8]>) -> PartDetail {
        PartDetail { name: name.into(), offset: 0, bytes: 0, rows: Some(rows), sha256: bytes.map(sha256) }
    }

    #[test]
    fn what_is_equal_is_said_how_and_what_differs_is_named() {
        let captured = [
            part("\"s\".\"same\"", 2, Some(b"ab")),
            part("\"s\".\"order\"", 2, Some(b"ab")),
            part("\"s\".\"fewer\"", 2, Some(b"ab")),
            part("\"s\".\"other\"", 2, Some(b"ab")),
            part("\"s\".\"gone\"", 0, Some(b"")),
            part("\"s\".\"counted\"", 2, None),
            part("BLOBS", 1, Some(b"x")),
        ];
        let loaded: Vec<_> = captured.iter().map(|part| digest(&part.name, 2, b"ab", 1)).collect();
        let found = [
            digest("\"s\".\"same\"", 2, b"ab", 1),
            digest("\"s\".\"order\"", 2, b"ba", 1),
            digest("\"s\".\"fewer\"", 1, b"a", 2),
            digest("\"s\".\"other\"", 2, b"ac", 3),
            digest("\"s\".\"counted\"", 2, b"ac", 3),
            digest("\"s\".\"more\"", 0, b"", 0),
            digest("BLOBS", 1, b"y", 9),
        ];
        let mut compared = Compared::default();
        compared.add("shop", &captured, &loaded, &found);
        assert_eq!((compared.by_bytes, compared.by_rows, compared.by_count), (1, 1, 1));
        insta::assert_snapshot!(compared.different.join("\n"), @r#"
        database "shop": table "s"."fewer" has 1 rows after loading, 2 were captured
        database "shop": table "s"."other" holds other values after loading than were captured
        database "shop": table "s"."gone" is not there after loading
        database "shop": large objects (BLOBS) holds other values after loading than were captured
        database "shop": table "s"."more" has 0 rows after loading, and was not captured
        "#);
    }

    #[test]
    fn another_order_needs_the_rows_that_were_captured() {
        let mut compared = Compared::default();
        let part = part("\"s\".\"t\"", 2, Some(b"ab"));
        // What passed by while loading was not what the capture recorded: its set of rows proves nothing.
        let passed = digest("\"s\".\"t\"", 2, b"zz", 1);
        assert!(compared.judge(&part, Some(&passed), &digest("\"s\".\"t\"", 2, b"ba", 1)).is_some());
    }
}
