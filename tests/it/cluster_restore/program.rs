//! The same through the program: back up, lose, plan, restore.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use lifeboat::source::cluster::restore::Outcome;
use serde_json::Value;

use super::bed::{api, capture, destroy};
use super::compare::assert_restored;
use super::platform::Platform;
use crate::support::servers::kubernetes::{self, Kubernetes};

/// A repository, keys, and a policy with one cluster as its source.
pub struct Program {
    folder: tempfile::TempDir,
    kubeconfig: PathBuf,
}

pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Program {
    pub fn new(kubernetes: &Kubernetes, cluster: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let this = Self { folder, kubeconfig: kubernetes.kubeconfig() };
        let url = format!("file://{}", this.path("repo").display());
        assert_eq!(this.say(&["init", &url, "--generate-keys", "keys"]).code, 0);
        let generated = std::fs::read_to_string(this.path("keys/policy.yaml")).unwrap();
        let (head, _) = generated.split_once("  sources:").unwrap();
        let sources = format!("  sources:\n  - name: objects\n    cluster: {cluster}\n");
        std::fs::write(this.path("keys/policy.yaml"), format!("{head}{sources}")).unwrap();
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        program.args(args).current_dir(self.folder.path()).stdin(Stdio::null()).env("KUBECONFIG", &self.kubeconfig);
        if self.path("keys/policy.yaml").exists() {
            program.env("LIFEBOAT_POLICY", self.path("keys/policy.yaml"));
            program.env("LIFEBOAT_IDENTITY", self.path("keys/identity.txt"));
        }
        program
    }

    pub fn say(&self, args: &[&str]) -> Said {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }

    #[track_caller]
    pub fn report(&self, args: &[&str], code: i32) -> Value {
        let said = self.say(&[args, &["--json"]].concat());
        assert_eq!(said.code, code, "{args:?}: {}\n{}", said.out, said.err);
        serde_json::from_str(&said.out).unwrap_or(Value::Null)
    }
}

/// Name and outcome of each object of a report.
pub fn fates(report: &Value) -> Vec<(String, String)> {
    let text = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let objects = report["objects"].as_array().unwrap();
    let name =
        |object: &Value| format!("{} {}/{}", text(object, "kind"), text(object, "namespace"), text(object, "name"));
    objects.iter().map(|object| (name(object), text(object, "outcome"))).collect()
}

const RESTORE: [&str; 6] = ["restore", "latest", "--source", "objects", "--to", "cluster:test"];

#[tokio::test]
async fn a_platform_is_backed_up_lost_planned_and_restored() {
    let server = kubernetes::shared().await;
    let api = api(server).await;
    let platform = Platform::build(server).await;
    let program = Program::new(server, &format!("{{namespaces: [{}]}}", platform.namespace));
    program.report(&["backup"], 0);
    let captured = capture(server, &api, &[&platform.namespace]).await;
    destroy(server, &api, &captured).await;

    let plan = program.report(&[&["plan"], &RESTORE[..]].concat(), 0);
    let restored = program.report(&RESTORE, 0);
    assert_eq!(fates(&plan), fates(&restored));
    let skipped: Vec<String> =
        fates(&restored).into_iter().filter(|(_, fate)| fate == Outcome::Skip.as_str()).map(|(name, _)| name).collect();
    let wanted = |object: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let name = format!("{} {}/{}", text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]));
        fates(&restored).iter().any(|(known, _)| *known == name) && !skipped.contains(&name)
    };
    let compared = assert_restored(server, &api, &captured, wanted).await;
    assert!(compared >= 40, "{compared}");

    let again = program.report(&RESTORE, 0);
    let written: Vec<_> = fates(&again).into_iter().filter(|(_, fate)| fate != "same" && fate != "skip").collect();
    assert!(written.is_empty(), "{written:?}");
}

