//! Small file systems of a test's own.

use std::path::Path;
use std::process::Command;

use super::soak::say;

/// A command that runs the program named by its further arguments where `folder` is a file system of that size.
/// Nobody else sees it, and it goes with the last process. None, and said aloud, where that cannot be had.
pub fn with_small_disk(folder: &Path, size: &str) -> Option<Command> {
    let mut probe = Command::new("unshare");
    let can = probe.args(["--mount", "--", "mount", "-t", "tmpfs", "none"]).arg(folder).output();
    if !can.is_ok_and(|output| output.status.success()) {
        say("LEFT OUT: a test that mounts a small disk in a namespace of its own (it needs root and `unshare`)");
        return None;
    }
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size={size},mode=700 none \"$0\" && exec \"$@\"");
    command.args(["--mount", "--", "sh", "-c", &script]).arg(folder);
    Some(command)
}
