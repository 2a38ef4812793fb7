//! Lists that break off, are too long, or are refused by what stands behind the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lifeboat::cluster_client::{Answer, Api, Call};
use lifeboat::context::Context;
use lifeboat::model::FailureClass;
use lifeboat::source::cluster::{ClusterSource, Scope};
use serde_json::{Value, json};

use super::definition;
use crate::support::capture::Findings;
use crate::support::cluster::{InFront, api, capture, namespaces, source, status};
use crate::support::servers::kubernetes::{Kubernetes, shared};

async fn config_maps(server: &Kubernetes, stem: &str, number: u32, bytes: usize) -> String {
    let name = server.namespace(stem).await;
    for n in 0..number {
        let object = json!({"metadata": {"name": format!("m-{n}")}, "data": {"text": "x".repeat(bytes)}});
        server.create(&format!("/api/v1/namespaces/{name}/configmaps"), &object).await;
    }
    name
}

async fn in_front(
    server: &Kubernetes,
    scope: Scope,
    answering: impl Fn(usize, &Call) -> Option<Answer> + Send + Sync + 'static,
) -> ClusterSource {
    let mut source = source(server, scope);
    source.api = Some(InFront::of(api(server).await, answering));
    source
}

fn only(namespace: &str, kinds: &[&str]) -> Scope {
    Scope { include: kinds.iter().map(|kind| (*kind).to_owned()).collect(), ..namespaces(&[namespace]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_the_server_forgot_is_begun_again_and_nothing_comes_twice() {
    let server = shared().await;
    let name = config_maps(server, "forgotten", 6, 10).await;
    let whole = capture(&source(server, only(&name, &["configmaps"])), &Context::silent()).await.unwrap();
    let forgotten = Arc::new(AtomicU32::new(0));
    let count = forgotten.clone();
    let mut source = in_front(server, only(&name, &["configmaps"]), move |_, call| {
        // The third page of the first two lists.
        let third = call.path.contains("/configmaps?") && call.path.contains("continue=");
        (third && count.fetch_add(1, Ordering::SeqCst) % 2 == 1 && count.load(Ordering::SeqCst) < 5)
            .then(|| status(410, "The provided continue parameter is too old"))
    })
    .await;
    source.limit = 2;
    let captured = capture(&source, &Context::silent()).await.unwrap();
    assert!(forgotten.load(Ordering::SeqCst) > 4, "it was begun again");
    assert_eq!(captured.objects, whole.objects);

    let mut never = in_front(server, only(&name, &["configmaps"]), |_, call| {
        call.path.contains("continue=").then(|| status(410, "too old"))
    })
    .await;
    never.limit = 2;
    let failure = capture(&never, &Context::silent()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Inconsistent);
    assert!(failure.message.contains("ConfigMap.v1") && failure.cure.is_some(), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_large_objects_fewer_are_asked_for_at_a_time() {
    let server = shared().await;
    let name = config_maps(server, "large", 12, 1_000_000).await;
    let captured = capture(&source(server, only(&name, &["configmaps"])), &Context::silent()).await.unwrap();
    assert_eq!(captured.lines().len(), 13);
    assert!(captured.objects.len() > 12_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_answers_for_is_missed_aloud_and_kubernetes_itself_fails() {
    let server = shared().await;
    let group = definition(server, "brokens", "Broken", true).await;
    let name = config_maps(server, "broken", 1, 10).await;
    let (cx, findings) = Findings::context();
    let path = format!("/apis/{group}/v1/namespaces/{name}/brokens");
    let custom = in_front(server, only(&name, &["configmaps", "brokens"]), move |_, call| {
        call.path.starts_with(&path).then(|| status(500, "conversion webhook for example.com failed"))
    })
    .await;
    let captured = capture(&custom, &cx).await.unwrap();
    let reason = captured.reason(&format!("{group}/v1/Broken")).unwrap();
    assert!(reason.contains("conversion webhook"), "{reason}");
    let found = findings.all();
    assert!(found.iter().any(|finding| finding.message.contains("brokens") && finding.cure.is_some()), "{found:?}");

    let own = in_front(server, only(&name, &["configmaps", "secrets"]), |_, call| {
        call.path.contains("/secrets").then(|| status(500, "Internal error: unable to transform key"))
    })
    .await;
    let failure = capture(&own, &Context::silent()).await.unwrap_err();
    assert!(failure.message.contains("secrets") && failure.message.contains("unable to transform"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_server_is_down_is_a_finding() {
    let server = shared().await;
    let name = config_maps(server, "stale", 1, 10).await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let answer = api(server).await.call(Call { accept: Some(accept), ..Call::get("/apis") }).await.unwrap();
    let mut groups: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(groups["kind"], "APIGroupDiscoveryList");
    groups["items"].as_array_mut().unwrap().push(json!({
        "metadata": {"name": "down.example.com"},
        "versions": [{"version": "v1", "freshness": "Stale", "resources": []}],
    }));
    let body = groups.to_string();
    let (cx, findings) = Findings::context();
    let down = in_front(server, only(&name, &["configmaps"]), move |_, call| {
        (call.path == "/apis").then(|| Answer { status: 200, retry_after: None, body: body.clone().into() })
    })
    .await;
    let captured = capture(&down, &cx).await.unwrap();
    assert_eq!(captured.discovery.unavailable.len(), 1);
    let found = findings.all();
    assert!(found.iter().any(|finding| finding.message.contains("down.example.com/v1 does not answer")), "{found:?}");
}

/// Servers before 1.26 answer with what they know, in many documents.
#[tokio::test(flavor = "multi_thread")]
async fn both_ways_to_ask_what_is_served_find_the_same() {
    struct Old(Arc<dyn Api>);
    #[async_trait::async_trait]
    impl Api for Old {
        fn subject(&self) -> String {
            self.0.subject()
        }
        async fn call(&self, call: Call) -> Result<Answer, lifeboat::cluster_client::ClusterError> {
            self.0.call(Call { accept: None, ..call }).await
        }
    }
    let server = shared().await;
    let api = api(server).await;
    let lasting = |discovery: lifeboat::source::cluster::Discovery| {
        // Other tests define kinds meanwhile.
        let kinds = discovery.kinds.into_iter().filter(|kind| !kind.gvk.group.ends_with("example.com"));
        kinds.collect::<Vec<_>>()
    };
    let new = lasting(lifeboat::source::cluster::discover(api.as_ref()).await.unwrap());
    let old = lasting(lifeboat::source::cluster::discover(&Old(api)).await.unwrap());
    let told = |kinds: &[lifeboat::source::cluster::Kind]| {
        let kind = |kind: &lifeboat::source::cluster::Kind| {
            let mut verbs = kind.verbs.clone();
            verbs.sort();
            (kind.gvk.clone(), kind.resource.clone(), kind.namespaced, kind.preferred, verbs)
        };
        kinds.iter().map(kind).collect::<Vec<_>>()
    };
    assert!(new.len() > 50);
    assert_eq!(told(&old), told(&new));
}
