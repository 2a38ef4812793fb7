//! `lifeboat copy`

use clap::Args;

use crate::cli::args::{Global, SigningKey};
use crate::cli::exits::after_help;
use crate::cli::text::Text;
use crate::cli::{human, output, place};
use crate::config::{self, Recipients};
use crate::context::Context;
use crate::job::types::{BackupRef, CopyReceiver, CopyReport, CopyRequest};
use crate::job::{self, Exit, JobError};

/// Copy backups into the policy's other repositories
///
/// Every backup that a receiver lacks, oldest first; every byte is held against the signed list before it is written.
/// Needs no key that decrypts, unless the receiver has other recipients (--reseal). --repository names another one to
/// copy from than the policy's first.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "lifeboat copy -f policy.yaml",
    &[Exit::Problems, Exit::Damaged, Exit::Missing, Exit::Refused],
))]
pub struct Copy {
    /// Only this backup: run id, the beginning of one, latest, latest-verified or before:TIME
    #[arg(long, value_name = "BACKUP")]
    backup: Option<BackupRef>,
    /// Only into this one of the policy's repositories
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Decrypt with --identity, and encrypt anew to the receiver's recipients
    #[arg(long)]
    reseal: bool,
    /// Only say what would be copied
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    signing: SigningKey,
}

impl Copy {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let report = job::copy::run(self.request(global)?, cx).await?;
        // For cron, which mails whatever is said.
        if !global.quiet || global.json || report.exit() != Exit::Ok {
            output::report(global.json, &report, text)?;
        }
        Ok(report.exit())
    }

    fn request(self, global: &Global) -> Result<CopyRequest, JobError> {
        let Copy { backup, to, reseal, dry_run, signing } = self;
        if reseal && global.identity.is_empty() {
            return Err(JobError::usage("--reseal decrypts").hint("--identity FILE (the identity.txt that init wrote)"));
        }
        let mut files = global.files(Recipients::AtLeastOne)?;
        let Some(policy) = files.policy.clone() else {
            return Err(JobError::usage("this verb needs a policy").hint("give -f POLICY (or set LIFEBOAT_POLICY)"));
        };
        // A repository that the policy does not name has keys of its own, and only the trust file speaks of it.
        let foreign = match (&global.repository, &global.trust) {
            (Some(text), Some(file)) => {
                let url = place::repository(text)?;
                let foreign = policy.repositories().all(|one| one.url != url);
                if foreign { Some(config::load_trust(file)?) } else { None }
            }
            _ => None,
        };
        if foreign.is_some() {
            files.trust = None;
        }
        let mut places = global.policy_places(&files, signing.signing_key.as_ref())?;
        let mut from = global.place_of(files, None)?;
        if foreign.is_some() {
            from.trust = foreign;
        }
        places.retain(|place| place.url != from.url);
        if let Some(text) = to {
            let url = place::repository(&text)?;
            places.retain(|place| place.url == url);
            if places.is_empty() {
                return Err(JobError::usage(format!("{url} is none of the policy's other repositories"))
                    .hint("add it to `repositories` in the policy, then: lifeboat init URL -f POLICY"));
            }
        }
        if places.is_empty() {
            return Err(JobError::usage("the policy names one repository only")
                .hint("add a second one to `repositories`, then: lifeboat init URL -f POLICY"));
        }
        Ok(CopyRequest { place: from, receivers: places, backup, reseal, dry_run })
    }
}

fn text(report: &CopyReport) -> String {
    let mut text = Text::new();
    text.line(format!("copies of policy {} from {}", report.policy, report.url));
    text.findings(0, &report.findings);
    for receiver in &report.receivers {
        receiver_text(&mut text, receiver, report.dry_run);
    }
    text.finish()
}

fn receiver_text(text: &mut Text, receiver: &CopyReceiver, dry_run: bool) {
    text.blank().line(format!("into {}", receiver.url));
    for row in &receiver.copied {
        let size = human::bytes(row.raw_bytes);
        text.line(match row.run {
            None => format!("  {} would be copied, {size}", row.from),
            Some(run) => format!(
                "  {} is copied as {run}: {size}, {} stored, {} reused, {}",
                row.from,
                human::bytes(row.stored_bytes),
                human::count(row.reused_chunks, "chunk"),
                human::seconds(row.seconds)
            ),
        });
    }
    for failed in &receiver.failed {
        let what = failed.from.map_or("not reached".to_owned(), |run| format!("{run} is NOT copied"));
        for problem in &failed.problems {
            text.line(format!("  {what}: {problem}"));
        }
        if let Some(cure) = &failed.cure {
            text.line(format!("    hint: {cure}"));
        }
    }
    let copied = human::count(receiver.copied.len() as u64, "backup");
    let done = if dry_run { "to copy" } else { "copied" };
    let mut sum = format!("  {copied} {done}, {} there already", receiver.held);
    if receiver.expired > 0 {
        sum.push_str(&format!(", {} expired there", receiver.expired));
    }
    text.line(sum);
}
