//! What a new capture builds on: nothing odd, nothing damaged, and never at the price of the backup.

use bytes::Bytes;
use lifeboat::model::{ChunkLine, Chunking, ListHeader, Prefix};
use lifeboat::repository::layout;
use lifeboat::store::{ErrorKind, Fault, FaultPlan, Operation, When};

use super::world::{World, copies, encode, mixed, offered, streams};
use crate::support::repository::{name, stream_of};

/// An empty repository, and a list that a writer of its made elsewhere.
async fn empty_and_a_list() -> (World, ListHeader, Vec<ChunkLine>) {
    let empty = World::new().await;
    let filled = empty.copy();
    filled.backup(&streams(1)).await;
    let (_, header, lines) = offered(&filled.disk.store(), &Prefix::root()).await.remove(0);
    (empty, header, lines)
}

/// A list whose chunk sizes format 1 does not write says nothing about how to cut a new capture.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_chunk_sizes_are_not_taken_over() {
    let (world, header, lines) = empty_and_a_list().await;
    for chunking in [Chunking { min: 0, avg: 0, max: 0 }, Chunking { min: 1, avg: 3, max: u32::MAX }] {
        let attempt = world.fixture.cx.clock.ulid().into();
        let odd = ListHeader { chunking, attempt, ..header.clone() };
        world.leave_segment(&odd, &lines, None).await;
    }
    let run = world.backup(&streams(1)).await.run;
    let written = offered(&world.disk.store(), &layout::run(&name("shop"), run)).await;
    assert!(!written.is_empty() && written.iter().all(|(_, header, _)| header.chunking == Chunking::SMALL));
}

/// An attempt that crashed may have reused a chunk that was found damaged since.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_chunk_is_not_adopted() {
    let world = World::new().await;
    world.backup(&streams(1)).await;
    let first = world.fixture.backups().await.remove(0);
    let (repository, writer) = world.process().await;
    let run = world.start(&repository).await;
    let mut attempt = world.fixture.begin(&repository, &run, &writer).await.unwrap();
    for (stream, bytes) in mixed(1, 2, 3) {
        attempt.write(stream_of(stream, bytes)).await.unwrap();
    }
    drop(attempt);
    let left = offered(&world.disk.store(), &layout::run(&name("shop"), run.id)).await;
    let reused = left.iter().flat_map(|(_, _, lines)| lines).find(|line| line.s == 1).expect("the crash left a list");
    let damaged = layout::chunk(&name("shop"), &name("postgres"), &reused.id, reused.a);
    world.prove_damaged(&first, &[damaged]).await;
    assert_eq!(copies(&world.disk.store(), &reused.id).await, 1);
    world.backup(&streams(1)).await;
    assert_eq!(copies(&world.disk.store(), &reused.id).await, 2, "the damaged chunk was stored anew");
}

/// Nothing that a backup reads of older runs can make it fail: such a base, note or proof is done without.
#[tokio::test(flavor = "multi_thread")]
async fn old_runs_that_cannot_be_read_cost_space_and_not_the_backup() {
    let prepared = World::new().await;
    prepared.backup(&streams(1)).await;
    let first = prepared.fixture.backups().await.remove(0);
    prepared.prove_damaged(&first, &[]).await;
    let (repository, writer) = prepared.process().await;
    let run = prepared.start(&repository).await;
    let mut attempt = prepared.fixture.begin(&repository, &run, &writer).await.unwrap();
    for (stream, bytes) in mixed(1, 2, 2) {
        attempt.write(stream_of(stream, bytes)).await.unwrap();
    }
    drop(attempt);

    let world = prepared.copy();
    let store = world.disk.store().with_call_log();
    world.fixture.backup(&store, &streams(3)).await.unwrap();
    let old =
        |key: &str| ["/manifest.json", ".progress.", ".chunks.", "/proofs/"].iter().any(|kind| key.contains(kind));
    let gets: Vec<_> = store.calls().into_iter().filter(|call| call.operation == Operation::Get).collect();
    let reads: Vec<_> = (1_u64..).zip(gets).filter(|(_, call)| old(&call.key)).collect();
    for kind in ["/manifest.json", ".progress.", ".chunks.", "/proofs/"] {
        assert!(reads.iter().any(|(_, call)| call.key.contains(kind)), "{kind} was read");
    }
    let kinds = [ErrorKind::NotFound, ErrorKind::Unavailable, ErrorKind::Denied, ErrorKind::TooLarge, ErrorKind::Other];
    for ((n, call), kind) in reads.iter().flat_map(|read| kinds.map(|kind| (read, kind))) {
        let world = prepared.copy();
        // As often as it is tried again.
        let tries = if kind == ErrorKind::Unavailable { 5 } else { 1 };
        let hit = |plan: FaultPlan, again| plan.with(When::Nth(Operation::Get, n + again), Fault::Fail(kind));
        let store = world.disk.store().faulty((0..tries).fold(FaultPlan::new(), hit));
        let result = world.fixture.backup(&store, &mixed(1, 3, 4)).await;
        assert!(result.is_ok(), "{kind:?} at {call:?}: {result:?}");
    }
}

