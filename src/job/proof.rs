//! `lifeboat proof`: what was proved, by whom, and whether the proof holds.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::context::Context;
use crate::job::JobError;
use crate::job::acting::Acting;
use crate::job::list::findings;
use crate::job::open::{age, catalog, identities, now, open, open_pinned, select};
use crate::job::types::{
    Place, ProofListReport, ProofListRequest, ProofRow, ProofShowReport, ProofShowRequest, ProofVerdict,
    ProofVerifyReport, ProofVerifyRequest, ProofVerifyWhat, SignatureState,
};
use crate::model::{
    PREDICATE_TYPE, Prefix, PublicKey, Role, STATEMENT_TYPE, Statement, Subject, SubjectDigest, Timestamp,
};
use crate::repository::{self, Backup, Identities, ProofEntry, Repository, layout};
use crate::store::{ErrorKind, Store};

const MAX_PROOF_BYTES: u64 = 64 << 20;

pub async fn list(request: ProofListRequest, cx: &Context) -> Result<ProofListReport, JobError> {
    let repository = open(&request.place, Acting::Restorer, cx).await?;
    let catalog = catalog(&repository, &request.place).await?;
    let chosen: Vec<&Backup> = match &request.backup {
        Some(backup) => vec![select(&catalog, backup, None)?],
        None => catalog.backups.iter().collect(),
    };
    let (now, pinned) = (now(&repository).await?, repository.is_pinned());
    let mut proofs: Vec<ProofRow> =
        chosen.into_iter().flat_map(|backup| &backup.proofs).map(|proof| row(proof, now, pinned)).collect();
    proofs.sort_by_key(|row| std::cmp::Reverse((row.created, row.id)));
    Ok(ProofListReport { url: request.place.url, pinned, proofs, findings: findings(&catalog) })
}

pub async fn show(request: ProofShowRequest, cx: &Context) -> Result<ProofShowReport, JobError> {
    let place = &request.place;
    let repository = open(place, Acting::Restorer, cx).await?;
    let catalog = catalog(&repository, place).await?;
    let backup = select(&catalog, &request.backup, None)?;
    let matches = |entry: &&ProofEntry| {
        request.proof.as_ref().is_none_or(|prefix| entry.id.to_string().starts_with(&prefix.to_ascii_uppercase()))
    };
    let entry = backup.proofs.iter().rev().find(matches).ok_or_else(|| {
        JobError::usage(format!("backup {} has no such proof", backup.manifest.run)).hint("lifeboat proof list")
    })?;
    let detail = match identities(place)? {
        Some(identities) => open_detail(entry, &identities)?,
        None => None,
    };
    let manifest = &backup.manifest;
    Ok(ProofShowReport {
        row: row(entry, now(&repository).await?, repository.is_pinned()),
        key: layout::proof(&manifest.policy, manifest.run, entry.id).to_string(),
        statement: statement(backup, entry),
        detail,
    })
}

fn open_detail(entry: &ProofEntry, identities: &Arc<Identities>) -> Result<Option<serde_json::Value>, JobError> {
    let Some(sealed) = &entry.proof.detail else { return Ok(None) };
    let damaged = || JobError::damaged("the sealed part of the proof cannot be read");
    let sealed = BASE64_STANDARD.decode(sealed).map_err(|error| damaged().because(error))?;
    let plain = identities
        .open(&sealed, MAX_PROOF_BYTES)
        .map_err(|error| JobError::refused("the sealed part of the proof does not open").because(error))?;
    serde_json::from_slice(&plain).map(Some).map_err(|error| damaged().because(error))
}

/// The statement of a proof about that backup.
pub(in crate::job) fn statement(backup: &Backup, entry: &ProofEntry) -> Statement {
    let manifest = &backup.manifest;
    Statement {
        statement_type: STATEMENT_TYPE.into(),
        subject: vec![Subject {
            name: layout::manifest(&manifest.policy, manifest.run).to_string(),
            digest: SubjectDigest { sha256: backup.sha256 },
        }],
        predicate_type: PREDICATE_TYPE.into(),
        predicate: entry.proof.clone(),
    }
}

pub(in crate::job) fn row(entry: &ProofEntry, now: Timestamp, pinned: bool) -> ProofRow {
    let proof = &entry.proof;
    ProofRow {
        id: entry.id,
        run: proof.run,
        policy: proof.policy.clone(),
        level: proof.level,
        reached: proof.captures.iter().map(|capture| capture.reached).min().flatten(),
        passed: proof.passed,
        sources: proof.captures.iter().map(|capture| capture.source.clone()).collect(),
        created: entry.created,
        age_seconds: age(now, entry.created),
        seconds: proof.finished.duration_since(proof.started).as_secs_f64(),
        asked_by: proof.asked_by.clone(),
        weakened_by: proof.weakened_by.clone(),
        damaged: proof.damaged.clone(),
        signature: if pinned { SignatureState::Good } else { SignatureState::Unpinned },
    }
}

