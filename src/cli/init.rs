//! `lifeboat init`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::{Global, SigningKey, SingleRecipient};
use crate::cli::exits::after_help;
use crate::cli::text::Text;
use crate::cli::{output, place};
use crate::config::{self, Recipients};
use crate::context::Context;
use crate::job::types::{AccessDialect, AccessReport, AccessRequest, InitFile, InitKeys, InitReport, InitRequest};
use crate::job::{self, Exit, JobError};

/// Create a repository
///
/// In an empty directory, or below an empty prefix of a bucket. Buckets are made by a person, best with versions and Object
/// Lock; what the store can do is found out and printed. A bucket is reached with your own keys, as its own tools find
/// them; those of the roles belong in the policy (--print-access prints what each may do).
///
/// With --generate-keys DIR, every key is made there, with a policy to start from, what to pin, and how to restore
/// without lifeboat. With -f POLICY, the keys that the policy names are used.
#[derive(Debug, Args)]
#[command(after_help = after_help("lifeboat init ./repo --generate-keys ./keys", &[Exit::Blocked, Exit::Refused]))]
pub struct Init {
    /// Where: a path, file:///DIR, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or minio+https://HOST/BUCKET/PREFIX. With -f:
    /// default is the policy's
    #[arg(id = "where", value_name = "REPOSITORY")]
    repository: Option<String>,
    /// Make all keys, a policy to start from and RESTORE.txt in this folder
    #[arg(long, value_name = "DIR")]
    generate_keys: Option<PathBuf>,
    /// Encrypt to this public age key too, beside the two that are generated; may be given more than once
    #[arg(long, value_name = "AGE1...", requires = "generate_keys", value_parser = config::check_recipient)]
    recipient: Vec<String>,
    /// Make nothing; print what each role may do in that bucket, as documents for its access control
    #[arg(long, value_name = "DIALECT", requires = "where", conflicts_with_all = ["generate_keys", "recipient"])]
    print_access: Option<Dialect>,
    #[command(flatten)]
    single: SingleRecipient,
    #[command(flatten)]
    signing: SigningKey,
}

/// In whose language access is written down.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Dialect {
    /// IAM policies
    Aws,
    /// Custom roles, and conditions for their bindings
    Gcp,
    /// IAM policies without what MinIO does not know
    Minio,
}

impl Init {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        if let (Some(dialect), Some(text)) = (self.print_access, &self.repository) {
            return print_access(dialect, text, global);
        }
        let allow_single_recipient = self.single.allow_single_recipient;
        let request = match (self.generate_keys, &global.policy) {
            (Some(_), Some(_)) => {
                let hint = "leave one out (LIFEBOAT_POLICY counts as -f)";
                return Err(JobError::usage("--generate-keys makes a policy, and -f names one").hint(hint));
            }
            (None, None) => {
                let hint = "lifeboat init REPOSITORY --generate-keys DIR";
                return Err(JobError::usage("which keys? give --generate-keys DIR or -f POLICY").hint(hint));
            }
            (Some(directory), None) => {
                let Some(text) = self.repository.as_ref().or(global.repository.as_ref()) else {
                    let hint = "lifeboat init REPOSITORY --generate-keys DIR";
                    return Err(JobError::usage("where? a repository is missing").hint(hint));
                };
                let keys = InitKeys::Generate { directory, recipients: self.recipient };
                InitRequest { url: place::repository(text)?, keys, allow_single_recipient }
            }
            (None, Some(_)) => {
                let wanted = if allow_single_recipient { Recipients::AtLeastOne } else { Recipients::AtLeastTwo };
                let Some(policy) = global.files(wanted)?.policy else { return Err(JobError::usage("which policy?")) };
                let url = match self.repository.as_ref().or(global.repository.as_ref()) {
                    Some(text) => place::repository(text)?,
                    None => policy.repository.url.clone(),
                };
                if !policy.repositories().any(|one| one.url == url) {
                    let message = match policy.copies.is_empty() {
                        true => format!("the policy's repository is {}, not {url}", policy.repository.url),
                        false => format!("{url} is none of the policy's repositories"),
                    };
                    return Err(JobError::usage(message).hint("leave REPOSITORY out, or change the policy"));
                }
                let keys = InitKeys::Policy { policy, signing_key: self.signing.signing_key };
                InitRequest { url, keys, allow_single_recipient }
            }
        };
        let report = job::init::run(request, cx).await?;
        output::report(global.json, &report, text)?;
        Ok(report.exit())
    }
}

fn print_access(dialect: Dialect, repository: &str, global: &Global) -> Result<Exit, JobError> {
    let dialect = match dialect {
        Dialect::Aws => AccessDialect::Aws,
        Dialect::Gcp => AccessDialect::Gcp,
        Dialect::Minio => AccessDialect::Minio,
    };
    let report = job::access::run(&AccessRequest { url: place::repository(repository)?, dialect })?;
    output::report(global.json, &report, access_text)?;
    Ok(Exit::Ok)
}

fn access_text(report: &AccessReport) -> String {
    let mut text = Text::new();
    for role in &report.roles {
        text.line(format!("# {}", role.role));
        for line in format!("{:#}", role.document).lines() {
            text.line(line);
        }
        text.blank();
    }
    text.finish()
}

fn text(report: &InitReport) -> String {
    let mut text = Text::new();
    text.line(format!("repository {} at {}", report.repository, report.url));
    for recipient in &report.recipients {
        text.line(format!("  encrypted to {recipient}"));
    }
    if let Some(store) = &report.store {
        let rows = [
            ("create-only", &store.create_only),
            ("checksums checked by the store", &store.checksums),
            ("versions", &store.versions),
            ("locks", &store.locks),
            ("consistent lists", &store.lists),
            ("permissions per role", &store.prefix_permissions),
        ];
        let rows: Vec<Vec<String>> = rows.map(|(what, answer)| vec![what.into(), answer.to_string()]).into();
        text.table(2, &rows).line(format!("  roles: {}", store.roles));
    }
    if let Some(folder) = report.files.first().and_then(|file| file.path.parent()) {
        text.blank().line(format!("written to {}:", folder.display()));
        let name = |file: &InitFile| file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let rows: Vec<Vec<String>> =
            report.files.iter().map(|file| vec![name(file), file.what.clone(), file.keep.clone()]).collect();
        text.table(2, &rows);
    }
    text.blank().findings(0, &report.findings);
    if !report.next.is_empty() {
        text.blank().line("next:");
        for command in &report.next {
            text.line(format!("  {command}"));
        }
    }
    text.finish()
}
