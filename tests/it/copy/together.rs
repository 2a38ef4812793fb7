//! Copies beside other work: two at once, while a backup runs, from the copy of a copy.

use std::process::Stdio;

use lifeboat::store::Gate;

use super::*;
use crate::support::repository::name;

#[test]
fn two_at_once_both_end_well() {
    let Two { play, second } = two();
    let start = || {
        let mut command = play.command(&["copy", "-f", "keys/policy.yaml", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children = [start(), start(), start()];
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let at = format!("-f keys/policy.yaml --repository {second}");
    let verified = play.say(&format!("verify all --level opened {at} --identity keys/identity.txt"));
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    // Whoever was first: each backup is there, and is one backup, however often it was copied.
    let listed = play.json("list -f keys/policy.yaml");
    assert_eq!(listed["copies"][0]["held"].as_array().unwrap().len(), 2);
    let again = play.json("copy -f keys/policy.yaml");
    assert_eq!(again["receivers"][0]["held"], 2);
    let run = listed["backups"][0]["run"].as_str().unwrap();
    let shown = play.json(&format!("show {run} {at}"));
    assert_eq!(shown["copy_of"], run, "one name for all of them");
}

/// A backup that is not committed yet is not copied, not even in part; the copy neither waits for it nor disturbs it.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_backup_runs() {
    let disk = MemoryDisk::new(lifeboat::clock::system());
    let first = Fixture::in_store(disk.store(), 1).await;
    first.backup(&first.store, &streams(10)).await.unwrap();
    let into = second(&first, Store::memory(lifeboat::clock::system()), 2).await;
    let gate = Gate::default();
    // On a disk of its own, to see how many objects it is.
    let log = disk.copy(lifeboat::clock::system()).store().with_call_log();
    first.backup(&log, &streams(20)).await.unwrap();
    let puts = log.calls().iter().filter(|call| call.operation == Operation::Put).count() as u64;
    // All of them but the last, the manifest, are there.
    let plan = FaultPlan::new().with(When::Nth(Operation::Put, puts), Fault::Hold(gate.clone()));
    let (slow, store) = (first.clone(), first.store.faulty(plan));
    let running = tokio::spawn(async move { slow.backup(&store, &streams(20)).await });
    gate.reached().await;
    let listed = first.backups().await;
    assert_eq!(listed.len(), 1, "the second is not committed");
    copy(&first, &listed[0], &into, &into.store).await.unwrap();
    assert_eq!(into.backups().await.len(), 1);
    gate.open();
    running.await.unwrap().unwrap();
    let newest = first.backups().await.remove(0);
    copy(&first, &newest, &into, &into.store).await.unwrap();
    assert_whole(&into, &into.backups().await[0], &streams(20)).await;
    assert_eq!(into.backups().await.len(), 2);
}

/// Two copies into one place, call by call beside each other.
#[tokio::test(flavor = "multi_thread")]
async fn two_writers_of_one_copy() {
    let first = Fixture::memory().await;
    first.backup(&first.store, &streams(10)).await.unwrap();
    let original = first.backups().await.remove(0);
    let into = second(&first, Store::memory(lifeboat::clock::system()), 2).await;
    let (one, other) =
        tokio::join!(copy(&first, &original, &into, &into.store), copy(&first, &original, &into, &into.store));
    assert_ne!(one.unwrap().manifest.run, other.unwrap().manifest.run);
    let copies = into.backups().await;
    assert_eq!(copies.len(), 2);
    for copy in &copies {
        assert!(copy.original().same(&original.original()));
        assert_whole(&into, copy, &streams(10)).await;
    }
}

/// A repository that receives copies is one like any other: who loses the first goes on in the second, and the copies and
/// the new backups stand in one list.
#[tokio::test(flavor = "multi_thread")]
async fn backups_go_on_in_what_was_the_second() {
    let first = Fixture::memory().await;
    first.backup(&first.store, &streams(10)).await.unwrap();
    let original = first.backups().await.remove(0);
    let into = second(&first, Store::memory(lifeboat::clock::system()), 2).await;
    copy(&first, &original, &into, &into.store).await.unwrap();
    into.backup(&into.store, &streams(20)).await.unwrap();
    let both = into.backups().await;
    assert_eq!(both.len(), 2);
    assert!(both[0].manifest.origin.is_none() && both[1].manifest.origin.is_some());
    assert_whole(&into, &both[0], &streams(20)).await;
    assert_whole(&into, &both[1], &streams(10)).await;
    // And back: what was made there is copied into a new first one, all of it.
    let third = second(&first, Store::memory(lifeboat::clock::system()), 3).await;
    for backup in both.iter().rev() {
        copy(&into, backup, &third, &third.store).await.unwrap();
    }
    let copies = third.backups().await;
    for (copy, seed) in copies.iter().zip([20, 10]) {
        assert_whole(&third, copy, &streams(seed)).await;
    }
    let (repository, _) = third.open(&third.store).await.unwrap();
    let found = repository.catalog(Some(&name("shop"))).await.unwrap();
    assert_eq!(found.findings, []);
    assert_eq!(found.backups[1].original().run, original.manifest.run);
}

/// What would be done is what is done; nothing is written, and the origin is never written to.
#[test]
fn a_dry_run_writes_nothing_and_a_copy_nothing_into_its_origin() {
    let Two { play, .. } = two();
    let before = play.tree();
    let plan = play.json("copy -f keys/policy.yaml -n");
    assert_eq!(play.tree(), before);
    assert_eq!((&plan["dry_run"], &plan["receivers"][0]["copied"][0]["run"]), (&true.into(), &serde_json::Value::Null));
    let said = play.say("copy -f keys/policy.yaml -n");
    assert!(said.out.contains("2 backups to copy, 0 there already"), "{}", said.out);
    let origin = |tree: std::collections::BTreeMap<std::path::PathBuf, String>| {
        let store = play.path("store");
        tree.into_iter().filter(|(path, _)| path.starts_with(&store)).collect::<Vec<_>>()
    };
    let made = play.json("copy -f keys/policy.yaml");
    assert_eq!(origin(play.tree()), origin(before));
    let runs = |report: &serde_json::Value| {
        let rows = report["receivers"][0]["copied"].as_array().unwrap();
        rows.iter().map(|row| row["from"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(runs(&plan), runs(&made), "the plan is what was done, oldest first");
    let names = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut of_report = ["policy", "repository", "url", "dry_run", "receivers", "seconds", "findings"];
    of_report.sort_unstable();
    let mut found = names(&made);
    found.sort();
    assert_eq!(found, of_report, "docs/json.md");
    // For cron: nothing to say, and what went wrong.
    let said = play.say("copy -q -f keys/policy.yaml");
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
    std::fs::rename(play.path("second"), play.path("gone")).unwrap();
    let said = play.say("copy -q -f keys/policy.yaml");
    assert!(said.code == 10 && said.out.contains("not reached: there is no repository"), "{}", said.out);
}
