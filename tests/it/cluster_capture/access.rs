//! What an account may not read is said, never passed over; and each way not to get in has its own words.

use lifeboat::cluster_client::{Settings, connect};
use lifeboat::context::Context;
use lifeboat::model::{FailureClass, Severity, SourceFailure};
use lifeboat::source::Source as _;
use lifeboat::source::cluster::{ClusterScoped, ClusterSource, Scope};
use serde_json::{Value, json};

use super::definition;
use crate::support::authority::Authority;
use crate::support::capture::Findings;
use crate::support::cluster::{capture, namespaces, source};
use crate::support::servers::kubernetes::{Kubernetes, kubeconfig, shared};

/// A cluster as somebody sees it whose kubeconfig that is.
fn as_somebody(folder: &tempfile::TempDir, kubeconfig: &str, scope: Scope) -> ClusterSource {
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig).unwrap();
    ClusterSource::new(Settings { kubeconfig: Some(path), context: None }, scope)
}

fn root(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_role_reads_all_of_kubernetes_and_what_it_may_not_is_named() {
    let server = shared().await;
    let group = definition(server, "secrecies", "Secrecy", true).await;
    let name = server.namespace("shipped").await;
    server.kubectl(&["apply", "-f", &root("deploy/rbac-capture.yaml")]);
    let folder = tempfile::tempdir().unwrap();
    let account = server.kubeconfig_as("lifeboat", "lifeboat-capture");
    let all = || as_somebody(&folder, &account, Scope { exclude: vec![], ..Scope::default() });
    // The controllers put the role together.
    let allowed = || async { all().probe(&Context::silent()).await.ok() };
    let probe = server.until(allowed).await;
    let denied: Vec<String> = probe
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Warning && finding.message.contains("may not list"))
        .map(|finding| finding.message.clone())
        .collect();
    assert!(!denied.is_empty() && denied.iter().all(|message| message.contains(".example.com")), "{denied:#?}");

    let (cx, findings) = Findings::context();
    let captured = capture(&all(), &cx).await.unwrap();
    let part = format!("{group}/v1/Secrecy");
    assert!(captured.reason(&part).unwrap().contains("forbidden"));
    let found = findings.all();
    let finding = found.iter().find(|finding| finding.message.contains(&group)).unwrap();
    assert!(
        finding.message.contains("may not list secrecies") && finding.message.contains("in the whole cluster"),
        "{finding:?}"
    );
    assert!(finding.cure.as_ref().unwrap().contains(&format!("apiGroups: [\"{group}\"]")), "{finding:?}");
    let kubernetes = captured.discovery.kinds.iter().filter(|kind| !kind.gvk.group.ends_with(".example.com"));
    let forbidden: Vec<_> =
        kubernetes.filter(|kind| kind.reason.as_ref().is_some_and(|why| why.contains("forbidden"))).collect();
    assert!(forbidden.is_empty(), "{forbidden:#?}");
    assert!(captured.names().contains(&format!("ServiceAccount {name}/default")));

    // As its comment says: one more role with the label.
    let role = json!({
        "metadata": {"name": format!("capture-{group}"), "labels": {"lifeboat.dev/capture": "true"}},
        "rules": [{"apiGroups": [group], "resources": ["*"], "verbs": ["list"]}],
    });
    server.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", &role).await;
    server
        .until(|| async {
            let captured = capture(&all(), &Context::silent()).await.unwrap();
            captured.reason(&part).is_none().then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_in_one_namespace_suffices_for_it_and_is_nothing_elsewhere() {
    let server = shared().await;
    let (name, other) = (server.namespace("alone").await, server.namespace("beside").await);
    server.kubectl(&["apply", "-n", &name, "-f", &root("deploy/rbac-capture-namespace.yaml")]);
    let folder = tempfile::tempdir().unwrap();
    let account = server.kubeconfig_as(&name, "lifeboat-capture");
    let scope = |names: &[&str]| Scope { cluster_scoped: ClusterScoped::None, ..namespaces(names) };
    let own = |names: &[&str]| {
        let mut scope = scope(names);
        // Of other tests.
        scope.include = [
            "configmaps",
            "secrets",
            "serviceaccounts",
            "services",
            "pods",
            "roles.rbac.authorization.k8s.io",
            "deployments.apps",
        ]
        .map(str::to_owned)
        .to_vec();
        as_somebody(&folder, &account, scope)
    };
    let (cx, findings) = Findings::context();
    let captured = capture(&own(&[&name]), &cx).await.unwrap();
    assert_eq!(findings.all(), []);
    assert!(captured.names().contains(&format!("Role {name}/lifeboat-capture")), "{:?}", captured.names());

    let (cx, findings) = Findings::context();
    let captured = capture(&own(&[&name, &other]), &cx).await.unwrap();
    assert!(captured.names().iter().all(|object| object.contains(&format!(" {name}/"))));
    let found = findings.all();
    let denied = |kind: &str| {
        found.iter().any(|finding| {
            finding.message.contains(&format!("may not list {kind} in namespace {other}"))
                && finding.cure.as_ref().is_some_and(|cure| cure.contains(&format!("Role in namespace {other}")))
        })
    };
    assert!(denied("secrets") && denied("deployments.apps"), "{found:#?}");
    assert!(captured.reason("core/v1/Secret").unwrap().contains(&other));

    let failure = capture(&own(&[&other]), &Context::silent()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permission);
    assert!(failure.cure.unwrap().contains("rbac-capture"));
    let failure = own(&[&other]).probe(&Context::silent()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permission);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_not_there_is_no_empty_backup() {
    let server = shared().await;
    let failure = capture(&source(server, namespaces(&["no-such-namespace"])), &Context::silent()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Configuration);
    assert!(failure.message.contains("no namespace `no-such-namespace`"), "{failure}");
}

/// What somebody is told who cannot get in.
async fn refused(folder: &tempfile::TempDir, kubeconfig: &str, context: Option<&str>) -> SourceFailure {
    let mut source = as_somebody(folder, kubeconfig, Scope::default());
    source.settings.context = context.map(str::to_owned);
    let failure = source.probe(&Context::silent()).await.unwrap_err();
    assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
    failure
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_not_to_get_in_has_its_own_words() {
    let server: &Kubernetes = shared().await;
    let folder = tempfile::tempdir().unwrap();
    let user = json!({"token": "canary-of-a-token"});
    let good = server.kubeconfig_of(&user);

    let failure = refused(&folder, &good, Some("production")).await;
    assert_eq!(failure.class, FailureClass::Configuration);
    assert!(failure.message.contains("no context `production`") && failure.cure.unwrap().contains("test"));

    let failure = refused(&folder, &good, None).await;
    assert_eq!(failure.class, FailureClass::Authentication);
    assert!(failure.cure.unwrap().contains("expired"));

    let strange = kubeconfig(&server.url, &Authority::new().ca(), &user);
    let failure = refused(&folder, &strange, None).await;
    assert!(failure.message.contains("authority that the kubeconfig does not name"), "{failure}");

    let named: Value = serde_json::from_str(&good).unwrap();
    let mut other = named.clone();
    other["clusters"][0]["cluster"]["server"] = server.url.replace("127.0.0.1", "localhost").into();
    let failure = refused(&folder, &other.to_string(), None).await;
    assert!(failure.message.contains("certificate for another name"), "{failure}");

    let mut gone = named.clone();
    gone["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
    let failure = refused(&folder, &gone.to_string(), None).await;
    assert_eq!(failure.class, FailureClass::Unreachable);
    assert!(failure.subject.contains("https://127.0.0.1:1"), "{failure}");

    let failure = refused(&folder, "users: [{name: x, user: {token: canary-of-a-token}\n", None).await;
    assert!(failure.message.contains("is not a kubeconfig"), "{failure}");

    let plugin = server.kubeconfig_of(&json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "interactiveMode": "Never",
        "args": ["-c", "echo canary-of-a-token; echo 'log in first' >&2; exit 3"]}}));
    let failure = refused(&folder, &plugin, None).await;
    assert!(failure.message.contains("credential plugin") && failure.message.contains("log in first"), "{failure}");

    let nowhere = Settings { kubeconfig: Some(folder.path().join("nothing")), context: None };
    let failure = connect(&nowhere, &Context::silent()).await.err().unwrap();
    assert!(failure.to_string().contains("cannot be read"), "{failure}");

    // And both ways in: a certificate of the cluster's authority, a plugin that prints a token.
    let plugin = server.kubeconfig_of(&json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "printf", "interactiveMode": "Never",
        "args": ["{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"token-of-admin\"}}"]}}));
    as_somebody(&folder, &plugin, Scope::default()).probe(&Context::silent()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_interrupted_stops_at_once() {
    let server = shared().await;
    let cx = Context::silent();
    cx.cancel.cancel();
    let failure = capture(&source(server, Scope::default()), &cx).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Cancelled);
}