#[tokio::test]
async fn the_program_asks_refuses_and_says_what_stands_in_the_way() {
    let server = kubernetes::shared().await;
    let here = server.namespace("asking").await;
    let path = format!("/api/v1/namespaces/{here}/configmaps");
    server.create(&path, &serde_json::json!({"metadata": {"name": "settings"}, "data": {"a": "1"}})).await;
    let program = Program::new(server, &format!("{{namespaces: [{here}]}}"));
    program.report(&["backup"], 0);
    let with = |more: &[&str]| program.say(&[&RESTORE[..], more].concat());

    // What is for databases only, or for clusters only.
    for (more, word) in [
        (&["--mode", "beside"][..], "neither loaded beside nor replaced"),
        (&["--mode", "replace"], "neither loaded beside nor replaced"),
        (&["--stream", "db/x"], "--stream is for Postgres"),
        (&["--jobs", "2"], "--jobs is for Postgres"),
        (&["--from", "somewhere"], "no tier is called"),
        (&["--from", "jobs", "--through", "rbac"], "nothing would be restored"),
        (&["--select", "in in in"], "--select"),
        (&["--object", "settings"], "is not KIND/NAME"),
        (&["--patch", "missing.json"], "--patch missing.json"),
    ] {
        let said = with(more);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{more:?}: {}", said.err);
        assert!(said.err.contains(word), "{more:?}: {}", said.err);
    }
    let postgres = ["restore", "latest", "--source", "objects", "--to", "postgres://postgres@127.0.0.1/x"];
    assert!(program.say(&postgres).err.contains("source objects is of kind cluster"));
    let said = program.say(&[&postgres[..], &["--wait"]].concat());
    assert!(said.code == 2 && said.err.contains("--wait is for Kubernetes objects"), "{}", said.err);
    let said = program.say(&[&postgres[..], &["--mode", "update"]].concat());
    assert!(said.code == 2 && said.err.contains("--mode update is for Kubernetes objects"), "{}", said.err);

    // No such context; nothing of that name; nothing that was asked for.
    let said = program.say(&["restore", "latest", "--source", "objects", "--to", "cluster:nowhere"]);
    assert!(said.code == 5 && said.err.contains("nowhere"), "{}: {}", said.code, said.err);
    assert!(with(&["--namespace", "nowhere"]).err.contains("nothing of namespace nowhere"));

    // Somebody changes it: left alone, and said; set back only when the context's name is confirmed.
    server.patch(&format!("{path}/settings"), &serde_json::json!({"data": {"a": "2"}})).await;
    let said = with(&[]);
    assert!(said.code == 0 && said.out.contains("differs in data.a"), "{}: {}", said.code, said.out);
    let said = with(&["--mode", "update"]);
    assert!(said.code == 5 && said.err.contains("nobody confirmed it"), "{}: {}", said.code, said.err);
    assert_eq!(server.get(&format!("{path}/settings")).await["data"]["a"], "2");
    let said = with(&["--mode", "update", "--yes"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("LOST: what was changed after"), "{}", said.err);
    assert_eq!(server.get(&format!("{path}/settings")).await["data"]["a"], "1");

    // Blocked: 5, by the plan and by the restore.
    let quota = serde_json::json!({"metadata": {"name": "full"}, "spec": {"hard": {"configmaps": "0"}}});
    server.delete(&format!("{path}/settings")).await;
    server.create(&format!("/api/v1/namespaces/{here}/resourcequotas"), &quota).await;
    let plan = program.report(&[&["plan"], &RESTORE[..]].concat(), 5);
    assert_eq!(fates(&plan).iter().filter(|(_, fate)| fate == "blocked").count(), 1);
    program.report(&RESTORE, 5);
    assert!(server.try_get(&format!("{path}/settings")).await.is_none());

    // Without a cluster, against what the backup itself recorded.
    let offline = ["plan", "restore", "latest", "--source", "objects", "--against", "latest"];
    let plan = program.report(&offline, 0);
    assert!(fates(&plan).iter().all(|(_, fate)| fate == "create" || fate == "skip"), "{plan}");
}
