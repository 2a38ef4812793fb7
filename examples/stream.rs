//! For `make bench`: writes one file through the repository, and reads it back. Nothing else of lifeboat takes part.
//!
//! `stream backup REPOSITORY FILE` makes the repository if it is missing; `stream cat REPOSITORY` prints the newest.
//! A repository is a directory or the address of a bucket, with credentials from the environment.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use lifeboat::clock;
use lifeboat::context::Context;
use lifeboat::model::{
    BackupRef, CaptureSummary, Consistency, DedupPin, FailureClass, Role, SourceFailure, SourceStream, StoreUrl,
    StreamItem, Trust,
};
use lifeboat::repository::{
    AttemptSpec, CommitRequest, DedupKey, Identities, NewRepository, Repository, SigningKey, Tuning, generate_identity,
};
use lifeboat::store::{Access, Store, StoreSettings};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// As large as what a dump's pipe is read in.
const PIECE_BYTES: usize = 1 << 20;

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["backup", repository, file] => backup(&Place::new(repository)?, Path::new(file)).await,
        ["cat", repository] => cat(&Place::new(repository)?).await,
        _ => Err("usage: stream backup REPOSITORY FILE | stream cat REPOSITORY".into()),
    }
}

struct Place {
    url: StoreUrl,
    /// What the names of the key files begin with.
    keys: String,
}

impl Place {
    fn new(text: &str) -> Result<Self> {
        if text.contains("://") {
            return Ok(Self { url: text.parse()?, keys: "bucket".into() });
        }
        let path = std::path::absolute(text)?;
        Ok(Self { url: StoreUrl::local(&path)?, keys: path.display().to_string() })
    }

    /// Keys lie beside the repository, or in the current folder, as nobody's real keys should.
    fn key_file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}.{name}", self.keys))
    }
}

async fn create(place: &Place, cx: &Context) -> Result<()> {
    let url = &place.url;
    let (first, second) = (generate_identity(), generate_identity());
    let (operator, writer, dedup) = (SigningKey::generate()?, SigningKey::generate()?, DedupKey::generate()?);
    let trust = Trust {
        repositories: vec![cx.clock.ulid().into()],
        operator: operator.public(),
        writer: vec![writer.public()],
        prover: Vec::new(),
        collector: Vec::new(),
        recipients: vec![first.recipient.clone(), second.recipient],
        dedup: Some(DedupPin { id: "k1".into(), check: dedup.check() }),
    };
    let new = NewRepository {
        id: trust.repositories[0],
        url: url.clone(),
        config: cx.clock.ulid().into(),
        created: cx.clock.now(),
        recipients: trust.recipients.clone(),
        dedup: dedup.clone(),
        operator,
        keys: vec![(Role::Writer, writer.public())],
    };
    std::fs::write(place.key_file("trust"), serde_json::to_vec(&trust)?)?;
    std::fs::write(place.key_file("identity"), first.file.expose())?;
    std::fs::write(place.key_file("writer"), writer.to_pem().expose())?;
    std::fs::write(place.key_file("dedup"), dedup.to_text().expose())?;
    Repository::create(Store::create(url, &StoreSettings::default(), clock::system()).await?, new).await?;
    Ok(())
}

async fn open(place: &Place, access: Access) -> Result<Repository> {
    let store = Store::open(&place.url, &StoreSettings::default(), access, clock::system()).await?;
    let trust: Trust = serde_json::from_slice(&std::fs::read(place.key_file("trust"))?)?;
    Ok(Repository::open(store, Some(trust)).await?)
}

async fn backup(place: &Place, file: &Path) -> Result<()> {
    let cx = Context::silent();
    if !place.key_file("trust").exists() {
        create(place, &cx).await?;
    }
    let repository = open(place, Access::ReadWrite).await?;
    let text = |name| std::fs::read_to_string(place.key_file(name));
    let (dedup, signing) = (DedupKey::parse(&text("dedup")?)?, SigningKey::from_pem(&text("writer")?)?);
    let writer = repository.writer(dedup, signing, Tuning::default())?;
    let (policy, source) = ("bench".parse()?, "stream".parse()?);
    let (run, started) = (repository.start_run(&policy, cx.clock.ulid().into()).await?, cx.clock.now());
    let spec = AttemptSpec {
        source,
        kind: "files".into(),
        method: "stream".into(),
        attempt: cx.clock.ulid().into(),
        estimate_bytes: std::fs::metadata(file)?.len(),
        files: BTreeMap::new(),
    };
    let asked = vec![spec.source.clone()];
    let mut attempt = repository.begin(&run, spec, &writer, &cx).await?;
    let items = pieces(std::fs::File::open(file)?).boxed();
    attempt.write(SourceStream { name: "stream".into(), media: "application/octet-stream".into(), items }).await?;
    let consistency = Consistency { kind: "none".into(), from: started, to: cx.clock.now(), marker: None };
    let (properties, commands, stderr) = (serde_json::Value::Null, Vec::new(), String::new());
    attempt.finish(CaptureSummary { consistency, properties, commands, stderr }).await?;
    let (failed, skipped, tags) = (Vec::new(), Vec::new(), BTreeMap::new());
    repository.commit(&run, CommitRequest { asked, failed, skipped, tags, started }, &writer, &cx).await?;
    Ok(())
}

/// Read by a thread of its own straight into each piece, as a child's output is.
fn pieces(mut file: std::fs::File) -> impl futures::Stream<Item = std::result::Result<StreamItem, SourceFailure>> {
    let (send, receive) = tokio::sync::mpsc::channel(4);
    std::thread::spawn(move || {
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece);
            let failed =
                |error: std::io::Error| SourceFailure::new(FailureClass::Unreachable, "file", error.to_string());
            match read {
                Ok(0) => return,
                Ok(_) if send.blocking_send(Ok(StreamItem::Bytes(piece.into()))).is_err() => return,
                Ok(_) => {}
                Err(error) => _ = send.blocking_send(Err(failed(error))),
            }
        }
    });
    futures::stream::unfold(receive, |mut receive| async { receive.recv().await.map(|item| (item, receive)) })
}

async fn cat(place: &Place) -> Result<()> {
    let repository = open(place, Access::ReadOnly).await?;
    let identities = Identities::parse(&std::fs::read_to_string(place.key_file("identity"))?)?;
    let catalog = repository.catalog(None).await?;
    let backup = catalog.select(&BackupRef::Latest, None)?;
    let reader = repository.open_capture(backup, &backup.manifest.sources[0], Arc::new(identities)).await?;
    let mut bytes = reader.read(0);
    let mut out = std::io::stdout().lock();
    while let Some(piece) = bytes.try_next().await? {
        out.write_all(&piece)?;
    }
    Ok(out.flush()?)
}
