//! Each role on a real MinIO with Object Lock, with the very policies that `init --print-access` prints: what it needs
//! works through the program, and what it must not do is refused by the server. Needs PostgreSQL 15.

mod bed;
mod thief;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};

use self::bed::{Bed, ROLES};

/// Whoever was asked refuses: not "no such key", not "precondition failed".
#[track_caller]
fn denied<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    what: &str,
    answer: Result<T, SdkError<E, R>>,
) {
    let error = answer.expect_err(what);
    assert_eq!(error.code(), Some("AccessDenied"), "{what}: {error:?}");
}

impl Bed {
    fn keys_below(&self, keys: &[String], folder: &str) -> String {
        keys.iter().find(|key| key.starts_with(folder)).unwrap_or_else(|| panic!("{folder} in {keys:?}")).clone()
    }

    /// Everything that takes something away, tried on one object of each kind.
    async fn cannot_take_away(&self, role: &str, client: &Client, keys: &[String]) {
        for key in keys {
            let version = self.version(key).await;
            let delete = client.delete_object().bucket(&self.bucket).key(self.name(key));
            denied(&format!("{role} deletes {key}"), delete.clone().send().await);
            denied(&format!("{role} deletes a version of {key}"), delete.clone().version_id(&version).send().await);
            let bypass = delete.version_id(&version).bypass_governance_retention(true).send().await;
            denied(&format!("{role} deletes a locked version of {key}"), bypass);
            let soon = DateTime::from_secs(self.now() + 60);
            let shorter = ObjectLockRetention::builder().mode(ObjectLockRetentionMode::Governance);
            let shorten = client.put_object_retention().bucket(&self.bucket).key(self.name(key)).version_id(&version);
            let shorten = shorten.retention(shorter.retain_until_date(soon).build()).bypass_governance_retention(true);
            let shortened = shorten.send().await.expect_err("a shorter lock");
            // Whoever may set locks gets as far as the lock itself.
            let known = ["AccessDenied", "InvalidRequest"].map(Some);
            assert!(known.contains(&shortened.code()), "{role} shortens the lock of {key}: {shortened:?}");
        }
    }

    async fn cannot_create(&self, role: &str, client: &Client, names: &[&str]) {
        for name in names {
            let put = || client.put_object().bucket(&self.bucket).key(self.name(name)).body(b"x".to_vec().into());
            denied(&format!("{role} creates {name}"), put().if_none_match("*").send().await);
            denied(&format!("{role} stores {name}"), put().send().await);
        }
    }

