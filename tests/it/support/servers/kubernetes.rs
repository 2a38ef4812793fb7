//! A real control plane: etcd, the API server, the controllers and one that gives addresses to Services of type
//! LoadBalancer, without a node. Pods stay pending; everything else
//! of an object's life is real.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::process::{Process, free_port, program};
use super::s3::fresh;
use crate::support::authority::Authority;

/// The one that all tests share: each uses namespaces and names of its own.
pub async fn shared() -> &'static Kubernetes {
    static SERVER: OnceCell<Kubernetes> = OnceCell::const_new();
    // What is tried when it says 429 is said by tests that stand in front of it, or start their own.
    let unlimited =
        ["--enable-priority-and-fairness=false", "--max-requests-inflight=0", "--max-mutating-requests-inflight=0"];
    SERVER.get_or_init(|| Kubernetes::start(&unlimited)).await
}

const ADMIN: &str = "token-of-admin";
const CONTROLLERS: &str = "token-of-controllers";

pub struct Kubernetes {
    /// `https://127.0.0.1:port`
    pub url: String,
    pub authority: Authority,
    client: Client,
    folder: tempfile::TempDir,
    _etcd: Process,
    _controllers: Process,
    _balancers: Process,
    api: Mutex<Option<Process>>,
    /// What the API server was started with.
    options: Vec<String>,
}

/// One program that is many by the name it is called by.
fn command(dir: &Path, name: &str) -> Command {
    let path = dir.join(name);
    std::os::unix::fs::symlink(program("LIFEBOAT_TEST_KB"), &path).unwrap();
    Command::new(path)
}

fn api_server(options: &[String]) -> Process {
    Process::start("apiserver", |dir| {
        let mut command = command(dir, "kube-apiserver");
        command.args(options);
        command
    })
}

impl Kubernetes {
    /// With more options for the API server.
    pub async fn start(options: &[&str]) -> Self {
        let authority = Authority::new();
        let folder = tempfile::tempdir().unwrap();
        let tokens = format!(
            "{ADMIN},admin,admin,system:masters\n{CONTROLLERS},system:kube-controller-manager,controllers,system:authenticated\n"
        );
        std::fs::write(folder.path().join("tokens.csv"), tokens).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.ca()).unwrap();
        std::fs::write(folder.path().join("cert.pem"), authority.certificate()).unwrap();
        std::fs::write(folder.path().join("key.pem"), authority.key()).unwrap();

        let (port, peer) = (free_port(0), free_port(0));
        let store = format!("http://127.0.0.1:{port}");
        let etcd = Process::start("etcd", |dir| {
            let mut command = command(dir, "etcd");
            let peer = format!("http://127.0.0.1:{peer}");
            command.args(["--name", "test", "--unsafe-no-fsync", "--log-level", "error", "--data-dir"]);
            command.arg(dir.join("data")).args(["--listen-client-urls", &store, "--advertise-client-urls", &store]);
            command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
            command.args(["--initial-cluster", &format!("test={peer}"), "--quota-backend-bytes", "4294967296"]);
            command
        });

        let port = free_port(0);
        let file = |name: &str| folder.path().join(name).display().to_string();
        let mut args = vec![
            format!("--etcd-servers={store}"),
            format!("--secure-port={port}"),
            format!("--token-auth-file={}", file("tokens.csv")),
            format!("--tls-cert-file={}", file("cert.pem")),
            format!("--tls-private-key-file={}", file("key.pem")),
            format!("--client-ca-file={}", file("ca.pem")),
            format!("--service-account-key-file={}", file("key.pem")),
            format!("--service-account-signing-key-file={}", file("key.pem")),
        ];
        let fixed = [
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            // A loopback address is no valid endpoint.
            "--endpoint-reconciler-type=none",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://test",
        ];
        args.extend(fixed.iter().chain(options).map(|option| (*option).to_owned()));
        let api = api_server(&args);
        let url = format!("https://127.0.0.1:{port}");
        let ca = Certificate::from_pem(authority.ca().as_bytes()).unwrap();
        // Whoever was first may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Each test has a runtime of its own, and a connection ends with the one that it began in.
        let client = Client::builder().tls_certs_only([ca]).no_proxy().http1_only().pool_max_idle_per_host(0);
        let client = client.build().unwrap();
        api.until(|| async {
            let ready = client.get(format!("{url}/readyz")).bearer_auth(ADMIN).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;

        let kubeconfig = |token: &str| kubeconfig(&url, &authority.ca(), &json!({"token": token}));
        std::fs::write(file("controllers.kubeconfig"), kubeconfig(CONTROLLERS)).unwrap();
        std::fs::write(file("admin.kubeconfig"), kubeconfig(ADMIN)).unwrap();
        let port = free_port(0);
        let controllers = Process::start("controllers", |dir| {
            let mut command = command(dir, "kube-controller-manager");
            let kubeconfig = file("controllers.kubeconfig");
            for option in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
                command.arg(format!("--{option}={kubeconfig}"));
            }
            command.args([
                "--bind-address=127.0.0.1",
                "--leader-elect=false",
                "--use-service-account-credentials=true",
                // At the defaults (15 s, 20 and 30 calls a second for each controller) tests wait for minutes.
                "--pvclaimbinder-sync-period=2s",
                "--kube-api-qps=1000",
                "--kube-api-burst=2000",
            ]);
            command.arg(format!("--secure-port={port}"));
            command.arg(format!("--service-account-private-key-file={}", file("key.pem")));
            command.arg(format!("--root-ca-file={}", file("ca.pem")));
            command
        });
        let balancers = Process::start("balancers", |_| {
            let mut command = Command::new(program("LIFEBOAT_TEST_KB_LB"));
            command.arg(file("admin.kubeconfig")).arg("198.51.100.1");
            command
        });
        let this = Self {
            url,
            authority,
            client,
            folder,
            _etcd: etcd,
            api: Mutex::new(Some(api)),
            options: args,
            _controllers: controllers,
            _balancers: balancers,
        };
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        this._controllers.until(|| async { this.try_get(account).await }).await;
        this
    }

