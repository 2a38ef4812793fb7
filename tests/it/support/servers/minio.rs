//! MinIO.

use std::process::Command;

use tokio::sync::OnceCell;

use super::process::{Process, free_port, program};
use super::s3::S3Server;

const ROOT: (&str, &str) = ("rootuser", "rootpassword");

/// The one that tests share which need no more than a bucket of their own.
pub async fn shared() -> &'static S3Server {
    static SERVER: OnceCell<S3Server> = OnceCell::const_new();
    SERVER.get_or_init(|| start(1)).await
}

/// A server of its own, over so many drives.
pub async fn start(drives: u32) -> S3Server {
    launch(drives, None).ready().await
}

/// One that speaks TLS with this certificate and key (PEM). It may not be ready yet: its keys and buckets are made by
/// whoever trusts the authority.
pub fn start_tls(certificate: &str, key: &str) -> S3Server {
    launch(1, Some((certificate.to_owned(), key.to_owned())))
}

fn launch(drives: u32, tls: Option<(String, String)>) -> S3Server {
    let port = free_port(0);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let process = Process::start("minio", |dir| {
        let mut command = Command::new(program("LIFEBOAT_TEST_MINIO"));
        command.args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}"), "--certs-dir"]);
        command.arg(dir.join("certs"));
        std::fs::create_dir(dir.join("certs")).unwrap();
        if let Some((certificate, key)) = tls {
            std::fs::write(dir.join("certs/public.crt"), certificate).unwrap();
            std::fs::write(dir.join("certs/private.key"), key).unwrap();
        }
        command.args((1..=drives).map(|n| dir.join(format!("d{n}"))));
        command.env("MINIO_ROOT_USER", ROOT.0).env("MINIO_ROOT_PASSWORD", ROOT.1);
        // Drives below the root file system are for tests, says MinIO, and wants to hear it.
        command.env("MINIO_UPDATE", "off").env("MINIO_BROWSER", "off").env("MINIO_CI_CD", "1");
        command
    });
    let (access_key, secret_key) = (ROOT.0.to_owned(), ROOT.1.to_owned());
    S3Server { endpoint: format!("{scheme}://127.0.0.1:{port}"), access_key, secret_key, process }
}

/// Keys that may do what an IAM policy says, and nothing else.
pub struct User {
    pub access_key: String,
    pub secret_key: String,
}

/// A new user of a MinIO server.
pub fn user(server: &S3Server, policy_json: &str) -> User {
    let access_key = super::s3::fresh("user");
    let secret_key = format!("secret-of-{access_key}");
    let policy = server.process.dir.join(format!("{access_key}.json"));
    std::fs::write(&policy, policy_json).unwrap();
    let mut admin = admin(server, "user");
    said(admin.arg(&access_key).arg(policy).env("USER_PASSWORD", &secret_key));
    User { access_key, secret_key }
}

/// Lets rules of one bucket copy what is in it into another. Gives back what rules call the other one.
pub fn replicate(server: &S3Server, bucket: &str, other: &str) -> String {
    said(admin(server, "replicate").arg(bucket).arg(other))
}

fn admin(server: &S3Server, verb: &str) -> Command {
    let mut admin = Command::new(program("LIFEBOAT_TEST_MINIO_ADMIN"));
    admin.env_clear().arg(verb).arg(server.endpoint.split_once("://").unwrap().1);
    admin.env("MINIO_ROOT_USER", &server.access_key).env("MINIO_ROOT_PASSWORD", &server.secret_key);
    admin
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
