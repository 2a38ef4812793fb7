//! An API server that is slow of hearing: calls are counted, lost, refused for a moment, or end altogether.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use lifeboat::cluster_client::{Answer, Api, Call, ClusterError, Method};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The connection ends instead of the write with this number, and never comes back.
    EndsAt(usize),
    /// That write is still done.
    EndsAfter(usize),
    /// Of every so many writes one is done, and nobody hears of it.
    LosesEvery(usize),
    /// Of every so many writes one is answered so, and not done.
    Answers(u16, usize),
    /// Of every so many writes one is done, and answered so.
    DoesAndAnswers(u16, usize),
}

pub struct Faulty {
    api: Arc<dyn Api>,
    fault: Fault,
    writes: AtomicUsize,
    /// Method and path of each write that reached the server.
    done: Mutex<Vec<String>>,
    dry: AtomicUsize,
}

impl Faulty {
    pub fn new(api: &Arc<dyn Api>, fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            api: api.clone(),
            fault,
            writes: AtomicUsize::new(0),
            done: Mutex::default(),
            dry: AtomicUsize::new(0),
        })
    }

    pub fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    /// So many writes were only tried.
    pub fn dry(&self) -> usize {
        self.dry.load(Ordering::SeqCst)
    }

    fn lost(&self) -> ClusterError {
        ClusterError::Unreachable { server: "test".into(), message: "the connection was cut".into() }
    }

    async fn pass(&self, call: Call) -> Result<Answer, ClusterError> {
        if writes(&call) {
            self.done.lock().unwrap().push(format!("{:?} {}", call.method, call.path));
        }
        if call.path.contains("dryRun=All") {
            self.dry.fetch_add(1, Ordering::SeqCst);
        }
        self.api.call(call).await
    }
}

/// A question about rights has a body, and changes nothing; no more does a dry run.
fn writes(call: &Call) -> bool {
    call.method != Method::Get && !call.path.ends_with("/selfsubjectaccessreviews") && !call.path.contains("dryRun=All")
}

fn answer(status: u16) -> Answer {
    Answer { status, retry_after: None, body: "{\"message\": \"not now\"}".into() }
}

#[async_trait]
impl Api for Faulty {
    fn subject(&self) -> String {
        self.api.subject()
    }

    async fn call(&self, call: Call) -> Result<Answer, ClusterError> {
        let write = writes(&call);
        let number =
            if write { self.writes.fetch_add(1, Ordering::SeqCst) + 1 } else { self.writes.load(Ordering::SeqCst) };
        let every = |n: usize| write && number.is_multiple_of(n);
        match self.fault {
            Fault::EndsAt(end) if number >= end => Err(self.lost()),
            Fault::EndsAfter(end) if write && number == end => {
                self.pass(call).await?;
                Err(self.lost())
            }
            Fault::EndsAfter(end) if number >= end => Err(self.lost()),
            Fault::LosesEvery(n) if every(n) => {
                self.pass(call).await?;
                Err(self.lost())
            }
            Fault::Answers(status, n) if every(n) => Ok(answer(status)),
            Fault::DoesAndAnswers(status, n) if every(n) => {
                self.pass(call).await?;
                Ok(answer(status))
            }
            _ => self.pass(call).await,
        }
    }
}
