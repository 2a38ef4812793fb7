//! The run is killed at each of its writes, and so is its watcher: the counts come back, always.

use super::bed::{Bed, COUNTS, ZERO, kill, report};
use super::gate::{Gate, Hold};
use crate::support::local::is_soak;
use crate::support::servers::process::program;

async fn killed_at(stem: &str, hold: Hold) {
    let bed = Bed::new(stem).await;
    let gate = Gate::before(bed.server, hold.clone()).await;
    bed.policy("max: 10m", Some(&gate));
    let running = bed.begin();
    bed.server.until(|| async { gate.is_reached().then_some(()) }).await;
    assert!(!bed.watchers().is_empty(), "{hold:?}: it watches before the first write");
    running.kill();
    gate.go();
    bed.until_whole().await;
}

/// Three writes down, three up.
#[tokio::test(flavor = "multi_thread")]
async fn killed_before_or_after_any_write_all_counts_come_back() {
    let holds = if is_soak() {
        (1..=6).flat_map(|n| [Hold::Before(n), Hold::After(n)]).collect()
    } else {
        vec![Hold::Before(1), Hold::After(1), Hold::After(2), Hold::After(3), Hold::Before(4), Hold::After(5)]
    };
    let each = holds.into_iter().enumerate().map(|(n, hold)| async move {
        let stem = format!("killed{n}");
        tokio::spawn(async move { killed_at(&stem, hold).await }).await.unwrap();
    });
    futures::future::join_all(each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_away_when_it_should_be_scaled_back() {
    let bed = Bed::new("away").await;
    let gate = Gate::before(bed.server, Hold::Get("/secrets")).await;
    bed.policy("max: 10m", Some(&gate));
    let running = bed.begin();
    bed.server.until(|| async { gate.is_reached().then_some(()) }).await;
    assert_eq!(bed.counts().await, ZERO);
    gate.set_away(true);
    running.kill();
    gate.go();
    // The watcher has noticed, and says that it cannot.
    let said = bed.local.path("said");
    let says = |word: &str| std::fs::read_to_string(&said).unwrap().contains(word);
    bed.server.until(|| async { says("the run is gone").then_some(()) }).await;
    assert_eq!(bed.counts().await, ZERO);
    gate.set_away(false);
    bed.until_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_watcher_killed_too_a_person_or_the_next_run_brings_them_back() {
    let bed = Bed::new("orphaned").await;
    for next in ["release", "page", "backup"] {
        let gate = Gate::before(bed.server, Hold::Get("/secrets")).await;
        bed.policy("max: 10s", Some(&gate));
        let running = bed.begin();
        bed.server.until(|| async { gate.is_reached().then_some(()) }).await;
        // Stopped first: a watcher that still lives would act at once.
        bed.watchers().iter().for_each(|pid| kill("STOP", &pid.to_string()));
        running.kill();
        bed.kill_watchers();
        gate.go();
        assert_eq!(bed.counts().await, ZERO);
        bed.policy("max: 10m", None);
        if next == "page" {
            assert_eq!(by_the_page(&bed), "");
            bed.until_counts([COUNTS[0], COUNTS[1], 0]).await;
            // A custom resource goes back by its own kind.
            bed.local.run(&["quiesce", "release"]).exits(0).says("Fleet.quiesce.example.com/v1");
            bed.until_whole().await;
            continue;
        }
        if next == "release" {
            bed.local.run(&["quiesce", "status"]).exits(0).says("at 0, had 2").says("until");
            let said = report(bed.local.run(&["quiesce", "release", "--json"]).exits(0));
            assert_eq!(said["workloads"].as_array().unwrap().len(), 3, "{said:#}");
            let names: Vec<&str> = said.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, ["findings", "policy", "workloads"], "docs/json.md");
            bed.until_whole().await;
            bed.local.run(&["quiesce", "release"]).exits(0).says("nothing is at 0");
            continue;
        }
        bed.server.until(|| async { (bed.local.run(&["quiesce", "status"]).code == 3).then_some(()) }).await;
        bed.local.run(&["check"]).exits(5).says("was left at 0 by run").says("it had 2").says("quiesce release");
        let said = report(bed.local.run(&["backup", "--json"]).exits(0));
        let text = said["findings"].to_string();
        assert!(text.contains("was left at 0 by an earlier run: is back at 2"), "{said:#}");
        bed.until_whole().await;
        assert_eq!(
            said["quiesce"]["workloads"].as_array().unwrap().iter().filter(|row| row["replicas"] != 0).count(),
            3
        );
    }
    assert_eq!(bed.counts().await, COUNTS);
}

/// Section 2 of the runbook as it is printed, in one namespace. Gives back what went wrong.
fn by_the_page(bed: &Bed) -> String {
    let page = include_str!("../../../docs/runbooks/stuck-at-zero.md");
    let script = page.split("```sh\n").find(|block| block.contains("> back.sh")).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubectl = folder.path().join("kubectl");
    std::os::unix::fs::symlink(program("LIFEBOAT_TEST_KB"), kubectl).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let script = script.replace(" -A ", &format!(" -n {} ", bed.namespace));
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-ec", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("KUBECONFIG", bed.server.kubeconfig());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One that is not overdue is taken over with the count that it had: a 0 is never recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_comes_upon_another_ones_zero_keeps_its_count() {
    let bed = Bed::new("twice").await;
    let gate = Gate::before(bed.server, Hold::Get("/secrets")).await;
    bed.policy("max: 10m", Some(&gate));
    let first = bed.begin();
    bed.server.until(|| async { gate.is_reached().then_some(()) }).await;
    // Another machine, with the same policy.
    bed.policy("max: 10m", None);
    let second = report(bed.local.run(&["backup", "--json"]).exits(0));
    assert!(second["findings"].to_string().contains("the count that it recorded is kept"), "{second:#}");
    bed.until_whole().await;
    gate.go();
    let (code, first, said) = first.end().await;
    assert_eq!((code, &first["quiesce"]["whole"]), (3, &false.into()), "{first:#}\n{said}");
    assert!(first["sources"][0]["quiesced"]["broken"].as_str().unwrap().contains("was scaled to"), "{first:#}");
    bed.until_whole().await;
}
