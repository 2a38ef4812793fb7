//! Every order of changes, a backup after each: the escrow key alone opens all of them.

use lifeboat::model::Role;
use lifeboat::repository::{KeyChange, SigningKey, generate_identity};

use super::chain::Bed;
use crate::support::repository::noise;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Writer,
    Prover,
    Dedup,
    AddRecipient,
    RemoveRecipient,
}

const STEPS: [Step; 5] = [Step::Writer, Step::Prover, Step::Dedup, Step::AddRecipient, Step::RemoveRecipient];

fn orders(steps: &[Step]) -> Vec<Vec<Step>> {
    if steps.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in steps {
        let rest: Vec<Step> = steps.iter().copied().filter(|step| step != first).collect();
        all.extend(orders(&rest).into_iter().map(|order| [vec![*first], order].concat()));
    }
    all
}

async fn take(bed: &mut Bed, step: Step) {
    match step {
        Step::Writer => bed.rotate_writer().await,
        Step::Prover => {
            let key = SigningKey::generate().unwrap().public();
            bed.change(&KeyChange::RotateKey { role: Role::Prover, key, expires: None }, None).await;
        }
        Step::Dedup => bed.rotate_dedup().await,
        Step::AddRecipient => {
            let (recipient, key) = (generate_identity().recipient, bed.fixture.dedup.clone());
            let dedup = bed.new_pin(&key);
            bed.change(&KeyChange::AddRecipient { recipient, expires: None, dedup }, Some(&key)).await;
        }
        Step::RemoveRecipient => {
            let recipient = bed.fixture.trust.recipients[1].clone();
            bed.change(&KeyChange::RemoveRecipient { recipient }, None).await;
        }
    }
}

/// Each backup is listed, gives its bytes, and its keyed hashes are those of the dedup key that it was made with.
async fn assert_all_open(bed: &Bed, backups: u64) {
    let repository = bed.repository().await;
    let catalog = repository.catalog(None).await.unwrap();
    assert!(catalog.invalid.is_empty() && catalog.findings.is_empty(), "{catalog:?}");
    assert_eq!(catalog.backups.len() as u64, backups);
    for (backup, n) in catalog.backups.iter().zip((0..backups).rev()) {
        let entry = &backup.manifest.sources[0];
        assert_eq!(bed.fixture.read(backup, 0).await.unwrap(), noise(n, 100), "backup {n}");
        assert_eq!(bed.fixture.read(backup, 1).await.unwrap(), noise(1, 30_000), "backup {n}");
        let reader = repository.open_capture(backup, entry, bed.fixture.identities.clone()).await.unwrap();
        let keys = reader.lineage_keys().await.unwrap();
        for (stream, signed) in reader.detail().streams.iter().zip(&entry.streams) {
            assert_eq!(keys.stream_mac(&stream.sha256), signed.mac, "backup {n}");
        }
    }
}

#[tokio::test]
async fn every_order_of_changes_leaves_every_backup_open_to_the_escrow_key() {
    let orders = orders(&STEPS);
    assert_eq!(orders.len(), 120);
    for order in orders {
        let mut bed = Bed::new().await;
        bed.backup(0).await;
        for (step, n) in order.iter().zip(1..) {
            take(&mut bed, *step).await;
            bed.backup(n).await;
        }
        eprintln!("{order:?}");
        assert_all_open(&bed, order.len() as u64 + 1).await;
    }
}

/// Settled: what was sealed for others, or named with another key, is not built on.
#[tokio::test]
async fn chunks_are_stored_anew_only_where_they_must_be() {
    for (step, anew) in [
        (Step::Writer, false),
        (Step::Prover, false),
        (Step::Dedup, true),
        (Step::AddRecipient, true),
        (Step::RemoveRecipient, true),
    ] {
        let mut bed = Bed::new().await;
        bed.backup(1).await;
        take(&mut bed, step).await;
        bed.backup(1).await;
        let stats = bed.fixture.backups().await[0].manifest.sources[0].stats;
        assert_eq!(stats.reused_chunks == 0, anew, "{step:?}: {stats:?}");
        bed.backup(1).await;
        assert!(bed.fixture.backups().await[0].manifest.sources[0].stats.reused_chunks > 0, "{step:?}: once only");
    }
}
