//! One repository in a bucket that lives through many trials: nothing stored is ever lost by any of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use lifeboat::model::{FailureClass, Level, Prefix, RunId};
use lifeboat::repository::{ErrorClass, Repository, RepositoryError, Run};
use lifeboat::store::Store;
use lifeboat::verify::{ProblemKind, Request, verify};

use crate::crash::world::{copies, offered};
use crate::support::clock::Hurried;
use crate::support::line::Line;
use crate::support::repository::{Fixture, name, noise};
use crate::support::servers::place::Place;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Backup,
    /// Its second half, as a process of its own.
    Commit,
    /// `verify --level hashed`, without a proof.
    Verify,
    /// What `cat` and `restore` read.
    Read,
}

pub const VERBS: [Verb; 4] = [Verb::Backup, Verb::Commit, Verb::Verify, Verb::Read];

/// How a verb ended; the texts are for a person who looks at a failure.
#[derive(Debug)]
#[expect(dead_code, reason = "the texts are read by Debug")]
pub enum End {
    Killed,
    Committed(RunId),
    Done,
    /// It said that bytes are damaged.
    Damage(String),
    Failed(String),
}

impl End {
    pub fn well(&self) -> bool {
        matches!(self, End::Committed(_) | End::Done)
    }
}

pub struct Life {
    pub line: Line,
    pub fixture: Fixture,
    /// The same repository behind the line.
    behind: Place,
    /// What the backups hold.
    pub known: BTreeMap<RunId, Bytes>,
    made: u64,
}

impl Life {
    /// Two backups, in a bucket of which others may use other parts: servers have not as many buckets as there are lives.
    pub async fn new(bucket: &Place) -> Self {
        let place = bucket.beside();
        let line = Line::to(place.port());
        let mut fixture = Fixture::in_store(place.store().await, 3).await;
        fixture.cx.clock = Arc::new(Hurried);
        let behind = place.through(&line.endpoint());
        let mut life = Self { line, fixture, behind, known: BTreeMap::new(), made: 0 };
        for _ in 0..2 {
            life.backup().await;
        }
        life
    }

    /// What nobody needs any more does not fill a disk.
    pub async fn end(&self) {
        for key in self.behind.list().await {
            self.behind.delete(&key).await;
        }
    }

    /// By the straight way.
    pub async fn backup(&mut self) -> RunId {
        let content = self.content();
        let made = self.fixture.backup(&self.fixture.store, &[("db/shop", content.clone())]).await.unwrap();
        self.known.insert(made.manifest.run, content);
        made.manifest.run
    }

    /// Most of it is as in the backup before.
    pub fn content(&mut self) -> Bytes {
        self.made += 1;
        [noise(1, 500_000), noise(self.made + 1, 250_000)].concat().into()
    }

    /// A new handle, by way of the line.
    pub async fn store(&self) -> Store {
        self.behind.store_at(Arc::new(Hurried)).await
    }

    /// What the verb is to do. A run that is to be committed was captured before.
    pub async fn work(&self, verb: Verb, content: &Bytes) -> Work {
        let mut work = Work {
            verb,
            fixture: self.fixture.clone(),
            content: content.clone(),
            known: self.known.clone(),
            run: None,
        };
        if verb == Verb::Commit {
            let (repository, writer) = self.fixture.open(&self.fixture.store).await.unwrap();
            let run = repository.start_run(&name("shop"), self.fixture.cx.clock.ulid().into()).await.unwrap();
            self.fixture.capture(&repository, &run, &writer, &[("db/shop", content.clone())]).await.unwrap();
            work.run = Some(run);
        }
        work
    }

    /// Does it while nothing happens, and says how many requests and calls of a store that were.
    pub async fn count(&mut self, verb: Verb) -> (u64, u64) {
        let content = self.content();
        let work = self.work(verb, &content).await;
        self.line.calm();
        let store = self.store().await.with_call_log();
        let end = work.perform(store.clone()).await;
        let counts = (self.line.requests(), store.calls().len() as u64);
        assert!(end.well() && counts.0 > 5 && counts.1 > 5, "{verb:?}: {end:?}, {counts:?}");
        self.look(&end, &content).await;
        counts
    }

