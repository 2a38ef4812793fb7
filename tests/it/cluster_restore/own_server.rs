//! An API server of the test's own: one that is killed in the middle of a restore, says 429 by itself, and has classes that
//! would be in the way of other tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use lifeboat::cluster_client::{Answer, Api, Call, ClusterError, Method};
use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::restore::{Mode, Options, Outcome};
use serde_json::json;

use super::bed::{Backup, api, api_as, count, target};
use super::blocked::object;
use crate::support::servers::kubernetes::Kubernetes;

/// Restarts the server when so many writes were sent to it.
struct Restarting {
    api: Arc<dyn Api>,
    server: Arc<Kubernetes>,
    at: usize,
    writes: AtomicUsize,
}

#[async_trait]
impl Api for Restarting {
    fn subject(&self) -> String {
        self.api.subject()
    }

    async fn call(&self, call: Call) -> Result<Answer, ClusterError> {
        let write = call.method == Method::Post && call.path.contains("/configmaps") && !call.path.contains("dryRun");
        if write && self.writes.fetch_add(1, Ordering::SeqCst) == self.at {
            self.server.restart();
        }
        self.api.call(call).await
    }
}

fn backup(namespace: &str, maps: usize) -> Backup {
    let text = "x".repeat(2000);
    Backup::of((0..maps).map(|n| object("v1", "ConfigMap", namespace, &format!("m{n}"), json!({"data": {"a": text}}))))
}

async fn assert_all_there(server: &Kubernetes, namespace: &str, maps: usize) {
    let list = server.get(&format!("/api/v1/namespaces/{namespace}/configmaps")).await;
    let names = list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].clone());
    assert_eq!(names.filter(|name| name != "kube-root-ca.crt").count(), maps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_and_one_that_is_busy() {
    let options =
        ["--enable-priority-and-fairness=true", "--max-requests-inflight=4", "--max-mutating-requests-inflight=4"];
    let server = Arc::new(Kubernetes::start(&options).await);
    busy(&server).await;
    default_class(&server).await;
    killed(&server).await;
}

/// An ingress without a class gets the default one of this cluster when it is made, which is nobody's edit.
async fn default_class(server: &Kubernetes) {
    let here = server.namespace("default-class").await;
    for (name, default) in [("usual", "true"), ("other", "false")] {
        let class = json!({"metadata": {"name": name, "annotations": {"ingressclass.kubernetes.io/is-default-class": default}},
            "spec": {"controller": "example.com/none"}});
        server.create("/apis/networking.k8s.io/v1/ingressclasses", &class).await;
    }
    let service = json!({"service": {"name": "web", "port": {"number": 80}}});
    let ingress =
        object("networking.k8s.io/v1", "Ingress", &here, "front", json!({"spec": {"defaultBackend": service}}));
    let (backup, api) = (Backup::of([ingress]), api(server).await);
    let update = Options { mode: Mode::Update, ..Options::default() };
    backup.restore(&api, &Rules::default(), &Options::default()).await;
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{here}/ingresses/front");
    let class = async || server.get(&path).await["spec"]["ingressClassName"].clone();
    assert_eq!(class().await, "usual");
    for options in [&Options::default(), &update] {
        let again = backup.restore(&api, &Rules::default(), options).await;
        assert_eq!(again[0].outcome, Outcome::Same, "{again:?}");
    }
    // Another class is an edit, and so is one beside another difference: that is set back, and the class stays.
    server.patch(&path, &json!({"spec": {"defaultBackend": {"service": {"name": "evil"}}}})).await;
    assert_eq!(backup.restore(&api, &Rules::default(), &update).await[0].outcome, Outcome::Patch);
    assert_eq!(class().await, "usual");
    server.patch(&path, &json!({"spec": {"ingressClassName": "other"}})).await;
    assert_eq!(backup.restore(&api, &Rules::default(), &Options::default()).await[0].outcome, Outcome::Conflict);
    backup.restore(&api, &Rules::default(), &update).await;
    assert_eq!(class().await, serde_json::Value::Null);
}

async fn killed(server: &Arc<Kubernetes>) {
    let here = server.namespace("killed").await;
    let backup = backup(&here, 400);
    let api = api(server).await;
    let restarting: Arc<dyn Api> =
        Arc::new(Restarting { api: api.clone(), server: server.clone(), at: 150, writes: AtomicUsize::new(0) });
    let first = target(&restarting, &Rules::default(), &Options::default());
    backup.plan(&first).await.unwrap();
    let loaded = backup.load(&first).await.unwrap();
    let failed = count(&loaded.objects, Outcome::Failed);
    // What was not done is said; usually it was worth waiting.
    assert_eq!(failed > 0, !loaded.findings.is_empty(), "{:?}", loaded.findings);
    server.until(|| async { server.call(reqwest::Method::GET, "/readyz", None).await.0.eq(&200).then_some(()) }).await;
    backup.restore(&api, &Rules::default(), &Options::default()).await;
    assert_all_there(server, &here, 400).await;
    let again = backup.restore(&api, &Rules::default(), &Options::default()).await;
    assert_eq!(count(&again, Outcome::Same), 400);
}

/// People who may do everything are never told to wait: an account is.
async fn busy(server: &Kubernetes) {
    let here = server.namespace("busy").await;
    let binding = json!({"metadata": {"name": "busy"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": here}]});
    server.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await;
    let flow = "/apis/flowcontrol.apiserver.k8s.io/v1";
    let level = json!({"metadata": {"name": "narrow"}, "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 60,
        "lendablePercent": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}}});
    server.create(&format!("{flow}/prioritylevelconfigurations"), &level).await;
    let everything =
        json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true}]);
    let schema = json!({"metadata": {"name": "narrow"}, "spec": {"matchingPrecedence": 2, "priorityLevelConfiguration": {"name": "narrow"},
        "rules": [{"subjects": [{"kind": "ServiceAccount", "serviceAccount": {"namespace": here, "name": "default"}}], "resourceRules": everything}]}});
    server.create(&format!("{flow}/flowschemas"), &schema).await;
    let theirs = api_as(server, &here, "default").await;
    let metrics = || async { String::from_utf8(server.raw("/metrics").await).unwrap() };
    // Known to every part of the server.
    server.until(|| async { metrics().await.contains("priority_level=\"narrow\"").then_some(()) }).await;
    let refused = || async {
        let metrics = metrics().await;
        let of_ours = metrics.lines().filter(|line| {
            line.starts_with("apiserver_flowcontrol_rejected_requests_total") && line.contains("narrow")
        });
        of_ours.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    let before = refused().await;
    let restored = backup(&here, 16).restore(&theirs, &Rules::default(), &Options::default()).await;
    assert_eq!(count(&restored, Outcome::Create), 16, "{restored:?}");
    let said = refused().await - before;
    assert!(said > 0.0, "the server never said 429");
    assert_all_there(server, &here, 16).await;
}
