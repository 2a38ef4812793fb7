//! For `make bench`: writes one file through the repository, and reads it back. Nothing else of lifeboat takes part.
//!
//! `stream backup REPO_DIR FILE` makes the repository if it is missing; `stream cat REPO_DIR` prints the newest.

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
        ["backup", repository, file] => backup(&absolute(repository)?, Path::new(file)).await,
        ["cat", repository] => cat(&absolute(repository)?).await,
        _ => Err("usage: stream backup REPO_DIR FILE | stream cat REPO_DIR".into()),
    }
}

fn absolute(path: &str) -> Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}

/// Keys lie beside the repository, as nobody's real keys should.
fn key_file(repository: &Path, name: &str) -> PathBuf {
    PathBuf::from(format!("{}.{name}", repository.display()))
}

async fn create(directory: &Path, cx: &Context) -> Result<()> {
    let url = StoreUrl::local(directory)?;
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
    std::fs::write(key_file(directory, "trust"), serde_json::to_vec(&trust)?)?;
    std::fs::write(key_file(directory, "identity"), first.file.expose())?;
    std::fs::write(key_file(directory, "writer"), writer.to_pem().expose())?;
    std::fs::write(key_file(directory, "dedup"), dedup.to_text().expose())?;
    Repository::create(Store::create(&url, &StoreSettings::default(), clock::system()).await?, new).await?;
    Ok(())
}

async fn open(directory: &Path, access: Access) -> Result<Repository> {
    let store = Store::open(&StoreUrl::local(directory)?, &StoreSettings::default(), access, clock::system()).await?;
    let trust: Trust = serde_json::from_slice(&std::fs::read(key_file(directory, "trust"))?)?;
    Ok(Repository::open(store, Some(trust)).await?)
}

async fn backup(directory: &Path, file: &Path) -> Result<()> {
    let cx = Context::silent();
    if !directory.join("lifeboat.json").exists() {
        create(directory, &cx).await?;
    }
    let repository = open(directory, Access::ReadWrite).await?;
    let text = |name| std::fs::read_to_string(key_file(directory, name));
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

async fn cat(directory: &Path) -> Result<()> {
    let repository = open(directory, Access::ReadOnly).await?;
    let identities = Identities::parse(&std::fs::read_to_string(key_file(directory, "identity"))?)?;
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
