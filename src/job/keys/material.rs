//! The keys that a change needs: those that are given, and those that are made.

use std::path::Path;

use crate::job::JobError;
use crate::job::key_files::KeyFile;
use crate::job::open::{dedup_key, from_repository, identities, signing_key};
use crate::job::types::{KeysChange, NewKey, Place};
use crate::model::{DedupPin, PublicKey, Role};
use crate::repository::{DedupKey, KeyChange, Repository, SigningKey, public_key_pem};
use crate::secret::SecretRef;

/// A change with everything that it needs.
pub(in crate::job::keys) struct Prepared {
    pub change: KeyChange,
    /// To be sealed under the id that the change gives it.
    pub dedup: Option<DedupKey>,
    /// To be written into that folder before anything else.
    pub made: Vec<KeyFile>,
}

impl Prepared {
    /// The signing key that comes in.
    pub fn key(&self) -> Option<(Role, PublicKey)> {
        match &self.change {
            KeyChange::AddKey { role, key, .. } | KeyChange::RotateKey { role, key, .. } => Some((*role, *key)),
            _ => None,
        }
    }
}

/// `id` is what a dedup key is called that is stored now, if no repository has it already.
pub(in crate::job::keys) async fn prepare(
    change: &KeysChange,
    place: &Place,
    repositories: &[&Repository],
    id: String,
) -> Result<Prepared, JobError> {
    let plain = |change| Prepared { change, dedup: None, made: Vec::new() };
    Ok(match change {
        KeysChange::AddRecipient { recipient, expires } => {
            let dedup = in_force(place, repositories).await?;
            let there = |one: &&&Repository| one.config().recipients.contains(recipient);
            let pin = pin(&dedup, repositories.iter().find(there), id);
            let (recipient, expires) = (recipient.clone(), *expires);
            let change = KeyChange::AddRecipient { recipient, expires, dedup: pin };
            Prepared { dedup: Some(dedup), ..plain(change) }
        }
        KeysChange::RemoveRecipient { recipient } => plain(KeyChange::RemoveRecipient { recipient: recipient.clone() }),
        KeysChange::AddKey { role, key, expires } => {
            plain(KeyChange::AddKey { role: *role, key: *key, expires: *expires })
        }
        KeysChange::RemoveKey { role, key } => plain(KeyChange::RetireKey { role: *role, key: *key }),
        KeysChange::RotateKey { role, key, expires } => {
            let (key, made) = match key {
                NewKey::Given(text) => (given_key(text)?, Vec::new()),
                NewKey::Generate(_) => {
                    let key =
                        SigningKey::generate().map_err(|error| JobError::failed("cannot make a key").because(error))?;
                    (key.public(), signing_files(*role, &key))
                }
            };
            Prepared { made, ..plain(KeyChange::RotateKey { role: *role, key, expires: *expires }) }
        }
        KeysChange::RotateDedup { key } => {
            let (dedup, made) = match key {
                NewKey::Given(path) => (dedup_key(&SecretRef::File(path.clone()))?, Vec::new()),
                NewKey::Generate(_) => {
                    let dedup =
                        DedupKey::generate().map_err(|error| JobError::failed("cannot make a key").because(error))?;
                    let file = dedup_file(&dedup);
                    (dedup, vec![file])
                }
            };
            let there = |one: &&&Repository| one.config().dedup.check == dedup.check();
            let pin = pin(&dedup, repositories.iter().find(there), id);
            Prepared { dedup: Some(dedup), made, ..plain(KeyChange::RotateDedup { dedup: pin }) }
        }
    })
}

/// One trust file pins one id for all repositories, so the name that one of them has is the name in the others.
fn pin(dedup: &DedupKey, there: Option<&&Repository>, id: String) -> DedupPin {
    let known = there.map(|repository| repository.config().dedup.id.clone());
    DedupPin { id: known.unwrap_or(id), check: dedup.check() }
}

/// The dedup key in force: out of the repository, for who can open it, else from where the policy says.
async fn in_force(place: &Place, repositories: &[&Repository]) -> Result<DedupKey, JobError> {
    let Some(first) = repositories.first() else { return Err(JobError::usage("which repository?")) };
    let key = match (identities(place)?, &place.policy) {
        (Some(identities), _) => {
            first.dedup_key(&first.config().dedup.id, &identities).await.map_err(from_repository)?
        }
        (None, Some(policy)) => dedup_key(&policy.keys.dedup)?,
        (None, None) => {
            return Err(JobError::refused(
                "the dedup key must be sealed to the new recipient, too, and is not at hand",
            )
            .hint("-f POLICY whose keys.dedup names it, or --identity FILE, which opens the one in the repository"));
        }
    };
    match repositories.iter().find(|one| one.config().dedup.check != key.check()) {
        None => Ok(key),
        Some(other) => Err(JobError::refused(format!("the dedup key is not that of repository {}", other.id()))
            .hint("keys.dedup in the policy: the dedup.key in force")),
    }
}

/// `ed25519:...`, or the file of a private key.
fn given_key(text: &str) -> Result<PublicKey, JobError> {
    if text.starts_with("ed25519:") {
        return text.parse().map_err(|error| JobError::usage("not a key").because(error));
    }
    let refused = || {
        JobError::refused(format!("cannot use the key in {text}")).hint("a private key in PKCS#8 PEM, or ed25519:...")
    };
    let pem = SecretRef::File(Path::new(text).to_owned()).resolve().map_err(|error| refused().because(error))?;
    SigningKey::from_pem(pem.expose()).map(|key| key.public()).map_err(|error| refused().because(error))
}

/// The operator's key; refused if it is not the one that is pinned.
pub(in crate::job::keys) fn operator(
    place: &Place,
    pinned: PublicKey,
    repository: &Repository,
) -> Result<SigningKey, JobError> {
    let hint =
        "keys.signing.operator in the policy, or --signing-key: the operator.key that init wrote; it belongs offline";
    let key = signing_key(place, Role::Operator)?
        .ok_or_else(|| JobError::refused("keys are changed by the operator, whose key was not given").hint(hint))?;
    if key.public() == pinned {
        return Ok(key);
    }
    let known = repository.config().keys.iter().find(|known| known.key == key.public());
    Err(match known {
        Some(known) => JobError::refused(format!("this is the {}'s key, not the operator's", known.role)),
        None => JobError::refused(format!("this is not the operator's key that is pinned: {}", key.public())),
    }
    .hint(hint))
}

fn signing_files(role: Role, key: &SigningKey) -> Vec<KeyFile> {
    let (private, public, what, keep) = match role {
        Role::Operator => ("operator.key", "operator.pub", "signs the repository's configuration", "offline"),
        Role::Writer => ("writer.key", "writer.pub", "signs backups", "on the machine that backs up"),
        Role::Prover => ("prover.key", "prover.pub", "signs proofs", "where backups are verified"),
        Role::Collector => ("collector.key", "collector.pub", "signs what expires", "apart from the writer's key"),
    };
    let pem = key.to_pem().expose().clone();
    let open = public_key_pem(&key.public());
    vec![
        KeyFile { name: private, text: pem, private: true, what, keep },
        KeyFile {
            name: public,
            text: open,
            private: false,
            what: "checks signatures with openssl",
            keep: "with RESTORE.txt",
        },
    ]
}

fn dedup_file(key: &DedupKey) -> KeyFile {
    KeyFile {
        name: "dedup.key",
        text: key.to_text().expose().clone(),
        private: true,
        what: "recognises chunks; decrypts nothing",
        keep: "on the machine that backs up",
    }
}
