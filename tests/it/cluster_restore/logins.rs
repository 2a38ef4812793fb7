//! Each way in that Kubernetes has, and what a person is told when it ends.

use std::path::PathBuf;
use std::process::Command;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use lifeboat::cluster_client::{Settings, connect};
use lifeboat::context::Context;
use lifeboat::model::{FailureClass, SourceFailure};
use lifeboat::source::cluster::{Discovery, discover, failed};
use serde_json::{Value, json};

use crate::support::servers::kubernetes::{self, Kubernetes};

/// What the server says to somebody whose kubeconfig that is.
async fn asked(server: &Kubernetes, user: &Value) -> Result<Discovery, SourceFailure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, server.kubeconfig_of(user)).unwrap();
    let settings = Settings { kubeconfig: Some(path), context: None };
    let api = connect(&settings, &Context::silent()).await.map_err(failed)?;
    discover(api.as_ref()).await
}

/// A token of an account as the server itself would sign it, that ends `seconds` from now.
async fn token(server: &Kubernetes, namespace: &str, seconds: i64) -> String {
    let account = server.get(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/default")).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let header = json!({"alg": "RS256", "kid": ""});
    let claims = json!({
        "iss": "https://test", "aud": ["https://test"], "sub": format!("system:serviceaccount:{namespace}:default"),
        "iat": now - 7200, "nbf": now - 7200, "exp": now + seconds,
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": "default", "uid": account["metadata"]["uid"]}},
    });
    let text = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", text(header), text(claims));
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(server.authority.signed(&signed)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_and_one_that_has_not() {
    let server = kubernetes::shared().await;
    let here = server.namespace("token").await;
    asked(server, &json!({"token": token(server, &here, 600).await})).await.unwrap();
    let expired = token(server, &here, -600).await;
    let failure = asked(server, &json!({"token": expired})).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Authentication, "{failure}");
    assert!(failure.message.contains("does not know who we are"), "{failure}");
    assert!(failure.cure.as_ref().unwrap().contains("has expired"), "{failure:?}");
    assert!(!format!("{failure:?}").contains(&expired));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_expired_and_one_that_has_not() {
    let server = kubernetes::shared().await;
    let user = |(certificate, key): (String, String)| json!({"client-certificate-data": BASE64_STANDARD.encode(certificate), "client-key-data": BASE64_STANDARD.encode(key)});
    let subject = "/O=system:masters/CN=person";
    asked(server, &user(server.authority.person(subject, 1))).await.unwrap();
    // Valid for no day at all: until the second in which it was made.
    let expired = user(server.authority.person(subject, 0));
    let refused = || async { asked(server, &expired).await.err() };
    let failure = server.until(refused).await;
    assert_eq!(failure.class, FailureClass::Authentication, "{failure}");
    assert!(failure.cure.as_ref().unwrap().contains("certificate has expired"), "{failure:?}");
    // Of an authority that the server does not know.
    let strange = user(crate::support::authority::Authority::new().person(subject, 1));
    let failure = asked(server, &strange).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Authentication, "{failure}");
    // A key that is none.
    let broken =
        json!({"client-certificate-data": BASE64_STANDARD.encode("x"), "client-key-data": BASE64_STANDARD.encode("y")});
    let failure = asked(server, &broken).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Configuration, "{failure}");
}

/// The program as it runs in a pod: no kubeconfig, the account's files at their place, which is nobody else's.
struct Pod {
    folder: tempfile::TempDir,
    server: String,
}

impl Pod {
    fn new(server: &Kubernetes, namespace: &str, token: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("account");
        std::fs::create_dir(&files).unwrap();
        std::fs::write(files.join("ca.crt"), server.authority.ca()).unwrap();
        std::fs::write(files.join("namespace"), namespace).unwrap();
        if let Some(token) = token {
            std::fs::write(files.join("token"), token).unwrap();
        }
        let this = Self { folder, server: server.url.clone() };
        let url = format!("file://{}", this.path("repo").display());
        assert_eq!(this.say(&["init", &url, "--generate-keys", "keys"]).0, 0);
        let policy = std::fs::read_to_string(this.path("keys/policy.yaml")).unwrap();
        let (head, _) = policy.split_once("  sources:").unwrap();
        let source = format!(
            "  sources:\n  - name: objects\n    cluster: {{namespaces: [{namespace}], clusterScoped: none, kinds: {{include: [configmaps]}}}}\n"
        );
        std::fs::write(this.path("keys/policy.yaml"), format!("{head}{source}")).unwrap();
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exit code, and what was said.
    fn say(&self, args: &[&str]) -> (i32, String) {
        const INSIDE: &str = r#"
            mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount || exit 99
            cp "$ACCOUNT"/* /run/secrets/kubernetes.io/serviceaccount/ || exit 99
            exec "$@"
        "#;
        let (host, port) = self.server.trim_start_matches("https://").split_once(':').unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", INSIDE, "pod", env!("CARGO_BIN_EXE_lifeboat")]).args(args);
        command.current_dir(self.folder.path()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", self.folder.path()).env("ACCOUNT", self.path("account"));
        command.env("KUBERNETES_SERVICE_HOST", host).env("KUBERNETES_SERVICE_PORT", port);
        if self.path("keys/policy.yaml").exists() {
            command.env("LIFEBOAT_POLICY", self.path("keys/policy.yaml"));
            command.env("LIFEBOAT_IDENTITY", self.path("keys/identity.txt"));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        (output.status.code().unwrap(), said)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_of_the_pod_backs_up_and_restores() {
    let server = kubernetes::shared().await;
    let here = server.namespace("pod").await;
    let maps = format!("/api/v1/namespaces/{here}/configmaps");
    server.create(&maps, &json!({"metadata": {"name": "settings"}, "data": {"a": "1"}})).await;
    let binding = json!({"metadata": {"name": "admin"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": here}]});
    server.create(&format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{here}/rolebindings"), &binding).await;
    let account = format!("/api/v1/namespaces/{here}/serviceaccounts/default/token");
    let request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}});
    let issued = server.create(&account, &request).await;
    let pod = Pod::new(server, &here, Some(issued["status"]["token"].as_str().unwrap()));
    let (code, said) = pod.say(&["backup"]);
    assert_eq!(code, 0, "{said}");
    server.delete(&format!("{maps}/settings")).await;
    let restore = ["restore", "latest", "--source", "objects", "--to", "cluster:", "--object", "configmap/settings"];
    let (code, said) = pod.say(&restore);
    assert_eq!(code, 0, "{said}");
    assert_eq!(server.get(&format!("{maps}/settings")).await["data"]["a"], "1");
    // A context is something of a kubeconfig.
    let (code, said) = pod.say(&["plan", "restore", "latest", "--source", "objects", "--to", "cluster:production"]);
    assert!(code == 5 && said.contains("there is no kubeconfig, only the pod's own account"), "{code}: {said}");

    let expired = token(server, &here, -600).await;
    let pod = Pod::new(server, &here, Some(&expired));
    let (code, said) = pod.say(&["backup"]);
    assert!(code != 0 && said.contains("does not know who we are") && said.contains("has expired"), "{code}: {said}");
    assert!(said.contains("the pod's account") && !said.contains(&expired), "{said}");
    let pod = Pod::new(server, &here, None);
    let (code, said) = pod.say(&["backup"]);
    assert!(code != 0 && said.contains("automountServiceAccountToken"), "{code}: {said}");
}
