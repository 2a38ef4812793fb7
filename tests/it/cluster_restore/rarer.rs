//! What a platform has besides: things that finished, were bound, allocated, judged or written by several hands.

use serde_json::{Value, json};

use super::platform::Platform;
use crate::support::servers::kubernetes::Kubernetes;

fn template(app: &str, image: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "main", "image": image}]}})
}

impl Platform {
    pub async fn rarer(&self, kubernetes: &Kubernetes) {
        self.volumes(kubernetes).await;
        self.done_and_revised(kubernetes).await;
        self.policies(kubernetes).await;
        self.addresses(kubernetes).await;
        self.many_hands(kubernetes).await;
        self.classes(kubernetes).await;
    }

    fn inside(&self, api: &str, resource: &str) -> String {
        let root = if api.contains('/') { "/apis" } else { "/api" };
        format!("{root}/{api}/namespaces/{}/{resource}", self.namespace)
    }

    fn wide(&self, stem: &str) -> Value {
        json!({"name": self.unique(stem), "labels": {"bed": self.namespace}})
    }

    /// A volume that a person made, and the claim that it is for.
    async fn volumes(&self, kubernetes: &Kubernetes) {
        let claim = json!({"namespace": self.namespace, "name": "disk"});
        let volume = json!({"metadata": self.wide("disk"), "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "", "hostPath": {"path": "/nowhere"}, "claimRef": claim}});
        kubernetes.create("/api/v1/persistentvolumes", &volume).await;
        let claim = json!({"metadata": {"name": "disk"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "volumeName": self.unique("disk"), "resources": {"requests": {"storage": "1Gi"}}}});
        let path = self.inside("v1", "persistentvolumeclaims");
        kubernetes.create(&path, &claim).await;
        let bound =
            || async { (kubernetes.get(&format!("{path}/disk")).await["status"]["phase"] == "Bound").then_some(()) };
        kubernetes.until(bound).await;
    }

    async fn done_and_revised(&self, kubernetes: &Kubernetes) {
        let jobs = self.inside("batch/v1", "jobs");
        let mut once = template("done", "a");
        once["spec"]["restartPolicy"] = "Never".into();
        // Nothing is to be done, and that is done at once.
        kubernetes
            .create(&jobs, &json!({"metadata": {"name": "done"}, "spec": {"completions": 0, "template": once}}))
            .await;
        let done =
            || async { kubernetes.get(&format!("{jobs}/done")).await["status"]["completionTime"].as_str().map(drop) };
        kubernetes.until(done).await;

        let path = self.inside("apps/v1", "deployments");
        let revised = json!({"metadata": {"name": "revised"}, "spec": {"replicas": 0, "revisionHistoryLimit": 5,
            "selector": {"matchLabels": {"app": "revised"}}, "template": template("revised", "registry.example/a:1")}});
        kubernetes.create(&path, &revised).await;
        let sets = format!("{}?labelSelector=app%3Drevised", self.inside("apps/v1", "replicasets"));
        for revision in 1..=3 {
            let seen =
                || async { (kubernetes.get(&sets).await["items"].as_array().unwrap().len() == revision).then_some(()) };
            kubernetes.until(seen).await;
            let image = format!("registry.example/a:{}", revision + 1);
            let next = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}});
            if revision < 3 {
                kubernetes.patch(&format!("{path}/revised"), &next).await;
            }
        }
        let of = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "revised"});
        let scaler = json!({"metadata": {"name": "revised"}, "spec": {"scaleTargetRef": of, "minReplicas": 1, "maxReplicas": 9,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
                        {"type": "Pods", "pods": {"metric": {"name": "requests"}, "target": {"type": "AverageValue", "averageValue": "1k"}}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}}});
        kubernetes.create(&self.inside("autoscaling/v2", "horizontalpodautoscalers"), &scaler).await;
        let budget = json!({"metadata": {"name": "revised"}, "spec": {"maxUnavailable": "30%", "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {"app": "revised"}}}});
        let budgets = self.inside("policy/v1", "poddisruptionbudgets");
        kubernetes.create(&budgets, &budget).await;
        let judged =
            || async { kubernetes.get(&format!("{budgets}/revised")).await["status"]["observedGeneration"].as_u64() };
        kubernetes.until(judged).await;
        kubernetes
            .create(
                &self.inside("v1", "podtemplates"),
                &json!({"metadata": {"name": "mould"}, "template": template("mould", "a")}),
            )
            .await;
        let old = json!({"metadata": {"name": "old"}, "spec": {"replicas": 0, "selector": {"app": "old"}, "template": template("old", "a")}});
        kubernetes.create(&self.inside("v1", "replicationcontrollers"), &old).await;
        kubernetes
            .create(
                &self.inside("v1", "pods"),
                &json!({"metadata": {"name": "bare"}, "spec": template("bare", "a")["spec"]}),
            )
            .await;
    }

    async fn policies(&self, kubernetes: &Kubernetes) {
        let quotas = self.inside("v1", "resourcequotas");
        let scoped = json!({"metadata": {"name": "terminating"}, "spec": {"hard": {"pods": "10"}, "scopes": ["Terminating", "NotBestEffort"]}});
        kubernetes.create(&quotas, &scoped).await;
        let chosen = json!({"metadata": {"name": "high"}, "spec": {"hard": {"pods": "5", "requests.cpu": "1500m"}, "scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": [self.unique("high")]}]}}});
        kubernetes.create(&quotas, &chosen).await;
        let range = json!({"metadata": {"name": "claims"}, "spec": {"limits": [
            {"type": "PersistentVolumeClaim", "min": {"storage": "100Mi"}, "max": {"storage": "2Gi"}},
            {"type": "Pod", "max": {"cpu": "8"}}]}});
        kubernetes.create(&self.inside("v1", "limitranges"), &range).await;
        let admission = "/apis/admissionregistration.k8s.io/v1";
        let rules =
            json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]);
        let policy = json!({"metadata": self.wide("policy"), "spec": {"matchConstraints": {"resourceRules": rules}, "variables": [{"name": "n", "expression": "object.metadata.name"}],
            "validations": [{"expression": "variables.n != 'forbidden'", "messageExpression": "variables.n + ' is forbidden'"}]}});
        kubernetes.create(&format!("{admission}/validatingadmissionpolicies"), &policy).await;
        let binding = json!({"metadata": self.wide("policy"), "spec": {"policyName": self.unique("policy"), "validationActions": ["Deny", "Audit"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}}}});
        kubernetes.create(&format!("{admission}/validatingadmissionpolicybindings"), &binding).await;
        let hook = json!({"metadata": self.wide("mutator"), "webhooks": [{
            "name": "mutator.example.com", "sideEffects": "NoneOnDryRun", "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore", "timeoutSeconds": 1,
            "clientConfig": {"service": {"namespace": self.namespace, "name": "plain"}}, "reinvocationPolicy": "IfNeeded",
            "matchConditions": [{"name": "ours", "expression": "object.metadata.name == 'nobody'"}],
            "rules": [{"apiGroups": [self.group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["widgets"], "scope": "Namespaced"}],
        }]});
        kubernetes.create(&format!("{admission}/mutatingwebhookconfigurations"), &hook).await;
    }

    async fn addresses(&self, kubernetes: &Kubernetes) {
        // A controller gave it an address.
        let front = format!("{}/front", self.inside("networking.k8s.io/v1", "ingresses"));
        let mut ingress = kubernetes.get(&front).await;
        ingress["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.7", "hostname": "lb.example.com"}]}});
        kubernetes.put(&format!("{front}/status"), &ingress).await;
        let class = json!({"metadata": self.wide("tuned"), "spec": {"controller": "example.com/ingress",
            "parameters": {"apiGroup": self.group, "kind": "Widget", "name": "parent", "namespace": self.namespace, "scope": "Namespace"}}});
        kubernetes.create("/apis/networking.k8s.io/v1/ingressclasses", &class).await;
        let slice = json!({"metadata": {"name": "by-hand-1", "labels": {"kubernetes.io/service-name": "by-hand", "endpointslice.kubernetes.io/managed-by": "staff"}},
            "addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.8"], "conditions": {"ready": true}, "zone": "a"}], "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]});
        kubernetes.create(&self.inside("discovery.k8s.io/v1", "endpointslices"), &slice).await;
        let services = self.inside("v1", "services");
        kubernetes
            .create(&services, &json!({"metadata": {"name": "legacy"}, "spec": {"ports": [{"port": 5432}]}}))
            .await;
        let endpoints = json!({"metadata": {"name": "legacy"}, "subsets": [{"addresses": [{"ip": "192.0.2.9"}], "ports": [{"port": 5432}]}]});
        kubernetes.create(&self.inside("v1", "endpoints"), &endpoints).await;
        // A port that was set by hand. Somebody may have it already.
        let mut port = 31_000 + std::process::id() % 1000;
        loop {
            let chosen = json!({"metadata": {"name": "chosen", "annotations": {"test/node-ports": "chosen"}}, "spec": {"type": "LoadBalancer",
                "selector": {"app": "web"}, "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
                "loadBalancerSourceRanges": ["192.0.2.0/24"], "ports": [{"name": "a", "port": 1, "nodePort": port}, {"name": "b", "port": 2, "nodePort": port + 1}]}});
            match kubernetes.call(reqwest::Method::POST, &services, Some(&chosen)).await {
                (201, _) => break,
                (422, _) => port += 2,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Fields of one object that several own.
    async fn many_hands(&self, kubernetes: &Kubernetes) {
        let maps = self.inside("v1", "configmaps");
        kubernetes.create(&maps, &json!({"metadata": {"name": "shared"}, "data": {"first": "1"}})).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shared.json");
        let path = file.to_str().unwrap();
        for (hand, key) in [("team-a", "second"), ("team-b", "third")] {
            let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared", "labels": {hand: "x"}}, "data": {key: "1"}});
            std::fs::write(&file, applied.to_string()).unwrap();
            kubernetes.kubectl(&["apply", "-n", &self.namespace, "--server-side", "--field-manager", hand, "-f", path]);
        }
        let applied =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1"}});
        std::fs::write(&file, applied.to_string()).unwrap();
        kubernetes.kubectl(&["apply", "-n", &self.namespace, "-f", path]);
        let managers =
            kubernetes.get(&format!("{maps}/shared")).await["metadata"]["managedFields"].as_array().unwrap().len();
        assert!(managers >= 3, "{managers}");
    }

    async fn classes(&self, kubernetes: &Kubernetes) {
        let runtime = json!({"metadata": self.wide("sandboxed"), "handler": "runsc", "overhead": {"podFixed": {"cpu": "50m"}}, "scheduling": {"nodeSelector": {"a": "b"}}});
        kubernetes.create("/apis/node.k8s.io/v1/runtimeclasses", &runtime).await;
        let driver = json!({"metadata": self.wide("driver"), "spec": {"attachRequired": false, "podInfoOnMount": true, "volumeLifecycleModes": ["Ephemeral"]}});
        kubernetes.create("/apis/storage.k8s.io/v1/csidrivers", &driver).await;
        let quality =
            json!({"metadata": self.wide("gold"), "driverName": "example.com/none", "parameters": {"iops": "3000"}});
        kubernetes.create("/apis/storage.k8s.io/v1/volumeattributesclasses", &quality).await;
        let flow = "/apis/flowcontrol.apiserver.k8s.io/v1";
        let level = json!({"metadata": self.wide("level"), "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}}});
        kubernetes.create(&format!("{flow}/prioritylevelconfigurations"), &level).await;
        let schema = json!({"metadata": self.wide("flow"), "spec": {"matchingPrecedence": 9000, "priorityLevelConfiguration": {"name": self.unique("level")},
            "rules": [{"subjects": [{"kind": "User", "user": {"name": "nobody"}}], "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}]}]}});
        kubernetes.create(&format!("{flow}/flowschemas"), &schema).await;
    }
}
