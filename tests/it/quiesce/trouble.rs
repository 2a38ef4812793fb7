//! What comes in between while everything is at zero.

use serde_json::json;

use super::bed::{Bed, COUNTS, ZERO};
use super::gate::{Gate, Hold};

#[tokio::test(flavor = "multi_thread")]
async fn when_max_passes_everything_comes_back_and_the_backup_says_so() {
    let bed = Bed::new("late").await;
    let gate = Gate::before(bed.server, Hold::Get("/secrets")).await;
    bed.policy("max: 10s", Some(&gate));
    let running = bed.begin();
    bed.server.until(|| async { gate.is_reached().then_some(()) }).await;
    assert_eq!(bed.counts().await, ZERO);
    // The capture hangs, and lives.
    bed.until_whole().await;
    gate.go();
    let (code, report, said) = running.end().await;
    assert_eq!((code, &report["status"]), (3, &json!("complete")), "{said}");
    assert!(report["quiesce"]["broken"].as_str().unwrap().contains("`max` has passed"), "{report:#}");
    assert!(report["findings"].to_string().contains("was not quiesced for all of its capture"), "{report:#}");
    bed.local.run(&["show", "latest"]).exits(0).says("NO, or not all along");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_scales_by_hand_is_named_and_left_to_him() {
    let bed = Bed::new("by-hand").await;
    let gate = Gate::before(bed.server, Hold::Get("/secrets")).await;
    bed.policy("max: 10m", Some(&gate));
    let running = bed.begin();
    bed.server.until(|| async { gate.is_reached().then_some(()) }).await;
    bed.scale_by_hand(5).await;
    gate.go();
    let (code, report, said) = running.end().await;
    assert_eq!(code, 3, "{said}");
    let findings = report["findings"].to_string();
    assert!(findings.contains("was scaled to 5 meanwhile") && findings.contains("it had 2"), "{report:#}");
    assert!(report["quiesce"]["broken"].as_str().unwrap().contains("was scaled to 5 by "), "{report:#}");
    assert_eq!(bed.counts().await, [5, COUNTS[1], COUNTS[2]]);
    assert!(!bed.is_marked().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_does_not_end_is_named_and_everything_comes_back() {
    let bed = Bed::new("stubborn").await;
    let pods = format!("/api/v1/namespaces/{}/pods", bed.namespace);
    let pod = format!("{pods}/store-0");
    assert!(bed.server.patch(&pod, &json!({"metadata": {"finalizers": ["example.com/hold"]}})).await);
    bed.policy("max: 10s", None);
    let said = bed.local.run(&["backup"]).exits(3).says("NOT QUIESCED").says("pod store-0");
    assert!(said.out.contains("complete backup"), "{}", said.out);
    bed.until_counts(COUNTS).await;
    assert!(!bed.is_marked().await);
    assert!(bed.server.patch(&pod, &json!({"metadata": {"finalizers": null}})).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ctrl_c_scales_back_before_it_ends() {
    let bed = Bed::new("stopped").await;
    let gate = Gate::before(bed.server, Hold::Get("/secrets")).await;
    bed.policy("max: 10m", Some(&gate));
    let running = bed.begin();
    bed.server.until(|| async { gate.is_reached().then_some(()) }).await;
    assert_eq!(bed.counts().await, ZERO);
    running.interrupt();
    let (code, _, said) = running.end().await;
    assert_eq!(code, 130, "{said}");
    assert_eq!(bed.counts().await, COUNTS, "{said}");
    bed.until_whole().await;
}
