//! A year of backups, proofs, retention and collection, day by day, with faults on most days.
//!
//! Three sources: two are well, the third fails every night from the eleventh on. What is kept at the end of each
//! quarter is compared with what `golden/` says, `UPDATE=1` writes it anew, for a person to read; and each day with an
//! oracle of its own. The year of nightly backups is whole in `make test`, the other two in `make simulate` and `make soak`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt as _;
use jiff::tz::TimeZone;

use super::{oracle, say, trials};
use crate::config::{Period, Retention};
use crate::context::Context;
use crate::model::{
    CaptureProof, DocumentId, FORMAT, FailedSource, Key, Level, Name, PREDICATE_TYPE, Prefix, Proof, RunId,
    STATEMENT_TYPE, Statement, Subject, SubjectDigest, Timestamp,
};
use crate::plan::{AT_A_TIME, Candidate, CaptureState, Fate, retention};
use crate::repository::{Backup, CommitRequest, Repository, RepositoryError, documents, layout, sign};
use crate::simulation::actors::store;
use crate::simulation::cast::{Cast, ORIGIN, collector_key, name, prover_key};
use crate::simulation::executor::{self, Executor};
use crate::simulation::tests::stories::QUIET;
use crate::simulation::watch::Watch;
use crate::simulation::world::{DAY, HOUR, Millis, Step};
use crate::store::{ErrorKind, Fault, FaultPlan, When};

const DAYS: i64 = 365;
/// Nights on which the third source is well still.
const WELL: i64 = 10;
const GRACE: Millis = 7 * DAY;

struct Plan {
    rules: Retention,
    limit: Option<u32>,
    /// A backup of the first source at each hour, too.
    hourly: bool,
    /// As far as `make test` goes, and `make soak`.
    days: [i64; 2],
    golden: &'static str,
}

/// A backup as the year remembers it.
struct Made {
    at: Millis,
    keys: BTreeSet<Key>,
    sources: Vec<Name>,
    failed: Vec<Name>,
    proved: bool,
    expired: Option<Millis>,
}

struct Year {
    cast: Rc<Cast>,
    executor: Executor,
    plan: Plan,
    sources: [Name; 3],
    /// What each source holds, and how many contents there were.
    held: BTreeMap<Name, Vec<u64>>,
    contents: u64,
    made: BTreeMap<RunId, Made>,
    watch: Watch,
    worst: f64,
}

impl Year {
    fn new(plan: Plan) -> Self {
        let executor = Executor::start();
        let cast = Cast::new(&executor, 7, QUIET, 0);
        let sources = ["db", "files", "bad"].map(name);
        let (held, contents, made, watch, worst) = (BTreeMap::new(), 0, BTreeMap::new(), Watch::default(), 0.0);
        Self { cast, executor, plan, sources, held, contents, made, watch, worst }
    }

    fn repository(&self) -> Repository {
        self.cast.places[usize::from(ORIGIN)].repository.clone()
    }

