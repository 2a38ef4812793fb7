//! The command line: parses, calls a job, prints its report. One file per verb.
//!
//! The only place that writes to stdout. Nothing is started before the arguments are understood.

mod args;
mod backup;
mod cat;
mod check;
mod completion;
mod confirm;
mod copy;
mod diff;
mod exits;
mod hold;
mod human;
mod init;
mod keys;
mod list;
mod objects;
mod output;
mod place;
mod plan;
mod progress;
mod proof;
mod prune;
mod quiesce;
mod reference;
mod renew;
mod restore;
mod schema;
mod show;
mod signal;
mod text;
mod undelete;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::args::{Cli, Global, Verb};
use crate::context::Context;
use crate::job::{Exit, JobError};
use crate::secret::protect_memory;

pub use reference::{command, reference};

/// The whole program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors; they go to stdout. A reader that went away is none either.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Ok.code() });
        }
    };
    let json = cli.global.json;
    match run(cli) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            output::error(json, &error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<Exit, JobError> {
    match cli.verb {
        Verb::Schema(verb) => return verb.run(),
        Verb::Completion(verb) => return verb.run(),
        _ => {}
    }
    log(&cli.global);
    protect_memory();
    let failed = |error| JobError::failed("cannot start").because(error);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let outcome = runtime.block_on(async {
        let cx = Context::new(progress::monitor(&cli.global));
        signal::watch(cx.cancel.clone())?;
        let looks = matches!(
            cli.verb,
            Verb::Check(_) | Verb::Plan(_) | Verb::List(_) | Verb::Show(_) | Verb::Diff(_) | Verb::Proof(_)
        ) || matches!(cli.verb, Verb::Keys(keys::Keys::List(_)))
            || matches!(&cli.verb, Verb::Prune(prune) if prune.only_looks())
            || matches!(cli.verb, Verb::Quiesce(quiesce::Quiesce::Status));
        let outcome = tokio::select! {
            biased;
            // What only looks leaves nothing behind. The others tidy up and end by themselves.
            () = cx.cancel.cancelled(), if looks => Err(JobError::interrupted()),
            outcome = verb(cli.verb, &cli.global, &cx) => outcome,
        };
        match outcome {
            // What was being looked at may have heard of it first, and called it a finding.
            Ok(_) if looks && cx.cancel.is_cancelled() => Err(JobError::interrupted()),
            // Whatever failed because it was told to stop was interrupted.
            Err(error) if cx.cancel.is_cancelled() && error.exit != Exit::Interrupted => {
                Err(JobError::interrupted().because(error))
            }
            other => other,
        }
    });
    // A thread may wait for a person's answer for ever.
    runtime.shutdown_background();
    outcome
}

async fn verb(verb: Verb, global: &Global, cx: &Context) -> Result<Exit, JobError> {
    match verb {
        Verb::Init(verb) => verb.run(global, cx).await,
        Verb::Check(verb) => verb.run(global, cx).await,
        Verb::Plan(verb) => verb.run(global, cx).await,
        Verb::Backup(verb) => verb.run(global, cx).await,
        Verb::List(verb) => verb.run(global, cx).await,
        Verb::Show(verb) => verb.run(global, cx).await,
        Verb::Verify(verb) => verb.run(global, cx).await,
        Verb::Cat(verb) => verb.run(global, cx).await,
        Verb::Restore(verb) => verb.run(global, cx).await,
        Verb::Diff(verb) => verb.run(global, cx).await,
        Verb::Copy(verb) => verb.run(global, cx).await,
        Verb::Renew(verb) => verb.run(global, cx).await,
        Verb::Prune(verb) => verb.run(global, cx).await,
        Verb::Undelete(verb) => verb.run(global, cx).await,
        Verb::Quiesce(verb) => verb.run(global, cx).await,
        Verb::Hold(verb) => verb.run(global, cx).await,
        Verb::Proof(verb) => verb.run(global, cx).await,
        Verb::Keys(verb) => verb.run(global, cx).await,
        Verb::Schema(verb) => verb.run(),
        Verb::Completion(verb) => verb.run(),
    }
}

/// The operator's log, on stderr: warnings, or more with `-v`.
fn log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => tracing::Level::ERROR,
        (_, true) => tracing::Level::DEBUG,
        _ => tracing::Level::WARN,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_ansi(false);
    // Time and place are for whoever asked for more; to everybody else it is one sentence.
    let _ = match (global.json, global.verbose) {
        (true, _) => log.without_time().with_target(false).with_writer(|| output::LogLines).try_init(),
        (false, true) => log.with_writer(std::io::stderr).try_init(),
        (false, false) => log.without_time().with_target(false).with_writer(std::io::stderr).try_init(),
    };
}
