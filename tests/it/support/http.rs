//! As much of HTTP/1.1 as it takes to tell where a message ends.

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// One request or answer, whole.
pub struct Message {
    pub bytes: Vec<u8>,
    /// Where its body begins.
    pub head: usize,
    /// The connection ends with it.
    last: bool,
}

impl Message {
    fn head(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes[..self.head])
    }

    pub fn method(&self) -> &str {
        let end = self.bytes.iter().position(|byte| *byte == b' ').unwrap_or_default();
        std::str::from_utf8(&self.bytes[..end]).unwrap_or_default()
    }

    /// Path and query. An upload to Google's service names its object in the first part of its body.
    pub fn target(&self) -> String {
        let target = self.head().split(' ').nth(1).unwrap_or_default().to_owned();
        if !target.starts_with("/upload/") {
            return target;
        }
        let body = String::from_utf8_lossy(&self.bytes[self.head..self.bytes.len().min(self.head + 2000)]).into_owned();
        let name = body.split_once(r#""name":""#).and_then(|(_, rest)| rest.split_once('"'));
        name.map_or(target, |(name, _)| name.to_owned())
    }

    /// Whether the sender ends the connection after it.
    pub fn closes(&self) -> bool {
        self.last || header(&self.head(), "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// The next request; none when the client has gone. `read` holds what came of the one after it.
pub async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<Option<Message>> {
    message(stream, read, |_| Ends::Head).await
}

/// The answer to a request; interim answers are left out.
pub async fn answer(stream: &mut TcpStream, read: &mut Vec<u8>, method: &str) -> io::Result<Option<Message>> {
    loop {
        let by_default = |head: &str| match status(head) {
            100..200 | 204 | 304 => Ends::HeadAlways,
            _ if method == "HEAD" => Ends::HeadAlways,
            _ => Ends::Connection,
        };
        match message(stream, read, by_default).await? {
            Some(found) if (100..200).contains(&status(&found.head())) => {}
            found => return Ok(found),
        }
    }
}

/// Where a message ends that gives no length.
#[derive(PartialEq)]
enum Ends {
    Head,
    /// Even if it gives a length.
    HeadAlways,
    Connection,
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let rows = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    rows.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

async fn message(
    stream: &mut TcpStream,
    read: &mut Vec<u8>,
    without_length: impl Fn(&str) -> Ends,
) -> io::Result<Option<Message>> {
    loop {
        let Some(head) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4) else {
            if stream.read_buf(read).await? == 0 {
                return Ok(None);
            }
            continue;
        };
        let text = String::from_utf8_lossy(&read[..head]).into_owned();
        let ends = without_length(&text);
        let length = header(&text, "content-length").and_then(|length| length.parse::<usize>().ok());
        let chunked = header(&text, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let end = match (chunked, length) {
            _ if ends == Ends::HeadAlways => Some(head),
            (true, _) => chunks_end(&read[head..]).map(|end| head + end),
            (false, Some(length)) => Some(head + length),
            (false, None) if ends == Ends::Head => Some(head),
            (false, None) => None,
        };
        if let Some(end) = end.filter(|end| *end <= read.len()) {
            let rest = read.split_off(end);
            let bytes = std::mem::replace(read, rest);
            return Ok(Some(Message { bytes, head, last: false }));
        }
        if stream.read_buf(read).await? == 0 {
            // Cut off, or as long as the connection lasts.
            return Ok(Some(Message { bytes: std::mem::take(read), head, last: true }));
        }
    }
}

/// Where the body ends that begins here, if it has come to its end.
fn chunks_end(body: &[u8]) -> Option<usize> {
    let line = |from: usize| body[from..].windows(2).position(|bytes| bytes == b"\r\n").map(|at| from + at);
    let mut at = 0;
    loop {
        let end = line(at)?;
        let size = std::str::from_utf8(&body[at..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        at = end + 2 + size + 2;
        if size == 0 {
            // Trailers up to an empty line.
            let mut from = end + 2;
            loop {
                let next = line(from)?;
                if next == from {
                    return Some(next + 2);
                }
                from = next + 2;
            }
        }
        if at > body.len() {
            return None;
        }
    }
}
