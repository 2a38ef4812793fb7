//! What is recorded of a Nomad cluster. Everything here rests on a stand-in for Nomad (tests/bench/nomad-standin), whose
//! JSON comes from Nomad's own client library; docs/runbooks/prove-nomad.md has the commands for a real server.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::answering::answering;
use crate::support::authority::Authority;
use crate::support::local::{Local, Said, objects};
use crate::support::servers::nomad::{client, id, server};

/// A policy whose source names this cluster: the words between the braces.
fn local(nomad: &str) -> Local {
    Local::with_sources(&format!("  - name: outside\n    outside:\n      nomad: {{{nomad}}}\n"), "")
}

fn records(local: &Local) -> Vec<Value> {
    let text = local.run(&["cat", "latest", "outside", "nomad"]).exits(0).out;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn record<'r>(records: &'r [Value], kind: &str, name: &str) -> &'r Value {
    let named = |record: &&Value| record["kind"] == kind && record["name"].as_str().unwrap().starts_with(name);
    records.iter().find(named).unwrap_or_else(|| panic!("no {kind} {name} in {records:#?}"))
}

fn job(id: &str, count: u32, password: &str) -> Value {
    let task = json!({"Name": "task", "Driver": "docker", "Env": {"PASSWORD": password},
        "Config": {"image": "registry.example.com/web:1"}});
    json!({"Job": {"ID": id, "Datacenters": ["dc1"], "TaskGroups": [{"Name": "group", "Count": count, "Tasks": [task]}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_nodes_and_jobs_are_recorded_and_compared() {
    let server = server(&[]).await;
    let one = client(1, &server.rpc, &["-meta", "rack=a,zone=z"]).await;
    let two = client(2, &server.rpc, &["-class", "large"]).await;
    server.until_node(1, "ready").await;
    server.until_node(2, "ready").await;
    server.put("/v1/jobs", &job("web/api", 2, "canary-of-job")).await;
    let mut build = job("build", 1, "x");
    build["Job"]["ParameterizedJob"] = json!({"Payload": "optional"});
    server.put("/v1/jobs", &build).await;
    for number in 1..=3 {
        let mut child = job(&format!("build/dispatch-{number}"), 1, "x");
        child["Job"]["ParentID"] = json!("build");
        server.put("/v1/jobs", &child).await;
    }

    let local = local(&format!("address: '{}'", server.address));
    local.run(&["check"]).exits(0).says("2 nodes, 2 of them ready and eligible");
    let older = local.backup_on(&local.repo());
    let all = records(&local);
    let servers = record(&all, "servers", "");
    assert_eq!((&servers["leader"], &servers["peers"]), (&json!(server.rpc), &json!([server.rpc])));
    assert_eq!(servers["version"], "1.10.5");
    let node = record(&all, "node", "client-1/");
    assert_eq!(node["meta"], json!({"rack": "a", "zone": "z"}));
    assert_eq!(node["servers"], json!([server.rpc]), "which servers it knows, only the client can say");
    assert_eq!(
        (&node["id"], &node["status"], &node["eligibility"]),
        (&json!(id(1)), &json!("ready"), &json!("eligible"))
    );
    assert_eq!(node["attributes"]["unique.network.ip-address"], "127.0.0.1");
    assert_eq!(node["attributes"].get("unique.storage.bytesfree"), None, "it changes by itself");
    assert_eq!(record(&all, "node", "client-2/")["class"], "large");
    assert_eq!(all.iter().filter(|record| record["takesWork"] == true).count(), 2);
    let web = record(&all, "job", "default/web/api");
    assert_eq!((&web["running"], &web["version"]), (&json!(2), &json!(0)));
    let task = &web["job"]["TaskGroups"][0]["Tasks"][0];
    assert_eq!(task["Env"]["PASSWORD"], "canary-of-job", "a job is carried whole");
    assert_eq!((web["job"].get("ModifyIndex"), web["job"].get("SubmitTime")), (None, None));
    let build = record(&all, "job", "default/build");
    assert_eq!(build["running"], 3, "what children run, they run for their parent");
    assert!(!all.iter().any(|record| record["name"].as_str().unwrap().contains("dispatch")), "children come and go");

    // A day later nothing has changed by itself.
    let newer = local.backup_on(&local.repo());
    local.run(&["diff", &older, &newer]).exits(0).says("outside (outside): the same");
    local.run(&["verify", "latest", "--level", "opened"]).exits(0);
    local.run(&["diff", "latest", "live"]).exits(0).says("outside (outside): the same");
    for key in objects(&local.repo()) {
        let bytes = std::fs::read(local.repo().join(&key)).unwrap();
        assert!(!bytes.windows(13).any(|window| window == b"canary-of-job"), "{key} is not sealed");
    }

    // What a person changes, and what breaks, is told field by field; secrets of jobs only as hashes.
    drop(two);
    drop(one);
    let _one = client(1, &server.rpc, &["-meta", "rack=b,zone=z"]).await;
    server.put("/v1/jobs", &job("web/api", 1, "canary-of-other")).await;
    server.until_node(2, "down").await;
    server.until_node(1, "ready").await;
    let said = local.run(&["diff", "latest", "live"]).exits(0);
    let said = said.says("~ nomad: node client-2/").says("/status: \"ready\" -> \"down\"");
    let said = said.says("/meta/rack: \"a\" -> \"b\"").says("~ nomad: job default/web/api").says("sha256:");
    assert!(!said.out.contains("canary-of"), "{}", said.out);
    local.run(&["check"]).exits(0).says("2 nodes, 1 of them ready and eligible");
    local.run(&["backup"]).exits(0).says("1 of 2 nodes are not ready: client-2 (down)");
    let all = records(&local);
    let node = record(&all, "node", "client-2/");
    assert_eq!((&node["status"], &node["servers"]), (&json!("down"), &Value::Null));
    assert_eq!((&node["serversNotAsked"], &node["takesWork"]), (&json!("down"), &json!(false)));
    let drain = json!({"NodeID": id(1), "DrainSpec": {"Deadline": 1}});
    server.put(&format!("/v1/node/{}/drain", id(1)), &drain).await;
    local
        .run(&["diff", "latest", "live"])
        .exits(0)
        .says("/drain: false -> true")
        .says("\"eligible\" -> \"ineligible\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_rights_is_told_which_policy_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let acl = folder.path().join("acl.json");
    let read = json!({"*": ["list-jobs", "read-job"]});
    let tokens = json!({"canary-all": {"Node": "read", "Agent": "read", "Namespaces": read},
        "canary-no-agent": {"Node": "read", "Namespaces": read}, "canary-no-node": {"Agent": "read", "Namespaces": read},
        "canary-no-text": {"Node": "read", "Agent": "read", "Namespaces": {"*": ["list-jobs"]}},
        "canary-default": {"Node": "read", "Agent": "read", "Namespaces": {"default": ["list-jobs", "read-job"]}},
        "canary-manager": {"Management": true}});
    std::fs::write(&acl, tokens.to_string()).unwrap();
    let flags = ["-acl", acl.to_str().unwrap()];
    let server = server(&flags).await;
    let _one = client(1, &server.rpc, &flags).await;
    let local = local(&format!("address: '{}', token: {{env: TOKEN}}", server.address));
    let run = |token: &str, args: &[&str]| {
        let mut command = local.program();
        command.args(args).env("TOKEN", token).env("LIFEBOAT_POLICY", local.path("keys/policy.yaml"));
        let said = Said::of(command.env("LIFEBOAT_IDENTITY", local.path("keys/identity.txt")).output().unwrap());
        assert!(!format!("{}{}", said.out, said.err).contains("canary-"), "{} {}", said.out, said.err);
        said
    };
    let wanted = "namespace \"*\" { capabilities = [\"list-jobs\", \"read-job\"] }";
    for (token, verb, says) in [
        ("canary-no-node", "check", "does not allow /v1/nodes to this token (Permission denied)"),
        ("canary-no-text", "check", "does not allow /v1/allocations to this token"),
        ("", "backup", "does not allow"),
    ] {
        let said = run(token, &[verb]).says(says).says(wanted).says("node { policy = \"read\" }");
        assert_ne!(said.code, 0, "{token}");
    }
    run("canary-unknown", &["backup"]).exits(12).says("does not know the token (ACL token not found)");
    run("canary-no-agent", &["backup", "-v"])
        .exits(0)
        .says("the token may not ask for the version")
        .says("could not be asked");
    let node = records(&local);
    assert_eq!(record(&node, "node", "client-1/")["serversNotAsked"], "not allowed");
    run("canary-all", &["backup"]).exits(0);
    assert_eq!(record(&records(&local), "node", "client-1/")["servers"], json!([server.rpc]));
    run("canary-default", &["check"]).exits(0);

    // A client that does not answer where it says, or where the policy says, is a finding and no failure.
    let text = std::fs::read_to_string(local.path("keys/policy.yaml")).unwrap();
    let elsewhere = "clients: [{node: client-1, address: 'http://127.0.0.1:1'}], token: {env: TOKEN}";
    std::fs::write(local.path("keys/policy.yaml"), text.replace("token: {env: TOKEN}", elsewhere)).unwrap();
    run("canary-all", &["backup", "-v"]).exits(0).says("1 of 1 clients could not be asked").says("nobody listens");
    assert_eq!(record(&records(&local), "node", "client-1/")["serversNotAsked"], "no answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn mutual_tls_is_spoken_and_what_is_missing_is_named() {
    let authority = Authority::new();
    let file = |path: &Path| path.display().to_string();
    let ca = file(&authority.ca_file());
    let of = |name: &str| {
        let (cert, key) = authority.issue(name);
        (file(&cert), file(&key))
    };
    let (server_pair, client_pair, mine) = (of("server.global.nomad"), of("client.global.nomad"), of("lifeboat"));
    let flags = |pair: &(String, String)| ["-ca", &ca, "-cert", &pair.0, "-key", &pair.1, "-verify"].map(str::to_owned);
    let (server_flags, client_flags) = (flags(&server_pair), flags(&client_pair));
    let server = server(&server_flags.each_ref().map(String::as_str)).await;
    let _one = client(1, &server.rpc, &client_flags.each_ref().map(String::as_str)).await;
    let address = format!("address: '{}'", server.address);
    let keys = format!("cert: {{file: {}}}, key: {{file: {}}}", mine.0, mine.1);
    let name = "serverName: server.global.nomad";
    let whole = local(&format!("{address}, ca: {{file: {ca}}}, {keys}, {name}"));
    whole.run(&["check"]).exits(0);
    whole.backup_on(&whole.repo());
    let node = records(&whole);
    assert_eq!(record(&node, "node", "client-1/")["servers"], json!([server.rpc]), "a client has a name of its own");

    for (words, code, says) in [
        (format!("{address}, {keys}, {name}"), 1, "an authority that is not believed"),
        (format!("{address}, ca: {{file: {ca}}}, {keys}"), 1, "its certificate is for another name"),
        (format!("{address}, ca: {{file: {ca}}}, {name}"), 12, "wants to see a client certificate"),
        (address.replace("https", "http"), 5, "write https://"),
        (format!("{address}, ca: {{file: {ca}}}, {keys}, {name}, region: other"), 5, "knows no such region"),
    ] {
        local(&words).run(&["backup"]).exits(code).says(says);
    }

    // What the policy leaves out, the variables of Nomad's own tools say.
    let bare = local("");
    let mut command = bare.program();
    command.arg("backup").env("LIFEBOAT_POLICY", bare.path("keys/policy.yaml"));
    command
        .env("NOMAD_ADDR", &server.address)
        .env("NOMAD_CACERT", &ca)
        .env("NOMAD_TLS_SERVER_NAME", "server.global.nomad");
    command.env("NOMAD_CLIENT_CERT", &mine.0).env("NOMAD_CLIENT_KEY", &mine.1);
    Said::of(command.output().unwrap()).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_and_no_leader_are_failures_with_a_cure() {
    let leaderless = server(&["-leaderless"]).await;
    let page = answering("200 OK", "Content-Type: text/html", "<html>sign in</html>");
    for (address, code, says) in [
        (leaderless.address.as_str(), 1, "the servers have no leader"),
        ("http://127.0.0.1:1", 1, "nobody listens at that address"),
        (page.as_str(), 1, "is it Nomad that listens there?"),
    ] {
        let local = local(&format!("address: '{address}'"));
        local.run(&["backup"]).exits(code).says(says);
        local.run(&["check"]).exits(5).says(says);
    }
    let bare = local("");
    let mut command = bare.program();
    command.arg("backup").env("LIFEBOAT_POLICY", bare.path("keys/policy.yaml")).env_remove("NOMAD_ADDR");
    Said::of(command.output().unwrap()).exits(5).says("nothing says where it is").says("NOMAD_ADDR");
}

/// What later steps rely on: how a client that lost its servers behaves, as the stand-in shows it.
#[tokio::test(flavor = "multi_thread")]
async fn the_stand_ins_client_stays_away_until_it_is_told() {
    let first = server(&[]).await;
    let one = client(1, &first.rpc, &[]).await;
    first.until_node(1, "ready").await;
    drop(first);
    let second = server(&[]).await;
    assert_eq!(second.get("/v1/nodes").await, json!([]), "another address: nobody told it");
    one.put(&format!("/v1/agent/servers?address={}", second.rpc), &Value::Null).await;
    second.until_node(1, "ready").await;
    assert_eq!(one.get("/v1/agent/servers").await, json!([second.rpc]));
    second.put(&format!("/v1/node/{}/purge", id(1)), &Value::Null).await;
}

#[test]
fn a_cluster_that_cannot_be_meant_is_refused() {
    for (words, says) in [
        ("address: 'nomad.example.com'", "not the address of a Nomad agent"),
        ("address: 'https://user:geheim@nomad.example.com'", "not the address of a Nomad agent"),
        ("address: 'https://nomad:4646/v1'", "not the address of a Nomad agent"),
        ("cert: {env: A}", "`cert` and `key` belong together"),
        ("token: geheim", "secret"),
        ("namespaces: []", "the list is empty"),
        ("namespaces: [a, a]", "there twice"),
        ("clients: [{node: a, address: b}]", "the address of client `a`"),
        ("adress: x", "did you mean `address`?"),
    ] {
        let said = local(words).run(&["check"]).exits(2).says(says);
        assert!(!said.err.contains("geheim"), "{}", said.err);
    }
}
