//! What a person aims at and misses, and what an update would really do.

use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::restore::{Mode, Options, Outcome};
use serde_json::{Value, json};

use super::bed::{Backup, api, api_as, target};
use super::blocked::{map, object};
use super::program::Program;
use crate::support::servers::kubernetes;

const RESTORE: [&str; 6] = ["restore", "latest", "--source", "objects", "--to", "cluster:test"];

fn deployment(here: &str, replicas: u32) -> Value {
    let template = json!({"metadata": {"labels": {"a": "web"}}, "spec": {"containers": [{"name": "a", "image": "registry.example/a:1"}]}});
    let spec = json!({"replicas": replicas, "selector": {"matchLabels": {"a": "web"}}, "template": template});
    let mut web = object("apps/v1", "Deployment", here, "web", json!({"spec": spec}));
    web["metadata"]["labels"] = json!({"layer": "app"});
    web
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_or_a_name_that_fits_nothing_is_refused_or_said() {
    let server = kubernetes::shared().await;
    let here = server.namespace("aimed").await;
    let deployments = format!("/apis/apps/v1/namespaces/{here}/deployments");
    server.create(&deployments, &deployment(&here, 2)).await;
    let program = Program::new(server, &format!("{{namespaces: [{here}]}}"));
    program.report(&["backup"], 0);
    server.delete(&format!("{deployments}/web")).await;

    let patch = json!([{"selector": {"kind": "Deployment", "name": "wep"}, "ops": [{"op": "remove", "path": "/spec/replicas"}]}]);
    std::fs::write(program.path("patch.json"), patch.to_string()).unwrap();
    let said = program.say(&[&RESTORE[..], &["--patch", "patch.json"]].concat());
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
    assert!(said.err.contains("kind=Deployment, name=wep"), "{}", said.err);
    let said = program.say(&[&RESTORE[..], &["--object", "sts/web"]].concat());
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains(&format!("there is Deployment.apps/v1 {here}/web")), "{}", said.err);
    assert!(server.try_get(&format!("{deployments}/web")).await.is_none());

    let more = ["--object", "deploy/web", "--start-at-zero", "layer=none", "--label", "nobody-"];
    let report = program.report(&[&RESTORE[..], &more].concat(), 0);
    assert_eq!(server.get(&format!("{deployments}/web")).await["spec"]["replicas"], 2);
    let plan = program.report(&[&["plan"], &RESTORE[..], &more].concat(), 0);
    for words in ["no workload of the backup has these labels", "no object of the backup has that label"] {
        assert!(plan["findings"].to_string().contains(words), "{plan}");
        assert!(report["findings"].to_string().contains(words), "{report}");
    }
}

#[tokio::test]
async fn what_starts_at_zero_goes_back_to_what_the_patch_says() {
    let server = kubernetes::shared().await;
    let (api, here) = (api(server).await, server.namespace("zero").await);
    let backup = Backup::of([deployment(&here, 2)]);
    let patches =
        json!([{"selector": {"kind": "Deployment"}, "ops": [{"op": "replace", "path": "/spec/replicas", "value": 5}]}]);
    let rules = Rules {
        patches: serde_json::from_value(patches).unwrap(),
        start_at_zero: Some("layer=app".parse().unwrap()),
        ..Rules::default()
    };
    backup.restore(&api, &rules, &Options::default()).await;
    let path = format!("/apis/apps/v1/namespaces/{here}/deployments/web");
    let live = async || {
        let live = server.get(&path).await;
        (live["spec"]["replicas"].clone(), live["metadata"]["annotations"]["lifeboat.dev/replicas"].clone())
    };
    assert_eq!(live().await, (json!(0), json!("5")));
    let update = Options { mode: Mode::Update, ..Options::default() };
    backup.restore(&api, &Rules::default(), &update).await;
    assert_eq!(live().await, (json!(2), Value::Null));
    // Set to zero where it is there, the number is written down, too.
    backup.restore(&api, &rules, &update).await;
    assert_eq!(live().await, (json!(0), json!("5")));
}

