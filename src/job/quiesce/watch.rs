//! The watcher: a process of its own, beside a backup or in a pod, that outlives it.

use std::io::Read as _;

use tokio_util::sync::CancellationToken;

use crate::cluster_client::{self, Settings};
use crate::context::Context;
use crate::exec::{DONE, own_session};
use crate::job::JobError;
use crate::job::types::WatchRequest;
use crate::model::Finding;
use crate::source::cluster::failed;
use crate::source::cluster::quiesce::{self, Lease, LeaseName, Scalable, Watch, Why};

/// Waits until the run is gone, done, or out of time; then scales back what is left of it, however long that takes.
/// `ready` is called once everything is known that is needed for that.
pub async fn watch(
    request: WatchRequest,
    ready: impl FnOnce() -> Result<(), JobError>,
    cx: &Context,
) -> Result<(), JobError> {
    own_session();
    // A watcher that is told to stop still has its work to do: only its waiting ends.
    let own = Context { cancel: CancellationToken::new(), ..cx.clone() };
    let settings = Settings { kubeconfig: request.kubeconfig.clone(), context: request.context.clone() };
    let api = cluster_client::connect(&settings, &own).await.map_err(failed)?;
    let mut scalable = quiesce::scalable(api.as_ref()).await?;
    let WatchRequest { run, until, namespaces, kinds, lease, .. } = request;
    scalable.retain(|scalable| kinds.is_empty() || kinds.contains(&scalable.word()));
    if scalable.is_empty() {
        return Err(JobError::blocked("there is nothing to watch: the server serves none of these kinds"));
    }
    // With the very rights that it will need, which may be those of another account.
    quiesce::recorded(api.as_ref(), &scalable, &namespaces).await?;
    let missing = quiesce::missing_rights(api.as_ref(), places(&scalable, &namespaces)).await?;
    if !missing.is_empty() {
        return Err(JobError::refused(format!("may not {}", missing.join(", ")))
            .hint("the rights of deploy/rbac-quiesce.yaml for the account of the watcher"));
    }
    let watch = Watch { api: api.clone(), scalable, namespaces, run, until };
    let lease = lease.map(|namespace| LeaseName::of(namespace, run));
    if let Some(lease) = &lease
        && Lease::read(api.as_ref(), lease).await?.is_none()
    {
        // Its run ended before this pod came up, or came up again.
        watch.release(Why::Done, &own).await;
        return Ok(());
    }
    match &lease {
        Some(lease) => Lease::watched_by(api.as_ref(), lease, &api.subject()).await?,
        None => ready()?,
    }
    let gone = async {
        match &lease {
            Some(lease) => watch.lost(lease, &own).await,
            None => parent().await,
        }
    };
    let why = tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Why::Stopped,
        why = gone => why,
        () = watch.overdue(&own) => Why::Overdue,
    };
    let message = match why {
        Why::Done => "the run has scaled back itself",
        Why::Gone => "the run is gone: scaling back what it has set to zero",
        Why::Overdue => "its time is up: scaling back what the run has set to zero",
        Why::Stopped => "told to stop: scaling back what the run has set to zero",
    };
    if why != Why::Done {
        own.found(Finding::warning(format!("quiesce, run {run}"), message));
    }
    watch.release(why, &own).await;
    if let Some(lease) = &lease {
        // Whoever reads it after that is not misled by it; if it stays, it only lies there.
        let _ = Lease::delete(api.as_ref(), lease).await;
    }
    Ok(())
}

fn places<'a>(
    scalable: &'a [Scalable],
    namespaces: &'a [String],
) -> impl Iterator<Item = (&'a Scalable, Option<&'a str>)> {
    scalable.iter().flat_map(move |scalable| {
        let all = namespaces.is_empty().then_some(None);
        all.into_iter().chain(namespaces.iter().map(|name| Some(name.as_str()))).map(move |place| (scalable, place))
    })
}

/// What its end of the pipe says, and when.
async fn parent() -> Why {
    let reading = tokio::task::spawn_blocking(|| {
        let mut said = Vec::new();
        let _ = std::io::stdin().lock().read_to_end(&mut said);
        said
    });
    if reading.await.is_ok_and(|said| said == DONE) { Why::Done } else { Why::Gone }
}
