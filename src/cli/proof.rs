//! `lifeboat proof`

use std::path::Path;

use clap::{Args, Subcommand};

use crate::cli::args::Global;
use crate::cli::exits::{READ, after_help};
use crate::cli::text::Text;
use crate::cli::{human, output};
use crate::config::Recipients;
use crate::context::Context;
use crate::job::types::{
    BackupRef, ProofListReport, ProofListRequest, ProofRow, ProofShowReport, ProofShowRequest, ProofVerdict,
    ProofVerifyReport, ProofVerifyRequest, ProofVerifyWhat, SignatureState,
};
use crate::job::{self, Exit, JobError};
use crate::model::Name;

/// Signed statements of what was proved
#[derive(Debug, Subcommand)]
pub enum Proof {
    /// All proofs, newest first
    #[command(after_help = after_help("lifeboat proof list latest -f policy.yaml", READ))]
    List(List),
    /// One proof with all its numbers
    #[command(after_help = after_help("lifeboat proof show latest -f policy.yaml", &[Exit::Damaged, Exit::Missing, Exit::Refused]))]
    Show(Show),
    /// Check signatures, and that the backup is still the one that was proved
    #[command(after_help = after_help("lifeboat proof verify proof.json --trust trust.yaml", &[Exit::Damaged, Exit::Missing, Exit::Refused]))]
    Verify(Verify),
}

#[derive(Debug, Args)]
pub struct List {
    /// Of this backup only
    backup: Option<BackupRef>,
}

#[derive(Debug, Args)]
pub struct Show {
    /// Run id, the beginning of one, latest, latest-verified or before:TIME
    backup: BackupRef,
    /// The beginning of a proof's id; default is the newest
    #[arg(long, value_name = "ID")]
    proof: Option<String>,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A proof that was carried out of the repository, or a backup whose proofs are all checked
    #[arg(value_name = "FILE|BACKUP")]
    what: String,
}

impl Proof {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        match self {
            Proof::List(List { backup }) => {
                let request = ProofListRequest { place: global.place()?, backup };
                let report = job::proof::list(request, cx).await?;
                output::report(global.json, &report, list_text)?;
                Ok(report.exit())
            }
            Proof::Show(Show { backup, proof }) => {
                let request = ProofShowRequest { place: global.place()?, backup, proof };
                let report = job::proof::show(request, cx).await?;
                output::report(global.json, &report, show_text)?;
                Ok(report.exit())
            }
            Proof::Verify(Verify { what }) => {
                let report = job::proof::verify(ProofVerifyRequest { what: subject(&what, global)? }, cx).await?;
                output::report(global.json, &report, verify_text)?;
                Ok(report.exit())
            }
        }
    }
}

/// A file if there is one of that name, else a backup.
fn subject(what: &str, global: &Global) -> Result<ProofVerifyWhat, JobError> {
    let path = Path::new(what);
    if !path.is_file() {
        let backup: BackupRef =
            what.parse().map_err(|error| JobError::usage(format!("no file `{what}`")).because(error))?;
        return Ok(ProofVerifyWhat::Backup { place: global.place()?, backup });
    }
    let files = global.files(Recipients::AtLeastOne)?;
    let anywhere = global.repository.is_some() || files.policy.is_some();
    let pinned = files.trust.clone();
    let place = if anywhere { Some(global.place_of(files, None)?) } else { None };
    let Some(trust) = place.as_ref().map_or(pinned, |place| place.trust.clone()) else {
        let hint = "give --trust FILE, or -f POLICY with keys.trusted and the repository's id";
        return Err(JobError::refused("nothing says whose signature to believe").hint(hint));
    };
    Ok(ProofVerifyWhat::File { path: path.to_owned(), trust, place })
}

fn list_text(report: &ProofListReport) -> String {
    let mut text = Text::new();
    if !report.pinned {
        text.line(
            "UNPINNED: signatures were checked only against what the repository says of itself (give -f or --trust)",
        );
    }
    text.findings(0, &report.findings);
    if report.proofs.is_empty() {
        text.line("no proofs yet: lifeboat verify BACKUP --level opened");
    } else {
        text.table(0, &rows(&report.proofs));
    }
    text.finish()
}

