//! The calls of a restore with `dryRun=All`: the server does everything with them but keep them, and says how it went.

use crate::cluster_client::{Answer, Call, ClusterError, Method};
use crate::model::SourceFailure;
use crate::source::cluster::failed;
use crate::source::cluster::restore::client::{get, message};
use crate::source::cluster::restore::load::write::{Change, MANAGER};
use crate::source::cluster::restore::load::{Job, Loader};
use crate::source::cluster::restore::outcome::Outcome;

const DRY: &str = "dryRun=All";
/// So often one object is asked about. The client has had its own patience with 429 and 503 before each.
const TRIES: u32 = 3;

/// What the server says to a write that it is not to do.
#[derive(Debug)]
pub(in crate::source::cluster::restore) enum Said {
    /// It would do it.
    Takes,
    /// The object is not what it was when it was looked at. Whoever looks again will see.
    Changed,
    Refuses(Answer),
    /// It failed inside, each time.
    Fails(String),
}

impl Loader<'_> {
    /// Asks about one row that would be written. Nothing is remembered of the answer here.
    pub async fn rehearse(&self, number: usize) -> Result<Said, SourceFailure> {
        self.job(number, &self.plan.rows[number])?.rehearse().await
    }
}

impl Job<'_> {
    async fn rehearse(&self) -> Result<Said, SourceFailure> {
        let mut trouble = String::new();
        for n in 0..TRIES {
            if n > 0 {
                self.loader.pause(n - 1).await;
            }
            let Some(call) = self.dry().await? else { return Ok(Said::Changed) };
            let answer = match self.loader.api.call(call).await {
                Ok(answer) => answer,
                Err(ClusterError::Unreachable { .. }) if n + 1 < TRIES => continue,
                Err(error) => return Err(failed(error)),
            };
            match answer.status {
                200..300 => return Ok(Said::Takes),
                409 => return Ok(Said::Changed),
                429 | 500..600 => trouble = message(&answer),
                _ => return Ok(Said::Refuses(answer)),
            }
        }
        Ok(Said::Fails(trouble))
    }

    /// None: there is nothing to be sent any more.
    async fn dry(&self) -> Result<Option<Call>, SourceFailure> {
        if self.row.outcome == Outcome::Create {
            let collection = self.kind.collection(self.prepared.reference.namespace.as_deref());
            let (body, _) = self.body();
            return Ok(Some(Call::send(Method::Post, format!("{collection}?{DRY}&{MANAGER}"), body.to_string())));
        }
        let Some(live) = get(self.loader.api, &self.path()).await? else { return Ok(None) };
        let Change::Send(patch) = self.toward(&live, false) else { return Ok(None) };
        let path = format!("{}?{DRY}&{MANAGER}", self.path());
        Ok(Some(Call::send(Method::MergePatch, path, patch.to_string())))
    }
}
