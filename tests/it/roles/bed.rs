//! One repository in a bucket with Object Lock, and a user of the server for each role.

use std::process::{Command, Stdio};

use aws_sdk_s3::Client;

use crate::support::local::Said;
use crate::support::postgres::{Major, TestServer};
use crate::support::servers::minio::{self, User};
use crate::support::servers::s3::{self, Kind, S3Server};

pub const ROLES: [&str; 4] = ["writer", "restorer", "prover", "collector"];
const PREFIX: &str = "some/repo";

pub struct Bed {
    server: S3Server,
    postgres: TestServer,
    folder: tempfile::TempDir,
    users: Vec<(&'static str, User)>,
    pub bucket: String,
    pub policy: String,
}

impl Bed {
    /// None where the tests do without servers.
    pub async fn new() -> Option<Self> {
        Self::locking("compliance").await
    }

    pub async fn locking(mode: &str) -> Option<Self> {
        let postgres = TestServer::start(Major::Fifteen)?;
        postgres.sql("postgres", "CREATE DATABASE shop");
        postgres
            .sql("shop", "CREATE TABLE t AS SELECT g AS i, md5(g::text) AS canary FROM generate_series(1, 20000) g");
        let server = minio::start(4).await;
        let bucket = server.bucket(Kind::Locked).await;
        let folder = tempfile::tempdir().unwrap();
        let mut bed = Self { server, postgres, folder, users: Vec::new(), bucket, policy: "repo".into() };
        bed.users = bed.make_users();
        bed.write_policy(mode);
        bed.run(&["init", "--signing-key", "keys/operator.key"]).exits(0);
        Some(bed)
    }

    pub fn url(&self) -> String {
        format!("minio+{}/{}/{PREFIX}", self.server.endpoint, self.bucket)
    }

    pub fn name(&self, key: &str) -> String {
        format!("{PREFIX}/{key}")
    }

    /// With the documents as they are printed.
    fn make_users(&self) -> Vec<(&'static str, User)> {
        let said = self.program(&["init", &self.url(), "--print-access", "minio", "--json"]).exits(0);
        let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let document = |role: &str| {
            let roles = report["roles"].as_array().unwrap();
            roles.iter().find(|row| row["role"] == role).unwrap()["document"].to_string()
        };
        ROLES.map(|role| (role, minio::user(&self.server, &document(role)))).into()
    }

    /// The keys of a local repository of the same name, made into a policy for the bucket.
    fn write_policy(&self, mode: &str) {
        let local = self.folder.path().join("repo");
        self.program(&["init", local.to_str().unwrap(), "--generate-keys", "keys"]).exits(0);
        std::fs::remove_dir_all(local).unwrap();
        let path = self.folder.path().join("keys/policy.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, _) = text.split_once("  sources:").unwrap();
        let mut credentials = String::new();
        for (role, user) in &self.users {
            let name = role.to_uppercase();
            assert!(!user.access_key.is_empty());
            credentials +=
                &format!("      {role}: {{accessKey: {{env: {name}_ID}}, secretKey: {{env: {name}_SECRET}}}}\n");
        }
        let (before, after) = head.split_once("- url:").unwrap();
        let (_, after) = after.split_once('\n').unwrap();
        let repository =
            format!("- url: {}\n    lock: {{mode: {mode}, for: 2d}}\n    credentials:\n{credentials}", self.url());
        let postgres = format!(
            "{{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: [shop], tls: {{mode: disable}}, tools: [{}]}}",
            self.postgres.port,
            self.postgres.bin.display(),
        );
        let text = format!("{before}{repository}{after}  sources:\n  - name: postgres\n    postgres: {postgres}\n");
        std::fs::write(path, text).unwrap();
    }

    /// The program with a policy, and the keys of all roles within reach.
    pub fn run(&self, args: &[&str]) -> Said {
        let mut command = self.command(args);
        command.env("LIFEBOAT_POLICY", self.folder.path().join("keys/policy.yaml"));
        if args[0] != "backup" && args[0] != "verify" {
            command.env("LIFEBOAT_IDENTITY", self.folder.path().join("keys/identity.txt"));
        }
        for (role, user) in &self.users {
            let name = role.to_uppercase();
            command.env(format!("{name}_ID"), &user.access_key).env(format!("{name}_SECRET"), &user.secret_key);
        }
        if args[0] == "init" {
            // A person makes the repository, with keys of the bucket's owner.
            command.env("AWS_ACCESS_KEY_ID", &self.server.access_key);
            command.env("AWS_SECRET_ACCESS_KEY", &self.server.secret_key);
        }
        Said::of(command.stdin(Stdio::null()).output().unwrap())
    }

    fn program(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(args).current_dir(self.folder.path()).env("PGPASSWORD", &self.postgres.password);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command
    }

    #[track_caller]
    pub fn backup(&self) -> String {
        let said = self.run(&["backup"]).exits(0);
        said.out.lines().last().unwrap().to_owned()
    }

    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("keys").join(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("keys").join(name), text).unwrap();
    }

    pub fn client(&self, role: &str) -> Client {
        let (_, user) = self.users.iter().find(|(name, _)| *name == role).unwrap();
        s3::client(&self.server.endpoint, &user.access_key, &user.secret_key)
    }

    /// The keys of who owns the bucket.
    pub fn owner(&self) -> Client {
        self.server.client()
    }

    /// Every key below the prefix that is there now.
    pub async fn keys(&self) -> Vec<String> {
        let list =
            self.owner().list_objects_v2().bucket(&self.bucket).prefix(format!("{PREFIX}/")).send().await.unwrap();
        assert_eq!(list.is_truncated(), Some(false));
        list.contents().iter().map(|row| row.key().unwrap()[PREFIX.len() + 1..].to_owned()).collect()
    }

    /// The version that was stored first.
    pub async fn version(&self, key: &str) -> String {
        let list =
            self.owner().list_object_versions().bucket(&self.bucket).prefix(self.name(key)).send().await.unwrap();
        list.versions().last().unwrap().version_id().unwrap().to_owned()
    }

    pub fn now(&self) -> i64 {
        std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64
    }
}
