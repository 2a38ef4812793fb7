//! `RESTORE.txt`: how to get the data back without this program.

use crate::model::{RepositoryId, StoreUrl};

const TEMPLATE: &str = include_str!("restore_text.txt");

/// The text for one repository. The script in it stands between two marker lines.
pub fn restore_text(repository: &RepositoryId, url: &StoreUrl) -> String {
    // A folder may have any name; none may add a line to the text.
    let url: String = url.to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    TEMPLATE.replace("@REPOSITORY@", &repository.to_string()).replace("@URL@", &url)
}
