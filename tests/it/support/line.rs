//! A bad line between a program and a store: HTTP passes, and a test says what happens to which request or answer.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::http::{Message, answer, request};

/// Lines work while the test waits for a child.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
});

/// A request as it came, whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// From 1, since the test last said what happens.
    pub n: u64,
    pub method: String,
    /// Path and query; of an upload to Google's service the name that its body tells.
    pub target: String,
}

impl Request {
    /// Whether it stores an object whose key ends so.
    pub fn stores(&self, end: &str) -> bool {
        let path = self.target.split('?').next().unwrap_or_default();
        matches!(self.method.as_str(), "PUT" | "POST") && path.ends_with(end)
    }
}

/// What happens to a request. Shares are percent of the body; of what has no body, of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trick {
    /// The connection is reset, and the server hears nothing.
    Drop,
    /// Only a part of it reaches the server; then both sides are reset.
    CutRequest(usize),
    /// The server does what was asked; the connection is reset within its answer.
    CutAnswer(usize),
    /// The server does what was asked, and nobody hears of it.
    LoseAnswer,
    /// The server hears nothing; `503 Slow Down`, and how many seconds it wants to be left alone.
    SlowDown(Option<u64>),
    /// Nothing passes for so long, and then everything does, as if what was lost had been sent anew.
    Hold(Duration),
}

type Rule = Box<dyn FnMut(&Request) -> Option<Trick> + Send>;

/// How fast it is, in both directions together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// Before each request.
    pub latency: Duration,
    pub bytes_per_second: Option<u32>,
}

struct Shared {
    server: SocketAddr,
    rule: Mutex<(u64, Rule)>,
    pace: Mutex<Pace>,
    /// One piece at a time, where the bytes of a second are counted.
    turn: tokio::sync::Mutex<()>,
    requests: AtomicU64,
}

pub struct Line {
    pub port: u16,
    shared: Arc<Shared>,
    /// False: nobody listens, and whoever was connected is cut off.
    open: watch::Sender<bool>,
}

impl Line {
    /// To a server on a loopback port.
    pub fn to(server: u16) -> Self {
        let shared = Arc::new(Shared {
            server: ([127, 0, 0, 1], server).into(),
            rule: Mutex::new((0, Box::new(|_| None))),
            pace: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            requests: AtomicU64::new(0),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, watched) = watch::channel(true);
        RUNTIME.spawn(listen(listener, shared.clone(), watched));
        Self { port, shared, open }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on this happens. Requests count from 1 again.
    pub fn rule(&self, rule: impl FnMut(&Request) -> Option<Trick> + Send + 'static) {
        *self.shared.rule.lock().unwrap() = (0, Box::new(rule));
    }

    /// From now on nothing happens.
    pub fn calm(&self) {
        self.rule(|_| None);
    }

    pub fn pace(&self, pace: Pace) {
        *self.shared.pace.lock().unwrap() = pace;
    }

    pub fn open(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// How many came since the test last said what happens.
    pub fn requests(&self) -> u64 {
        self.shared.rule.lock().unwrap().0
    }

    /// How many came since there is this line.
    pub fn all_requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

async fn listen(first: std::net::TcpListener, shared: Arc<Shared>, mut open: watch::Receiver<bool>) {
    let address = first.local_addr().unwrap();
    let mut listener = Some(TcpListener::from_std(first).unwrap());
    // Ends when the line is dropped.
    loop {
        if !*open.borrow_and_update() {
            listener = None;
            if open.changed().await.is_err() {
                return;
            }
            continue;
        }
        let accepts = match listener.take() {
            Some(listener) => listener,
            None => TcpListener::bind(address).await.unwrap(),
        };
        tokio::select! {
            accepted = accepts.accept() => {
                let (shared, mut shut) = (shared.clone(), open.clone());
                if let Ok((client, _)) = accepted {
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = serve(client, &shared) => {}
                            _ = shut.wait_for(|open| !open) => {}
                        }
                    });
                }
                listener = Some(accepts);
            }
            changed = open.changed() => {
                if changed.is_err() {
                    return;
                }
                listener = Some(accepts);
            }
        }
    }
}

async fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    // Whatever ends this ends both connections, and not politely.
    client.set_zero_linger()?;
    client.set_nodelay(true)?;
    let mut server: Option<TcpStream> = None;
    let (mut asked, mut told) = (Vec::new(), Vec::new());
    while let Some(message) = request(&mut client, &mut asked).await? {
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let (method, target) = (message.method().to_owned(), message.target());
        let trick = {
            let mut rule = shared.rule.lock().unwrap();
            rule.0 += 1;
            let request = Request { n: rule.0, method: method.clone(), target: target.clone() };
            (rule.1)(&request)
        };
        let pace = *shared.pace.lock().unwrap();
        tokio::time::sleep(pace.latency).await;
        match trick {
            Some(Trick::Drop) => return Ok(()),
            Some(Trick::SlowDown(seconds)) => {
                client.write_all(slow_down(&method, &target, seconds).as_bytes()).await?;
                continue;
            }
            Some(Trick::Hold(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        let upstream = match &mut server {
            Some(upstream) => upstream,
            none => {
                let upstream = TcpStream::connect(shared.server).await?;
                upstream.set_zero_linger()?;
                upstream.set_nodelay(true)?;
                none.insert(upstream)
            }
        };
        if let Some(Trick::CutRequest(share)) = trick {
            upstream.write_all(message.part(share)).await?;
            return Ok(());
        }
        send(upstream, &message.bytes, pace, shared).await?;
        let Some(reply) = answer(upstream, &mut told, &method).await? else { return Ok(()) };
        match trick {
            Some(Trick::LoseAnswer) => return Ok(()),
            Some(Trick::CutAnswer(share)) => {
                client.write_all(reply.part(share)).await?;
                return Ok(());
            }
            _ => send(&mut client, &reply.bytes, pace, shared).await?,
        }
        if reply.closes() {
            return Ok(());
        }
    }
    Ok(())
}

async fn send(to: &mut TcpStream, bytes: &[u8], pace: Pace, shared: &Shared) -> io::Result<()> {
    let Some(rate) = pace.bytes_per_second else { return to.write_all(bytes).await };
    for piece in bytes.chunks(8 << 10) {
        let turn = shared.turn.lock().await;
        tokio::time::sleep(Duration::from_secs_f64(piece.len() as f64 / f64::from(rate))).await;
        drop(turn);
        to.write_all(piece).await?;
    }
    Ok(())
}

/// As Amazon and Google say it.
fn slow_down(method: &str, target: &str, seconds: Option<u64>) -> String {
    let google = target.contains("/storage/v1/") || method == "POST";
    let body = match google {
        true => r#"{"error":{"code":503,"message":"Backend Error","errors":[{"reason":"backendError"}]}}"#,
        false => "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
    };
    let wait = seconds.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
    let shown = if method == "HEAD" { "" } else { body };
    format!("HTTP/1.1 503 Slow Down\r\n{wait}Content-Length: {}\r\n\r\n{shown}", body.len())
}

impl Message {
    /// The beginning of it, up to so many percent of its body.
    fn part(&self, share: usize) -> &[u8] {
        let (from, all) = if self.head < self.bytes.len() { (self.head, self.bytes.len()) } else { (0, self.head) };
        // Never all of it.
        &self.bytes[..(from + (all - from) * share / 100).min(all - 1)]
    }
}
