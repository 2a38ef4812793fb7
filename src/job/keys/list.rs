//! `lifeboat keys list`: who is in, since when, and where it is pinned. Differences are shown, not refused.

use crate::context::Context;
use crate::job::acting::Acting;
use crate::job::keys::expiry;
use crate::job::keys::words::changes;
use crate::job::open::{configs, from_repository, from_store};
use crate::job::types::{
    ConfigRow, DedupRow, KeysListReport, KeysListRequest, KeysPlace, KeysRow, Pinned, Place, RecipientRow, RoleKeyRow,
};
use crate::job::{Exit, JobError};
use crate::model::{BucketConfig, Finding, KeyStatus, Timestamp, Trust};
use crate::repository::{ConfigLink, Configs, check_pins};

pub async fn list(request: KeysListRequest, cx: &Context) -> Result<KeysListReport, JobError> {
    let mut repositories = Vec::new();
    for place in &request.places {
        let mut row = KeysRow {
            url: place.place.url.clone(),
            repository: None,
            pinned: false,
            operator: None,
            in_force: None,
            recipients: Vec::new(),
            dedup: None,
            keys: Vec::new(),
            chain: Vec::new(),
            findings: Vec::new(),
            exit: Exit::Ok,
        };
        if let Err(error) = fill(place, &mut row, cx).await {
            row.exit = error.exit;
            row.findings.push(error.problem("configuration"));
        }
        repositories.push(row);
    }
    match repositories.as_slice() {
        // Nothing to show beside it.
        [only] if only.chain.is_empty() => {
            let error = KeysListReport { repositories: repositories.clone() }.failure();
            Err(error)
        }
        _ => Ok(KeysListReport { repositories }),
    }
}

impl KeysListReport {
    /// What kept the first repository from being read at all.
    fn failure(self) -> JobError {
        let Some(row) = self.repositories.into_iter().next() else { return JobError::usage("which repository?") };
        let finding = row.findings.into_iter().next_back();
        let message = finding.as_ref().map_or_else(String::new, |finding| finding.message.clone());
        let mut error = JobError::new(row.exit, message);
        error.hint = finding.and_then(|finding| finding.cure);
        error
    }
}

/// Whose configurations are believed: those of the operator that both files pin.
fn believed(place: &KeysPlace) -> Result<Option<Trust>, JobError> {
    match (&place.policy, &place.file) {
        (Some(policy), Some(file)) if policy.operator != file.operator => {
            let message = format!("the policy pins operator {}, the trust file {}", policy.operator, file.operator);
            Err(JobError::refused(message).hint("find out which of the two was changed before anything else"))
        }
        (Some(policy), Some(file)) => {
            let repositories = policy.repositories.iter().chain(&file.repositories).copied().collect();
            Ok(Some(Trust { repositories, ..file.clone() }))
        }
        (policy, file) => Ok(file.clone().or_else(|| policy.clone())),
    }
}

async fn fill(place: &KeysPlace, row: &mut KeysRow, cx: &Context) -> Result<(), JobError> {
    let trust = believed(place)?;
    row.pinned = trust.is_some();
    let open = Place { trust, ..place.place.clone() };
    let configs = configs(&open, Acting::Restorer, cx).await?;
    row.repository = Some(configs.repository());
    let chain = match configs.chain() {
        Ok(chain) => chain,
        Err(error) => {
            row.chain = forked(&configs);
            return Err(from_repository(error));
        }
    };
    let now = configs.store().now().await.map_err(|error| from_store(&error).because(error))?;
    let before = |n: usize| n.checked_sub(1).and_then(|n| chain.get(n)).map(|link| &link.document);
    row.chain = chain.iter().enumerate().map(|(n, link)| config_row(before(n), link)).collect();
    let Some(tip) = chain.last().map(|link| &link.document) else { return Ok(()) };
    row.operator = Some(tip.operator);
    row.in_force = Some(tip.id);
    row.recipients = tip
        .recipients
        .iter()
        .map(|recipient| RecipientRow {
            since: since(&chain, now, |config| config.recipients.contains(recipient)),
            expires: tip.expires.get(recipient).copied(),
            pinned: pinned(place, |trust| Some(trust.recipients.contains(recipient))),
            recipient: recipient.clone(),
        })
        .collect();
    row.dedup = Some(DedupRow {
        since: since(&chain, now, |config| config.dedup == tip.dedup),
        pinned: pinned(place, |trust| trust.dedup.as_ref().map(|pin| *pin == tip.dedup)),
        id: tip.dedup.id.clone(),
        check: tip.dedup.check,
    });
    row.keys = tip
        .keys
        .iter()
        .map(|one| RoleKeyRow {
            role: one.role,
            key: one.key,
            status: one.status,
            since: since(&chain, now, |config| config.keys.contains(one)),
            expires: tip.expires.get(&one.key.to_string()).copied(),
            pinned: pinned(place, |trust| Some(trust.keys(one.role).contains(&one.key))),
        })
        .collect();
    for (what, trust) in [("policy", &place.policy), ("trust file", &place.file)] {
        let Some(Err(error)) = trust.as_ref().map(|trust| check_pins(tip, trust)) else { continue };
        row.exit = Exit::Refused;
        let cure =
            "if that was a rotation: pin what is listed here, in every policy and trust file; if not, find out who";
        row.findings.push(Finding::problem(what, error.to_string()).cure(cure));
    }
    let lonely = |one: &&RoleKeyRow| {
        one.status == KeyStatus::Current && [one.pinned.policy, one.pinned.trust].contains(&Some(false))
    };
    for one in row.keys.iter().filter(lonely) {
        let message = format!("{} is current, and is not pinned: what it signs is not believed", one.key);
        let cure = "pin it in every policy and trust file; if nobody knows it, take it out: lifeboat keys remove";
        row.findings.push(Finding::warning(format!("{}'s key", one.role), message).cure(cure));
    }
    if !row.pinned {
        let message = "nothing outside of the repository says whose configurations to believe: it vouches for itself";
        row.findings.push(Finding::warning("pins", message).cure("-f POLICY, or --trust FILE"));
    }
    row.findings.extend(expiry::judged(tip, now));
    Ok(())
}

fn pinned(place: &KeysPlace, is: impl Fn(&Trust) -> Option<bool>) -> Pinned {
    Pinned { policy: place.policy.as_ref().and_then(&is), trust: place.file.as_ref().and_then(&is) }
}

/// The store's time of the configuration from which on it was always so.
fn since(chain: &[ConfigLink], now: Timestamp, so: impl Fn(&BucketConfig) -> bool) -> Timestamp {
    chain.iter().rev().take_while(|link| so(&link.document)).last().map_or(now, |link| link.stored)
}

fn config_row(before: Option<&BucketConfig>, link: &ConfigLink) -> ConfigRow {
    ConfigRow {
        id: link.document.id,
        stored: link.stored,
        predecessor: link.document.predecessor.as_ref().map(|before| before.id),
        changes: changes(before, &link.document),
    }
}

/// Those that claim to be the newest, and what each of them changed.
fn forked(configs: &Configs) -> Vec<ConfigRow> {
    configs.tips().into_iter().map(|tip| config_row(configs.before(tip), tip)).collect()
}
