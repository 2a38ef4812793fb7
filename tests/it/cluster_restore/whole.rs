//! A whole platform, lost and brought back.

use std::sync::Arc;

use lifeboat::cluster_client::Api;
use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::restore::{Options, Outcome};

use super::bed::{api, capture, count, destroy};
use super::compare::assert_restored;
use super::fault::{Fault, Faulty};
use super::platform::Platform;
use crate::support::servers::kubernetes;

#[tokio::test]
async fn a_platform_comes_back_and_again_nothing_changes() {
    let server = kubernetes::shared().await;
    let api = api(server).await;
    let platform = Platform::build(server).await;
    platform.rarer(server).await;
    let backup = capture(server, &api, &[&platform.namespace]).await;
    destroy(server, &api, &backup).await;

    let (rules, options) = (Rules::default(), Options::default());
    let first = backup.restore(&api, &rules, &options).await;
    let left: Vec<_> = first.iter().filter(|object| object.outcome == Outcome::Failed).collect();
    assert!(left.is_empty(), "{left:#?}");
    let skipped: Vec<String> = first
        .iter()
        .filter(|object| object.outcome == Outcome::Skip)
        .map(|object| format!("{} {}", object.reference.gvk.kind, object.reference.name))
        .collect();
    let restored = |object: &serde_json::Value| {
        let name = format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        !skipped.contains(&name)
    };
    let compared = assert_restored(server, &api, &backup, restored).await;
    assert!(compared >= 65, "{compared} objects were compared");

    let counted = Faulty::new(&api, Fault::None);
    let quiet: Arc<dyn Api> = counted.clone();
    let second = backup.restore(&quiet, &rules, &options).await;
    assert_eq!(count(&second, Outcome::Same) + count(&second, Outcome::Skip), second.len(), "{second:#?}");
    assert_eq!(counted.done(), Vec::<String>::new(), "nothing was written");
}
