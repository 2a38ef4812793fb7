//! SeaweedFS: master, volume, filer and S3 gateway in one process.

use std::process::Command;

use tokio::sync::OnceCell;

use super::process::{Process, free_port, program};
use super::s3::S3Server;

const KEYS: (&str, &str) = ("weedaccess", "weedsecret");

/// The one that tests share which need no more than a bucket of their own.
pub async fn shared() -> &'static S3Server {
    static SERVER: OnceCell<S3Server> = OnceCell::const_new();
    SERVER.get_or_init(start).await
}

pub async fn start() -> S3Server {
    // Each port is taken a second time, 10,000 higher, for its own calls.
    let ports: Vec<u16> = std::iter::repeat_with(|| free_port(1)).take(4).collect();
    let process = Process::start("weed", |dir| {
        let identities = serde_json::json!({"identities": [{
            "name": "admin",
            "credentials": [{"accessKey": KEYS.0, "secretKey": KEYS.1}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        std::fs::write(dir.join("s3.json"), identities.to_string()).unwrap();
        std::fs::create_dir(dir.join("data")).unwrap();
        let mut command = Command::new(program("LIFEBOAT_TEST_WEED"));
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.config=s3.json", "-dir=data"]);
        // Many small volumes: every bucket takes its own. Gateways that nobody here wants would clash with other servers'.
        command.args(["-master.volumeSizeLimitMB=64", "-volume.max=1000", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
        for (name, port) in ["master", "volume", "filer", "s3"].iter().zip(&ports) {
            command.arg(format!("-{name}.port={port}"));
        }
        command
    });
    let (access_key, secret_key) = (KEYS.0.to_owned(), KEYS.1.to_owned());
    S3Server { endpoint: format!("http://127.0.0.1:{}", ports[3]), access_key, secret_key, process }.ready().await
}
