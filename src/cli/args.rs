//! The command line as typed.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::cli::{
    backup, cat, check, completion, copy, diff, hold, init, keys, list, plan, proof, prune, quiesce, renew, restore,
    schema, show, undelete, verify,
};

/// Backs a whole self-hosted platform up, proves every copy, and brings it back.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, max_term_width = 110)]
#[command(
    after_help = "A BACKUP is a run id, the beginning of one, `latest` (newest complete), `latest-verified` or `before:TIME`."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options that every verb takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Policy: a file, or a folder with one
    #[arg(short = 'f', long, global = true, env = "LIFEBOAT_POLICY", value_name = "FILE", hide_env_values = true)]
    pub policy: Option<PathBuf>,
    /// Repository, instead of the policy's: file:///dir or a path
    #[arg(long, global = true, env = "LIFEBOAT_REPOSITORY", value_name = "URL", hide_env_values = true)]
    pub repository: Option<String>,
    /// age identity that decrypts; may be given more than once
    #[arg(long, global = true, env = "LIFEBOAT_IDENTITY", value_name = "FILE", hide_env_values = true)]
    pub identity: Vec<PathBuf>,
    /// What to believe of the repository (kind: Trust), beside or instead of the policy's pins
    #[arg(long, global = true, env = "LIFEBOAT_TRUST", value_name = "FILE", hide_env_values = true)]
    pub trust: Option<PathBuf>,
    /// Report as one JSON object on stdout, events as JSON lines on stderr
    #[arg(long, global = true, env = "LIFEBOAT_JSON", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    pub json: bool,
    /// No progress, of a backup that succeeded only the run id, of a copy nothing; what went wrong is still said
    #[arg(short, long, global = true, env = "LIFEBOAT_QUIET", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    pub quiet: bool,
    /// Say more of what is going on
    #[arg(short, long, global = true, env = "LIFEBOAT_VERBOSE", value_parser = clap::builder::FalseyValueParser::new(), conflicts_with = "quiet", hide_env_values = true)]
    pub verbose: bool,
}

/// For verbs that sign.
#[derive(Debug, Clone, Default, Args)]
pub struct SigningKey {
    /// Private key (PKCS#8 PEM) of the role that this verb acts in, instead of the policy's reference
    #[arg(long, env = "LIFEBOAT_SIGNING_KEY", value_name = "FILE", hide_env_values = true)]
    pub signing_key: Option<PathBuf>,
}

/// For verbs that write.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct SingleRecipient {
    /// Accept a single recipient: whoever loses its identity loses every backup
    #[arg(long, action = ArgAction::SetTrue)]
    pub allow_single_recipient: bool,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    Init(init::Init),
    Check(check::Check),
    #[command(subcommand)]
    Plan(plan::Plan),
    Backup(backup::Backup),
    List(list::List),
    Show(show::Show),
    Verify(verify::Verify),
    Cat(cat::Cat),
    Diff(diff::Diff),
    Restore(Box<restore::Restore>),
    Copy(copy::Copy),
    Renew(renew::Renew),
    Prune(prune::Prune),
    Undelete(undelete::Undelete),
    #[command(subcommand)]
    Quiesce(quiesce::Quiesce),
    #[command(subcommand)]
    Hold(hold::Hold),
    #[command(subcommand)]
    Proof(proof::Proof),
    #[command(subcommand)]
    Keys(keys::Keys),
    Schema(schema::Schema),
    Completion(completion::Completion),
}
