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

    pub fn say(&self, args: &[&str]) -> Said {
        let mut program = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        program.args(args).current_dir(self.folder.path()).stdin(Stdio::null()).env("KUBECONFIG", &self.kubeconfig);
        if self.path("keys/policy.yaml").exists() {
            program.env("LIFEBOAT_POLICY", self.path("keys/policy.yaml"));
            program.env("LIFEBOAT_IDENTITY", self.path("keys/identity.txt"));
        }
        let Output { status, stdout, stderr } = program.output().unwrap();
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
