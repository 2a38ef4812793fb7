//! A platform with something of everything that is hard to bring back.

use serde_json::{Value, json};

use crate::support::servers::kubernetes::Kubernetes;
use crate::support::servers::s3::fresh;

pub struct Platform {
    pub namespace: String,
    /// The group of its own custom resources.
    pub group: String,
}

fn pods(app: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [
        {"name": "main", "image": "registry.example/web:1", "env": [{"name": "A", "value": "1"}],
         "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}, "ports": [{"containerPort": 8080}]},
    ]}})
}

fn selector(app: &str) -> Value {
    json!({"matchLabels": {"app": app}})
}

impl Platform {
    pub async fn build(kubernetes: &Kubernetes) -> Self {
        let namespace = kubernetes.namespace("shop").await;
        let group = format!("{}.example.com", fresh("g"));
        let this = Self { namespace, group };
        this.cluster_wide(kubernetes).await;
        this.configuration(kubernetes).await;
        this.services(kubernetes).await;
        this.workloads(kubernetes).await;
        this.custom(kubernetes).await;
        this.admission(kubernetes).await;
        this
    }

    /// A name of the whole cluster that no other test has.
    pub fn unique(&self, stem: &str) -> String {
        format!("{stem}-{}", self.namespace)
    }

    async fn make(&self, kubernetes: &Kubernetes, api: &str, resource: &str, object: Value) -> Value {
        let root = if api.contains('/') { "/apis" } else { "/api" };
        let path = format!("{root}/{api}/namespaces/{}/{resource}", self.namespace);
        kubernetes.create(&path, &object).await
    }

    async fn cluster_wide(&self, kubernetes: &Kubernetes) {
        let bed = json!({"bed": self.namespace});
        let make = async |path: &str, mut object: Value, name: String| {
            object["metadata"] = json!({"name": name, "labels": bed});
            kubernetes.create(path, &object).await;
        };
        let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
        make(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            json!({"rules": rules}),
            format!("system:x:{}", self.namespace),
        )
        .await;
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": format!("system:x:{}", self.namespace)});
        let subjects = json!([{"kind": "ServiceAccount", "name": "robot", "namespace": self.namespace}]);
        make(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            json!({"roleRef": role, "subjects": subjects}),
            self.unique("robot"),
        )
        .await;
        make("/apis/scheduling.k8s.io/v1/priorityclasses", json!({"value": 1000}), self.unique("high")).await;
        make("/apis/storage.k8s.io/v1/storageclasses", json!({"provisioner": "example.com/none"}), self.unique("disk"))
            .await;
        make(
            "/apis/networking.k8s.io/v1/ingressclasses",
            json!({"spec": {"controller": "example.com/ingress"}}),
            self.unique("front"),
        )
        .await;
    }

