//! What needs time, told one step after the other on the real code.

use std::rc::Rc;

use futures::FutureExt as _;

use crate::context::Context;
use crate::model::{Key, Prefix, RunId};
use crate::repository::{Catalog, ErrorClass, Repository, RepositoryError, Run, Sweep, layout};
use crate::simulation::actors::{capture, commit};
use crate::simulation::cast::{Cast, ORIGIN, collector_key};
use crate::simulation::executor::Executor;
use crate::simulation::random::Random;
use crate::simulation::watch::{Watch, inside};
use crate::simulation::world::{DAY, HOUR, Luck, Millis};
use crate::store::{ErrorKind, Fault, FaultPlan, When};

pub const QUIET: Luck = Luck { crash: 0, sleep: 0, jump: 0, delay: 0, tombstones: 0, fail: 0, lose_reply: 0, stale: 0 };

struct Story {
    cast: Rc<Cast>,
    watch: Watch,
    executor: Executor,
}

impl Story {
    fn begin(seed: u64) -> Self {
        let executor = Executor::start();
        let cast = Cast::new(&executor, seed, QUIET, 0);
        Self { executor, cast, watch: Watch::default() }
    }

    /// Runs one step to its end.
    fn run<T: 'static, F>(&self, step: impl FnOnce(Rc<Cast>, Repository, Context) -> F) -> Result<T, RepositoryError>
    where
        F: Future<Output = Result<T, RepositoryError>> + 'static,
    {
        let (_, cx) = self.cast.enter(ORIGIN, 0);
        let repository = self.repository().clone();
        let work = step(self.cast.clone(), repository, cx);
        inside(&self.executor, async move { Ok(work.await) }).expect("memory answers at once")
    }

    fn repository(&self) -> &Repository {
        &self.cast.places[usize::from(ORIGIN)].repository
    }

    fn pass(&self, time: Millis) {
        self.cast.world.advance(time);
    }

    fn start(&self) -> Run {
        self.run(|cast, repository, cx| async move { repository.start_run(&cast.policy, cx.clock.ulid().into()).await })
            .unwrap()
    }

    fn capture(&self, run: &Run, seed: u64) -> Result<(), RepositoryError> {
        let run = run.clone();
        self.run(move |cast, repository, cx| async move {
            let mut random = Random::new(seed);
            capture(&cast, &repository, &run, &cast.sources[0], &mut random, 0, &cx).await
        })
    }

    fn commit(&mut self, run: &Run) -> Result<(), RepositoryError> {
        let of = run.clone();
        self.run(move |cast, repository, cx| async move { commit(&cast, &repository, &of, &cx).await })?;
        self.watch.learn(&self.executor, &self.cast, ORIGIN, run.id).unwrap();
        Ok(())
    }

    fn backup(&mut self, seed: u64) -> RunId {
        let run = self.start();
        self.capture(&run, seed).unwrap();
        self.commit(&run).unwrap();
        run.id
    }

    fn catalog(&self) -> Catalog {
        self.run(|cast, repository, _| async move { repository.catalog(Some(&cast.policy)).await }).unwrap()
    }

    fn expire(&self, run: RunId) {
        let backup = self.catalog().backups.into_iter().find(|backup| backup.manifest.run == run).unwrap();
        self.run(move |cast, repository, cx| async move {
            let role = repository.collector(collector_key())?;
            repository.expire(&cast.policy, run, backup.sha256, "told to".into(), &role, &cx).await
        })
        .unwrap();
    }

    fn sweep(&self) -> Sweep {
        self.run(|cast, repository, _| async move { repository.sweep(&cast.policy, &cast.sources, None).await })
            .unwrap()
    }

    fn collect(&self, sweep: Sweep) -> Result<(), RepositoryError> {
        self.run(|_, repository, cx| async move {
            let role = repository.collector(collector_key())?;
            repository.collect(&sweep, &role, &cx).await.map(drop)
        })
    }

    fn keys(&self, prefix: &Prefix) -> Vec<Key> {
        let list = self.repository().store().list_all(prefix).now_or_never().unwrap().unwrap();
        list.into_iter().map(|object| object.key).collect()
    }

    /// Everything that is listed restores, nothing is wrong, and these are listed.
    fn holds(&self, listed: &[RunId]) {
        let catalog = self.catalog();
        assert_eq!((&catalog.invalid, &catalog.lost), (&vec![], &vec![]));
        let mut found: Vec<RunId> = catalog.backups.iter().map(|backup| backup.manifest.run).collect();
        found.sort_unstable();
        let mut listed = listed.to_vec();
        listed.sort_unstable();
        assert_eq!(found, listed);
        for run in listed {
            self.watch.restore(&self.executor, &self.cast, ORIGIN, run).unwrap();
        }
    }
}

