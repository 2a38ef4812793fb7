//! The verbs of the program on a policy with a cluster in it.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::local::{Local, Said, is_soak, objects};
use crate::support::servers::kubernetes::{Kubernetes, shared};

fn local(server: &Kubernetes, source: &str) -> Local {
    let kubeconfig = server.kubeconfig();
    std::fs::set_permissions(&kubeconfig, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    Local::with_sources(
        &format!("  - name: cluster\n    cluster: {{kubeconfig: {}, {source}}}\n", kubeconfig.display()),
        "",
    )
}

/// Texts of 10,000 characters that do not compress to less than half.
fn noise(number: usize) -> Vec<String> {
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = |_| {
        let mut text = String::new();
        while text.len() < 10_000 {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            text.push_str(&format!("{noise:016x}"));
        }
        text
    };
    (0..number).map(&mut text).collect()
}

fn stored(repo: &Path) -> u64 {
    let data = objects(repo).into_iter().filter(|key| key.starts_with("data/"));
    data.map(|key| std::fs::metadata(repo.join(key)).unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_checked_backed_up_shown_and_proved() {
    let server = shared().await;
    let name = server.namespace("program").await;
    let secret = json!({"metadata": {"name": "canary-name"}, "stringData": {"password": "canary-of-a-secret"}});
    server.create(&format!("/api/v1/namespaces/{name}/secrets"), &secret).await;
    let texts = noise(30).into_iter().enumerate().map(|(n, text)| (n.to_string(), Value::from(text)));
    let noise = json!({"metadata": {"name": "noise"}, "data": texts.collect::<serde_json::Map<_, _>>()});
    server.create(&format!("/api/v1/namespaces/{name}/configmaps"), &noise).await;
    let local = local(server, &format!("namespaces: [{name}]"));
    local.run(&["check"]).exits(0).says("Kubernetes v1.").says("only these namespaces").says("kinds may be listed");
    local.run(&["plan", "backup"]).exits(0).says("3 streams");
    let run = local.backup_on(&local.repo());
    local.run(&["list"]).exits(0).says(&run[..10]);
    local.run(&["show", "latest"]).exits(0).says("core/v1/Secret");
    local.run(&["verify", "latest", "--level", "opened"]).exits(0);
    local.run(&["verify", "latest", "--level", "restored"]).exits(3).says("cluster cannot be rehearsed");
    let secrets = local.run(&["cat", "latest", "cluster", "objects", "--part", "core/v1/Secret"]).exits(0).out;
    assert!(
        secrets.starts_with("{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":")
            && secrets.contains("canary-name")
    );
    let discovery: Value =
        serde_json::from_str(&local.run(&["cat", "latest", "cluster", "discovery"]).exits(0).out).unwrap();
    assert_eq!(discovery["format"], 1);
    let inventory: Value =
        serde_json::from_str(&local.run(&["cat", "latest", "cluster", "inventory"]).exits(0).out).unwrap();
    assert_eq!(inventory["format"], 1);

    // Nothing new the second time, but of which moment the lists are.
    let first = stored(&local.repo());
    let said = local.run(&["backup", "--json"]).exits(0).out;
    let second = stored(&local.repo()) - first;
    assert!(first > 100_000 && second < 5_000, "{second} of {first}: {said}");

    // Sealed, wherever it is: names, values, and their base64.
    let encoded = "Y2FuYXJ5LW9mLWEtc2VjcmV0";
    for key in objects(&local.repo()) {
        let bytes = std::fs::read(local.repo().join(&key)).unwrap();
        for canary in ["canary-name", "canary-of-a-secret", encoded, &name] {
            assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "{key} holds {canary}");
        }
    }
    for args in [&["backup", "-v", "--json"][..], &["check", "-v", "--json"], &["backup", "-v"]] {
        let said = local.run(args).exits(0);
        for secret in ["canary-of-a-secret", encoded, "token-of-admin"] {
            assert!(!said.out.contains(secret) && !said.err.contains(secret), "{args:?} says {secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_objects_take_little_memory() {
    let server = shared().await;
    let name = server.namespace("many").await;
    let path = format!("/api/v1/namespaces/{name}/configmaps");
    let texts = noise(if is_soak() { 20_000 } else { 2000 });
    let number = texts.len();
    let create = |n: usize, text: &str| {
        let object = json!({"metadata": {"name": format!("m-{n:05}")}, "data": {"text": text}});
        let path = path.clone();
        async move { server.create(&path, &object).await }
    };
    for (batch, texts) in texts.chunks(50).enumerate() {
        let each = texts.iter().enumerate().map(|(n, text)| create(batch * 50 + n, text));
        futures::future::join_all(each).await;
    }
    let local = local(server, &format!("namespaces: [{name}]"));
    let script = "import os, resource, sys\n\
                  code = os.spawnvpe(os.P_WAIT, sys.argv[1], sys.argv[1:], os.environ)\n\
                  print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n\
                  sys.exit(code)";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", script, env!("CARGO_BIN_EXE_lifeboat"), "backup", "-q"]);
    command.env("LIFEBOAT_POLICY", local.path("keys/policy.yaml")).env("LIFEBOAT_REPOSITORY", local.repo());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let peak: u64 = said.lines().find_map(|line| line.strip_prefix("peak ")).unwrap().parse().unwrap();
    eprintln!("peak of {number} objects: {} MiB", peak >> 10);
    assert!(peak < 200 * 1024, "{peak} KiB");
    let objects = local.run(&["cat", "latest", "cluster", "objects", "--part", "core/v1/ConfigMap"]).exits(0).out;
    assert_eq!(objects.lines().count(), number + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_yet_or_at_all_is_refused_in_words() {
    let server = shared().await;
    let name = server.namespace("refused").await;
    let local = local(server, &format!("namespaces: [{name}]"));
    local.backup_on(&local.repo());
    let to = "postgres://postgres@127.0.0.1:1/shop";
    // A proxy that nobody runs, and an address that is reached without one.
    for (spared, code) in [("127.0.0.0/8", 0), ("10.0.0.0/8", 5)] {
        let mut check = local.program();
        check.arg("check").env("LIFEBOAT_POLICY", local.path("keys/policy.yaml"));
        check.env("LIFEBOAT_REPOSITORY", local.repo()).env("HTTPS_PROXY", "http://127.0.0.1:1").env("NO_PROXY", spared);
        Said::of(check.output().unwrap()).exits(code);
    }
    let restore = ["restore", "latest", "--source", "cluster", "--to", to, "--yes"];
    local.run(&restore).exits(2).says("is of kind cluster, which this version cannot load back");
    let policy = std::fs::read_to_string(local.path("keys/policy.yaml")).unwrap();
    let with = |from: &str, to: &str| std::fs::write(local.path("keys/policy.yaml"), policy.replace(from, to)).unwrap();
    with("{kubeconfig:", "{context: nowhere, kubeconfig:");
    local.run(&["check"]).exits(5).says("no context `nowhere`").says("it has: test");
    local.run(&["backup"]).exits(5).says("no context `nowhere`").says("it has: test");
    for (from, to, words) in [
        ("namespaces:", "namespace:", "did you mean `namespaces`?"),
        (&*format!("[{name}]"), "[]", "the list is empty"),
        (&*format!("[{name}]"), "[Shop]", "is no name of a namespace"),
        ("namespaces:", "kinds: {include: [Secret]}, namespaces:", "is not the plural of a kind"),
        ("namespaces:", "kinds: {include: [apps/deployments]}, namespaces:", "is not the plural of a kind"),
        ("namespaces:", "clusterScoped: some, namespaces:", "unknown value `some`"),
        ("namespaces:", "selector: '', namespaces:", "the selector is empty"),
        (
            "    cluster:",
            "    cluster: {}\n    postgres: {host: localhost, user: postgres}\n  - name: other\n    cluster:",
            "is of two kinds",
        ),
        ("    cluster:", "  - name: other\n    cluster:", "does not say of which kind it is"),
    ] {
        with(from, to);
        local.run(&["check"]).exits(2).says(words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_taken_by_kubectl_and_is_the_same() {
    let server = shared().await;
    let (name, other) = (server.namespace("exported").await, server.namespace("applied").await);
    let inside = |namespace: &str| format!("/api/v1/namespaces/{namespace}");
    let data = json!({
        "yes": "yes", "octal": "0123", "float": "1e3", "time": "12:30:00", "null": "null", "tilde": "~", "empty": "",
        "lines": "a: 1\n  b: |\n\tx\n\n", "space": "  x ", "colon": "a: b # c", "quote": "\"'\\", "uni": "\u{e4}\u{2028}\u{1f600}\u{7f}",
    });
    let map = json!({"metadata": {"name": "nasty"}, "data": data});
    server.create(&format!("{}/configmaps", inside(&name)), &map).await;
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"a": "b"}});
    server.create(&format!("{}/secrets", inside(&name)), &secret).await;
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    server.create(&format!("{}/services", inside(&name)), &service).await;
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {"limits": {"cpu": "0.5"}}}]}}},
    });
    server.create(&format!("/apis/apps/v1/namespaces/{name}/deployments"), &deployment).await;
    let pods = format!("{}/pods", inside(&name));
    server.until(|| async { server.get(&pods).await["items"].as_array().unwrap().first().cloned() }).await;

    let local = local(server, &format!("namespaces: [{name}]"));
    local.backup_on(&local.repo());
    let yaml = local.run(&["cat", "latest", "cluster", "objects", "--as", "yaml", "--namespace", &name]).exits(0).out;
    for unwanted in ["resourceVersion", "managedFields", "\nstatus:", "clusterIP:", "kind: Pod\n", "kind: ReplicaSet\n"]
    {
        assert!(!yaml.contains(unwanted), "{unwanted} in\n{yaml}");
    }
    assert!(yaml.contains("# left out: Pod.v1") && yaml.contains("# left out: ConfigMap.v1"), "{yaml}");
    let file = local.path("exported.yaml");
    std::fs::write(&file, yaml.replace(&format!("namespace: {name}\n"), &format!("namespace: {other}\n"))).unwrap();
    server.kubectl(&["apply", "--dry-run=server", "-f", file.to_str().unwrap()]);
    server.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    assert_eq!(server.get(&format!("{}/configmaps/nasty", inside(&other))).await["data"], data);
    assert_eq!(server.get(&format!("{}/secrets/s", inside(&other))).await["data"], json!({"a": "Yg=="}));
    let specs = [&name, &other].map(|namespace| format!("/apis/apps/v1/namespaces/{namespace}/deployments/web"));
    assert_eq!(server.get(&specs[1]).await["spec"], server.get(&specs[0]).await["spec"]);

    let one =
        local.run(&["cat", "latest", "cluster", "objects", "--as", "yaml", "--object", "deployment/web"]).exits(0).out;
    assert!(one.matches("---").count() == 1 && one.contains("kind: Deployment"), "{one}");
    local
        .run(&["cat", "latest", "cluster", "objects", "--as", "yaml", "--object", "deployment/none"])
        .exits(5)
        .says("no such object");
    local.run(&["cat", "latest", "cluster", "inventory", "--as", "yaml"]).exits(2).says("holds no objects");
    local.run(&["cat", "latest", "cluster", "objects", "--object", "deployment/web"]).exits(2);
}