    /// Runs one piece of work; pauses in it take the world's time.
    fn run<T: 'static>(
        &self,
        work: impl Future<Output = Result<T, RepositoryError>> + 'static,
    ) -> Result<T, RepositoryError> {
        let result = Rc::new(std::cell::RefCell::new(None));
        let put = result.clone();
        executor::spawn(1, async move { *put.borrow_mut() = Some(work.await) });
        self.executor.run_until_parked();
        while result.borrow().is_none() {
            let step = self.cast.world.step(&self.executor, &[]);
            assert!(step == Step::Went || result.borrow().is_some(), "it waits for nothing");
        }
        result.borrow_mut().take().expect("it has just been seen")
    }

    fn context(&self) -> Context {
        self.cast.enter(ORIGIN, 0).1
    }

    /// Three of twelve chunks are new each time.
    fn chunks(&mut self, source: &Name) -> Vec<Bytes> {
        let held = self.held.entry(source.clone()).or_default();
        for n in 0..3 {
            self.contents += 1;
            if held.len() < 12 {
                held.push(self.contents);
            } else {
                held[((self.contents * 5 + n) % 12) as usize] = self.contents;
            }
        }
        held.iter().map(|content| Bytes::from(format!("content {content:08} {}", "x".repeat(100)))).collect()
    }

    fn backup(&mut self, day: i64, hour: i64) {
        let nightly = hour == 2;
        let asked: Vec<Name> = if nightly { self.sources.to_vec() } else { vec![self.sources[0].clone()] };
        let crashes = if nightly { day % 37 == 20 } else { (day * 24 + hour) % 101 == 50 };
        let work: Vec<(Name, Vec<Bytes>, Option<usize>)> = asked
            .iter()
            .map(|source| {
                let breaks = (*source == self.sources[2] && day >= WELL).then_some(2);
                (source.clone(), self.chunks(source), breaks)
            })
            .collect();
        // A lost reply and a call without an answer, each day elsewhere.
        let plan = FaultPlan::new()
            .with(When::Call(day.unsigned_abs() % 45 + 1), Fault::LoseReply)
            .with(When::Call(day.unsigned_abs() * 7 % 50 + 1), Fault::Fail(ErrorKind::Unavailable));
        let whole = self.repository();
        let (_, cx) = self.cast.enter(ORIGIN, 0);
        let timed = whole.store().with_clock(cx.clock.clone());
        let repository = whole.over(timed.faulty(plan));
        let cast = self.cast.clone();
        let done = self.run(async move {
            let run = repository.start_run(&cast.policy, cx.clock.ulid().into()).await?;
            let mut failed: Vec<FailedSource> = Vec::new();
            for (source, chunks, breaks) in work {
                failed.extend(store(&cast, &repository, &run, &source, chunks, breaks, &cx).await?);
            }
            if crashes {
                return Ok(None);
            }
            let (skipped, tags, started) = (Vec::new(), BTreeMap::new(), cx.clock.now());
            let request = CommitRequest { asked, failed, skipped, tags, started };
            repository.commit(&run, request, cast.writer(ORIGIN), &cx).await.map(Some)
        });
        let Some(committed) = done.unwrap() else { return };
        let run = committed.manifest.run;
        let created = self.cast.world.now();
        let backup = Backup {
            created: Timestamp::from_millisecond(created).unwrap(),
            sha256: committed.sha256,
            proofs: Vec::new(),
            manifest: committed.manifest,
        };
        let (whole, policy) = (self.repository(), self.cast.policy.clone());
        let of = backup.clone();
        let keys = self.run(async move {
            let mut keys = BTreeSet::from([layout::manifest(&policy, run)]);
            for entry in &of.manifest.sources {
                keys.extend(documents(&policy, run, entry).into_iter().map(|(key, _)| key));
                let list = whole.chunk_list(&of, entry).await?;
                keys.extend(list.lines().map(|line| list.key(line)));
            }
            Ok(keys)
        });
        let sources = backup.manifest.sources.iter().map(|entry| entry.name.clone()).collect();
        let failed = backup.manifest.failed_sources.iter().map(|failed| failed.name.clone()).collect();
        let proved = nightly && day % 3 != 1;
        self.made.insert(run, Made { at: created, keys: keys.unwrap(), sources, failed, proved, expired: None });
        if proved {
            self.prove(&backup);
        }
    }

    fn prove(&self, backup: &Backup) {
        let (repository, cx) = (self.repository(), self.context());
        let manifest = &backup.manifest;
        let captures = manifest.sources.iter().map(|entry| CaptureProof {
            source: entry.name.clone(),
            reached: Some(Level::Opened),
            objects: 0,
            bytes: 0,
            rows: None,
            steps: Vec::new(),
        });
        let id: DocumentId = cx.clock.ulid().into();
        let key = layout::proof(&manifest.policy, manifest.run, id);
        let name = layout::manifest(&manifest.policy, manifest.run).to_string();
        let predicate = Proof {
            format: FORMAT,
            id,
            repository: manifest.repository,
            policy: manifest.policy.clone(),
            run: manifest.run,
            level: Level::Opened,
            passed: true,
            captures: captures.collect(),
            damaged: Vec::new(),
            started: cx.clock.now(),
            finished: cx.clock.now(),
            lifeboat: "simulated".into(),
            tools: Vec::new(),
            asked_by: "simulated".into(),
            weakened_by: Vec::new(),
            detail: None,
        };
        let statement = Statement {
            statement_type: STATEMENT_TYPE.into(),
            subject: vec![Subject { name, digest: SubjectDigest { sha256: backup.sha256 } }],
            predicate_type: PREDICATE_TYPE.into(),
            predicate,
        };
        let body = sign(&statement, &prover_key()).unwrap();
        repository.store().put_new(&key, body).now_or_never().unwrap().unwrap();
    }

    fn listed(&self) -> Vec<Backup> {
        let (repository, policy) = (self.repository(), self.cast.policy.clone());
        let catalog = self.run(async move { repository.catalog(Some(&policy)).await }).unwrap();
        assert_eq!((catalog.invalid, catalog.lost), (vec![], vec![]));
        catalog.backups
    }

    /// Lets expire what the rules do not keep.
    fn prune(&mut self) {
        let backups = self.listed();
        let before: BTreeSet<RunId> = backups.iter().map(|backup| backup.manifest.run).collect();
        let candidates: Vec<Candidate> = backups.iter().map(candidate).collect();
        let now = Timestamp::from_millisecond(self.cast.world.now()).unwrap();
        let decision = retention(&candidates, &self.plan.rules, self.plan.limit, now);
        assert_eq!(decision.doubts, []);
        for verdict in decision.backups.iter().filter(|verdict| verdict.fate == Fate::Expire) {
            let sha256 = backups.iter().find(|backup| backup.manifest.run == verdict.run).unwrap().sha256;
            let (repository, cx, policy, run) =
                (self.repository(), self.context(), self.cast.policy.clone(), verdict.run);
            let put = self.run(async move {
                let role = repository.collector(collector_key())?;
                repository.expire(&policy, run, sha256, "no rule".into(), &role, &cx).await
            });
            put.unwrap();
            self.made.get_mut(&run).unwrap().expired = Some(self.cast.world.now());
        }
        self.compare_with_oracle(&before);
    }

    /// What is left of all that was ever made is what the rules say of all that was ever made.
    fn compare_with_oracle(&self, listed_before: &BTreeSet<RunId>) {
        let time = |made: &Made| Timestamp::from_millisecond(made.at).unwrap();
        let all = self.made.iter().map(|(run, made)| oracle::Seen {
            at: time(made),
            proved: made.proved,
            sources: &made.sources,
            failed: &made.failed,
            listed: listed_before.contains(run),
        });
        let wanted = oracle::keeps(&all.collect::<Vec<_>>(), &self.sources, &self.plan.rules);
        let left: BTreeSet<Timestamp> = self.made.values().filter(|made| made.expired.is_none()).map(time).collect();
        let lost: Vec<_> = wanted.difference(&left).collect();
        let more: Vec<_> = left.difference(&wanted).collect();
        assert_eq!(
            (lost, more),
            (Vec::new(), Vec::new()),
            "at {}: kept too little, and too much",
            Timestamp::from_millisecond(self.cast.world.now()).unwrap()
        );
    }

    fn collect(&self) {
        let (repository, cx, policy, sources) =
            (self.repository(), self.context(), self.cast.policy.clone(), self.sources.to_vec());
        let collected = self.run(async move {
            let role = repository.collector(collector_key())?;
            let sweep = repository.sweep(&policy, &sources, None).await?;
            repository.collect(&sweep, &role, &cx).await
        });
        collected.unwrap();
    }

    /// What must hold at any time.
    fn check(&mut self, day: i64) {
        let now = self.cast.world.now();
        let list = self.repository().store().list_all(&Prefix::root()).now_or_never().unwrap().unwrap();
        let stored: BTreeMap<&Key, _> = list.iter().map(|object| (&object.key, object)).collect();
        let mut live = BTreeSet::new();
        for (run, made) in &self.made {
            if made.expired.is_none_or(|since| now - since < GRACE) {
                let missing = made.keys.iter().find(|key| !stored.contains_key(key));
                assert_eq!(missing, None, "day {day}: backup {run} of {} needs it", made.at);
                live.extend(&made.keys);
            }
        }
        let is_data = |key: &Key| key.as_str().starts_with("data/");
        let mut bytes = (0, 0);
        for object in list.iter().filter(|object| is_data(&object.key)) {
            bytes.0 += object.bytes;
            let young = now - object.created.as_millisecond() < GRACE;
            bytes.1 += if live.contains(&object.key) || young { object.bytes } else { 0 };
        }
        let share = bytes.0 as f64 / bytes.1 as f64;
        self.worst = self.worst.max(share);
        assert!(share <= 1.1, "day {day}: {} bytes are stored, and {} are needed", bytes.0, bytes.1);
        // The newest capture of each source, however often a newer run lacks it.
        for source in &self.sources {
            let newest = self.made.values().filter(|made| made.sources.contains(source)).max_by_key(|made| made.at);
            assert!(newest.is_none_or(|made| made.expired.is_none()), "day {day}: the newest {source} has expired");
        }
    }

    fn restore_all(&mut self) -> u64 {
        self.watch = Watch::default();
        for backup in self.listed() {
            self.watch.learn(&self.executor, &self.cast, ORIGIN, backup.manifest.run).unwrap();
        }
        self.watch.restore_all(&self.executor, &self.cast).unwrap()
    }

    /// Times of the backups that are listed, with their sources.
    fn kept(&self) -> String {
        let mut lines: Vec<(Millis, String)> = Vec::new();
        for backup in self.listed() {
            let made = &self.made[&backup.manifest.run];
            let hour = Timestamp::from_millisecond(made.at).unwrap().to_zoned_datetime(TimeZone::UTC);
            let names: Vec<String> = made.sources.iter().map(ToString::to_string).collect();
            lines.push((made.at, format!("{} {}\n", hour.strftime("%Y-%m-%d %H"), names.join(" "))));
        }
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

fn candidate(backup: &Backup) -> Candidate {
    let manifest = &backup.manifest;
    let captures = manifest.sources.iter().map(|entry| CaptureState {
        source: entry.name.clone(),
        level: backup.proved(&entry.name).map(|(level, _)| level),
        failed: false,
        seen: None,
    });
    Candidate {
        run: manifest.run,
        stored: backup.created,
        committed: backup.committed(),
        finished: manifest.finished,
        tags: manifest.tags.clone(),
        hold: None,
        given_up: false,
        locked_until: None,
        captures: captures.collect(),
        failed_sources: manifest.failed_sources.iter().map(|failed| failed.name.clone()).collect(),
    }
}

fn year(title: &str, plan: Plan) {
    let (begin, golden) = (Instant::now(), plan.golden);
    let mut year = Year::new(plan);
    let mut kept = String::new();
    let start = year.cast.world.now();
    let [short, long] = year.plan.days;
    let days = if trials().is_none() { short } else { long };
    for day in 0..days {
        for hour in 0..24 {
            let at = start + day * DAY + hour * HOUR;
            year.cast.world.advance(at - year.cast.world.now());
            match hour {
                2 => year.backup(day, hour),
                _ if year.plan.hourly => year.backup(day, hour),
                _ => {}
            }
            if hour == 4 {
                year.prune();
                year.collect();
                year.check(day);
            }
        }
        if matches!(day, 13 | 60) || day % 91 == 90 || day == DAYS - 1 {
            _ = write!(kept, "day {day}\n{}", year.kept());
            year.restore_all();
        }
    }
    say(&format!(
        "{title}: {} backups, {} kept, at most {:.1} % more stored than needed, {:.1} s",
        year.made.len(),
        year.listed().len(),
        (year.worst - 1.0) * 100.0,
        begin.elapsed().as_secs_f64()
    ));
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/simulation/golden").join(golden);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &kept).unwrap();
    }
    let wanted = std::fs::read_to_string(&file).unwrap();
    assert!(
        !kept.is_empty() && wanted.starts_with(&kept),
        "{title}: what is kept is not what {} says:\n{kept}",
        file.display()
    );
}

#[test]
fn a_year_of_days() {
    let rules = Retention {
        daily: Some(14),
        weekly: Some(8),
        monthly: Some(12),
        time_zone: TimeZone::get("Europe/Berlin").unwrap(),
        ..Retention::default()
    };
    year("days", Plan { rules, limit: Some(AT_A_TIME), hourly: false, days: [DAYS, DAYS], golden: "days.txt" });
}

#[test]
fn a_year_within_thirty_days() {
    let within: Period = "30d".parse().unwrap();
    let rules = Retention { within: Some(within), last: Some(3), never_below: 5, ..Retention::default() };
    year("within", Plan { rules, limit: Some(AT_A_TIME), hourly: false, days: [61, DAYS], golden: "within.txt" });
}

#[test]
fn a_year_of_hours() {
    let rules = Retention { hourly: Some(48), daily: Some(7), monthly: Some(6), ..Retention::default() };
    year("hours", Plan { rules, limit: None, hourly: true, days: [14, DAYS], golden: "hours.txt" });
}
