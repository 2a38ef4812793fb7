//! Whose keys the S3 driver uses, and the loop through the built program with them. Needs MinIO, moto and PostgreSQL 15.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::support::postgres::{Major, TestServer};
use crate::support::servers::s3::{Kind, S3Server};
use crate::support::servers::{minio, moto};

/// The program in a folder and an environment of its own.
struct Person {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Person {
    fn new(environment: Vec<(&'static str, String)>) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(self.environment.iter().map(|(name, value)| (*name, value))).output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        assert!(!said.contains(SECRET), "{said}");
        said
    }
}

const SECRET: &str = "rootpassword";

fn url(server: &S3Server, bucket: &str) -> String {
    format!("s3://{bucket}/deep/prefix?endpoint={}", server.endpoint)
}

fn variables(server: &S3Server) -> Vec<(&'static str, String)> {
    vec![("AWS_ACCESS_KEY_ID", server.access_key.clone()), ("AWS_SECRET_ACCESS_KEY", server.secret_key.clone())]
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_the_environment_or_a_profile() {
    let server = minio::shared().await;
    let url = url(server, &server.bucket(Kind::Plain).await);
    Person::new(variables(server)).ok(&["init", &url, "--generate-keys", "keys"]);

    let mut person = Person::new(vec![]);
    let files = format!(
        "[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n[backup]\naws_access_key_id = {}\n\
         aws_secret_access_key = {}\n",
        server.access_key, server.secret_key
    );
    let path = person.write("credentials", &files);
    person.environment = vec![("AWS_SHARED_CREDENTIALS_FILE", path)];
    assert_eq!(
        person.run(&["list", "--repository", &url]).status.code(),
        Some(12),
        "the default profile's key is wrong"
    );
    person.environment.push(("AWS_PROFILE", "backup".into()));
    person.ok(&["list", "--repository", &url]);
    // The region of a profile is heeded, and a helper program's keys too.
    let printed = format!(
        r#"{{"Version": 1, "AccessKeyId": "{}", "SecretAccessKey": "{}"}}"#,
        server.access_key, server.secret_key
    );
    let helper = person.write("printed.json", &printed);
    let config =
        person.write("config", &format!("[profile process]\nregion = us-east-1\ncredential_process = cat {helper}\n"));
    person.environment = vec![("AWS_CONFIG_FILE", config), ("AWS_PROFILE", "process".into())];
    person.ok(&["list", "--repository", &url]);
}

/// A pod's token is exchanged for keys of a role. moto takes any token, but only this way leads to its keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_web_identity_is_exchanged_for_keys() {
    let server = moto::start().await;
    let bucket = server.bucket(Kind::Plain).await;
    let url = url(&server, &bucket);
    let mut person = Person::new(vec![]);
    let token = person.write("token", "a.web.token");
    person.environment = vec![
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.clone()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/writer".into()),
        ("AWS_ENDPOINT_URL_STS", server.endpoint.clone()),
        ("AWS_REGION", "us-east-1".into()),
    ];
    let said = person.run(&["list", "--repository", &url]);
    assert_eq!(said.status.code(), Some(10), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(server.log().contains("POST / "), "nobody asked for a role's keys:\n{}", server.log());
    std::fs::remove_file(token).unwrap();
    let lost = person.run(&["list", "--repository", &url]);
    let said = String::from_utf8_lossy(&lost.stderr);
    assert_eq!(lost.status.code(), Some(12), "{said}");
    assert!(said.contains("no credentials were found"), "{said}");
}

/// Back up, verify and restore, with the keys that the policy names for each role.
#[tokio::test(flavor = "multi_thread")]
async fn the_loop_on_a_bucket() {
    let (Some(server), Some(target)) = (TestServer::start(Major::Fifteen), TestServer::start(Major::Fifteen)) else {
        return;
    };
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE t AS SELECT g AS i, md5(g::text) AS v FROM generate_series(1, 20000) g");
    let store = minio::shared().await;
    let url = url(store, &store.bucket(Kind::Versioned).await);
    let mut person = Person::new(variables(store));
    person.ok(&["init", &url, "--generate-keys", "keys"]);
    let text = std::fs::read_to_string(person.path("keys/policy.yaml")).unwrap();
    let (head, _) = text.split_once("  sources:").unwrap();
    let source = format!(
        "  sources:\n  - name: postgres\n    postgres: {{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: all, tls: {{mode: disable}}, tools: [{}]}}\n",
        server.port,
        server.clients.display(),
    );
    person.write("keys/policy.yaml", &format!("{head}{source}"));
    person.environment.push(("PGPASSWORD", server.password.clone()));
    person.environment.push(("LIFEBOAT_POLICY", person.path("keys/policy.yaml").display().to_string()));
    person.environment.push(("LIFEBOAT_IDENTITY", person.path("keys/identity.txt").display().to_string()));
    person.ok(&["backup"]);
    person.ok(&["verify", "latest", "--level", "opened"]);
    let to = format!("postgres://postgres@127.0.0.1:{}/?sslmode=disable", target.port);
    person.ok(&["restore", "latest", "--source", "postgres", "--to", &to, "--yes"]);
    assert_eq!(target.sql("shop", "SELECT count(*) FROM t").trim(), "20000");
}
