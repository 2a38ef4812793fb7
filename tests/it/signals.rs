//! What a source that is encrypted looks like: through the real repository, and where a person sees it.

use std::time::Duration;

use bytes::Bytes;
use lifeboat::clock;
use lifeboat::model::{Manifest, RunId, Severity, Stats};
use lifeboat::plan::{Seen, Watch, signals};
use lifeboat::repository::{SigningKey, peek, sign};

use crate::support::play::{Play, set_time};
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

/// Four calm nights, then one that looks encrypted, in manifests alone: what a person sees in `list`, `show` and `prune`.
#[test]
fn an_alarm_is_seen_where_people_look_and_keeps_the_source() {
    let play = Play::old();
    play.edit("keys/policy.yaml", "  objectives:", "  retention: {last: 1, neverBelow: 1}\n  objectives:");
    let writer = SigningKey::from_pem(&play.read("keys/writer.key")).unwrap();
    let newest = play.path("store/backups/shop/01M863G6CWD72J0D93FE304MVA/manifest.json");
    let real = peek::<Manifest>(&std::fs::read(newest).unwrap()).unwrap().document;
    let now = clock::system().now();
    let mut runs = Vec::new();
    for night in 0..5_u64 {
        let at = now - Duration::from_secs((4 - night) * 24 * 3600);
        let run: RunId = ulid::Ulid::from_parts(at.as_millisecond().unsigned_abs(), u128::from(night)).into();
        let mut manifest = Manifest { run, finished: at, previous: None, ..real.clone() };
        let entry = manifest.sources.iter_mut().find(|entry| entry.name.as_str() == "postgres").unwrap();
        entry.streams.truncate(1);
        entry.streams[0].chunks = 100;
        entry.streams[0].bytes = 400 << 20;
        let (reused, stored) = if night == 4 { (2, 390) } else { (97, 3) };
        entry.base = vec![real.run];
        entry.stats = Stats { raw: 400 << 20, stored_new: stored << 20, reused_chunks: reused, seconds: 9 };
        let folder = play.path(&format!("store/backups/shop/{run}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("manifest.json"), sign(&manifest, &writer).unwrap()).unwrap();
        set_time(&folder.join("manifest.json"), at);
        runs.push(run);
    }
    let list = play.say("list -f keys/policy.yaml");
    assert!(list.out.contains("looks encrypted: stored 98 % of what was read"), "{}{}", list.out, list.err);
    let row = list.out.lines().find(|line| line.starts_with(&runs[4].to_string())).unwrap();
    assert!(row.contains("!!"), "{row}");
    let calm = |line: &&str| runs[..4].iter().any(|run| line.starts_with(&run.to_string()));
    assert!(!list.out.lines().filter(calm).any(|line| line.contains('!')), "{}", list.out);
    let show = play.say(&format!("show {} -f keys/policy.yaml", runs[4]));
    assert!(show.out.contains("looks encrypted"), "{}{}", show.out, show.err);
    let explained = play.say("prune --explain -f keys/policy.yaml");
    assert!(explained.out.contains("postgres STAYS: signal: "), "{}{}", explained.out, explained.err);
}
