//! Stands between a program and a server, and acts when the n-th message of the program passes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Act = dyn Fn(u64) + Send + Sync;
type Edit = dyn Fn(&mut [u8]) + Send + Sync;

/// Forwards a loopback port. `act` sees the number of each piece that goes to the server, before it goes on.
pub struct Proxy {
    pub port: u16,
    pieces: Arc<AtomicU64>,
}

impl Proxy {
    pub fn start(server: u16, act: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self::editing(server, act, |_| {})
    }

    /// The same; what goes to the server may be changed before. `edit` sees whole heads of requests, since clients send
    /// each at once.
    pub fn editing(
        server: u16,
        act: impl Fn(u64) + Send + Sync + 'static,
        edit: impl Fn(&mut [u8]) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pieces = Arc::new(AtomicU64::new(0));
        let (counted, act, edit): (_, Arc<Act>, Arc<Edit>) = (pieces.clone(), Arc::new(act), Arc::new(edit));
        // Ends with the test's process: it holds nothing but sockets.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let (from, to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                let (counted, act, edit) = (counted.clone(), act.clone(), edit.clone());
                std::thread::spawn(move || {
                    pass(from, to, |piece| {
                        act(counted.fetch_add(1, Ordering::SeqCst) + 1);
                        edit(piece);
                    })
                });
                std::thread::spawn(move || pass(upstream, client, |_| {}));
            }
        });
        Proxy { port, pieces }
    }

    /// Pieces that went to the server so far.
    pub fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&mut [u8])) {
    let mut buffer = [0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        before(&mut buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
