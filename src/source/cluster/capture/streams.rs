//! The three streams of a capture, one after the other: objects, discovery, inventory.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::model::{
    CaptureItem, CaptureSummary, Consistency, FailureClass, SourceFailure, SourceStream, StreamItem, Timestamp,
};
use crate::source::Capture;
use crate::source::cluster::capture::gather::{AT_A_TIME, Gathered};
use crate::source::cluster::capture::list::{Listed, Lister, blocking, is_kubernetes};
use crate::source::cluster::inventory::Collector;
use crate::source::cluster::{ClusterScoped, Discovery, Gvk, MEDIA_DISCOVERY, MEDIA_INVENTORY, MEDIA_OBJECTS};

type Items = BoxStream<'static, Result<StreamItem, SourceFailure>>;

/// What is known so far; complete when the stream `objects` has ended.
struct Known {
    discovery: Discovery,
    collector: Collector,
    /// Kinds that the server did not refuse.
    read: u64,
    refused: u64,
    /// What the server did not give of what was asked for: kind and reason.
    missing: Vec<(String, String)>,
}

struct Job {
    known: Mutex<Known>,
    lister: Arc<Lister>,
    from: Timestamp,
    cx: Context,
}

pub(super) fn streams(gathered: Gathered) -> Capture {
    let Gathered { lister, discovery, kinds, mut held, collector, from, cx } = gathered;
    let known = Known { discovery, collector, read: 0, refused: 0, missing: Vec::new() };
    let job = Arc::new(Job { known: Mutex::new(known), lister: lister.clone(), from, cx });
    let queue: Vec<_> = kinds.into_iter().map(|kind| (held.remove(&kind.gvk), kind)).collect();
    let listed = stream::iter(queue).map(move |(held, kind)| {
        let lister = lister.clone();
        async move {
            match held {
                Some(listed) => Ok(listed),
                None => lister.list_apart(kind).await,
            }
        }
    });
    let passing = job.clone();
    let of_kinds = listed.buffered(AT_A_TIME).map_ok(move |listed| of_kind(listed, passing.clone())).try_flatten();
    let ending = job.clone();
    // Checked where the stream ends: a stream that ended is whole.
    let end = stream::once(async move { ending.complete() }).filter_map(|end| async move { end.err().map(Err) });
    let objects: Items = of_kinds.chain(end).boxed();
    let later = |job: &Arc<Job>, document: fn(&Job) -> Result<Bytes, SourceFailure>| -> Items {
        let job = job.clone();
        stream::once(async move { document(&job).map(StreamItem::Bytes) }).boxed()
    };
    let streams = [
        ("objects", MEDIA_OBJECTS, objects),
        ("discovery", MEDIA_DISCOVERY, later(&job, Job::discovery)),
        ("inventory", MEDIA_INVENTORY, later(&job, Job::inventory)),
    ];
    let streams = streams.map(|(name, media, items)| {
        Ok(CaptureItem::Stream(SourceStream { name: name.into(), media: media.into(), items }))
    });
    let summary = stream::once(async move { Ok(CaptureItem::End(job.summary())) });
    stream::iter(streams).chain(summary).boxed()
}

/// One part; nothing for a kind of which there is nothing.
fn of_kind(listed: Listed, job: Arc<Job>) -> Items {
    let Listed { kind, objects, findings, refused } = listed;
    for finding in findings {
        job.cx.found(finding);
    }
    let (gvk, rows) = (kind.gvk.clone(), kind.objects);
    // What a namespace needs of the whole cluster may be out of reach of an account of that namespace: said, and expected.
    let wanted = kind.namespaced || job.lister.scope.cluster_scoped == ClusterScoped::All;
    job.with(|known| {
        *(if refused { &mut known.refused } else { &mut known.read }) += 1;
        let reason = kind.reason.as_ref().filter(|_| wanted);
        known.missing.extend(reason.map(|reason| (gvk.to_string(), reason.clone())));
        for served in known.discovery.kinds.iter_mut().filter(|served| served.gvk == gvk) {
            served.clone_from(&kind);
        }
    });
    if rows == 0 {
        return stream::empty().boxed();
    }
    let batches = objects.into_batches().and_then({
        let gvk = gvk.clone();
        move |batch| see(job.clone(), gvk.clone(), batch)
    });
    let begin = stream::iter([Ok(StreamItem::Part(gvk.part()))]);
    let end = stream::iter([Ok(StreamItem::PartEnd { rows: Some(rows), sha256: None })]);
    begin.chain(batches.map_ok(StreamItem::Bytes)).chain(end).boxed()
}

