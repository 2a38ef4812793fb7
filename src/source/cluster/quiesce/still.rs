//! Whether everything is still at zero, and still ours.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{AT_A_TIME, Down};
use crate::cluster_client::Api;
use crate::model::{RunId, SourceFailure};

/// Of each workload that is not as it was left, why: one sentence each, in order.
pub async fn not_still(api: &dyn Api, downs: &[Down], run: RunId) -> Result<Vec<String>, SourceFailure> {
    let looks = downs.iter().map(async |down| {
        let reference = &down.workload.reference;
        let Some(live) = down.workload.look(api).await? else {
            return Ok::<_, SourceFailure>(Some(format!("{reference} was deleted")));
        };
        if live.replicas > 0 {
            let who = live.scaled_by().map(|by| format!(" by {by}")).unwrap_or_default();
            return Ok(Some(format!("{reference} was scaled to {}{who}", live.replicas)));
        }
        Ok(match live.record {
            _ if down.replicas == 0 => None,
            Some(Ok(record)) if record.run == run => None,
            // It stayed at zero all along, only who scales it back has changed.
            Some(Ok(_)) => None,
            _ => Some(format!("{reference} is at 0, and its record was taken off by somebody")),
        })
    });
    let looks: Vec<_> = looks.collect();
    stream::iter(looks).buffered(AT_A_TIME).try_filter_map(async |sentence| Ok(sentence)).try_collect().await
}
