//! What each verb's help says at its end: an example, and the exit codes it may end with.

use crate::job::Exit;

/// Of verbs that only read a repository.
pub const READ: &[Exit] = &[Exit::Missing, Exit::Refused];

/// `Ok, Failed, Usage` and `Interrupted` are every verb's; `others` are this one's.
pub fn after_help(example: &str, others: &[Exit]) -> String {
    let mut exits = vec![Exit::Ok, Exit::Failed, Exit::Usage];
    exits.extend_from_slice(others);
    exits.push(Exit::Interrupted);
    exits.sort_unstable();
    let mut text = format!("Example:\n  {example}\n\nExit codes:\n");
    for exit in exits {
        text.push_str(&format!("  {:>3}  {}\n", exit.code(), exit.meaning()));
    }
    text
}
