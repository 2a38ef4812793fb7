//! moto: S3 with several regions, STS and IAM, without keys that are checked.

use std::process::Command;

use super::process::{Process, free_port, program};
use super::s3::S3Server;

pub async fn start() -> S3Server {
    let port = free_port(0);
    let process = Process::start("moto", |_| {
        let mut command = Command::new(program("LIFEBOAT_TEST_MOTO"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command
    });
    let (access_key, secret_key) = ("motoaccess".to_owned(), "motosecret".to_owned());
    S3Server { endpoint: format!("http://127.0.0.1:{port}"), access_key, secret_key, process }.ready().await
}
