//! What a source that is encrypted looks like, through the real repository: seven calm backups, then noise.

use bytes::Bytes;
use lifeboat::model::Severity;
use lifeboat::plan::{Seen, Watch, signals};

use crate::support::repository::{Fixture, name, noise};

const LENGTH: usize = 16 << 20;

/// Lines that compress, all different; those of one MiB in sixteen are other ones each day.
fn rows(day: usize) -> Bytes {
    let mut text = Vec::with_capacity(LENGTH + 100);
    while text.len() < LENGTH {
        let n = text.len();
        let changed = if n >> 20 == 5 { day } else { 0 };
        let word = (n as u64 ^ (changed as u64) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        text.extend_from_slice(format!("{n:012}\tcustomer of the shop\tpaid\t{word:016x}\t2026-11-24\n").as_bytes());
    }
    text.truncate(LENGTH);
    text.into()
}

#[tokio::test]
async fn noise_in_the_place_of_data_is_named_and_what_is_normal_is_not() {
    let fixture = Fixture::memory().await;
    let mut history: Vec<Seen> = Vec::new();
    for day in 0..9 {
        let data = if day == 7 { noise(7, LENGTH) } else { rows(day) };
        fixture.backup(&fixture.store, &[("shop", data)]).await.unwrap();
        let (repository, _) = fixture.open(&fixture.store).await.unwrap();
        let newest = repository.newest_backups(&name("shop"), 1).await.unwrap().remove(0);
        let entry = &newest.manifest.sources[0];
        let seen = Seen {
            run: newest.manifest.run,
            at: newest.committed(),
            raw: entry.stats.raw,
            stored_new: entry.stats.stored_new,
            chunks: entry.streams.iter().map(|stream| stream.chunks).sum(),
            reused_chunks: entry.stats.reused_chunks,
            streams: 1,
            reuses: !entry.base.is_empty(),
        };
        history.insert(0, seen);
        let said = signals(&history);
        if day == 7 {
            assert!(matches!(&said[..], [one] if one.watch == Watch::Encrypted && one.severity == Severity::Problem));
        } else {
            assert_eq!(said, [], "day {day}: {:?}", history[0]);
        }
    }
    assert_eq!(history[0].raw, history[1].raw);
}
