//! Volumes that outlive their claims: who gets them, and who does not.

use std::sync::Arc;

use lifeboat::cluster_client::Api;
use lifeboat::model::{Finding, Severity};
use lifeboat::source::cluster::restore::rules::Rules;
use lifeboat::source::cluster::restore::{Mode, ObjectOutcome, Options, Outcome};
use serde_json::{Value, json};

use super::bed::{Backup, api, capture, target};
use super::program::Program;
use crate::support::servers::kubernetes::{self, Kubernetes};
use crate::support::servers::s3::fresh;

/// A namespace with a claim that is bound to a volume which a person made.
struct Shop {
    server: &'static Kubernetes,
    api: Arc<dyn Api>,
    namespace: String,
    volume: String,
}

impl Shop {
    async fn new() -> Self {
        let server = kubernetes::shared().await;
        let shop =
            Self { server, api: api(server).await, namespace: server.namespace("kept").await, volume: fresh("disk") };
        let disk = json!({"metadata": {"name": shop.volume, "labels": {"bed": shop.namespace}}, "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "", "hostPath": {"path": "/nowhere"}}});
        server.create("/api/v1/persistentvolumes", &disk).await;
        let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "volumeName": shop.volume, "resources": {"requests": {"storage": "1Gi"}}}});
        server.create(&shop.claims(&shop.namespace), &claim).await;
        shop.until(&shop.volume_path(), "Bound").await;
        shop.until(&shop.claim_path(), "Bound").await;
        shop
    }

    fn claims(&self, namespace: &str) -> String {
        format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims")
    }

    fn claim_path(&self) -> String {
        format!("{}/data", self.claims(&self.namespace))
    }

    fn volume_path(&self) -> String {
        format!("/api/v1/persistentvolumes/{}", self.volume)
    }

    async fn until(&self, path: &str, phase: &str) {
        let so = || async { (self.server.try_get(path).await?["status"]["phase"] == phase).then_some(()) };
        self.server.until(so).await;
    }

    /// The namespace is deleted by mistake.
    async fn lose(&self) {
        // The claim by itself: a namespace with one in it is looked at only every 8 s until it is gone.
        for path in [self.claim_path(), format!("/api/v1/namespaces/{}", self.namespace)] {
            self.server.delete(&path).await;
            self.server.until(|| async { self.server.try_get(&path).await.is_none().then_some(()) }).await;
        }
        self.until(&self.volume_path(), "Released").await;
    }

    async fn backup(&self) -> Backup {
        capture(self.server, &self.api, &[&self.namespace]).await
    }
}

fn of<'a>(objects: &'a [ObjectOutcome], kind: &str) -> &'a ObjectOutcome {
    objects.iter().find(|object| object.reference.gvk.kind == kind).unwrap()
}

fn said(findings: &[Finding], words: &str) -> Finding {
    let found = findings.iter().find(|finding| finding.message.contains(words));
    found.unwrap_or_else(|| panic!("nobody says {words:?}: {findings:#?}")).clone()
}

#[tokio::test]
async fn a_retained_volume_is_given_to_the_new_claim_only_when_asked() {
    let shop = Shop::new().await;
    let backup = shop.backup().await;
    shop.lose().await;
    let command = format!("kubectl patch pv {} --type=json", shop.volume);

    // Left alone: both are told before, and the claim is a problem after.
    let create = target(&shop.api, &Rules::default(), &Options::default());
    let planned = backup.plan(&create).await.unwrap();
    let volume = of(&planned.objects, "PersistentVolume");
    assert_eq!((volume.outcome, volume.notes.len()), (Outcome::Same, 1), "{volume:?}");
    let claim = of(&planned.objects, "PersistentVolumeClaim");
    assert_eq!(claim.outcome, Outcome::Create);
    assert!(claim.notes[0].contains(&shop.volume) && claim.notes[0].contains("stays Pending"), "{claim:?}");
    let finding = said(&planned.findings, "kept for a claim of that name that was deleted");
    assert!(finding.cure.as_ref().unwrap().contains(&command), "{finding:?}");
    assert_eq!(finding.severity, Severity::Warning);
    let loaded = backup.load(&create).await.unwrap();
    let finding = said(&loaded.findings, "is Pending for good");
    assert_eq!(finding.severity, Severity::Problem);
    assert!(finding.subject.contains("data") && finding.cure.unwrap().contains(&command));
    let uid = shop.server.get(&shop.volume_path()).await["spec"]["claimRef"]["uid"].clone();
    assert!(uid.is_string(), "nobody asked for it");

    // The claim is there now, and waits: an update brings the two together.
    let update = Options { mode: Mode::Update, ..Options::default() };
    let restored = backup.restore(&shop.api, &Rules::default(), &update).await;
    assert_eq!(of(&restored, "PersistentVolume").outcome, Outcome::Patch);
    assert_eq!(of(&restored, "PersistentVolumeClaim").outcome, Outcome::Same);
    shop.until(&shop.claim_path(), "Bound").await;
    let volume = shop.server.get(&shop.volume_path()).await;
    let claim = shop.server.get(&shop.claim_path()).await;
    assert_eq!(volume["spec"]["claimRef"]["uid"], claim["metadata"]["uid"]);

    // Bound, it is left alone.
    let again = backup.restore(&shop.api, &Rules::default(), &update).await;
    assert_eq!(of(&again, "PersistentVolume").outcome, Outcome::Same);
    assert!(again.iter().all(|object| object.notes.iter().all(|note| !note.contains("Pending"))), "{again:#?}");
}

