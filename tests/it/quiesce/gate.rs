//! Stands between the program and the API server, and stops one of its calls until a test has done what it wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::support::servers::kubernetes::Kubernetes;

/// Which call is held, and whether it is done before that.
#[derive(Debug, Clone)]
pub enum Hold {
    /// The `n`th PATCH of a workload, from 1 on; it is not done.
    Before(usize),
    /// It is done, and nobody hears of it.
    After(usize),
    /// The first GET of a path that ends so, its question left out.
    Get(&'static str),
}

struct Shared {
    hold: Hold,
    patches: AtomicUsize,
    /// A call was held.
    reached: AtomicBool,
    went_on: AtomicBool,
    go: Notify,
    /// Every connection ends at once.
    away: AtomicBool,
    server: String,
    client: reqwest::Client,
}

pub struct Gate {
    pub url: String,
    shared: Arc<Shared>,
}

struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Gate {
    pub async fn before(server: &Kubernetes, hold: Hold) -> Self {
        let ca = reqwest::Certificate::from_pem(server.authority.ca().as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().http1_only().pool_max_idle_per_host(0);
        let shared = Arc::new(Shared {
            hold,
            patches: AtomicUsize::new(0),
            reached: AtomicBool::new(false),
            went_on: AtomicBool::new(false),
            go: Notify::new(),
            away: AtomicBool::new(false),
            server: server.url.clone(),
            client: client.build().unwrap(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                tokio::spawn(async move { shared.serve(stream).await });
            }
        });
        Self { url, shared }
    }

    /// Whether the call has come that is held.
    pub fn is_reached(&self) -> bool {
        self.shared.reached.load(Ordering::SeqCst)
    }

    /// Lets it go on.
    pub fn go(&self) {
        self.shared.went_on.store(true, Ordering::SeqCst);
        self.shared.go.notify_waiters();
    }

    pub fn set_away(&self, away: bool) {
        self.shared.away.store(away, Ordering::SeqCst);
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let request = read(&mut stream).await?;
        if self.away.load(Ordering::SeqCst) {
            return None;
        }
        let path = request.path.split('?').next().unwrap_or_default();
        let workload = request.method == "PATCH" && !path.contains("/leases/");
        let number = if workload { self.patches.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        match self.hold {
            Hold::Before(n) if n == number => {
                self.wait().await;
                None
            }
            Hold::After(n) if n == number => {
                self.forward(&request).await?;
                self.wait().await;
                None
            }
            Hold::Get(end)
                if request.method == "GET" && path.ends_with(end) && !self.reached.load(Ordering::SeqCst) =>
            {
                self.wait().await;
                self.answer(&request, stream).await
            }
            _ => self.answer(&request, stream).await,
        }
    }

    async fn wait(&self) {
        let go = self.go.notified();
        tokio::pin!(go);
        go.as_mut().enable();
        self.reached.store(true, Ordering::SeqCst);
        if !self.went_on.load(Ordering::SeqCst) {
            go.await;
        }
    }

    async fn answer(&self, request: &Request, mut stream: TcpStream) -> Option<()> {
        let (status, kind, body) = self.forward(request).await?;
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(&body).await.ok()
    }

    async fn forward(&self, request: &Request) -> Option<(u16, String, Vec<u8>)> {
        let method = request.method.parse().unwrap();
        let mut sent =
            self.client.request(method, format!("{}{}", self.server, request.path)).body(request.body.clone());
        for (name, value) in &request.headers {
            if !["host", "content-length", "connection", "accept-encoding"].contains(&name.as_str()) {
                sent = sent.header(name, value);
            }
        }
        let answer = sent.send().await.ok()?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        Some((status, kind.unwrap_or_default(), answer.bytes().await.ok()?.to_vec()))
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { method, path, headers, body })
}
