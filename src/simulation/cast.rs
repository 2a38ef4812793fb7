//! What the actors share: two repositories, the keys, and what each capture really held.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::event::Silent;
use crate::model::{AttemptId, Name, Role, RunId, StoreUrl, Timestamp};
use crate::repository::{
    DedupKey, Identities, NewRepository, Repository, SigningKey, Tuning, Writer, generate_identity,
};
use crate::simulation::executor::Executor;
use crate::simulation::world::{ActorClock, Door, Luck, Millis, World};
use crate::store::MemoryDisk;

pub const POLICY: &str = "shop";
pub const SOURCES: [&str; 2] = ["db", "files"];
/// The origin, and where copies go.
pub const ORIGIN: u8 = 0;
pub const COPIES: u8 = 1;

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

/// A key whose secret half is this byte, many times.
fn signing_key(byte: u8) -> SigningKey {
    let prefix = hex::decode("302e020100300506032b657004220420").expect("hexadecimal");
    let der = BASE64_STANDARD.encode([&prefix[..], &[byte; 32]].concat());
    SigningKey::from_pem(&format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n")).expect("a key")
}

pub fn collector_key() -> SigningKey {
    signing_key(3)
}

pub fn prover_key() -> SigningKey {
    signing_key(4)
}

/// One repository.
pub struct Place {
    pub disk: MemoryDisk,
    /// Straight to the disk: for the harness, which is not there.
    pub repository: Repository,
    pub writer: Writer,
}

pub struct Cast {
    pub world: Arc<World>,
    pub places: [Place; 2],
    pub policy: Name,
    pub sources: Vec<Name>,
    pub identities: Arc<Identities>,
    /// Once in so many times, retention and collectors work on the copies.
    pub copies: u32,
    /// Runs that a leader announced, for workers and other leaders.
    pub board: RefCell<Vec<RunId>>,
    /// What each attempt read.
    pub read: RefCell<HashMap<AttemptId, Vec<u8>>>,
    /// What each source holds at the moment, by content.
    pub held: RefCell<HashMap<Name, Vec<u8>>>,
}

impl Cast {
    /// An empty pair of repositories. An executor must be running: creating seals and signs.
    pub fn new(_executor: &Executor, seed: u64, luck: Luck, copies: u32) -> Rc<Self> {
        let world = World::new(seed, start(), luck);
        let identity = generate_identity();
        let identities = Arc::new(Identities::parse(identity.file.expose()).expect("an identity"));
        let places = [0, 1].map(|n| place(&world, n, &identity.recipient));
        Rc::new(Self {
            world,
            places,
            policy: name(POLICY),
            sources: SOURCES.map(name).to_vec(),
            identities,
            copies,
            board: RefCell::default(),
            read: RefCell::default(),
            held: RefCell::default(),
        })
    }

    /// The repository as an actor reaches it, and the actor's context. Its clock is wrong by `skew`.
    pub fn enter(&self, place: u8, skew: Millis) -> (Repository, Context) {
        let clock = Arc::new(ActorClock { world: self.world.clone(), skew });
        let door = Arc::new(Door { world: self.world.clone(), place });
        let at = &self.places[usize::from(place)];
        let repository = at.repository.over(at.disk.store().gated(door, clock.clone()));
        (repository, Context { monitor: Arc::new(Silent), clock, cancel: CancellationToken::new() })
    }

    pub fn writer(&self, place: u8) -> &Writer {
        &self.places[usize::from(place)].writer
    }
}

fn place(world: &Arc<World>, n: u8, recipient: &str) -> Place {
    let disk = MemoryDisk::new(Arc::new(ActorClock { world: world.clone(), skew: 0 }));
    let dedup = || DedupKey::parse(&"5a".repeat(32)).expect("a key");
    let [operator, writer, collector, prover] = [1, 2, 3, 4].map(signing_key);
    let id = |low| ulid::Ulid::from_parts(start().as_millisecond().unsigned_abs(), low);
    let new = NewRepository {
        id: id(u128::from(n)).into(),
        url: StoreUrl::Local("/simulated".into()),
        config: id(10 + u128::from(n)).into(),
        created: start(),
        recipients: vec![recipient.to_owned()],
        dedup: dedup(),
        operator,
        keys: vec![
            (Role::Writer, writer.public()),
            (Role::Collector, collector.public()),
            (Role::Prover, prover.public()),
        ],
    };
    let opened = async {
        Repository::create(disk.store(), new).await?;
        Repository::open(disk.store(), None).await
    };
    let repository = opened.now_or_never().expect("memory answers at once").expect("an empty repository");
    let tuning = Tuning { workers: 2, uploads: 2, segment_bytes: 60, read_back: 1 };
    let writer = repository.writer(dedup(), writer, tuning).expect("the writer's role");
    Place { disk, repository, writer }
}
