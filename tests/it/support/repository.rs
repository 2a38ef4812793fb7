//! A repository with keys of its own, and captures of bytes that a test makes up.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use lifeboat::clock;
use lifeboat::context::Context;
use lifeboat::model::{
    CaptureSummary, Consistency, DedupPin, Name, Role, RunId, SourceFailure, SourceStream, StoreUrl, StreamItem, Trust,
};
use lifeboat::repository::{
    Attempt, AttemptSpec, Backup, CommitRequest, Committed, DedupKey, Identities, NewRepository, Repository,
    RepositoryError, Run, SigningKey, Tuning, Writer, generate_identity,
};
use lifeboat::store::Store;

#[derive(Clone)]
pub struct Fixture {
    pub store: Store,
    pub trust: Trust,
    pub dedup: DedupKey,
    pub writer_pem: String,
    /// Private keys of all four roles.
    pub keys: BTreeMap<Role, SigningKey>,
    pub tuning: Tuning,
    /// Content of an identity file.
    pub identity: String,
    pub identities: Arc<Identities>,
    pub cx: Context,
}

/// Small segments, so that a small capture has several and a crash leaves something to adopt.
pub const TUNING: Tuning = Tuning { workers: 2, uploads: 4, segment_bytes: 300_000, read_back: 4 };

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Fixture {
    pub async fn memory() -> Self {
        Self::in_store(Store::memory(clock::system()), 1).await
    }

    /// Repository id and dedup key come from `seed`, so that the same bytes are cut at the same places at each run.
    pub async fn in_store(store: Store, seed: u8) -> Self {
        Self::with_context(store, seed, Context::silent()).await
    }

    pub async fn with_context(store: Store, seed: u8, cx: Context) -> Self {
        let (first, second) = (generate_identity(), generate_identity());
        let recipients = vec![first.recipient.clone(), second.recipient];
        let (operator, writer) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let (prover, collector) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let dedup = DedupKey::parse(&format!("{seed:02x}").repeat(32)).unwrap();
        let id = ulid::Ulid::from(u128::from(seed)).into();
        let trust = Trust {
            repositories: vec![id],
            operator: operator.public(),
            writer: vec![writer.public()],
            prover: vec![prover.public()],
            collector: vec![collector.public()],
            recipients: recipients.clone(),
            dedup: Some(DedupPin { id: "k1".into(), check: dedup.check() }),
        };
        let new = NewRepository {
            id,
            url: "file:///repository".parse::<StoreUrl>().unwrap(),
            config: cx.clock.ulid().into(),
            created: cx.clock.now(),
            recipients,
            dedup: dedup.clone(),
            keys: vec![
                (Role::Writer, writer.public()),
                (Role::Prover, prover.public()),
                (Role::Collector, collector.public()),
            ],
            operator,
        };
        let keys = [(Role::Operator, new.operator.clone()), (Role::Writer, writer.clone()), (Role::Prover, prover)];
        let keys = keys.into_iter().chain([(Role::Collector, collector)]).collect();
        Repository::create(store.clone(), new).await.unwrap();
        let identities = Arc::new(Identities::parse(first.file.expose()).unwrap());
        let (writer_pem, identity) = (writer.to_pem().expose().clone(), first.file.expose().clone());
        Self { store, trust, dedup, writer_pem, keys, tuning: TUNING, identity, identities, cx }
    }

    pub async fn open(&self, store: &Store) -> Result<(Repository, Writer), RepositoryError> {
        let repository = Repository::open(store.clone(), Some(self.trust.clone())).await?;
        let signing = SigningKey::from_pem(&self.writer_pem).unwrap();
        let writer = repository.writer(self.dedup.clone(), signing, self.tuning)?;
        Ok((repository, writer))
    }

    /// A whole backup of one source, through `store`, which may be a faulty view of ours.
    pub async fn backup(&self, store: &Store, streams: &[(&str, Bytes)]) -> Result<Committed, RepositoryError> {
        let (repository, writer) = self.open(store).await?;
        let run = repository.start_run(&name("shop"), self.cx.clock.ulid().into()).await?;
        self.capture(&repository, &run, &writer, streams).await?;
        self.commit(&repository, &run, &writer).await
    }

    pub async fn capture(
        &self,
        repository: &Repository,
        run: &Run,
        writer: &Writer,
        streams: &[(&str, Bytes)],
    ) -> Result<(), RepositoryError> {
        let mut attempt = self.begin(repository, run, writer).await?;
        for (stream, bytes) in streams {
            attempt.write(stream_of(stream, bytes.clone())).await?;
        }
        attempt.finish(self.summary()).await.map(drop)
    }

    pub async fn begin(&self, repository: &Repository, run: &Run, writer: &Writer) -> Result<Attempt, RepositoryError> {
        let spec = AttemptSpec {
            source: name("postgres"),
            kind: "postgres".into(),
            method: "archive".into(),
            attempt: self.cx.clock.ulid().into(),
            estimate_bytes: 0,
            files: Default::default(),
        };
        repository.begin(run, spec, writer, &self.cx).await
    }

    pub async fn commit(
        &self,
        repository: &Repository,
        run: &Run,
        writer: &Writer,
    ) -> Result<Committed, RepositoryError> {
        let request = CommitRequest {
            asked: vec![name("postgres")],
            failed: Vec::new(),
            skipped: Vec::new(),
            tags: Default::default(),
            started: self.cx.clock.now(),
        };
        repository.commit(run, request, writer, &self.cx).await
    }

    pub fn summary(&self) -> CaptureSummary {
        let now = self.cx.clock.now();
        CaptureSummary {
            consistency: Consistency { kind: "snapshot".into(), from: now, to: now, marker: Some("0/1".into()) },
            properties: serde_json::Value::Null,
            commands: Vec::new(),
            stderr: String::new(),
        }
    }

    /// Every listed backup, newest first.
    pub async fn backups(&self) -> Vec<Backup> {
        let (repository, _) = self.open(&self.store).await.unwrap();
        repository.catalog(None).await.unwrap().backups
    }

    pub async fn runs(&self) -> Vec<RunId> {
        self.backups().await.into_iter().map(|backup| backup.manifest.run).collect()
    }

    /// What a stream of a backup holds, every check of the reader passed.
    pub async fn read(&self, backup: &Backup, stream: u32) -> Result<Vec<u8>, SourceFailure> {
        let (repository, _) = self.open(&self.store).await.unwrap();
        let entry = &backup.manifest.sources[0];
        let reader = repository
            .open_capture(backup, entry, self.identities.clone())
            .await
            .map_err(lifeboat::repository::as_failure)?;
        let chunks: Vec<Bytes> = reader.read(stream).try_collect().await?;
        Ok(chunks.concat())
    }
}

pub fn stream_of(name: &str, bytes: Bytes) -> SourceStream {
    let pieces: Vec<_> = bytes.chunks(64 << 10).map(Bytes::copy_from_slice).map(StreamItem::Bytes).map(Ok).collect();
    let items = futures::stream::iter(pieces).boxed();
    SourceStream { name: name.into(), media: "application/octet-stream".into(), items }
}

/// Bytes that neither compress nor repeat, the same for the same seed (xorshift64*).
pub fn noise(seed: u64, bytes: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes()
    });
    words.flatten().take(bytes).collect()
}
