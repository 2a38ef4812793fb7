//! Capture, method `list`: every kind that can be listed, page by page, each as of one moment.

mod gather;
mod list;
mod page;
mod probe;
mod referenced;
mod references;
mod scope;
mod spool;
mod streams;

use std::sync::Arc;

use async_trait::async_trait;

use crate::cluster_client::{self, Api, Settings};
use crate::context::Context;
use crate::model::SourceFailure;
use crate::source::cluster::failed;
use crate::source::{Capture, Probe, Source};

pub use scope::{ClusterScoped, Scope};

/// Objects of a page.
const LIMIT: u64 = 500;
/// What waits in memory to be sorted; more waits in a file.
const MEMORY_BYTES: usize = 24 << 20;

/// A cluster whose objects can be captured.
#[derive(Clone)]
pub struct ClusterSource {
    pub settings: Settings,
    pub scope: Scope,
    /// Objects of a page.
    pub limit: u64,
    /// What may wait in memory to be sorted, in bytes; more waits in a file.
    pub memory_bytes: usize,
    /// Whom to ask, instead of who `settings` name.
    pub api: Option<Arc<dyn Api>>,
}

impl ClusterSource {
    pub fn new(settings: Settings, scope: Scope) -> Self {
        Self { settings, scope, limit: LIMIT, memory_bytes: MEMORY_BYTES, api: None }
    }

    async fn connect(&self, cx: &Context) -> Result<Arc<dyn Api>, SourceFailure> {
        match &self.api {
            Some(api) => Ok(api.clone()),
            None => cluster_client::connect(&self.settings, cx).await.map_err(failed),
        }
    }
}

#[async_trait]
impl Source for ClusterSource {
    fn kind(&self) -> &'static str {
        "cluster"
    }

    fn method(&self) -> &'static str {
        "list"
    }

    async fn probe(&self, cx: &Context) -> Result<Probe, SourceFailure> {
        probe::probe(self, self.connect(cx).await?, cx).await
    }

    async fn capture(&self, cx: &Context) -> Result<Capture, SourceFailure> {
        let gathered = gather::gather(self, self.connect(cx).await?, cx).await?;
        Ok(streams::streams(gathered))
    }
}
