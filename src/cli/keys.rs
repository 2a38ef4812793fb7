//! `lifeboat keys`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::args::{Global, SigningKey, SingleRecipient};
use crate::cli::exits::after_help;
use crate::cli::text::Text;
use crate::cli::{human, output, place};
use crate::config::{self, Recipients};
use crate::context::Context;
use crate::job::types::{
    KeysChange, KeysChangeReport, KeysChangeRequest, KeysListReport, KeysListRequest, KeysPlace, KeysRow, NewKey,
    PinAction, PinFile, Pinned, Place,
};
use crate::job::{self, Exit, JobError};
use crate::model::{KeyStatus, PublicKey, Role, Timestamp};

const CHANGED: &[Exit] = &[Exit::Blocked, Exit::Missing, Exit::Refused];

/// Who can read a repository, and whose signatures count in it
///
/// Each change is a new configuration that the operator signs, in all of the policy's repositories, or in the one that
/// --repository names. What was stored before stays readable with the keys that it was stored with. Step by step:
/// docs/guides/keys.md
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Recipients, dedup key and role keys: since when, until when, and where each is pinned
    #[command(after_help = after_help("lifeboat keys list -f policy.yaml", &[Exit::Missing, Exit::Refused]))]
    List(List),
    /// Let another key in, beside those that there are
    ///
    /// A recipient can open what is stored from then on; the dedup key is sealed to it, too. A role's key may sign at once,
    /// and is believed by whoever pins it.
    #[command(after_help = after_help("lifeboat keys add recipient age1... -f policy.yaml --yes", CHANGED))]
    Add(Add),
    /// Take a recipient out, or retire a role's key
    ///
    /// A recipient still opens what was stored for it. A retired key signs nothing new, and what it signed stays valid.
    #[command(after_help = after_help("lifeboat keys remove writer ed25519:... -f policy.yaml", CHANGED))]
    Remove(Remove),
    /// Put a new key in the place of the current ones of its role, or a new dedup key
    #[command(after_help = after_help("lifeboat keys rotate writer --generate-keys DIR -f policy.yaml", CHANGED))]
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub struct List {}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Opens backups
    Recipient,
    /// Signs backups
    Writer,
    /// Signs proofs
    Prover,
    /// Signs what expires
    Collector,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rotated {
    /// Signs backups
    Writer,
    /// Signs proofs
    Prover,
    /// Signs what expires
    Collector,
    /// Recognises chunks
    Dedup,
}