    async fn can_read(&self, client: &Client, key: &str) -> bool {
        let version = self.version(key).await;
        let get = client.get_object().bucket(&self.bucket).key(self.name(key));
        let (current, old) = (get.clone().send().await, get.version_id(version).send().await);
        assert_eq!(current.is_ok(), old.is_ok(), "{key}: a version is no way around");
        current.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_can_do_what_it_is_for_and_nothing_else() {
    let Some(bed) = Bed::new().await else { return };
    // What is allowed, through the program, each verb with the credentials of its role.
    let run = bed.backup();
    bed.run(&["verify", "latest", "--level", "hashed"]).exits(0);
    let listed = bed.run(&["list"]).exits(0);
    assert!(listed.out.contains("hashed"), "the prover's proof counts: {}", listed.out);
    bed.run(&["cat", "latest", "postgres", "db/shop"]).exits(0);
    // With the writer's own keys nothing stays unknown.
    let said = bed.run(&["check", "--json"]).exits(0);
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    for feature in ["create_only", "checksums", "versions", "locks", "lists", "prefix_permissions"] {
        assert_eq!(report["stores"][0][feature], "yes", "{feature}: {report}");
    }
    let keys = bed.keys().await;
    assert!(keys.iter().any(|key| key.contains("/proofs/")), "{keys:?}");
    // Used again, and locked still.
    assert_ne!(bed.backup(), run);

    let of_each_kind: Vec<String> = ["lifeboat.json", "RESTORE.txt", "config/", "keys/", "data/", "backups/"]
        .map(|folder| bed.keys_below(&keys, folder))
        .into_iter()
        .chain(keys.iter().filter(|key| key.contains("manifest") || key.contains("/proofs/")).cloned())
        .collect();
    let backup = format!("backups/{}/{run}", bed.policy);
    let proof = format!("{backup}/proofs/x.json");
    let chunk = format!("data/{}.postgres/ab/x", bed.policy);
    let manifest = format!("{backup}/x.json");
    let everywhere = [
        "expired/x",
        "holds/x",
        "config/x",
        "keys/x",
        "lifeboat.json",
        "RESTORE.txt",
        "elsewhere",
        "journal/x",
        "audit/x",
    ];
    let except = |allowed: &[&str]| -> Vec<&str> {
        let more = [proof.as_str(), chunk.as_str(), manifest.as_str()];
        everywhere.into_iter().chain(more).filter(|name| !allowed.contains(name)).collect()
    };
    for role in ROLES {
        let client = bed.client(role);
        let allowed: Vec<&str> = match role {
            "writer" => vec![&chunk, &manifest, "audit/x"],
            "restorer" => vec![],
            "prover" => vec![&proof, "journal/x"],
            "collector" => vec!["expired/x", "holds/x"],
            _ => unreachable!(),
        };
        bed.cannot_create(role, &client, &except(&allowed)).await;
        for name in allowed {
            let put = client.put_object().bucket(&bed.bucket).key(bed.name(name)).body(b"x".to_vec().into());
            put.if_none_match("*").send().await.unwrap_or_else(|error| panic!("{role} creates {name}: {error:?}"));
        }
        if role != "collector" {
            bed.cannot_take_away(role, &client, &of_each_kind).await;
        }
        for key in &of_each_kind {
            let may = role != "collector" || !key.starts_with("data/");
            assert_eq!(bed.can_read(&client, key).await, may, "{role} reads {key}");
        }
        if let Ok(all) = client.list_buckets().send().await {
            assert!(all.buckets().iter().all(|found| found.name() == Some(&bed.bucket)), "{role} sees other buckets");
        }
    }
}

/// MinIO lets whoever may set a lock shorten one in GOVERNANCE mode, with the header of a right that it does not ask for
/// then. When this fails, docs/roles.md is to be changed: nothing but COMPLIANCE is of use on MinIO today.
#[tokio::test(flavor = "multi_thread")]
async fn on_minio_a_writer_can_shorten_a_lock_in_governance_mode() {
    let Some(bed) = Bed::locking("governance").await else { return };
    bed.backup();
    let key = bed.keys_below(&bed.keys().await, "data/");
    let soon = DateTime::from_secs(bed.now() + 60);
    let shorter = ObjectLockRetention::builder().mode(ObjectLockRetentionMode::Governance).retain_until_date(soon);
    let writer = bed.client("writer");
    let shorten = writer.put_object_retention().bucket(&bed.bucket).key(bed.name(&key)).retention(shorter.build());
    let version = bed.version(&key).await;
    let shorten = shorten.version_id(&version);
    assert!(shorten.clone().send().await.is_err(), "not without the header");
    shorten.bypass_governance_retention(true).send().await.unwrap();
    let delete = writer.delete_object().bucket(&bed.bucket).key(bed.name(&key)).version_id(&version);
    denied("even so the writer deletes nothing", delete.send().await);
}

/// The collector may delete versions, below three folders, once no lock holds them; and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_collector_deletes_what_no_lock_holds() {
    let Some(bed) = Bed::new().await else { return };
    bed.backup();
    let keys = bed.keys().await;
    let collector = bed.client("collector");
    let delete = async |key: &str| {
        let delete = collector.delete_object().bucket(&bed.bucket).key(bed.name(key));
        delete.version_id(bed.version(key).await).send().await
    };
    for folder in ["data/", "backups/", "config/", "keys/"] {
        let key = bed.keys_below(&keys, folder);
        let answer = delete(&key).await;
        assert!(answer.is_err(), "{key} is locked, or none of the collector's");
        let delete = collector.delete_object().bucket(&bed.bucket).key(bed.name(&key));
        let bypass = delete.version_id(bed.version(&key).await).bypass_governance_retention(true).send().await;
        assert!(bypass.is_err(), "{key} is locked, or none of the collector's");
    }
    let stray = format!("data/{}.postgres/ab/stray", bed.policy);
    let put = bed.owner().put_object().bucket(&bed.bucket).key(bed.name(&stray)).body(b"x".to_vec().into());
    put.send().await.unwrap();
    let marker = collector.delete_object().bucket(&bed.bucket).key(bed.name(&stray)).send().await;
    denied("a delete marker", marker);
    delete(&stray).await.unwrap();
}

/// With the collector's credentials and key, and nothing but them: a tombstone, its undelete, a hold.
#[tokio::test(flavor = "multi_thread")]
async fn the_collector_expires_undeletes_and_holds() {
    let Some(bed) = Bed::new().await else { return };
    let (old, new) = (bed.backup(), bed.backup());
    let collector = |words: &[&str]| bed.run(&[words, &["--signing-key", "keys/collector.key"]].concat());
    bed.run(&["prune", "--expire", &old, "--out", "plan.json"]).exits(0);
    let said = collector(&["prune", "apply", "plan.json"]).exits(0);
    assert!(said.out.contains("expired: 1 backup"), "{}", said.out);
    // What is kept is locked anew, with the writer's credentials of the same policy.
    let locked = said.out.lines().find_map(|line| line.strip_prefix("locked anew: ")).unwrap_or_default();
    assert!(locked.ends_with(" objects") && !locked.starts_with('0'), "{}", said.out);
    let listed = |run: &str| bed.run(&["list"]).exits(0).out.contains(run);
    assert!(!listed(&old) && listed(&new));
    let said = collector(&["undelete", &old]).exits(0);
    assert!(said.out.contains("every object of it is there"), "{}", said.out);
    assert!(listed(&old));
    collector(&["hold", "add", &old, "--reason", "case 4711"]).exits(0);
    bed.run(&["prune", "--expire", &old]).exits(5);
    collector(&["hold", "remove", &old, "--reason", "closed"]).exits(0);
    bed.run(&["prune", "--expire", &old]).exits(0);
}

/// With the writer's keys as they are printed, and nothing but them.
#[tokio::test(flavor = "multi_thread")]
async fn the_writer_locks_anew_what_is_kept() {
    let Some(bed) = Bed::new().await else { return };
    bed.backup();
    bed.backup();
    let owner = bed.owner();
    let until = async |key: &str| {
        let get = owner.get_object_retention().bucket(&bed.bucket).key(bed.name(key));
        let answer = get.version_id(bed.version(key).await).send().await.ok()?;
        Some(answer.retention()?.retain_until_date()?.secs() - bed.now())
    };
    let day = 24 * 3600;
    let longer = bed.file("policy.yaml").replace("for: 2d", "for: 20d");
    bed.write("policy.yaml", &longer);
    bed.run(&["renew", "-n"]).exits(0);
    let keys = bed.keys().await;
    for key in &keys {
        assert!(until(key).await.is_none_or(|seconds| seconds <= 2 * day + 60), "{key}: a dry run locks nothing");
    }
    let said = bed.run(&["renew"]).exits(0);
    assert!(said.out.contains("of 2 backups locked (compliance) until at least "), "{}", said.out);
    for key in &keys {
        let unlocked = key.starts_with("audit/");
        assert_eq!(
            until(key).await.is_some_and(|seconds| seconds > 19 * day),
            !unlocked,
            "{key}: {:?}",
            until(key).await
        );
    }
    // A shorter rule takes nothing back.
    bed.write("policy.yaml", &longer.replace("for: 20d", "for: 1d"));
    bed.run(&["renew"]).exits(0);
    for key in keys.iter().filter(|key| !key.starts_with("audit/")) {
        assert!(until(key).await.is_some_and(|seconds| seconds > 19 * day), "{key}");
    }
    bed.write("policy.yaml", &longer.replace("lock: {mode: compliance, for: 20d}", "# no lock"));
    let said = bed.run(&["renew"]).exits(2);
    assert!(said.err.contains("locks nothing"), "{}", said.err);
}
