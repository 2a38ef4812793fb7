//! `lifeboat verify`

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::args::{Global, SigningKey};
use crate::cli::exits::after_help;
use crate::cli::list::status;
use crate::cli::text::Text;
use crate::cli::{human, output};
use crate::config::Period;
use crate::context::Context;
use crate::job::types::{
    BackupRef, BackupRefError, Outcome, Percent, SandboxOptions, VerifyBackup, VerifyReport, VerifyRequest, VerifyWhat,
};
use crate::job::{self, Exit, JobError};
use crate::model::{Level, Name};

/// Prove a backup to a level, and sign what was proved
///
/// present: every object is there with its size. hashed: the stored bytes are those that were written. opened: it
/// decrypts and every stream is what was captured (needs --identity). restored: it was loaded into a throw-away server
/// and every row is there (needs --identity and the server's programs). Without the prover's key no proof is written.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "lifeboat verify latest -f policy.yaml --level restored --source postgres --identity id.txt",
    &[Exit::Problems, Exit::Damaged, Exit::Blocked, Exit::Missing, Exit::Refused],
))]
pub struct Verify {
    /// A backup, or `all` that are listed
    #[arg(value_name = "BACKUP|all", value_parser = what)]
    backup: VerifyWhat,
    /// Only this source, of the newest backup in which it is whole if that is `latest`; may be given more than once
    #[arg(long = "source", value_name = "NAME")]
    sources: Vec<Name>,
    /// How far
    #[arg(long, default_value = "hashed", value_parser = PossibleValuesParser::new(["present", "hashed", "opened", "restored"]).try_map(|text| text.parse::<Level>()))]
    level: Level,
    /// Read only this share of the objects (hashed only); the proof says so
    #[arg(long, value_name = "N%")]
    sample: Option<Percent>,
    /// User that the throw-away server runs as, when lifeboat runs as root
    #[arg(long, value_name = "USER")]
    sandbox_user: Option<String>,
    /// Load even where this machine cannot isolate the throw-away server; the proof says so
    #[arg(long)]
    weak_sandbox: bool,
    /// How long loading and comparing one source may take, such as 2h; default is by its size
    #[arg(long, value_name = "TIME")]
    sandbox_timeout: Option<Period>,
    #[command(flatten)]
    signing: SigningKey,
}

fn what(text: &str) -> Result<VerifyWhat, BackupRefError> {
    match text {
        "all" => Ok(VerifyWhat::All),
        other => other.parse::<BackupRef>().map(VerifyWhat::Backup),
    }
}

impl Verify {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        if self.sample.is_some() && self.level != Level::Hashed {
            return Err(JobError::usage("--sample goes with --level hashed only"));
        }
        let of_sandbox = self.sandbox_user.is_some() || self.weak_sandbox || self.sandbox_timeout.is_some();
        if of_sandbox && self.level != Level::Restored {
            let message = "--sandbox-user, --weak-sandbox and --sandbox-timeout go with --level restored only";
            return Err(JobError::usage(message));
        }
        let request = VerifyRequest {
            place: global.signing_place(self.signing.signing_key)?,
            what: self.backup,
            sources: self.sources,
            level: self.level,
            sample: self.sample,
            sandbox: SandboxOptions {
                user: self.sandbox_user,
                weak: self.weak_sandbox,
                timeout: self.sandbox_timeout.map(Period::duration),
            },
        };
        let report = job::verify::run(request, cx).await?;
        output::report(global.json, &report, text)?;
        Ok(report.exit())
    }
}

fn text(report: &VerifyReport) -> String {
    let mut text = Text::new();
    text.findings(0, &report.findings);
    if report.backups.is_empty() {
        text.line("there is no backup, so nothing was verified");
    }
    if !report.sources.is_empty() {
        let names: Vec<&str> = report.sources.iter().map(Name::as_str).collect();
        text.line(format!("nothing but source {} was looked at", names.join(", ")));
    }
    for backup in &report.backups {
        backup_text(&mut text, backup);
    }
    text.finish()
}

/// What was found out about one backup.
pub fn backup_text(text: &mut Text, backup: &VerifyBackup) {
    let reached = backup.reached.map_or("nothing".to_owned(), |level| level.to_string());
    let verdict = match backup.outcome {
        Outcome::Passed => format!("{reached}: holds"),
        Outcome::Damaged => format!("DAMAGED (still proved: {reached})"),
        Outcome::Refused => "REFUSED: keys or pins do not fit".to_owned(),
        Outcome::Unchecked => format!("could NOT be checked as asked (proved: {reached})"),
    };
    let age = human::age(backup.age_seconds);
    text.line(format!(
        "{} of {age}, {}: {verdict}, {}",
        backup.run,
        status(backup.status),
        human::seconds(backup.seconds)
    ));
    for capture in &backup.captures {
        let reached = capture.reached.map_or("nothing".to_owned(), |level| level.to_string());
        let rows = capture.rows.map(|rows| format!(", {}", human::count(rows, "row"))).unwrap_or_default();
        let objects = human::count(capture.objects, "object");
        text.line(format!("  {}: {reached}; {objects}, {}{rows}", capture.source, human::bytes(capture.bytes)));
        for step in &capture.steps {
            text.line(format!("    {}: {}", step.step, human::seconds(step.seconds)));
        }
    }
    for damage in &backup.damage {
        let key = damage.key.as_deref().or(damage.source.as_ref().map(|name| name.as_str())).unwrap_or("backup");
        text.line(format!("  DAMAGE at `{}`: {key}: {}", damage.level, damage.message));
    }
    text.findings(2, &backup.findings);
    for weakness in &backup.weakened_by {
        text.line(format!("  weaker than asked: {weakness}"));
    }
    match backup.proof {
        Some(proof) => text.line(format!("  proof {proof}")),
        None if backup.findings.iter().any(|finding| finding.subject == "proof") => text,
        None => text.line("  no proof written: no prover's key (keys.signing.prover or --signing-key)"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::types::{Damage, VerifyCapture};
    use crate::model::{BackupStatus, Timestamp};

    #[test]
    fn damage_names_the_object_and_no_proof_is_said() {
        let backup = VerifyBackup {
            run: ulid::Ulid::nil().into(),
            policy: "shop".parse().unwrap(),
            status: BackupStatus::Complete,
            committed: Timestamp::UNIX_EPOCH,
            age_seconds: 7200,
            outcome: Outcome::Damaged,
            reached: Some(Level::Present),
            captures: vec![VerifyCapture {
                source: "pg".parse().unwrap(),
                reached: Some(Level::Present),
                objects: 12,
                bytes: 5 << 20,
                rows: None,
                steps: Vec::new(),
            }],
            damage: vec![Damage {
                key: Some("data/shop.pg/ab/abcd.01K".into()),
                level: Level::Hashed,
                source: None,
                message: "other bytes than were written".into(),
            }],
            findings: Vec::new(),
            weakened_by: vec!["a sample of 10 %".into()],
            proof: None,
            seconds: 2.0,
        };
        let mut shown = Text::new();
        backup_text(&mut shown, &backup);
        insta::assert_snapshot!(shown.finish(), @r#"
        00000000000000000000000000 of 2 h ago, complete: DAMAGED (still proved: present), 2.0 s
          pg: present; 12 objects, 5.0 MiB
          DAMAGE at `hashed`: data/shop.pg/ab/abcd.01K: other bytes than were written
          weaker than asked: a sample of 10 %
          no proof written: no prover's key (keys.signing.prover or --signing-key)
        "#);
    }
}