/// A table of proofs, with headings.
pub fn rows(proofs: &[ProofRow]) -> Vec<Vec<String>> {
    let head = ["proof", "backup", "result", "sources", "age", "took", "asked by", "signature", "remarks"];
    let head: Vec<String> = head.map(str::to_owned).to_vec();
    [head].into_iter().chain(proofs.iter().map(row)).collect()
}

fn row(proof: &ProofRow) -> Vec<String> {
    let reached = proof.reached.map_or("nothing".to_owned(), |level| level.to_string());
    let result = if proof.passed { reached } else { format!("FAILED at {} (reached {reached})", proof.level) };
    let mut remarks = proof.weakened_by.clone();
    if !proof.damaged.is_empty() {
        remarks.push(format!("damaged: {}", human::count(proof.damaged.len() as u64, "object")));
    }
    let sources: Vec<&str> = proof.sources.iter().map(Name::as_str).collect();
    vec![
        proof.id.to_string(),
        proof.run.to_string(),
        result,
        sources.join(", "),
        human::age(proof.age_seconds),
        human::seconds(proof.seconds),
        proof.asked_by.clone(),
        word(proof.signature).to_owned(),
        remarks.join("; "),
    ]
}

fn word(state: SignatureState) -> &'static str {
    match state {
        SignatureState::Good => "good",
        SignatureState::Unpinned => "unpinned",
        SignatureState::Bad => "BAD",
    }
}

fn show_text(report: &ProofShowReport) -> String {
    let mut text = Text::new();
    let proof = &report.statement.predicate;
    text.table(0, &rows(std::slice::from_ref(&report.row)));
    let mut facts = vec![
        vec!["stored as".to_owned(), report.key.clone()],
        vec!["started".to_owned(), proof.started.to_string()],
        vec!["finished".to_owned(), proof.finished.to_string()],
        vec!["lifeboat".to_owned(), proof.lifeboat.clone()],
    ];
    if !proof.tools.is_empty() {
        facts.push(vec!["tools".to_owned(), proof.tools.join(", ")]);
    }
    text.table(2, &facts);
    for subject in &report.statement.subject {
        text.line(format!("  proves {} sha256 {}", subject.name, subject.digest.sha256));
    }
    for capture in &proof.captures {
        let reached = capture.reached.map_or("nothing".to_owned(), |level| level.to_string());
        let rows = capture.rows.map(|rows| format!(", {}", human::count(rows, "row"))).unwrap_or_default();
        let objects = human::count(capture.objects, "object");
        text.line(format!("  {}: {reached}; {objects}, {}{rows}", capture.source, human::bytes(capture.bytes)));
        for step in &capture.steps {
            text.line(format!("    {}: {}", step.step, human::seconds(step.seconds)));
        }
    }
    for key in &proof.damaged {
        text.line(format!("  DAMAGED: {key}"));
    }
    if let Some(detail) = &report.detail {
        text.line(format!("  detail: {detail:#}"));
    } else if proof.detail.is_some() {
        text.line("  by table: sealed; give --identity");
    }
    text.finish()
}

fn verify_text(report: &ProofVerifyReport) -> String {
    let mut text = Text::new();
    for ProofVerdict { name, row: proof, key, signature: state, subject_matches, message } in &report.proofs {
        text.line(format!("{name}: signature {}", word(*state)));
        if let Some(proof) = proof {
            text.table(2, &rows(std::slice::from_ref(proof)));
        }
        if let Some(key) = key {
            text.line(format!("  signed by {key}"));
        }
        text.line(match subject_matches {
            Some(true) => "  the stored backup is the one that was proved",
            Some(false) => "  the stored backup is NOT the one that was proved",
            None => "  not held against the backup itself (give -f or --repository)",
        });
        if let Some(message) = message {
            text.line(format!("  {message}"));
        }
    }
    text.finish()
}
