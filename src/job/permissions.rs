//! Key files that others may read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::model::Finding;
use crate::secret::SecretRef;

/// A warning if the file that holds a secret is open to more than its owner. A group of people who share a key is
/// meant by nobody who did not say so, and an environment variable has no mode.
pub(in crate::job) fn open_to_others(what: &str, reference: &SecretRef) -> Option<Finding> {
    let SecretRef::File(path) = reference else { return None };
    let mode = mode(path)?;
    (mode & 0o077 != 0).then(|| {
        Finding::warning(what, format!("{} has mode {mode:04o}: others on this machine may use it", path.display()))
            .cure(format!("chmod 600 {}", path.display()))
    })
}

/// None where it cannot be looked at: whoever reads the file says so. A pipe (`<(...)`) is nobody else's.
fn mode(path: &Path) -> Option<u32> {
    let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some(meta.permissions().mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_others_may_use_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("writer.key");
        std::fs::write(&path, "").unwrap();
        let said = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            open_to_others("writer", &SecretRef::File(path.clone())).map(|finding| finding.message)
        };
        assert_eq!(said(0o600), None);
        assert_eq!(said(0o400), None);
        assert!(said(0o640).unwrap().contains("has mode 0640"));
        assert!(said(0o604).unwrap().contains("others on this machine"));
        assert_eq!(open_to_others("writer", &SecretRef::Env("KEY".into())), None);
        assert_eq!(open_to_others("writer", &SecretRef::File("/nowhere".into())), None);
    }
}
