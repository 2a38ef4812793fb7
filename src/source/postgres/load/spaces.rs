//! Tablespaces: folders of the server's machine, which no backup can make.
//!
//! One that the target has stays as it is. One that it lacks is made if its folder is there; else everything goes into
//! the default one, since half of a placement would be no placement.

use std::collections::BTreeSet;

use crate::model::{Finding, SourceFailure};
use crate::source::postgres::load::session::{Session, get};
use crate::source::postgres::properties::{Properties, TablespaceProperties};

/// Those of the backup that the target lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spaces {
    /// Their folders wait for them.
    pub makeable: BTreeSet<String>,
    /// Name and folder of those that cannot be made.
    missing: Vec<(String, String)>,
}

/// Looks for the folders. Changes nothing. Only with a `whole` server are tablespaces made.
pub(super) async fn look(
    session: &Session,
    properties: &Properties,
    present: &BTreeSet<String>,
    major: u32,
    whole: bool,
) -> Result<Spaces, SourceFailure> {
    let mut spaces = Spaces::default();
    let lacked = |space: &&TablespaceProperties| !space.location.is_empty() && !present.contains(&space.name);
    for space in properties.tablespaces.iter().filter(lacked) {
        if whole && usable(session, &space.location, major).await {
            spaces.makeable.insert(space.name.clone());
        } else {
            spaces.missing.push((space.name.clone(), space.location.clone()));
        }
    }
    Ok(spaces)
}

/// A folder is free for a tablespace unless a server of the same major uses it. Whoever may not look finds out that it
/// cannot be used.
async fn usable(session: &Session, folder: &str, major: u32) -> bool {
    let sql = "SELECT (pg_catalog.pg_stat_file($1, true)).isdir AND NOT EXISTS \
               (SELECT FROM pg_catalog.pg_ls_dir($1, true, false) f WHERE f LIKE 'PG\\_' || $2 || '\\_%')";
    let rows = session.rows(sql, &[&folder, &major.to_string()], "looking for the folder of a tablespace").await;
    let free = rows.ok().and_then(|rows| rows.first().and_then(|row| get::<Option<bool>>(row, 0).ok()).flatten());
    folder.starts_with('/') && free == Some(true)
}

impl Spaces {
    /// For pg_restore: objects go where they were only if every tablespace is there.
    pub(super) fn arguments(&self) -> &'static [&'static str] {
        if self.missing.is_empty() { &[] } else { &["--no-tablespaces"] }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let missing = self.missing.iter().map(|(name, folder)| {
            let message = "cannot be made on the target: everything goes into the tablespace of its database";
            Finding::warning(format!("tablespace {name:?}"), message).cure(format!(
                "CREATE TABLESPACE under that name first; a whole server gets it by itself where an empty folder {folder:?} of the server's user waits for it"
            ))
        });
        missing.collect()
    }

    pub(super) fn steps(&self) -> Vec<String> {
        self.makeable.iter().map(|name| format!("create tablespace {name:?} in its folder")).collect()
    }
}
