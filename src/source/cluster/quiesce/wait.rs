//! Until the pods are gone: only then nothing is written any more.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use super::{AT_A_TIME, Down};
use crate::cluster_client::Api;
use crate::context::Context;
use crate::model::{FailureClass, SourceFailure, Timestamp};
use crate::source::cluster::ObjectRef;
use crate::source::cluster::restore::client::{Pages, get};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Names that are said of what is waited for.
const NAMED: usize = 3;

/// Waits for the pods of all of them, until that moment. `waiting` hears what is left, whenever that changes.
pub async fn wait(
    api: &dyn Api,
    downs: &[Down],
    deadline: Timestamp,
    waiting: &(dyn Fn(String) + Sync),
    cx: &Context,
) -> Result<(), SourceFailure> {
    let mut left: Vec<&Down> = downs.iter().collect();
    let mut said = String::new();
    loop {
        let looks = left.iter().map(async |down| Ok::<_, SourceFailure>((*down, remain(api, down).await?)));
        let looks: Vec<_> = looks.collect();
        let looked: Vec<(&Down, Vec<String>)> = stream::iter(looks).buffered(AT_A_TIME).try_collect().await?;
        let remaining: BTreeMap<&ObjectRef, Vec<String>> = looked
            .iter()
            .filter(|(_, pods)| !pods.is_empty())
            .map(|(down, pods)| (&down.workload.reference, pods.clone()))
            .collect();
        if remaining.is_empty() {
            return Ok(());
        }
        left = looked.into_iter().filter(|(_, pods)| !pods.is_empty()).map(|(down, _)| down).collect();
        let sentence = sentence(&remaining);
        if cx.clock.now() >= deadline {
            let subject = left.first().map(|down| down.workload.reference.to_string()).unwrap_or_default();
            return Err(SourceFailure::new(
                FailureClass::Deadline,
                subject,
                format!("did not end in time: {sentence}"),
            )
            .cure("see why its pods do not end (kubectl describe pod), or give more time by `quiesce.max`"));
        }
        if sentence != said {
            waiting(sentence.clone());
            said = sentence;
        }
        cx.clock.pause(LOOK_EVERY).await;
    }
}

fn sentence(remaining: &BTreeMap<&ObjectRef, Vec<String>>) -> String {
    let named: Vec<String> =
        remaining.iter().take(NAMED).map(|(object, pods)| format!("{} of {object}", pods.join(", "))).collect();
    let more = remaining.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join("; "))
}

/// Pods that are left of one workload; or, where it does not say which they are, how many.
async fn remain(api: &dyn Api, down: &Down) -> Result<Vec<String>, SourceFailure> {
    let Some(scale) = get(api, &down.workload.scale_path()).await? else { return Ok(Vec::new()) };
    let status = &scale["status"];
    let count = status["replicas"].as_u64().unwrap_or(0);
    let selector = status["selector"].as_str().filter(|selector| !selector.is_empty());
    let (Some(selector), Some(namespace)) = (selector, &down.workload.reference.namespace) else {
        return Ok(if count > 0 { vec![format!("{count} replicas")] } else { Vec::new() });
    };
    let selector = percent_encoding::utf8_percent_encode(selector, percent_encoding::NON_ALPHANUMERIC);
    let mut pods = Vec::new();
    let mut pages = Pages::new(api, format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}"));
    while let Some(page) = pages.next().await? {
        for pod in page {
            let pod: Value = serde_json::from_str(pod.get()).unwrap_or_default();
            if is_left(&pod) {
                pods.push(format!("pod {}", pod["metadata"]["name"].as_str().unwrap_or_default()));
            }
        }
    }
    if pods.is_empty() && count > 0 {
        pods.push(format!("{count} replicas"));
    }
    Ok(pods)
}

/// Labels may be shared with what runs on its own.
fn is_left(pod: &Value) -> bool {
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let mut owners = pod["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let others =
        owners.any(|owner| owner["controller"] == true && matches!(owner["kind"].as_str(), Some("Job" | "DaemonSet")));
    !ended && !others
}
