//! What is outside is recorded as it is, and every change of it is told. Needs the servers that each file names.

mod certificates;
mod dns;
mod hostile;
mod keysets;

use crate::support::local::Local;

/// A policy with one source of kind outside: `text` is what stands below `outside:`, six spaces deep.
fn local(text: &str) -> Local {
    Local::with_sources(&format!("  - name: outside\n    outside:\n{text}"), "")
}