#[test]
fn of_two_collectors_one_stands_still_for_a_week_before_it_deletes() {
    let mut story = Story::begin(1);
    let old = story.backup(1);
    story.pass(DAY);
    let kept = story.backup(2);
    story.expire(old);
    story.pass(8 * DAY);
    let late = story.sweep();
    assert!(late.runs.iter().any(|dead| dead.run == old), "{late:?}");
    // The other one is done at once, and life goes on for a week.
    story.collect(story.sweep()).unwrap();
    assert_eq!(story.keys(&layout::run(&story.cast.policy, old)), []);
    let mut listed = vec![kept];
    for day in 0..7 {
        listed.push(story.backup(3 + day));
        story.pass(DAY);
    }
    story.collect(late).unwrap();
    story.holds(&listed);
    // Also when nothing but the newest is kept.
    let newest = listed.pop().unwrap();
    listed.iter().for_each(|run| story.expire(*run));
    story.pass(8 * DAY);
    story.collect(story.sweep()).unwrap();
    story.holds(&[newest]);
}

#[test]
fn a_run_that_begins_anew_under_its_old_name_is_not_taken_for_the_old_one() {
    let mut story = Story::begin(2);
    let first = story.backup(1);
    let abandoned = story.start();
    story.pass(8 * DAY);
    let late = story.sweep();
    assert!(late.runs.iter().any(|dead| dead.run == abandoned.id), "{late:?}");
    story.collect(story.sweep()).unwrap();
    let again = story
        .run(move |cast, repository, _| async move { repository.start_run(&cast.policy, abandoned.id).await })
        .unwrap();
    story.capture(&again, 2).unwrap();
    story.commit(&again).unwrap();
    story.collect(late).unwrap();
    story.holds(&[first, again.id]);
}

#[test]
fn a_run_whose_note_is_gone_is_not_joined() {
    let mut story = Story::begin(3);
    story.backup(1);
    let abandoned = story.start();
    story.pass(8 * DAY);
    story.collect(story.sweep()).unwrap();
    let joined =
        story.run(move |cast, repository, _| async move { repository.join_run(&cast.policy, abandoned.id).await });
    assert!(matches!(joined, Err(RepositoryError::Store { source, .. }) if source.kind() == ErrorKind::NotFound));
    assert_eq!(story.keys(&layout::run(&story.cast.policy, abandoned.id)), []);
}

#[test]
fn a_writer_that_outlives_its_deadline_commits_nothing_and_its_space_comes_back() {
    let mut story = Story::begin(4);
    let first = story.backup(1);
    let before = story.keys(&Prefix::root());
    for late_before_part in [true, false] {
        let run = story.start();
        if late_before_part {
            story.pass(73 * HOUR);
            let error = story.capture(&run, 2).unwrap_err();
            assert!(matches!(error, RepositoryError::Deadline { .. }), "{error}");
            assert_eq!(error.class(), ErrorClass::Failed, "{error}");
            assert!(matches!(story.commit(&run), Err(RepositoryError::NothingCaptured { .. })));
        } else {
            story.capture(&run, 3).unwrap();
            story.pass(73 * HOUR);
            assert!(matches!(story.commit(&run), Err(RepositoryError::Deadline { .. })));
        }
    }
    assert!(story.keys(&Prefix::root()).len() > before.len());
    story.holds(&[first]);
    story.pass(8 * DAY);
    story.collect(story.sweep()).unwrap();
    assert_eq!(story.keys(&Prefix::root()), before);
    story.holds(&[first]);
}

#[test]
fn a_collector_that_is_killed_at_any_call_leaves_work_that_the_next_one_ends() {
    let mut calls = 0;
    for killed_at in 1.. {
        let mut story = Story::begin(5);
        let old = story.backup(1);
        story.pass(DAY);
        let kept = story.backup(7);
        story.expire(old);
        story.pass(8 * DAY);
        let sweep = story.sweep();
        let plan = FaultPlan::new().with(When::From(killed_at), Fault::Fail(ErrorKind::Other));
        let dying = story.repository().over(story.repository().store().faulty(plan));
        let ended = story.run(|_, repository, cx| async move {
            let role = repository.collector(collector_key())?;
            dying.collect(&sweep, &role, &cx).await.map(drop)
        });
        story.holds(&[kept]);
        let (next, doubts) = (story.sweep(), story.sweep().doubts);
        assert_eq!(doubts, [], "call {killed_at}");
        story.collect(next).unwrap();
        story.holds(&[kept]);
        assert_eq!(story.keys(&layout::run(&story.cast.policy, old)), [], "call {killed_at}");
        let named = story.sweep();
        assert_eq!((named.dead().objects, named.runs.len()), (0, 0), "call {killed_at}");
        if ended.is_ok() {
            calls = killed_at;
            break;
        }
    }
    assert!(calls > 10, "{calls} calls");
}
