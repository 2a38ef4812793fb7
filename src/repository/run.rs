//! One run: the note that starts it, and the deadline that ends it.

use jiff::SignedDuration;

use crate::model::{FORMAT, Key, Name, RunId, RunNote, Timestamp};
use crate::mutation::{self, Mutation};
use crate::repository::error::During as _;
use crate::repository::{Repository, RepositoryError, VERSION, layout};
use crate::store::ErrorKind;

const MAX_NOTE_BYTES: usize = 64 << 10;

/// A run that was announced in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub policy: Name,
    pub id: RunId,
    /// The store's time of the run note. The deadline counts from here, whoever carries the run on.
    pub t0: Timestamp,
}

impl Repository {
    /// Announces a run. One that was announced under that id already is joined: never a second note, since a later t0
    /// would let old parts outlive the collector's patience.
    ///
    /// For an id that was just made up. After a week the note of a run that committed nothing may be gone, and it must
    /// not be announced again: who is told an id joins with [`Repository::join_run`].
    pub async fn start_run(&self, policy: &Name, id: RunId) -> Result<Run, RepositoryError> {
        let key = layout::started(policy, id);
        let note = RunNote {
            format: FORMAT,
            repository: self.id(),
            policy: policy.clone(),
            run: id,
            lifeboat: VERSION.into(),
        };
        let body =
            serde_json::to_vec(&note).map_err(|source| RepositoryError::Encode { what: key.to_string(), source })?;
        match self.store().put_new(&key, body.into()).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.check_note(policy, id).await?,
            Err(source) => return Err(RepositoryError::Store { operation: "announce the run".into(), source }),
        }
        self.started(policy, id).await
    }

    /// Joins a run that was announced: a worker in another process, or a leader that takes over. If its note cannot be
    /// read, it is over, and a new run is to be announced.
    pub async fn join_run(&self, policy: &Name, id: RunId) -> Result<Run, RepositoryError> {
        self.check_note(policy, id).await?;
        self.started(policy, id).await
    }

    /// A run with a note.
    async fn started(&self, policy: &Name, id: RunId) -> Result<Run, RepositoryError> {
        let t0 = if mutation::on(Mutation::RestartedLeader) {
            self.store().now().await.during("read the store's time")?
        } else {
            self.first_stored(&layout::started(policy, id)).await?
        };
        Ok(Run { policy: policy.clone(), id, t0 })
    }

    pub(in crate::repository) async fn check_note(&self, policy: &Name, id: RunId) -> Result<(), RepositoryError> {
        let key = layout::started(policy, id);
        self.read_once(&key, |bytes| self.check_stored_note(policy, id, bytes)).await
    }

    /// The store's time of the first version.
    async fn first_stored(&self, key: &Key) -> Result<Timestamp, RepositoryError> {
        let during = "read the start time of the run";
        if self.store().keeps_versions()
            && let Some(first) = self.versions(key).await?.first()
        {
            return Ok(first.created);
        }
        Ok(self.store().head(key).await.during(during)?.created)
    }

    fn check_stored_note(&self, policy: &Name, id: RunId, bytes: &[u8]) -> Result<(), RepositoryError> {
        let key = layout::started(policy, id);
        let small = bytes.len() <= MAX_NOTE_BYTES;
        let note: Option<RunNote> = small.then(|| serde_json::from_slice(bytes).ok()).flatten();
        match note {
            Some(note)
                if note.format == FORMAT
                    && note.repository == self.id()
                    && note.run == id
                    && note.policy == *policy =>
            {
                Ok(())
            }
            _ => Err(RepositoryError::Damaged { key: key.to_string(), problem: "it announces another run".into() }),
        }
    }

    /// Fails once the run is too old to commit. The store's clock decides.
    pub async fn check_deadline(&self, run: &Run) -> Result<(), RepositoryError> {
        let now = self.store().now().await.during("read the store's time")?;
        let max_run = self.constants().max_run;
        let late = now.duration_since(run.t0) > SignedDuration::from_secs(max_run);
        if late && !mutation::on(Mutation::NoDeadline) {
            return Err(RepositoryError::Deadline { run: run.id, hours: max_run / 3600 });
        }
        Ok(())
    }
}