#[derive(Debug, Args)]
pub struct Add {
    /// What the key is for
    what: What,
    /// age1... of a recipient, ed25519:... of a role
    key: String,
    /// From when on it is not to be used any more: a day, or a time. Warnings begin 30 days before
    #[arg(long, value_name = "DATE", value_parser = expiry)]
    expires: Option<Timestamp>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub struct Remove {
    /// What the key is for
    what: What,
    /// age1... of a recipient, ed25519:... of a role
    key: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub struct Rotate {
    /// What the key is for
    what: Rotated,
    /// The new key: ed25519:... or the file of a private key; for dedup, the file with it
    #[arg(required_unless_present = "generate_keys", conflicts_with = "generate_keys")]
    key: Option<String>,
    /// Make the new key, and write it into this folder
    #[arg(long, value_name = "DIR")]
    generate_keys: Option<PathBuf>,
    /// From when on the new key is not to be used any more: a day, or a time. Warnings begin 30 days before
    #[arg(long, value_name = "DATE", value_parser = expiry)]
    expires: Option<Timestamp>,
    #[command(flatten)]
    how: How,
}

/// How a change is carried out.
#[derive(Debug, Args)]
struct How {
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do it although the next backups store everything anew
    #[arg(long)]
    yes: bool,
    /// Write what is to be pinned from now on into this file, which must not exist
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    write_trust: Option<PathBuf>,
    #[command(flatten)]
    single: SingleRecipient,
    #[command(flatten)]
    signing: SigningKey,
}

/// A day begins at midnight, UTC.
fn expiry(text: &str) -> Result<Timestamp, String> {
    let day = text.parse::<jiff::civil::Date>().map(|day| day.at(0, 0, 0, 0));
    match day {
        Ok(day) if !text.contains('T') => jiff::tz::Offset::UTC.to_timestamp(day).map_err(|error| error.to_string()),
        _ => text.parse::<Timestamp>().map_err(|_| "a day, as 2027-01-31, or a time, as 2027-01-31T12:00:00Z".into()),
    }
}

impl What {
    fn role(self) -> Option<Role> {
        match self {
            What::Recipient => None,
            What::Writer => Some(Role::Writer),
            What::Prover => Some(Role::Prover),
            What::Collector => Some(Role::Collector),
        }
    }
}

fn role_key(role: Role, text: &str) -> Result<(Role, PublicKey), JobError> {
    let hint = format!(
        "the public half: `lifeboat keys list` shows those in force, `openssl pkey -in {role}.key -pubout` makes a new one's"
    );
    let key = text.parse().map_err(|error| JobError::usage("not a key").because(error).hint(hint))?;
    Ok((role, key))
}

fn recipient(text: &str) -> Result<String, JobError> {
    config::check_recipient(text).map_err(|error| JobError::usage(format!("not a recipient: {error}")))
}

impl Keys {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let (change, how) = match self {
            Keys::List(List {}) => {
                let report = job::keys::list(KeysListRequest { places: listed(global)? }, cx).await?;
                output::report(global.json, &report, list_text)?;
                return Ok(report.exit());
            }
            Keys::Add(Add { what, key, expires, how }) => match what.role() {
                None => (KeysChange::AddRecipient { recipient: recipient(&key)?, expires }, how),
                Some(role) => {
                    let (role, key) = role_key(role, &key)?;
                    (KeysChange::AddKey { role, key, expires }, how)
                }
            },
            Keys::Remove(Remove { what, key, how }) => match what.role() {
                None => (KeysChange::RemoveRecipient { recipient: recipient(&key)? }, how),
                Some(role) => {
                    let (role, key) = role_key(role, &key)?;
                    (KeysChange::RemoveKey { role, key }, how)
                }
            },
            Keys::Rotate(rotate) => rotate.change()?,
        };
        let request = KeysChangeRequest {
            places: places(global, how.single.allow_single_recipient, how.signing.signing_key.as_ref())?,
            change,
            dry_run: how.dry_run,
            yes: how.yes,
            allow_single_recipient: how.single.allow_single_recipient,
            write_trust: how.write_trust,
        };
        let report = job::keys::change(request, cx).await?;
        output::report(global.json, &report, change_text)?;
        Ok(report.exit())
    }
}

impl Rotate {
    fn change(self) -> Result<(KeysChange, How), JobError> {
        let (key, generate) = (self.key.unwrap_or_default(), self.generate_keys);
        let role = match self.what {
            Rotated::Writer => Role::Writer,
            Rotated::Prover => Role::Prover,
            Rotated::Collector => Role::Collector,
            Rotated::Dedup => {
                if self.expires.is_some() {
                    return Err(JobError::usage("a dedup key does not expire").hint("leave --expires out"));
                }
                let key = generate.map_or_else(|| NewKey::Given(PathBuf::from(key)), NewKey::Generate);
                return Ok((KeysChange::RotateDedup { key }, self.how));
            }
        };
        let key = generate.map_or_else(|| NewKey::Given(key), NewKey::Generate);
        Ok((KeysChange::RotateKey { role, key, expires: self.expires }, self.how))
    }
}

/// All of the policy's repositories, or the one that is named.
fn places(global: &Global, single: bool, signing_key: Option<&PathBuf>) -> Result<Vec<Place>, JobError> {
    let files = global.files(if single { Recipients::AtLeastOne } else { Recipients::AtLeastTwo })?;
    if global.repository.is_none() && files.policy.is_some() {
        return global.policy_places(&files, signing_key);
    }
    Ok(vec![global.place_of(files, signing_key.cloned())?])
}

/// The same for who only looks: what policy and trust file pin may differ.
fn listed(global: &Global) -> Result<Vec<KeysPlace>, JobError> {
    let files = global.files(Recipients::AtLeastOne)?;
    let urls = match (&global.repository, &files.policy) {
        (Some(text), _) => vec![place::repository(text)?],
        (None, Some(policy)) => policy.repositories().map(|one| one.url.clone()).collect(),
        (None, None) => {
            let hint = "give -f POLICY or --repository URL (or set LIFEBOAT_POLICY, LIFEBOAT_REPOSITORY)";
            return Err(JobError::usage("which repository?").hint(hint));
        }
    };
    let places = urls.into_iter().map(|url| KeysPlace {
        policy: files.policy.as_ref().and_then(|policy| policy.trust_at(&url)),
        file: files.trust.clone(),
        place: Place { url, policy: files.policy.clone(), trust: None, identities: Vec::new(), signing_key: None },
    });
    Ok(places.collect())
}

fn list_text(report: &KeysListReport) -> String {
    let mut text = Text::new();
    for row in &report.repositories {
        one_text(&mut text, row);
    }
    text.finish()
}

fn one_text(text: &mut Text, row: &KeysRow) {
    let id = row.repository.map_or_else(|| "unknown repository".into(), |id| format!("repository {id}"));
    text.blank().line(format!("{id} at {}", row.url));
    text.findings(2, &row.findings);
    let until =
        |expires: Option<Timestamp>| expires.map(|at| format!("expires {}", human::time(at))).unwrap_or_default();
    let mut rows: Vec<Vec<String>> = Vec::new();
    if let Some(operator) = row.operator {
        rows.push(vec![
            "operator".into(),
            operator.to_string(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ]);
    }
    for one in &row.recipients {
        let since = format!("since {}", human::time(one.since));
        rows.push(vec![
            "recipient".into(),
            one.recipient.clone(),
            String::new(),
            since,
            pinned(one.pinned),
            until(one.expires),
        ]);
    }
    if let Some(one) = &row.dedup {
        let since = format!("since {}", human::time(one.since));
        rows.push(vec!["dedup key".into(), one.id.clone(), String::new(), since, pinned(one.pinned), String::new()]);
    }
    for one in &row.keys {
        let status = if one.status == KeyStatus::Current { "current" } else { "retired" };
        let since = format!("since {}", human::time(one.since));
        rows.push(vec![
            one.role.to_string(),
            one.key.to_string(),
            status.into(),
            since,
            pinned(one.pinned),
            until(one.expires),
        ]);
    }
    text.table(2, &rows);
    if let Some(one) = &row.dedup {
        text.line(format!("  as trust.yaml pins it: dedup: {{id: \"{}\", check: \"{}\"}}", one.id, one.check));
    }
    if !row.chain.is_empty() {
        text.line("  configurations, oldest first:");
    }
    for link in &row.chain {
        let mark = if row.in_force == Some(link.id) { ", in force" } else { "" };
        text.line(format!("    {}, {}{mark}", link.id, human::time(link.stored)));
        for change in &link.changes {
            text.line(format!("      {change}"));
        }
    }
}

fn pinned(pinned: Pinned) -> String {
    match (pinned.policy, pinned.trust) {
        (None, None) => String::new(),
        (Some(true), Some(true)) => "pinned".into(),
        (Some(true), None) => "pinned (policy)".into(),
        (None, Some(true)) => "pinned (trust file)".into(),
        (Some(true), Some(false)) => "NOT PINNED in the trust file".into(),
        (Some(false), Some(true)) => "NOT PINNED in the policy".into(),
        _ => "NOT PINNED".into(),
    }
}

fn change_text(report: &KeysChangeReport) -> String {
    let mut text = Text::new();
    for row in &report.repositories {
        let done = match (row.configuration, row.changes.is_empty()) {
            (Some(id), false) => format!("configuration {id} is in force"),
            (None, false) => "would be changed".into(),
            (_, true) => "was changed before".into(),
        };
        text.line(format!("{}: {done}", row.url));
        for change in &row.changes {
            text.line(format!("  {change}"));
        }
    }
    if !report.files.is_empty() {
        text.blank().line("written:");
        let row = |file: &crate::job::types::InitFile| {
            vec![file.path.display().to_string(), file.what.clone(), file.keep.clone()]
        };
        text.table(2, &report.files.iter().map(row).collect::<Vec<_>>());
    }
    if !report.pins.is_empty() {
        text.blank().line("to change, in every policy and trust file:");
        let rows: Vec<Vec<String>> = report
            .pins
            .iter()
            .map(|line| {
                let file = match line.file {
                    PinFile::Policy => "policy.yaml",
                    PinFile::Trust => "trust.yaml",
                };
                let action = match line.action {
                    PinAction::Add => "add",
                    PinAction::Remove => "remove",
                    PinAction::Set => "set to",
                };
                vec![file.into(), line.field.clone(), action.into(), line.value.clone()]
            })
            .collect();
        text.table(2, &rows);
    }
    if !report.costs.is_empty() {
        text.blank().line("cost:");
        for cost in &report.costs {
            text.line(format!("  {cost}"));
        }
    }
    text.blank().line(if report.dry_run { "nothing was changed; afterwards:" } else { "next:" });
    for step in &report.next {
        text.line(format!("  {step}"));
    }
    text.finish()
}
