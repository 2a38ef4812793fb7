//! Ctrl-C and SIGTERM: the first asks everybody to stop, the second does not ask.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::output;
use crate::job::{Exit, JobError};

/// Sets `cancel` at the first signal. Must be called inside the runtime.
pub fn watch(cancel: CancellationToken) -> Result<(), JobError> {
    let failed = |error| JobError::failed("cannot listen for signals").because(error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if cancel.is_cancelled() {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
            cancel.cancel();
            output::talk("stopping; once more to stop without tidying up");
        }
    });
    Ok(())
}