    /// What is listed is whole, what was reported is listed, and what was there still is.
    pub async fn look(&mut self, end: &End, content: &Bytes) {
        let (repository, _) = self.fixture.open(&self.fixture.store).await.unwrap();
        let catalog = repository.catalog(None).await.unwrap();
        assert!(catalog.invalid.is_empty() && catalog.findings.is_empty(), "{catalog:?}");
        let listed: Vec<RunId> = catalog.backups.iter().map(|backup| backup.manifest.run).collect();
        assert!(self.known.keys().all(|run| listed.contains(run)), "what was there before is listed");
        if let End::Committed(run) = end {
            assert!(listed.contains(run), "what was reported is listed");
        }
        assert!(listed.len() <= self.known.len() + 1);
        for backup in &catalog.backups {
            if let Entry::Vacant(new) = self.known.entry(backup.manifest.run) {
                new.insert(content.clone());
                assert!(self.fixture.read(backup, 0).await.unwrap() == *content, "what is listed is whole");
            }
        }
    }

    /// The next backup succeeds, takes over what was sealed, and is whole.
    pub async fn goes_on(&mut self, content: &Bytes) {
        let store = &self.fixture.store;
        let sealed = offered(store, &Prefix::root()).await;
        let mut before = BTreeMap::new();
        for line in sealed.iter().flat_map(|(_, _, lines)| lines) {
            before.insert(line.id, copies(store, &line.id).await);
        }
        let made = self.fixture.backup(store, &[("db/shop", content.clone())]).await.unwrap();
        for (id, number) in before {
            assert_eq!(copies(store, &id).await, number, "chunk {id} was sealed already");
        }
        self.look(&End::Committed(made.manifest.run), content).await;
    }
}

/// What a verb does, as a process of its own.
#[derive(Clone)]
pub struct Work {
    pub verb: Verb,
    fixture: Fixture,
    content: Bytes,
    known: BTreeMap<RunId, Bytes>,
    run: Option<Run>,
}

impl Work {
    pub async fn perform(self, store: Store) -> End {
        let done = match (self.verb, &self.run) {
            (Verb::Commit, Some(run)) => self.commit(&store, run).await,
            (Verb::Backup | Verb::Commit, _) => {
                let made = self.fixture.backup(&store, &[("db/shop", self.content.clone())]).await;
                made.map(|made| End::Committed(made.manifest.run))
            }
            (Verb::Verify, _) => self.verify(&store).await,
            (Verb::Read, _) => self.read(&store).await,
        };
        done.unwrap_or_else(|error| match error.class() {
            ErrorClass::Failed => End::Failed(format!("{error:?}")),
            _ => End::Damage(format!("{error:?}")),
        })
    }

    async fn commit(&self, store: &Store, run: &Run) -> Result<End, RepositoryError> {
        let (repository, writer) = self.fixture.open(store).await?;
        let committed = self.fixture.commit(&repository, run, &writer).await?;
        Ok(End::Committed(committed.manifest.run))
    }

    async fn verify(&self, store: &Store) -> Result<End, RepositoryError> {
        let repository = &Repository::open(store.clone(), Some(self.fixture.trust.clone())).await?;
        let catalog = repository.catalog(None).await?;
        let backup = &catalog.backups[0];
        let request =
            Request { repository, backup, level: Level::Hashed, sample: None, identities: None, rehearsal: None };
        let checked = verify(&request, &backup.manifest.sources[0], &self.fixture.cx).await;
        let worst = checked.problems.iter().min_by_key(|problem| problem.kind);
        Ok(match worst.map(|problem| (problem.kind, problem.message.clone())) {
            None => End::Done,
            Some((ProblemKind::Damaged, message)) => End::Damage(message),
            Some((_, message)) => End::Failed(message),
        })
    }

    async fn read(&self, store: &Store) -> Result<End, RepositoryError> {
        let repository = Repository::open(store.clone(), Some(self.fixture.trust.clone())).await?;
        let catalog = repository.catalog(None).await?;
        // Not one that was made meanwhile.
        let backup = catalog.backups.iter().find(|backup| self.known.contains_key(&backup.manifest.run)).unwrap();
        let reader = repository.open_capture(backup, &backup.manifest.sources[0], self.fixture.identities.clone());
        Ok(match reader.await?.read(0).try_collect::<Vec<_>>().await {
            Ok(read) => {
                assert!(read.concat() == self.known[&backup.manifest.run], "wrong bytes are never given as right ones");
                End::Done
            }
            Err(failure) if failure.class == FailureClass::Damaged => End::Damage(failure.to_string()),
            Err(failure) => End::Failed(failure.to_string()),
        })
    }
}
