//! Hashes of keysets, from files, the environment and a real API server. Needs the Kubernetes control plane.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::local;
use crate::support::local::objects;
use crate::support::servers::kubernetes::shared;

fn hash(value: &str) -> String {
    hex::encode(Sha256::digest(value.as_bytes()))
}

const CANARIES: [&str; 4] = ["canary-of-sign", "canary-of-crypt", "canary-of-file", "canary-of-map"];

#[tokio::test(flavor = "multi_thread")]
async fn keysets_are_recorded_by_hash_and_compared() {
    let server = shared().await;
    let name = server.namespace("keysets").await;
    let data = json!({"metadata": {"name": "keys"}, "stringData": {"crypt": CANARIES[1], "line": "a\n"}});
    server.create(&format!("/api/v1/namespaces/{name}/secrets"), &data).await;
    let data = json!({"metadata": {"name": "bulk"}, "data": {"KEYSET": CANARIES[3]}});
    server.create(&format!("/api/v1/namespaces/{name}/configmaps"), &data).await;
    let container = |called: &str, extra: Value| {
        let mut container = json!({"name": called, "image": "example.com/none:1"});
        container.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        container
    };
    let from = json!({"secretKeyRef": {"name": "keys", "key": "crypt"}});
    let containers = [
        container(
            "web",
            json!({"env": [
                {"name": "SIGN", "value": "not this one"}, {"name": "SIGN", "value": CANARIES[0]},
                {"name": "BOTH", "value": "1"}, {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            ]}),
        ),
        container(
            "side",
            json!({"env": [{"name": "CRYPT", "valueFrom": from}, {"name": "BOTH", "value": "2"}],
            "envFrom": [{"prefix": "MAP_", "configMapRef": {"name": "bulk"}}]}),
        ),
    ];
    let labels = json!({"app": "web"});
    let deployment = json!({"metadata": {"name": "frontend"}, "spec": {"replicas": 0, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}}});
    let path = format!("/apis/apps/v1/namespaces/{name}/deployments");
    server.create(&path, &deployment).await;
    let kubeconfig = server.kubeconfig();
    std::fs::set_permissions(&kubeconfig, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let of = |env: &str| format!("deployment: {{namespace: {name}, name: frontend, env: {env}}}");
    let local = local(&format!(
        "      kubeconfig: {}\n      keysets:\n      - {{name: file, file: keyset}}\n      - {{name: env, env: HOME}}\n\
         \x20     - {{name: crypt, secret: {{namespace: {name}, name: keys, key: crypt}}}}\n\
         \x20     - {{name: line, secret: {{namespace: {name}, name: keys, key: line}}}}\n\
         \x20     - {{name: sign, {}}}\n      - {{name: followed, {}}}\n      - {{name: map, {}}}\n",
        kubeconfig.display(),
        of("SIGN"),
        of("CRYPT"),
        of("MAP_KEYSET"),
    ));
    let keyset = local.path("keys/keyset");
    std::fs::write(&keyset, format!("{}\n", CANARIES[2])).unwrap();
    std::fs::set_permissions(&keyset, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();

    local.run(&["check"]).exits(0).says("recorded, not copied");
    local.run(&["plan", "backup"]).exits(0).says("streams: keysets");
    local.backup_on(&local.repo());
    local.run(&["show", "latest"]).exits(0).says("keysets").says("7");
    let records = local.run(&["cat", "latest", "outside", "keysets"]).exits(0).out;
    let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| records.iter().find(|record| record["name"] == name).unwrap();
    for (name, value) in [
        ("file", CANARIES[2]),
        ("env", &std::env::var("HOME").unwrap()),
        ("crypt", CANARIES[1]),
        ("line", "a\n"),
        ("sign", CANARIES[0]),
        ("followed", CANARIES[1]),
        ("map", CANARIES[3]),
    ] {
        assert_eq!(of(name)["sha256"], hash(value), "{name}");
        assert_eq!(of(name)["bytes"], value.len(), "{name}");
    }
    assert_eq!(records.len(), 7);
    local.run(&["verify", "latest", "--level", "opened"]).exits(0);
    local.run(&["verify", "latest", "--level", "restored"]).exits(3).says("nothing to rehearse");
    local.run(&["diff", "latest", "live"]).exits(0).says("outside (outside): the same");
    for to in ["postgres://postgres@127.0.0.1:1/shop", "cluster:nowhere"] {
        let restore = ["restore", "latest", "--source", "outside", "--to", to, "--yes"];
        local.run(&restore).exits(2).says("recorded, not copied").says("lifeboat diff latest live --source outside");
    }

    let patch = json!({"metadata": {"name": "keys"}, "stringData": {"crypt": "canary-of-another"}});
    server.kubectl(&["patch", "secret", "keys", "-n", &name, "-p", &patch.to_string()]);
    let said = local.run(&["diff", "latest", "live"]).exits(0);
    let said = said.says("0 added, 0 removed, 2 changed, 5 the same").says("~ keysets: keyset crypt").out;
    assert!(said.contains(&hash(CANARIES[1])) && said.contains(&hash("canary-of-another")), "{said}");
    local.backup_on(&local.repo());
    let runs: Value = serde_json::from_str(&local.run(&["list", "--json"]).exits(0).out).unwrap();
    let older = runs["backups"][1]["run"].as_str().unwrap();
    let report = local.run(&["diff", older, "latest", "--json"]).exits(0).out;
    let report: Value = serde_json::from_str(&report).unwrap();
    let diff = &report["sources"][0]["records"];
    assert_eq!((&diff["changed"], &diff["same"]), (&json!(2), &json!(5)));
    let first = &diff["records"][0];
    assert_eq!(
        (&first["stream"], &first["kind"], &first["name"]),
        (&json!("keysets"), &json!("keyset"), &json!("crypt"))
    );
    assert_eq!(first["fields"][0]["path"], "/bytes");

    // Never the value: neither stored nor said, whatever the verb.
    for key in objects(&local.repo()) {
        let bytes = std::fs::read(local.repo().join(&key)).unwrap();
        for canary in CANARIES.into_iter().chain(["keyset"]) {
            assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "{key} holds {canary}");
        }
    }
    for args in [&["check", "-v", "--json"][..], &["backup", "-v"], &["diff", "latest", "live", "-v", "--json"]] {
        let said = local.run(args).exits(0);
        assert!(!format!("{}{}", said.out, said.err).contains("canary-of-"), "{args:?}");
    }

    // All that cannot be found is named at once, and the backup is not made.
    let policy = std::fs::read_to_string(local.path("keys/policy.yaml")).unwrap();
    let broken = policy
        .replace("key: line", "key: no-such-key")
        .replace("file: keyset", "file: no-such-file")
        .replace("env: SIGN", "env: BOTH")
        .replace("env: CRYPT", "env: NODE")
        .replace("env: MAP_KEYSET", "env: MAP_OTHER");
    std::fs::write(local.path("keys/policy.yaml"), broken).unwrap();
    for verb in ["check", "backup"] {
        let said = local.run(&[verb]);
        assert_ne!(said.code, 0);
        for words in [
            "keyset file: cannot read secret file",
            &format!("keyset line: Secret {name}/keys has no key `no-such-key`"),
            "keyset sign: several containers",
            "is made from the pod itself",
            &format!("no container of Deployment {name}/frontend has a variable MAP_OTHER"),
        ] {
            assert!(said.err.contains(words) || said.out.contains(words), "`{words}`: {} {}", said.out, said.err);
        }
        assert!(!format!("{}{}", said.out, said.err).contains("canary-of-"));
    }
}

#[test]
fn a_source_that_names_nothing_and_a_keyset_without_one_place_are_refused() {
    for (text, words) in [
        ("      {}\n", "names nothing outside"),
        ("      keysets: []\n", "names nothing outside"),
        ("      keyset: []\n", "did you mean `keysets`?"),
        ("      keysets: [{name: a}]\n", "is not in exactly one place"),
        ("      keysets: [{name: a, env: A, file: b}]\n", "is not in exactly one place"),
        ("      keysets: [{name: a, env: A}, {name: a, env: B}]\n", "keyset `a` is there twice"),
        ("      keysets: [{name: '', env: A}]\n", "has no name"),
        ("      keysets: [{name: a, env: $A}]\n", "is no name"),
        ("      keysets: [{name: a, secret: {namespace: a, name: ../b, key: c}}]\n", "is no name"),
    ] {
        local(text).run(&["check"]).exits(2).says(words);
    }
}