#[tokio::test]
async fn one_update_after_the_loss_is_enough_and_the_command_does_the_same() {
    let shop = Shop::new().await;
    let backup = shop.backup().await;
    shop.lose().await;
    let update = Options { mode: Mode::Update, ..Options::default() };
    let target = target(&shop.api, &Rules::default(), &update);
    backup.plan(&target).await.unwrap();
    let loaded = backup.load(&target).await.unwrap();
    assert_eq!(of(&loaded.objects, "PersistentVolume").outcome, Outcome::Patch);
    assert!(loaded.findings.iter().all(|finding| !finding.message.contains("Pending")), "{:?}", loaded.findings);
    shop.until(&shop.claim_path(), "Bound").await;

    shop.lose().await;
    let again = super::bed::target(&shop.api, &Rules::default(), &Options::default());
    let planned = backup.plan(&again).await.unwrap();
    let cure = said(&planned.findings, "kept for a claim").cure.unwrap();
    backup.load(&again).await.unwrap();
    let patch = cure.split_once("-p '").unwrap().1.trim_end_matches('\'');
    shop.server.kubectl(&["patch", "pv", &shop.volume, "--type=json", "-p", patch]);
    shop.until(&shop.claim_path(), "Bound").await;
}

#[tokio::test]
async fn a_copy_of_a_namespace_leaves_the_live_volume_alone() {
    let shop = Shop::new().await;
    let backup = shop.backup().await;
    let into = fresh("copy");
    let rules = Rules { namespaces: [(shop.namespace.clone(), into.clone())].into(), ..Rules::default() };
    for mode in [Mode::Create, Mode::Update] {
        let options = Options { mode, namespaces: [shop.namespace.clone()].into(), ..Options::default() };
        let restored = backup.restore(&shop.api, &rules, &options).await;
        let volume = of(&restored, "PersistentVolume");
        assert_eq!(volume.outcome, Outcome::Skip, "{volume:?}");
        let reason = volume.reason.as_ref().unwrap();
        assert!(reason.contains(&format!("the live claim's, {}/data", shop.namespace)), "{reason}");
        if mode == Mode::Create {
            let claim = of(&restored, "PersistentVolumeClaim");
            assert!(claim.notes[0].contains("gets a new, empty volume"), "{claim:?}");
        }
    }
    let copy = shop.server.get(&format!("{}/data", shop.claims(&into))).await;
    assert_eq!(copy["spec"]["volumeName"], Value::Null);
    let volume = shop.server.get(&shop.volume_path()).await;
    assert_eq!(volume["spec"]["claimRef"]["namespace"], shop.namespace.as_str());
    assert_eq!(volume["status"]["phase"], "Bound");
    assert_eq!(shop.server.get(&shop.claim_path()).await["status"]["phase"], "Bound");

    // Where it is not there any more, it comes back as the copy's.
    shop.lose().await;
    shop.server.delete(&shop.volume_path()).await;
    shop.server.until(|| async { shop.server.try_get(&shop.volume_path()).await.is_none().then_some(()) }).await;
    let other = fresh("copy");
    let rules = Rules { namespaces: [(shop.namespace.clone(), other.clone())].into(), ..Rules::default() };
    let options = Options { namespaces: [shop.namespace.clone()].into(), ..Options::default() };
    backup.restore(&shop.api, &rules, &options).await;
    shop.until(&format!("{}/data", shop.claims(&other)), "Bound").await;
    let again = backup.restore(&shop.api, &rules, &options).await;
    assert_eq!(of(&again, "PersistentVolume").outcome, Outcome::Same);
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_tells_of_it_and_yaml_keeps_the_volume_and_brings_its_namespace() {
    let shop = Shop::new().await;
    let here = &shop.namespace;
    shop.server.create(&format!("/api/v1/namespaces/{here}/configmaps"), &json!({"metadata": {"name": "a"}})).await;
    let program = Program::new(shop.server, &format!("{{namespaces: [{here}]}}"));
    program.report(&["backup"], 0);
    let yaml = program.say(&["cat", "latest", "objects", "objects", "--as", "yaml", "--namespace", here]);
    assert_eq!(yaml.code, 0, "{}", yaml.err);
    assert!(yaml.out.contains(&format!("volumeName: {}", shop.volume)), "{}", yaml.out);
    shop.lose().await;
    std::fs::write(program.path("shop.yaml"), &yaml.out).unwrap();
    shop.server.kubectl(&["apply", "-f", &program.path("shop.yaml").display().to_string()]);
    let claim = shop.server.get(&shop.claim_path()).await;
    assert_eq!(claim["spec"]["volumeName"], shop.volume.as_str());
    let diff = program.say(&["diff", "latest", "live", "--source", "objects", "--json"]);
    let report: Value = serde_json::from_str(&diff.out).unwrap();
    let told = report.to_string();
    assert_eq!(told.matches("/status/phase").count(), 2, "{told}");
}
