//! Reads a stored stream of records as what it is, whoever wrote it: bounded, in order, each record once.

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::model::{ByteStream, FailureClass, SourceFailure, StreamItem};
use crate::source::outside::record::{self, MAX_LINE};

/// Records of a stream. A zone of a hundred thousand names is not what a policy names one by one.
const MAX_RECORDS: u64 = 1_000_000;

/// One part for each kind, with its number of records.
pub fn split(subject: String, input: ByteStream) -> BoxStream<'static, Result<StreamItem, SourceFailure>> {
    let reading = Reading { subject, input, pending: BytesMut::new(), last: None, rows: 0, line: 0, ended: false };
    let batches = stream::try_unfold(reading, |mut reading| async move {
        let items = reading.next().await?;
        Ok::<_, SourceFailure>((!items.is_empty()).then_some((items, reading)))
    });
    batches.map_ok(|items| stream::iter(items.into_iter().map(Ok))).try_flatten().boxed()
}

struct Reading {
    subject: String,
    input: ByteStream,
    /// The beginning of a line whose end has not come yet.
    pending: BytesMut,
    /// Kind and name; its part is open.
    last: Option<(String, String)>,
    /// Of the open part.
    rows: u64,
    line: u64,
    ended: bool,
}

impl Reading {
    /// What the next bytes hold; nothing at the end.
    async fn next(&mut self) -> Result<Vec<StreamItem>, SourceFailure> {
        let mut items = Vec::new();
        while items.is_empty() && !self.ended {
            match self.input.try_next().await? {
                Some(bytes) => {
                    // Only bytes that are new are searched for the end of a line.
                    let seen = self.pending.len();
                    self.pending.extend_from_slice(&bytes);
                    self.lines(seen, &mut items)?;
                }
                None if self.pending.is_empty() => {
                    self.ended = true;
                    if self.last.is_some() {
                        items.push(StreamItem::PartEnd { rows: Some(self.rows), sha256: None });
                    }
                }
                None => return Err(self.bad("has no end")),
            }
        }
        Ok(items)
    }

    fn lines(&mut self, mut seen: usize, items: &mut Vec<StreamItem>) -> Result<(), SourceFailure> {
        while let Some(end) = self.pending.get(seen..).and_then(|new| memchr::memchr(b'\n', new)) {
            let line = self.pending.split_to(seen + end + 1).freeze();
            seen = 0;
            self.record(line, items)?;
        }
        if self.pending.len() >= MAX_LINE { Err(self.bad("is longer than 8 MiB")) } else { Ok(()) }
    }

    fn record(&mut self, line: Bytes, items: &mut Vec<StreamItem>) -> Result<(), SourceFailure> {
        let record = record::parse(&line).map_err(|wrong| self.bad(&wrong))?;
        if self.line == MAX_RECORDS {
            return Err(self.bad(&format!("comes after {MAX_RECORDS} others")));
        }
        let key = (record.kind, record.name);
        match &self.last {
            Some(last) if *last == key => return Err(self.bad(&format!("{} {} is there twice", key.0, key.1))),
            Some(last) if *last > key => {
                return Err(self.bad(&format!("{} {} is not where its name belongs", key.0, key.1)));
            }
            Some(last) if last.0 == key.0 => {}
            last => {
                if last.is_some() {
                    items.push(StreamItem::PartEnd { rows: Some(self.rows), sha256: None });
                }
                items.push(StreamItem::Part(key.0.clone()));
                self.rows = 0;
            }
        }
        (self.rows, self.line) = (self.rows + 1, self.line + 1);
        self.last = Some(key);
        items.push(StreamItem::Bytes(line));
        Ok(())
    }

    fn bad(&self, wrong: &str) -> SourceFailure {
        let message = format!("line {} {wrong}", self.line + 1);
        SourceFailure::new(FailureClass::Damaged, format!("stream {}", self.subject), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::outside::Record;

    /// In pieces of `size` bytes.
    async fn read(text: &str, size: usize) -> Result<Vec<StreamItem>, String> {
        let pieces: Vec<_> = text.as_bytes().chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let items = split("dns".into(), stream::iter(pieces).boxed());
        items.try_collect().await.map_err(|failure| failure.to_string())
    }

    fn line(kind: &'static str, name: &str) -> String {
        String::from_utf8(Record::new(kind, name).line().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn parts_are_kinds_whatever_the_pieces_are() {
        let text = [line("name", "a"), line("name", "b"), line("zone", "a")].concat();
        for size in [1, 7, 10_000] {
            let (mut parts, mut passed) = (Vec::new(), Vec::new());
            for item in read(&text, size).await.unwrap() {
                match item {
                    StreamItem::Part(name) => parts.push(name),
                    StreamItem::PartEnd { rows, .. } => parts.push(rows.unwrap().to_string()),
                    StreamItem::Bytes(bytes) => passed.extend_from_slice(&bytes),
                }
            }
            assert_eq!(parts, ["name", "2", "zone", "1"]);
            assert_eq!(passed, text.as_bytes());
        }
        assert!(read("", 1).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_no_list_of_records_is_refused() {
        let one = line("name", "b");
        for (text, why) in [
            (format!("{one}{one}"), "line 2 name b is there twice"),
            (format!("{one}{}", line("name", "a")), "line 2 name a is not where its name belongs"),
            (format!("{one}{}", line("host", "c")), "line 2 host c is not where its name belongs"),
            (format!("{one}{{"), "line 2 has no end"),
            (format!("{one}\n"), "line 2 is no JSON"),
            ("{\"kind\":\"a\"}\n".into(), "line 1 has no `name`"),
            ("\"".repeat(MAX_LINE + 1), "line 1 is longer than 8 MiB"),
            (format!("{}\n", "\"".repeat(MAX_LINE)), "line 1 is longer than 8 MiB"),
        ] {
            let said = read(&text, 100_000).await.unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
