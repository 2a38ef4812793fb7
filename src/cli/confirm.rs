//! Shows a restore's plan, and asks for the target's name where something live is replaced.

use std::io::{BufRead, IsTerminal};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::cli::output;
use crate::cli::plan::restore_text;
use crate::job::JobError;
use crate::job::types::{Confirm, RestoreMode, RestorePlan};

pub struct Ask {
    /// `--yes`
    pub yes: bool,
    /// Show nothing that needs no answer.
    pub quiet: bool,
    pub cancel: CancellationToken,
}

#[async_trait]
impl Confirm for Ask {
    async fn confirm(&self, plan: &RestorePlan) -> Result<(), JobError> {
        let asking = plan.confirm.as_deref().filter(|_| !self.yes);
        if !self.quiet || asking.is_some() {
            output::talk(restore_text(plan).trim_end());
        }
        if let Some(blocked) = plan.block() {
            return Err(blocked);
        }
        let Some(name) = asking else { return Ok(()) };
        let verb = if plan.mode == RestoreMode::Update { "change" } else { "replace" };
        if !std::io::stdin().is_terminal() {
            return Err(JobError::blocked(format!("this would {verb} {}, and nobody confirmed it", plan.target))
                .hint("read the plan, then give --yes; without it the name is asked for on a terminal"));
        }
        output::ask(&format!("type the name {name} to {verb} {}: ", plan.target));
        let typed = tokio::select! {
            () = self.cancel.cancelled() => return Err(JobError::interrupted()),
            typed = tokio::task::spawn_blocking(read_line) => typed,
        };
        match typed {
            Ok(Ok(line)) if line.trim() == name => Ok(()),
            Ok(Ok(_)) => Err(JobError::blocked(format!("{name} was not typed; nothing was changed"))),
            Ok(Err(error)) => Err(JobError::blocked("cannot read the answer; nothing was changed").because(error)),
            Err(error) => Err(JobError::failed("cannot read the answer; nothing was changed").because(error)),
        }
    }
}

fn read_line() -> std::io::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}
