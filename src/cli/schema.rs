//! `lifeboat schema`: JSON Schema of the files that people write.

use clap::{Args, ValueEnum};

use crate::cli::exits::after_help;
use crate::cli::output;
use crate::config;
use crate::job::{Exit, JobError};

/// JSON Schema of the files that people write, for editors
#[derive(Debug, Args)]
#[command(after_help = after_help("lifeboat schema policy > policy.schema.json", &[]))]
pub struct Schema {
    /// Which kind of file
    kind: Kind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Policy,
    Trust,
}

impl Schema {
    pub fn run(self) -> Result<Exit, JobError> {
        let schema = match self.kind {
            Kind::Policy => config::policy_schema(),
            Kind::Trust => config::trust_schema(),
        };
        let text = serde_json::to_string_pretty(&schema)
            .map_err(|error| JobError::failed("cannot write the schema").because(error))?;
        output::print(&(text + "\n"))?;
        Ok(Exit::Ok)
    }
}
