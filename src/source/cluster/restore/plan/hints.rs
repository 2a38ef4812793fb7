//! What to type where an object is there and differs. What an update would do depends on whose wish the difference is.

use crate::source::cluster::restore::plan::{Live, fields};

/// For a restore that leaves alone what is there.
pub(super) fn cure(live: &Live, differences: &[String]) -> String {
    if !live.immutable.is_empty() {
        let fields = fields(&live.immutable);
        return format!(
            "no server changes {fields} in place, so that --mode update leaves it alone too: delete it by hand, then \
             restore once more"
        );
    }
    if live.asked.is_empty() {
        return "--mode update sets it back to what the backup says".into();
    }
    let asked = fields(&live.asked);
    if differences.iter().all(|pointer| live.asked.contains(pointer)) {
        return format!("--mode update sets {asked} to what was asked for here, which is not what the backup says");
    }
    format!("--mode update sets it back to what the backup says, and {asked} to what was asked for here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_promises_only_what_it_does() {
        let list = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        let said = |all: &[&str], asked: &[&str], immutable: &[&str]| {
            let live = Live { asked: list(asked), immutable: list(immutable), ..Live::default() };
            cure(&live, &list(all))
        };
        assert_eq!(said(&["/data/a"], &[], &[]), "--mode update sets it back to what the backup says");
        let ours = said(&["/metadata/labels/a"], &["/metadata/labels/a"], &[]);
        assert!(ours.contains("metadata.labels.a to what was asked") && ours.contains("not what the backup"), "{ours}");
        let both = said(&["/data/a", "/metadata/labels/a"], &["/metadata/labels/a"], &[]);
        assert!(both.contains("back to what the backup says, and metadata.labels.a to what was asked"), "{both}");
        let never = said(&["/data/a", "/type"], &[], &["/type"]);
        assert!(never.contains("no server changes type in place") && never.contains("delete it by hand"), "{never}");
    }
}
