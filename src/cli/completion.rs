//! `lifeboat completion`: what the shell completes after `lifeboat`.

use clap::{Args, CommandFactory, ValueEnum};

use crate::cli::args::Cli;
use crate::cli::exits::after_help;
use crate::cli::output;
use crate::job::{Exit, JobError};

/// Completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = after_help("source <(lifeboat completion bash)", &[]))]
pub struct Completion {
    /// Which shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completion {
    pub fn run(self) -> Result<Exit, JobError> {
        let shell = match self.shell {
            Shell::Bash => clap_complete::Shell::Bash,
            Shell::Zsh => clap_complete::Shell::Zsh,
            Shell::Fish => clap_complete::Shell::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "lifeboat", &mut script);
        output::print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Ok)
    }
}
