//! What was missing where the backup was made is no reason not to bring the rest back; and what was there comes whole.

use serde_json::{Value, json};

use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::restore::{Mode, Options, Outcome};

use super::bed::{Backup, api};
use super::blocked::object;
use super::program::Program;
use crate::support::servers::kubernetes;
use crate::support::servers::s3::fresh;

const RESTORE: [&str; 6] = ["restore", "latest", "--source", "objects", "--to", "cluster:test"];

fn claim(class: &str) -> Value {
    json!({"accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_that_the_source_did_not_have_either_block_nothing() {
    let server = kubernetes::shared().await;
    let here = server.namespace("classless").await;
    let claims = format!("/api/v1/namespaces/{here}/persistentvolumeclaims");
    let ingresses = format!("/apis/networking.k8s.io/v1/namespaces/{here}/ingresses");
    let (never, gone) = (fresh("never"), fresh("gone"));
    let class = json!({"metadata": {"name": gone}, "provisioner": "example.com/none"});
    server.create("/apis/storage.k8s.io/v1/storageclasses", &class).await;
    server.create(&claims, &json!({"metadata": {"name": "never"}, "spec": claim(&never)})).await;
    let backend = json!({"service": {"name": "a", "port": {"number": 80}}});
    let web = json!({"metadata": {"name": "web"}, "spec": {"ingressClassName": never, "defaultBackend": backend}});
    server.create(&ingresses, &web).await;
    let program = Program::new(server, &format!("{{namespaces: [{here}]}}"));
    program.report(&["backup"], 0);
    server.delete(&format!("{claims}/never")).await;
    server.delete(&format!("{ingresses}/web")).await;
    let absent = || async { server.try_get(&format!("{claims}/never")).await.is_none().then_some(()) };
    server.until(absent).await;
    let plan = program.report(&[&["plan"], &RESTORE[..]].concat(), 0);
    assert_eq!(plan.to_string().matches("neither had the cluster of the backup").count(), 2, "{plan}");
    program.report(&RESTORE, 0);
    assert_eq!(server.get(&format!("{claims}/never")).await["spec"]["storageClassName"], never.as_str());
    server.get(&format!("{ingresses}/web")).await;

    // One that was asked for must be there, and so must one that the source had.
    server.delete(&format!("{claims}/never")).await;
    server.until(absent).await;
    let other = format!("{never}={}", fresh("typo"));
    assert_eq!(program.say(&[&["plan"], &RESTORE[..], &["--storage-class", &other]].concat()).code, 5);
    server.create(&claims, &json!({"metadata": {"name": "gone"}, "spec": claim(&gone)})).await;
    program.report(&["backup"], 0);
    server.delete(&format!("{claims}/gone")).await;
    server.delete(&format!("/apis/storage.k8s.io/v1/storageclasses/{gone}")).await;
    server.until(|| async { server.try_get(&format!("{claims}/gone")).await.is_none().then_some(()) }).await;
    let only = ["--object", "pvc/gone", "--object", "pvc/never"];
    assert_eq!(program.say(&[&["plan"], &RESTORE[..], &only[..2]].concat()).code, 5);
}

#[tokio::test]
async fn the_default_class_may_come_with_the_backup() {
    let server = kubernetes::shared().await;
    let (api, here) = (api(server).await, server.namespace("default").await);
    let mut class =
        object("storage.k8s.io/v1", "StorageClass", "", &fresh("default"), json!({"provisioner": "example.com/none"}));
    class["metadata"].as_object_mut().unwrap().remove("namespace");
    class["metadata"]["annotations"] = json!({"storageclass.kubernetes.io/is-default-class": "true"});
    let mut spec = claim("");
    spec.as_object_mut().unwrap().remove("storageClassName");
    let backup =
        Backup::of([class.clone(), object("v1", "PersistentVolumeClaim", &here, "data", json!({"spec": spec}))]);
    let target = super::bed::target(&api, &Rules::default(), &Options::default());
    let planned = backup.plan(&target).await.unwrap();
    assert!(
        planned.objects.iter().all(|object| object.outcome == Outcome::Create && object.notes.is_empty()),
        "{planned:#?}"
    );
}

#[tokio::test]
async fn a_status_that_nobody_else_writes_is_data() {
    let server = kubernetes::shared().await;
    let api = api(server).await;
    let group = format!("{}.example.com", fresh("st"));
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let crd = |plural: &str, kind: &str, subresources: Value| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}"), "uid": plural}, "spec": {"group": group, "scope": "Cluster",
            "names": {"plural": plural, "singular": plural, "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema, "subresources": subresources}]}})
    };
    let one = |kind: &str| {
        json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "one", "uid": kind},
            "spec": {"a": 1}, "status": {"userdata": "important"}})
    };
    let backup = Backup::of([
        crd("wholes", "Whole", json!({})),
        crd("parts", "Part", json!({"status": {}})),
        one("Whole"),
        one("Part"),
    ]);
    backup.restore(&api, &Rules::default(), &Options::default()).await;
    let status = async |plural: &str| server.get(&format!("/apis/{group}/v1/{plural}/one")).await["status"].clone();
    assert_eq!((status("wholes").await, status("parts").await), (json!({"userdata": "important"}), Value::Null));
    for plural in ["wholes", "parts"] {
        server.delete(&format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{group}")).await;
    }
}

#[tokio::test]
async fn an_account_names_what_is_only_called_like_a_token_and_an_update_sets_it_back() {
    let server = kubernetes::shared().await;
    let (api, here) = (api(server).await, server.namespace("named").await);
    let mut account = object(
        "v1",
        "ServiceAccount",
        &here,
        "web",
        json!({"secrets": [{"name": "web-token-x7k2p"}, {"name": "mine"}], "imagePullSecrets": [{"name": "registry"}],
            "automountServiceAccountToken": false}),
    );
    account["metadata"]["annotations"] = json!({"role": "one"});
    let secret = object("v1", "Secret", &here, "web-token-x7k2p", json!({"type": "Opaque", "data": {"a": "Yg=="}}));
    let backup = Backup::of([account, secret]);
    let (create, update) = (Options::default(), Options { mode: Mode::Update, ..Options::default() });
    backup.restore(&api, &Rules::default(), &create).await;
    let path = format!("/api/v1/namespaces/{here}/serviceaccounts/web");
    let names = json!([{"name": "web-token-x7k2p"}, {"name": "mine"}]);
    assert_eq!(server.get(&path).await["secrets"], names);

    let edit = json!({"metadata": {"annotations": {"role": "two"}}, "automountServiceAccountToken": true,
        "secrets": [{"name": "theirs"}, {"name": "mine"}, {"name": "web-token-x7k2p"}]});
    server.patch(&path, &edit).await;
    let outcome = async |options: &Options| {
        let all = backup.restore(&api, &Rules::default(), options).await;
        all.into_iter().find(|object| object.reference.gvk.kind == "ServiceAccount").unwrap().outcome
    };
    assert_eq!(outcome(&create).await, Outcome::Conflict);
    assert_eq!(outcome(&update).await, Outcome::Patch);
    let live = server.get(&path).await;
    assert_eq!(
        (&live["metadata"]["annotations"]["role"], &live["automountServiceAccountToken"]),
        (&json!("one"), &json!(false))
    );
    assert_eq!(live["secrets"].as_array().unwrap().len(), 3, "{live}");
    assert_eq!(outcome(&update).await, Outcome::Same);
}