    /// Kills the API server, and starts it again. Until it serves, nobody answers at its address.
    pub fn restart(&self) {
        let mut api = self.api.lock().unwrap();
        drop(api.take());
        *api = Some(api_server(&self.options));
    }

    /// The file of a person who may do everything. Its context is `test`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("admin.kubeconfig")
    }

    /// The file of somebody else: `user` as a kubeconfig has it.
    pub fn kubeconfig_of(&self, user: &Value) -> String {
        kubeconfig(&self.url, &self.authority.ca(), user)
    }

    /// Somebody whom the server takes for that account: what it may do, RBAC says.
    pub fn kubeconfig_as(&self, namespace: &str, account: &str) -> String {
        self.kubeconfig_of(&json!({
            "token": ADMIN,
            "as": format!("system:serviceaccount:{namespace}:{account}"),
            "as-groups": ["system:serviceaccounts", format!("system:serviceaccounts:{namespace}"), "system:authenticated"],
        }))
    }

    /// The stock client, as the person who may do everything. Gives back what it printed.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let output =
            command(folder.path(), "kubectl").arg("--kubeconfig").arg(self.kubeconfig()).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "kubectl {args:?}: {said}");
        said
    }

    /// Status and body.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(ADMIN);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    /// The bytes as the server sends them.
    pub async fn raw(&self, path: &str) -> Vec<u8> {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(ADMIN).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.bytes().await.unwrap().to_vec()
    }

    pub async fn try_get(&self, path: &str) -> Option<Value> {
        let (status, body) = self.call(Method::GET, path, None).await;
        (status == 200).then_some(body)
    }

    pub async fn get(&self, path: &str) -> Value {
        self.try_get(path).await.unwrap_or_else(|| panic!("{path} is not there"))
    }

    /// Creates in a collection; what it answers is there.
    pub async fn create(&self, collection: &str, object: &Value) -> Value {
        let (status, body) = self.call(Method::POST, collection, Some(object)).await;
        assert_eq!(status, 201, "{collection}: {body}");
        body
    }

    /// Creates with exactly these bytes.
    pub async fn create_raw(&self, collection: &str, object: &str) {
        let request = self.client.post(format!("{}{collection}", self.url)).bearer_auth(ADMIN);
        let request = request.header("content-type", "application/json").body(object.to_owned());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 201, "{}", answer.text().await.unwrap());
    }

    pub async fn put(&self, path: &str, object: &Value) -> Value {
        let (status, body) = self.call(Method::PUT, path, Some(object)).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A JSON merge patch; false if there is no such object.
    pub async fn patch(&self, path: &str, patch: &Value) -> bool {
        let request = self.client.patch(format!("{}{path}", self.url)).bearer_auth(ADMIN);
        let request = request.header("content-type", "application/merge-patch+json").body(patch.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        assert!(status == 200 || status == 404, "{path}: {}", answer.text().await.unwrap());
        status == 200
    }

    /// What the server would say to a JSON merge patch.
    pub async fn patch_dry(&self, path: &str, patch: &Value) -> (u16, Value) {
        let request = self.client.patch(format!("{}{path}?dryRun=All", self.url)).bearer_auth(ADMIN);
        let request = request.header("content-type", "application/merge-patch+json").body(patch.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    pub async fn delete(&self, path: &str) {
        let (status, body) = self.call(Method::DELETE, path, None).await;
        assert!(status == 200 || status == 202, "{path}: {body}");
    }

    /// Looks again until it is so.
    pub async fn until<T, F: Future<Output = Option<T>>>(&self, so: impl Fn() -> F) -> T {
        self._controllers.until(so).await
    }

    /// A namespace of the test's own, with its default account.
    pub async fn namespace(&self, stem: &str) -> String {
        let name = fresh(stem);
        self.create("/api/v1/namespaces", &json!({"metadata": {"name": name}})).await;
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        self.until(|| async { self.try_get(&account).await }).await;
        let authority = format!("/api/v1/namespaces/{name}/configmaps/kube-root-ca.crt");
        self.until(|| async { self.try_get(&authority).await }).await;
        name
    }
}

/// With the one context `test`. JSON is YAML.
pub fn kubeconfig(url: &str, ca_pem: &str, user: &Value) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": BASE64_STANDARD.encode(ca_pem)}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    })
    .to_string()
}
