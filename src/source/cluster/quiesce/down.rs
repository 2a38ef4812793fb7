//! One workload to zero. How many it had stands on it from the same write on.

use super::TRIES;
use super::record::Record;
use super::workload::{Sent, Workload};
use crate::cluster_client::Api;
use crate::context::Context;
use crate::model::{FailureClass, RunId, SourceFailure};
use crate::source::cluster::restore::client::patience;
use crate::source::cluster::unexpected;

/// A workload that is at zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Down {
    pub workload: Workload,
    /// How many it had. 0: it was at zero already, and nothing stands on it.
    pub replicas: u32,
    /// Another run had set it to zero, and did not scale it back: its count was taken over.
    pub taken_over: Option<RunId>,
}

/// Sets one workload to zero. `wanted` is the record without its count and path. None: it is gone.
///
/// A record of an earlier run on a workload at zero keeps its count: a 0 is never recorded over it. On one that somebody
/// scaled up since, the count is what it has now.
pub async fn down(
    api: &dyn Api,
    workload: &Workload,
    wanted: &Record,
    cx: &Context,
) -> Result<Option<Down>, SourceFailure> {
    let subject = workload.reference.to_string();
    let fail = |class, message: String| SourceFailure::new(class, &subject, message);
    let mut trouble = String::new();
    for n in 0..TRIES {
        if n > 0 {
            cx.clock.pause(patience(n - 1)).await;
        }
        let Some(live) = workload.look(api).await? else { return Ok(None) };
        let is = |replicas: u32, taken_over| Some(Down { workload: workload.clone(), replicas, taken_over });
        let (replicas, taken_over) = match (live.replicas, &live.record) {
            (0, None) => return Ok(is(0, None)),
            (0, Some(Ok(record))) if record.run == wanted.run => return Ok(is(record.replicas, None)),
            (0, Some(Ok(record))) => (record.replicas, Some(record.run)),
            (0, Some(Err(problem))) => {
                let message = format!("is at 0, and the count that it had cannot be read: {problem}");
                return Err(fail(FailureClass::Configuration, message)
                    .cure("scale it to what it should be, and take the annotation lifeboat.dev/quiesced off"));
            }
            (count, _) => match u32::try_from(count) {
                Ok(count) if i32::try_from(count).is_ok() => (count, None),
                _ => return Err(fail(FailureClass::Configuration, format!("wants {count} replicas"))),
            },
        };
        let record = Record { replicas, path: workload.scalable.pointer.clone(), ..wanted.clone() };
        let at_once = workload.scalable.pointer.is_some();
        let sent = workload.write(api, &live.version, Some(&record), at_once.then_some(0)).await?;
        let sent = match sent {
            // The record stands: whatever dies from here on, the count is not lost.
            Sent::Done if !at_once && live.replicas > 0 => match workload.look(api).await? {
                Some(again) if again.replicas == live.replicas => workload.scale(api, &again.version, 0).await?,
                Some(_) => Sent::Overtaken,
                None => return Ok(None),
            },
            sent => sent,
        };
        match sent {
            Sent::Done => return Ok(is(replicas, taken_over)),
            Sent::Overtaken => trouble = "somebody else keeps changing it".into(),
            Sent::Unknown(what) => trouble = what,
            Sent::Refused(answer) => {
                return Err(unexpected(&subject, "setting it to 0 replicas", &answer)
                    .cure("the rights of deploy/rbac-quiesce.yaml"));
            }
        }
    }
    Err(fail(FailureClass::Unreachable, format!("could not be set to 0, tried {TRIES} times: {trouble}")))
}