    async fn configuration(&self, kubernetes: &Kubernetes) {
        let make = async |resource: &str, object: Value| self.make(kubernetes, "v1", resource, object).await;
        make("configmaps", json!({"metadata": {"name": "plain"}, "data": {"a": "1", "odd_key.txt": "x\ny"}})).await;
        make("configmaps", json!({"metadata": {"name": "frozen"}, "immutable": true, "data": {"a": "1"}})).await;
        make("configmaps", json!({"metadata": {"name": "large"}, "data": {"a": "x".repeat(1_000_000)}})).await;
        make("configmaps", json!({"metadata": {"name": "odd.name-1"}, "binaryData": {"b": "AAEC"}})).await;
        make("secrets", json!({"metadata": {"name": "password"}, "data": {"password": "c2VjcmV0"}})).await;
        make(
            "secrets",
            json!({"metadata": {"name": "tls"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}}),
        )
        .await;
        make("serviceaccounts", json!({"metadata": {"name": "robot"}, "imagePullSecrets": [{"name": "registry"}]}))
            .await;
        make("limitranges", json!({"metadata": {"name": "limits"}, "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}})).await;
        let rbac = "rbac.authorization.k8s.io/v1";
        let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]);
        self.make(kubernetes, rbac, "roles", json!({"metadata": {"name": "reader:of:secrets"}, "rules": rules})).await;
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader:of:secrets"});
        let subjects = json!([{"kind": "ServiceAccount", "name": "robot", "namespace": self.namespace}]);
        self.make(
            kubernetes,
            rbac,
            "rolebindings",
            json!({"metadata": {"name": "robot"}, "roleRef": role, "subjects": subjects}),
        )
        .await;
    }

    async fn services(&self, kubernetes: &Kubernetes) {
        let make = async |object: Value| self.make(kubernetes, "v1", "services", object).await;
        let ports = json!([{"name": "http", "port": 80, "targetPort": 8080}]);
        make(json!({"metadata": {"name": "plain"}, "spec": {"selector": {"app": "web"}, "ports": ports}})).await;
        make(json!({"metadata": {"name": "headless"}, "spec": {"clusterIP": "None", "selector": {"app": "db"}, "ports": ports}})).await;
        make(json!({"metadata": {"name": "outside"}, "spec": {"type": "ExternalName", "externalName": "db.example.com"}})).await;
        make(json!({"metadata": {"name": "allocated"}, "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": ports}})).await;
        make(json!({"metadata": {"name": "balanced"}, "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "web"}, "ports": ports}})).await;
        make(json!({"metadata": {"name": "by-hand"}, "spec": {"ports": ports}})).await;
    }

    async fn workloads(&self, kubernetes: &Kubernetes) {
        let make = async |api: &str, resource: &str, object: Value| self.make(kubernetes, api, resource, object).await;
        let template = |name: &str| {
            json!({"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"],
            "storageClassName": self.unique("disk"), "resources": {"requests": {"storage": "1Gi"}}}})
        };
        make("apps/v1", "deployments", json!({"metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": selector("web"), "template": pods("web")}})).await;
        make(
            "apps/v1",
            "statefulsets",
            json!({"metadata": {"name": "db"}, "spec": {"serviceName": "headless", "replicas": 1,
            "selector": selector("db"), "template": pods("db"), "volumeClaimTemplates": [template("data")]}}),
        )
        .await;
        make(
            "apps/v1",
            "daemonsets",
            json!({"metadata": {"name": "agent"}, "spec": {"selector": selector("agent"), "template": pods("agent")}}),
        )
        .await;
        make("v1", "persistentvolumeclaims", template("files")).await;
        let mut once = pods("once");
        once["spec"]["restartPolicy"] = "Never".into();
        make("batch/v1", "jobs", json!({"metadata": {"name": "running"}, "spec": {"template": once}})).await;
        make("batch/v1", "cronjobs", json!({"metadata": {"name": "nightly"}, "spec": {"schedule": "0 2 * * *", "jobTemplate": {"spec": {"template": once}}}})).await;
        make("batch/v1", "cronjobs", json!({"metadata": {"name": "paused"}, "spec": {"suspend": true, "schedule": "0 2 * * *", "jobTemplate": {"spec": {"template": once}}}})).await;
        let of = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
        make(
            "autoscaling/v2",
            "horizontalpodautoscalers",
            json!({"metadata": {"name": "web"}, "spec": {"scaleTargetRef": of, "minReplicas": 2, "maxReplicas": 5}}),
        )
        .await;
        make(
            "policy/v1",
            "poddisruptionbudgets",
            json!({"metadata": {"name": "web"}, "spec": {"minAvailable": 1, "selector": selector("web")}}),
        )
        .await;
        make(
            "networking.k8s.io/v1",
            "networkpolicies",
            json!({"metadata": {"name": "closed"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
        )
        .await;
        let backend = json!({"service": {"name": "plain", "port": {"number": 80}}});
        make("networking.k8s.io/v1", "ingresses", json!({"metadata": {"name": "front"}, "spec": {"ingressClassName": self.unique("front"),
            "rules": [{"host": "shop.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}})).await;
        make(
            "v1",
            "resourcequotas",
            json!({"metadata": {"name": "quota"}, "spec": {"hard": {"configmaps": "20", "services": "10"}}}),
        )
        .await;
    }

    async fn custom(&self, kubernetes: &Kubernetes) {
        let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        let version = |name: &str, storage: bool| json!({"name": name, "served": true, "storage": storage, "schema": schema, "subresources": {"status": {}}});
        let crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("widgets.{}", self.group), "labels": {"bed": self.namespace}},
            "spec": {"group": self.group, "scope": "Namespaced", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
                     "versions": [version("v1", true), version("v1beta1", false)]},
        });
        kubernetes.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd).await;
        let list = format!("/apis/{}/v1/namespaces/{}/widgets", self.group, self.namespace);
        kubernetes.until(|| async { kubernetes.try_get(&list).await }).await;
        let api = format!("{}/v1", self.group);
        let widget = |name: &str| json!({"apiVersion": api, "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 3, "big": 12_345_678_901_u64, "list": [1, {"a": null}]}});
        let mut parent = widget("parent");
        parent["metadata"]["finalizers"] = json!(["example.com/keep"]);
        let parent = self.make(kubernetes, &api, "widgets", parent).await;
        let owner = json!([{"apiVersion": api, "kind": "Widget", "name": "parent", "uid": parent["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true}]);
        let mut child = widget("child");
        child["metadata"]["ownerReferences"] = owner.clone();
        self.make(kubernetes, &api, "widgets", child).await;
        // Comes back before its owner does.
        self.make(
            kubernetes,
            "v1",
            "configmaps",
            json!({"metadata": {"name": "owned", "ownerReferences": owner}, "data": {"a": "1"}}),
        )
        .await;
        self.make(
            kubernetes,
            "v1",
            "secrets",
            json!({"metadata": {"name": "drawn", "ownerReferences": owner}, "data": {"a": "MQ=="}}),
        )
        .await;
    }

    async fn admission(&self, kubernetes: &Kubernetes) {
        let guard = json!({
            "metadata": {"name": self.unique("guard"), "labels": {"bed": self.namespace}},
            "webhooks": [{
                "name": "guard.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Fail",
                "clientConfig": {"service": {"namespace": self.namespace, "name": "plain", "path": "/"}, "caBundle": ""},
                "rules": [{"apiGroups": [self.group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["widgets"]}],
            }],
        });
        kubernetes.create("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", &guard).await;
    }
}
