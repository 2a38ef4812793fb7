//! For `make bench-stores`: a server that is far away. `delay TO MILLISECONDS` listens on a free loopback port, prints it,
//! and passes each byte on to the address TO that much later, in both directions. It takes any number of bytes a second.

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// On the way at once, each way and connection: more than any window of a real line that long.
const PIECES: usize = 1024;
const PIECE_BYTES: usize = 64 << 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [to, milliseconds] = &words[..] else { return Err("usage: delay HOST:PORT MILLISECONDS".into()) };
    let (to, delay) = (to.clone(), Duration::from_millis(milliseconds.parse()?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?.port())?;
    loop {
        let (near, _) = listener.accept().await?;
        let to = to.clone();
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(&to).await else { return };
            if near.set_nodelay(true).and(far.set_nodelay(true)).is_err() {
                return;
            }
            let (near, far) = (near.into_split(), far.into_split());
            tokio::join!(pass(near.0, far.1, delay), pass(far.0, near.1, delay));
        });
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut into: impl AsyncWrite + Unpin, delay: Duration) {
    let (send, mut receive) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let read = async move {
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = from.read_buf(&mut piece).await.unwrap_or(0);
            if read == 0 || send.send((Instant::now() + delay, piece)).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((when, piece)) = receive.recv().await {
            sleep_until(when).await;
            if into.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = into.shutdown().await;
    };
    tokio::join!(read, write);
}
