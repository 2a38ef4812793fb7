//! The calls of a restore with `dryRun=All`: the server does everything with them but keep them, and says how it went.

use serde_json::Value;

use crate::cluster_client::{Answer, Call, ClusterError, Method};
use crate::model::SourceFailure;
use crate::source::cluster::failed;
use crate::source::cluster::restore::client::{get, message};
use crate::source::cluster::restore::load::write::{Change, MANAGER};
use crate::source::cluster::restore::load::{Job, Loader};
use crate::source::cluster::restore::outcome::Outcome;
use crate::source::cluster::restore::plan::{Live, PENDING};

const DRY: &str = "dryRun=All";
/// So often one object is asked about. The client has had its own patience with 429 and 503 before each.
const TRIES: u32 = 3;

/// What the server says to a write that it is not to do.
#[derive(Debug)]
pub(in crate::source::cluster::restore) enum Said {
    /// It would do it.
    Takes,
    /// It would do it, and the object would be what it is: what differed is what this server fills in.
    Same,
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
            let Some((call, live)) = self.dry().await? else { return Ok(Said::Changed) };
            let answer = match self.loader.api.call(call).await {
                Ok(answer) => answer,
                Err(ClusterError::Unreachable { .. }) if n + 1 < TRIES => continue,
                Err(error) => return Err(failed(error)),
            };
            match answer.status {
                200..300 if live.is_some_and(|live| self.stays(live, &answer)) => return Ok(Said::Same),
                200..300 => return Ok(Said::Takes),
                409 => return Ok(Said::Changed),
                429 | 500..600 => trouble = message(&answer),
                _ => return Ok(Said::Refuses(answer)),
            }
        }
        Ok(Said::Fails(trouble))
    }

    /// Whether nothing is left to be done with an object that is there.
    fn stays(&self, live: Value, answer: &Answer) -> bool {
        let pending = live["metadata"]["annotations"][PENDING].is_string();
        let would_be: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        !pending && !self.owners().later && kept(live) == kept(would_be)
    }

    /// What is sent, and the object that it would change. None: there is nothing to be sent any more.
    async fn dry(&self) -> Result<Option<(Call, Option<Value>)>, SourceFailure> {
        if self.row.outcome == Outcome::Create {
            let collection = self.kind.collection(self.prepared.reference.namespace.as_deref());
            let (body, _) = self.body();
            let call = Call::send(Method::Post, format!("{collection}?{DRY}&{MANAGER}"), body.to_string());
            return Ok(Some((call, None)));
        }
        let Some(live) = get(self.loader.api, &self.path()).await? else { return Ok(None) };
        let patch = match self.row.outcome {
            // It would be left alone: the question is whether it differs at all.
            Outcome::Conflict => {
                let seen = Live::compare(&self.prepared, &live, &self.loader.view.default_ingress_classes);
                if !self.lacking(&seen).is_empty() {
                    return Ok(None);
                }
                self.patch(&seen, &live, Vec::new())
            }
            _ => match self.toward(&live, false) {
                Change::Send(patch) => patch,
                Change::Is(_) => return Ok(None),
            },
        };
        let path = format!("{}?{DRY}&{MANAGER}", self.path());
        Ok(Some((Call::send(Method::MergePatch, path, patch.to_string()), Some(live))))
    }
}

/// An object without what a write changes by itself.
fn kept(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        ["managedFields", "resourceVersion", "generation"].iter().for_each(|key| drop(metadata.remove(*key)));
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_write_that_changes_nothing_still_counts() {
        let object = |version: &str, image: &str| json!({"metadata": {"name": "a", "resourceVersion": version, "managedFields": [version]}, "image": image});
        assert_eq!(kept(object("1", "a")), kept(object("2", "a")));
        assert_ne!(kept(object("1", "a")), kept(object("1", "b")));
    }
}
