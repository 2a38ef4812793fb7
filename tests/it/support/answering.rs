//! A server that says what a test has it say.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// A server that gives every request the same answer.
pub fn answering(status: &str, header: &str, body: &str) -> String {
    let answer =
        format!("HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    answering_with(move || answer.clone())
}

/// A server that asks what to answer each time: head and body, as they go over the line. It closes each connection.
pub fn answering_with(answer: impl Fn() -> String + Send + 'static) -> String {
    answering_by(move |_| answer())
}

/// The same, where the answer depends on the head of the request, which is given in lower case.
pub fn answering_by(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
                head.push(byte[0]);
            }
            // The body is read too: a socket that is closed on unread bytes takes the answer with it.
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let _ = stream.read_exact(&mut vec![0; length.unwrap_or(0)]);
            let _ = stream.write_all(answer(&head).as_bytes());
        }
    });
    address
}
