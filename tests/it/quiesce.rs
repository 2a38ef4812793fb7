//! Workloads at zero while they are captured, and back again whatever dies meanwhile. Needs the Kubernetes control plane.

mod bed;
mod gate;
mod guarded;
mod killed;
mod rights;
mod trouble;

use serde_json::{Value, json};

use bed::{Bed, COUNTS, report};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_at_zero_and_everything_comes_back_from_it() {
    let bed = Bed::new("quiet").await;
    bed.local.run(&["plan", "backup"]).exits(0).says("set to 0, for 10m at most").says("(2)").says("scale back");
    bed.local.run(&["check"]).exits(0).says("a backup sets to 0").says("DaemonSet");
    assert_eq!(bed.counts().await, COUNTS, "who only looks changes nothing");
    let said = report(bed.local.run(&["backup", "--json"]).exits(0));
    bed.until_whole().await;
    assert_eq!(said["quiesce"]["whole"], true, "{said:#}");
    let workloads = said["quiesce"]["workloads"].as_array().unwrap();
    let mut counts: Vec<(String, u64)> = workloads
        .iter()
        .map(|row| (row["object"]["name"].as_str().unwrap().to_owned(), row["replicas"].as_u64().unwrap()))
        .collect();
    counts.sort();
    let expected = [("fleet", 4), ("idle", 0), ("store", 1), ("web", 2)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counts, expected);
    let quiesced = &said["sources"][0]["quiesced"];
    assert!(quiesced["broken"].is_null() && quiesced["from"].is_string() && quiesced["workloads"] == 4, "{quiesced}");
    let named = said["findings"].as_array().unwrap().iter().any(|finding| {
        finding["subject"].as_str().unwrap().starts_with("DaemonSet") && finding["severity"] == "warning"
    });
    assert!(named, "{said:#}");
    bed.local.run(&["show", "latest"]).exits(0).says("4 workloads at 0");
    bed.local.run(&["quiesce", "status"]).exits(0).says("nothing");
    assert!(bed.watchers().is_empty());

    // What was captured was at zero, and no pod of theirs was there; what it was before is known all the same.
    let cat = |args: &[&str]| bed.local.run(&[&["cat", "latest", "objects"], args].concat()).exits(0).out;
    let lines = |part: &str| -> Vec<Value> {
        cat(&["objects", "--part", part]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let of = |part: &str, name: &str| lines(part).into_iter().find(|line| line["metadata"]["name"] == name).unwrap();
    assert_eq!(of("apps/v1/Deployment", "web")["spec"]["replicas"], 0);
    assert_eq!(of("quiesce.example.com/v1/Fleet", "fleet")["spec"]["size"], 0);
    assert!(
        lines("core/v1/Pod")
            .iter()
            .all(|pod| !["web", "store"].contains(&pod["metadata"]["labels"]["app"].as_str().unwrap()))
    );
    let inventory: Value = serde_json::from_str(&cat(&["inventory"])).unwrap();
    for (name, count) in [("web", 2), ("store", 1), ("other", 3), ("idle", 0)] {
        let row = inventory["replicas"].as_array().unwrap().iter().find(|row| row["name"] == name);
        assert_eq!(row.unwrap()["replicas"], count, "{name}");
    }
    let yaml = cat(&["objects", "--as", "yaml", "--object", "deployment/web"]);
    assert!(yaml.contains("replicas: 2") && !yaml.contains("quiesced"), "{yaml}");

    // Lost, and restored from a backup in which they are at zero.
    let inside = |api: &str, path: &str| format!("/apis/{api}/namespaces/{}/{path}", bed.namespace);
    let paths = [
        inside("apps/v1", "deployments/web"),
        inside("apps/v1", "statefulsets/store"),
        inside("quiesce.example.com/v1", "fleets/fleet"),
    ];
    for path in &paths {
        bed.server.delete(path).await;
        bed.server.until(|| async { bed.server.try_get(path).await.is_none().then_some(()) }).await;
    }
    let to = format!("cluster:test/{}", bed.namespace);
    let mut restore = bed.local.program();
    restore.args(["restore", "latest", "--source", "objects", "--to", &to]);
    restore.env("LIFEBOAT_POLICY", bed.local.path("keys/policy.yaml")).env("KUBECONFIG", bed.local.path("kubeconfig"));
    restore.env("LIFEBOAT_IDENTITY", bed.local.path("keys/identity.txt")).env("LIFEBOAT_REPOSITORY", bed.local.repo());
    crate::support::local::Said::of(restore.output().unwrap()).exits(0);
    bed.until_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_the_policy_are_named() {
    let bed = Bed::new("mistaken").await;
    for (quiesce, words) in [
        ("max: 9s", "is not between 10s and 12h"),
        ("max: 13h", "is not between 10s and 12h"),
        ("max: 10m, cluster: other", "`other` is no source of kind `cluster`"),
        ("max: 10m, watchdog: {namespace: a, image: b}", "serviceAccount"),
        ("max: 10m, watchdog: {namespace: a, image: '', serviceAccount: c}", "the image is empty"),
        ("maxx: 10m", "did you mean `max`?"),
    ] {
        bed.policy(quiesce, None);
        bed.local.run(&["check"]).exits(2).says(words);
    }
    bed.policy("max: 10m", None);
    let path = bed.local.path("keys/policy.yaml");
    let policy = std::fs::read_to_string(&path).unwrap();
    for (selector, words) in [
        ("''", "is no label selector"),
        ("'!layer'", "fits everything that nobody has labelled"),
        ("layer!=data", "fits everything that nobody has labelled"),
    ] {
        std::fs::write(&path, policy.replace("layer=application", selector)).unwrap();
        bed.local.run(&["check"]).exits(2).says(words);
    }
    // It fits nothing: that is no quiet backup.
    std::fs::write(&path, policy.replace("layer=application", "layer=nothing")).unwrap();
    bed.local.run(&["plan", "backup"]).exits(5).says("fits nothing");
    let said = report(bed.local.run(&["backup", "--json"]).exits(3));
    assert_eq!((&said["quiesce"]["whole"], &said["status"]), (&json!(false), &json!("complete")));
    let without: String =
        policy.lines().filter(|line| !line.contains("quiesce:")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, without).unwrap();
    bed.local.run(&["quiesce", "status"]).exits(2).says("has no `quiesce`");
}