#[tokio::test]
async fn an_update_promises_what_it_does() {
    let server = kubernetes::shared().await;
    let (api, here) = (api(server).await, server.namespace("hints").await);
    let mut frozen = map(&here, "frozen");
    frozen["immutable"] = true.into();
    let backup = Backup::of([map(&here, "ours"), map(&here, "both"), map(&here, "theirs"), frozen]);
    backup.restore(&api, &Rules::default(), &Options::default()).await;
    for name in ["both", "theirs"] {
        server.patch(&format!("/api/v1/namespaces/{here}/configmaps/{name}"), &json!({"data": {"a": "2"}})).await;
    }
    let frozen = format!("/api/v1/namespaces/{here}/configmaps/frozen");
    server.delete(&frozen).await;
    let other = json!({"metadata": {"name": "frozen"}, "immutable": true, "data": {"a": "3"}});
    server.create(frozen.rsplit_once('/').unwrap().0, &other).await;
    let cure = async |rules: &Rules, name: &str| {
        let planned = backup.plan(&target(&api, rules, &Options::default())).await.unwrap();
        let object = planned.objects.into_iter().find(|object| object.reference.name == name).unwrap();
        assert_eq!(object.outcome, Outcome::Conflict, "{object:?}");
        object.cure.unwrap()
    };
    let asked = Rules { labels: [("team".to_owned(), Some("red".to_owned()))].into(), ..Rules::default() };
    let said = cure(&asked, "ours").await;
    assert!(said.contains("metadata.labels.team to what was asked for here, which is not"), "{said}");
    let said = cure(&asked, "both").await;
    assert!(said.contains("back to what the backup says, and metadata.labels.team"), "{said}");
    assert_eq!(cure(&Rules::default(), "theirs").await, "--mode update sets it back to what the backup says");
    let said = cure(&Rules::default(), "frozen").await;
    assert!(said.contains("delete it by hand"), "{said}");
}

#[tokio::test]
async fn all_that_may_not_be_read_is_named_at_once() {
    let server = kubernetes::shared().await;
    let here = server.namespace("blind").await;
    let account = json!({"metadata": {"name": "robot"}});
    server.create(&format!("/api/v1/namespaces/{here}/serviceaccounts"), &account).await;
    let api = api_as(server, &here, "robot").await;
    let backup = Backup::of([map(&here, "x"), deployment(&here, 1)]);
    let failure = backup.plan(&target(&api, &Rules::default(), &Options::default())).await.unwrap_err();
    let words = failure.to_string();
    assert!(words.contains(&format!("configmaps, deployments.apps in namespace {here}")), "{words}");
    let cure = failure.cure.unwrap();
    assert!(
        cure.contains(r#"{apiGroups: ["apps"], resources: ["deployments"], verbs: [get, list, create, patch]}"#),
        "{cure}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_goes_away_is_one_line_and_says_what_keeps_it() {
    let server = kubernetes::shared().await;
    let here = server.namespace("stuck").await;
    let maps = format!("/api/v1/namespaces/{here}/configmaps");
    for n in 0..8 {
        server.create(&maps, &json!({"metadata": {"name": format!("map-{n}")}})).await;
    }
    let program = Program::new(server, &format!("{{namespaces: [{here}]}}"));
    program.report(&["backup"], 0);
    server.patch(&format!("{maps}/map-0"), &json!({"metadata": {"finalizers": ["example.com/keep"]}})).await;
    let namespace = format!("/api/v1/namespaces/{here}");
    server.delete(&namespace).await;
    let kept =
        || async { server.get(&namespace).await.to_string().contains("example.com/keep in 1 resource").then_some(()) };
    server.until(kept).await;
    let plan = program.say(&[&["plan"], &RESTORE[..]].concat());
    assert_eq!(plan.code, 5, "{}", plan.err);
    let lines = plan.out.lines().filter(|line| line.trim_start().starts_with("blocked")).count();
    assert_eq!(lines, 1, "{}", plan.out);
    assert!(plan.out.contains("example.com/keep in 1 resource"), "{}", plan.out);
    let said = program.say(&RESTORE);
    assert_eq!(said.code, 5, "{}", said.err);
    assert!(said.err.contains(&format!("more: namespace {here} is being deleted; ")), "{}", said.err);
    server.patch(&format!("{maps}/map-0"), &json!({"metadata": {"finalizers": null}})).await;
}