/// Shows whole lines to the inventory, off the threads that wait for others.
async fn see(job: Arc<Job>, gvk: Gvk, batch: Bytes) -> Result<Bytes, SourceFailure> {
    blocking(move || {
        job.with(|known| {
            for line in batch.split_inclusive(|byte| *byte == b'\n') {
                known.collector.see(&gvk, line);
            }
        });
        Ok(batch)
    })
    .await
}

impl Job {
    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An empty backup is never what was meant: even an empty namespace holds its account.
    fn complete(&self) -> Result<(), SourceFailure> {
        let (read, refused, objects) = self.with(|known| {
            let objects: u64 = known.discovery.kinds.iter().map(|kind| kind.objects).sum();
            (known.read, known.refused, objects)
        });
        let failed = |class, message: String| Err(SourceFailure::new(class, self.lister.api.subject(), message));
        if read == 0 && refused > 0 {
            return failed(FailureClass::Permission, format!("none of {refused} kinds may be listed")).map_err(
                |failure: SourceFailure| {
                    failure.cure("bind the roles of deploy/rbac-capture.yaml to the account that makes backups")
                },
            );
        }
        if objects == 0 {
            return failed(FailureClass::Configuration, "nothing that the policy asks for is there".into()).map_err(
                |failure: SourceFailure| {
                    failure.cure("see `namespaces`, `selector` and `kinds` of the source in the policy")
                },
            );
        }
        Ok(())
    }

    fn discovery(&self) -> Result<Bytes, SourceFailure> {
        self.with(|known| document(&known.discovery))
    }

    fn inventory(&self) -> Result<Bytes, SourceFailure> {
        document(&self.with(|known| std::mem::take(&mut known.collector)).finish())
    }

    fn summary(&self) -> CaptureSummary {
        let scope = &self.lister.scope;
        self.with(|known| {
            let kinds = known.discovery.kinds.iter();
            let captured = kinds.clone().filter(|kind| kind.objects > 0).count();
            let objects: u64 = kinds.map(|kind| kind.objects).sum();
            CaptureSummary {
                consistency: Consistency {
                    kind: "list".into(),
                    from: self.from,
                    to: self.cx.clock.now(),
                    marker: lowest(&known.discovery),
                },
                properties: json!({
                    "format": 1,
                    "server": self.lister.api.subject(),
                    "version": known.discovery.version.git_version,
                    "namespaces": scope.namespaces,
                    "selector": scope.selector,
                    "kinds": captured,
                    "objects": objects,
                    "missing": known.missing.iter().map(|(kind, reason)| json!({"kind": kind, "reason": reason})).collect::<Vec<_>>(),
                }),
                commands: vec![format!("list every kind, {} objects a page", self.lister.limit)],
                stderr: String::new(),
            }
        })
    }
}

/// The oldest of the moments that the lists are of. Servers of Kubernetes' own kinds count all changes in one row.
fn lowest(discovery: &Discovery) -> Option<String> {
    let own = discovery.kinds.iter().filter(|kind| is_kubernetes(&kind.gvk.group));
    let versions = own.filter_map(|kind| kind.resource_version.as_deref()?.parse::<u64>().ok());
    versions.min().map(|version| version.to_string())
}

fn document(document: &impl Serialize) -> Result<Bytes, SourceFailure> {
    let failed = |error: serde_json::Error| SourceFailure::new(FailureClass::Internal, "cluster", error.to_string());
    serde_json::to_vec(document).map(Bytes::from).map_err(failed)
}
