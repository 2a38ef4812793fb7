//! A stand-in for Nomad (tests/bench/nomad-standin): servers and clients as processes of their own.

use std::process::Command;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;

use super::process::{Process, free_port, program};

/// After so long without a heartbeat a node is down, and a client away: enough for a busy machine.
const TTL: &str = "2s";

/// One agent.
pub struct Agent {
    /// `http://127.0.0.1:port`
    pub address: String,
    /// Of a server: where clients register.
    pub rpc: String,
    _process: Process,
}

/// A server with further flags. It has no state yet, and a new one has none either.
pub async fn server(flags: &[&str]) -> Agent {
    let rpc = format!("127.0.0.1:{}", free_port(0));
    let agent = start("server", &rpc, &[&["-rpc", &rpc], flags].concat());
    agent.until_open(&rpc).await
}

/// A client of these servers; its id is made of its number.
pub async fn client(number: u8, servers: &str, flags: &[&str]) -> Agent {
    let (name, id) = (format!("client-{number}"), id(number));
    let agent = start("client", "", &[&["-servers", servers, "-name", &name, "-id", &id], flags].concat());
    let host = agent.address.clone();
    agent.until_open(&host).await
}

/// The id of a client's node.
pub fn id(number: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{number:02}")
}

fn start(role: &str, rpc: &str, flags: &[&str]) -> Agent {
    let host = format!("127.0.0.1:{}", free_port(0));
    let process = Process::start("nomad", |_| {
        let mut command = Command::new(program("LIFEBOAT_TEST_NOMAD"));
        command.args([role, "-http", &host, "-ttl", TTL]).args(flags);
        command
    });
    let scheme = if flags.contains(&"-cert") { "https" } else { "http" };
    Agent { address: format!("{scheme}://{host}"), rpc: rpc.to_owned(), _process: process }
}

impl Agent {
    /// Until both ports take a connection.
    async fn until_open(self, other: &str) -> Self {
        let bare = |address: &str| address.rsplit('/').next().unwrap().to_owned();
        for address in [bare(&self.address), bare(other)] {
            let open = || async { tokio::net::TcpStream::connect(&address).await.ok().map(drop) };
            self._process.until(open).await;
        }
        self
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = Client::new().get(format!("{}{path}", self.address)).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    pub async fn put(&self, path: &str, body: &Value) {
        let answer = Client::new().put(format!("{}{path}", self.address)).json(body).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{path}: {status} {}", answer.text().await.unwrap());
    }

    /// Until the server says so of a node.
    pub async fn until_node(&self, number: u8, status: &str) {
        let path = format!("/v1/node/{}", id(number));
        self._process
            .until(|| async {
                let answer = Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
                let answer = answer.get(format!("{}{path}", self.address)).send().await.ok()?;
                let node: Value = answer.json().await.ok()?;
                (node["Status"] == status).then_some(())
            })
            .await;
    }
}