/// A proof that cannot be read may be the one that says which chunk is damaged.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_proof_that_cannot_be_read_nothing_is_reused() {
    let world = World::new().await;
    world.backup(&streams(1)).await;
    let first = world.fixture.backups().await.remove(0);
    let (_, _, lines) = offered(&world.disk.store(), &Prefix::root()).await.remove(0);
    let damaged = layout::chunk(&name("shop"), &name("postgres"), &lines[0].id, lines[0].a);
    world.prove_damaged(&first, &[damaged]).await;

    let store = world.copy().disk.store().with_call_log();
    world.fixture.backup(&store, &streams(1)).await.unwrap();
    let gets = store.calls().into_iter().filter(|call| call.operation == Operation::Get);
    let n = 1 + gets.take_while(|call| !call.key.contains("/proofs/")).count() as u64;
    let plan = FaultPlan::new().with(When::Nth(Operation::Get, n), Fault::Fail(ErrorKind::Other));
    let made = world.fixture.backup(&world.disk.store().faulty(plan), &streams(1)).await.unwrap();
    assert_eq!(copies(&world.disk.store(), &lines[0].id).await, 2, "it was stored anew");
    assert!(made.manifest.sources[0].base.is_empty());
    assert!(world.findings.all().iter().any(|found| found.message.contains("no backup can serve as a base")));
}

/// Lists that are hostile, although a trusted writer signed for them, cost nothing but a warning.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_hostile_sizes_are_not_adopted() {
    let (world, header, lines) = empty_and_a_list().await;
    let zeros = zstd::bulk::compress(&vec![b' '; 300 << 20], 1).unwrap();
    let mut cut = encode(&header, &lines).to_vec();
    cut.truncate(cut.len() / 2);
    let lied = [&[0x28, 0xB5, 0x2F, 0xFD, 0xE0][..], &u64::MAX.to_le_bytes()].concat();
    let bodies = [Bytes::new(), zeros.into(), vec![0; (64 << 20) + 1].into(), cut.into(), lied.into()];
    for body in bodies {
        let header = ListHeader { attempt: world.fixture.cx.clock.ulid().into(), ..header.clone() };
        world.leave_segment(&header, &lines, Some(body)).await;
    }
    let made = world.backup(&streams(1)).await;
    assert_eq!(made.sources[0].stats.reused_chunks, 0);
    let backups = world.fixture.backups().await;
    assert_eq!(world.fixture.read(&backups[0], 1).await.unwrap(), streams(1)[1].1);
}

/// Chunks that are listed with another size than their line says are stored anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_of_another_size_is_stored_anew() {
    let other = World::new().await;
    let world = other.copy();
    world.backup(&streams(1)).await;
    let store = world.disk.store();
    let (_, header, mut lines) = offered(&store, &Prefix::root()).await.remove(0);
    for (n, line) in lines.iter_mut().enumerate() {
        let key = layout::chunk(&name("shop"), &name("postgres"), &line.id, line.a);
        let body = store.get(&key, 64 << 20).await.unwrap();
        // The first as it was, then cut short, grown, and not there at all.
        match n {
            0 => _ = other.disk.store().put_new(&key, body).await.unwrap(),
            1 => _ = other.disk.store().put_new(&key, body.slice(1..)).await.unwrap(),
            2 => _ = other.disk.store().put_new(&key, [&body[..], b"x"].concat().into()).await.unwrap(),
            _ => {}
        }
        line.n = 0;
    }
    assert!(lines.len() >= 2, "{lines:?}");
    other.leave_segment(&header, &lines, None).await;
    let made = other.backup(&streams(1)).await;
    assert_eq!(made.sources[0].stats.reused_chunks, 1);
    let backup = other.fixture.backups().await.remove(0);
    for (n, (_, bytes)) in streams(1).iter().enumerate() {
        assert_eq!(other.fixture.read(&backup, n as u32).await.unwrap(), bytes.as_ref());
    }
}