pub async fn verify(request: ProofVerifyRequest, cx: &Context) -> Result<ProofVerifyReport, JobError> {
    match request.what {
        ProofVerifyWhat::File { path, trust, place } => {
            let bytes = std::fs::read(&path)
                .map_err(|error| JobError::failed(format!("cannot read {}", path.display())).because(error))?;
            let backups = match &place {
                Some(place) => Some(listed(place, cx).await?),
                None => None,
            };
            let name = path.display().to_string();
            let verdict = judge(name, &bytes, &trust.prover, backups.as_deref(), cx.clock.now());
            Ok(ProofVerifyReport { proofs: vec![verdict] })
        }
        ProofVerifyWhat::Backup { place, backup } => {
            let repository = open_pinned(&place, Acting::Restorer, cx).await?;
            let catalog = catalog(&repository, &place).await?;
            let backup = select(&catalog, &backup, None)?.clone();
            let now = now(&repository).await?;
            let provers = repository.signers(Role::Prover);
            let manifest = &backup.manifest;
            let mut proofs = Vec::new();
            for (name, bytes) in read_all(&repository, &layout::proofs(&manifest.policy, manifest.run)).await? {
                let mut verdict = judge(name, &bytes, &provers, Some(std::slice::from_ref(&backup)), now);
                let place = |row: &ProofRow| layout::proof(&manifest.policy, manifest.run, row.id).to_string();
                if verdict.row.as_ref().is_some_and(|row| place(row) != verdict.name) {
                    verdict.message = Some("it is a good proof in the place of another one".into());
                }
                proofs.push(verdict);
            }
            if proofs.is_empty() {
                return Err(JobError::failed(format!("backup {} has no proof", manifest.run))
                    .hint(format!("lifeboat verify {} --level hashed -f POLICY", manifest.run)));
            }
            Ok(ProofVerifyReport { proofs })
        }
    }
}

async fn listed(place: &Place, cx: &Context) -> Result<Vec<Backup>, JobError> {
    let repository = open_pinned(place, Acting::Restorer, cx).await?;
    Ok(catalog(&repository, place).await?.backups)
}

async fn read_all(repository: &Repository, prefix: &Prefix) -> Result<Vec<(String, bytes::Bytes)>, JobError> {
    let failed = |error| JobError::failed("cannot read the proofs").because(error);
    let store: &Store = repository.store();
    let mut found = Vec::new();
    for object in store.list_all(prefix).await.map_err(failed)? {
        let bytes = match store.get(&object.key, MAX_PROOF_BYTES).await {
            Ok(bytes) => bytes,
            // No proof is so large; one that cannot be taken in must not hide what is wrong with the others.
            Err(error) if error.kind() == ErrorKind::TooLarge => bytes::Bytes::new(),
            Err(error) => return Err(failed(error)),
        };
        found.push((object.key.to_string(), bytes));
    }
    Ok(found)
}

/// Holds one proof against the pinned keys and, where there is one, the manifest that is stored.
fn judge(
    name: String,
    bytes: &[u8],
    provers: &[PublicKey],
    backups: Option<&[Backup]>,
    now: Timestamp,
) -> ProofVerdict {
    match repository::open::<Statement>(bytes, provers) {
        Ok(signed) => {
            let proof = signed.document.predicate.clone();
            let about = |backup: &Backup| {
                let manifest = &backup.manifest;
                (manifest.repository, &manifest.policy, manifest.run) == (proof.repository, &proof.policy, proof.run)
                    && signed.document.subject.iter().any(|subject| subject.digest.sha256 == backup.sha256)
            };
            let subject_matches = backups.map(|backups| backups.iter().any(about));
            let message =
                (subject_matches == Some(false)).then(|| "it is about another manifest than the stored one".into());
            let entry = ProofEntry { id: proof.id, created: proof.finished, proof };
            let row = Some(row(&entry, now, true));
            let (key, signature) = (Some(signed.signer), SignatureState::Good);
            ProofVerdict { name, row, key, signature, subject_matches, message }
        }
        Err(error) => {
            let (key, signature, message) = (None, SignatureState::Bad, Some(error.to_string()));
            ProofVerdict { name, row: None, key, signature, subject_matches: None, message }
        }
    }
}
