//! Reads the stored streams of a cluster as what they are, whoever wrote them: bounded, in order, each object once.

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;

use crate::model::{ByteStream, FailureClass, SourceFailure, StreamItem};
use crate::source::cluster::inventory::Inventory;
use crate::source::cluster::line::{MAX_DEPTH, MAX_LINE, shape};
use crate::source::cluster::{Discovery, Gvk, ObjectRef};

/// A document of a cluster: thousands of kinds, or of endpoints, stay far below.
const MAX_DOCUMENT: usize = 64 << 20;

/// The stream `objects`: one part for each kind, with its number of objects.
pub fn objects(subject: String, input: ByteStream) -> BoxStream<'static, Result<StreamItem, SourceFailure>> {
    let reading =
        Reading { subject, input, pending: BytesMut::new(), last: None, open: false, rows: 0, line: 0, ended: false };
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
    last: Option<ObjectRef>,
    /// A part has begun, of the kind of `last`.
    open: bool,
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
                    self.pending.extend_from_slice(&bytes);
                    self.lines(&mut items)?;
                }
                None => {
                    self.ended = true;
                    if !self.pending.is_empty() {
                        return Err(self.bad("the last line has no end"));
                    }
                    self.close(&mut items);
                }
            }
        }
        Ok(items)
    }

    fn lines(&mut self, items: &mut Vec<StreamItem>) -> Result<(), SourceFailure> {
        // Lines of one kind go on in one piece.
        let mut done = 0;
        let mut from = 0;
        while let Some(length) = self.pending.get(done..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            self.line += 1;
            let end = done + length + 1;
            let object = self.object(self.pending.get(done..end).unwrap_or_default())?;
            if let Some(last) = &self.last
                && *last >= object
            {
                let what = if *last == object { "is there twice" } else { "is not where its name belongs" };
                return Err(self.bad(&format!("{object} {what}")));
            }
            if self.last.as_ref().is_none_or(|last| last.gvk != object.gvk) {
                self.pass(items, from, done);
                from = done;
                self.close(items);
                items.push(StreamItem::Part(object.gvk.part()));
                self.open = true;
            }
            self.rows += 1;
            self.last = Some(object);
            done = end;
        }
        if self.pending.len() - done > MAX_LINE {
            self.line += 1;
            return Err(self.bad("is longer than 8 MiB"));
        }
        self.pass(items, from, done);
        let _ = self.pending.split_to(done);
        Ok(())
    }

    fn pass(&self, items: &mut Vec<StreamItem>, from: usize, to: usize) {
        if let Some(bytes) = self.pending.get(from..to).filter(|bytes| !bytes.is_empty()) {
            items.push(StreamItem::Bytes(Bytes::copy_from_slice(bytes)));
        }
    }

    fn close(&mut self, items: &mut Vec<StreamItem>) {
        if std::mem::take(&mut self.open) {
            items.push(StreamItem::PartEnd { rows: Some(std::mem::take(&mut self.rows)), sha256: None });
        }
    }

    fn object(&self, line: &[u8]) -> Result<ObjectRef, SourceFailure> {
        if line.len() > MAX_LINE {
            return Err(self.bad("is longer than 8 MiB"));
        }
        if shape(line).depth > MAX_DEPTH {
            return Err(self.bad(&format!("is nested deeper than {MAX_DEPTH} levels")));
        }
        if !line.starts_with(b"{\"apiVersion\":") {
            return Err(self.bad("does not begin with an object's apiVersion"));
        }
        let head: Head = serde_json::from_slice(line).map_err(|error| self.bad(&format!("is no object: {error}")))?;
        let Head { api_version, kind, metadata } = head;
        if api_version.is_empty() || kind.is_empty() || metadata.name.is_empty() {
            return Err(self.bad("names no object"));
        }
        let namespace = metadata.namespace.filter(|namespace| !namespace.is_empty());
        Ok(ObjectRef { gvk: Gvk::new(&api_version, &kind), namespace, name: metadata.name })
    }

    fn bad(&self, message: &str) -> SourceFailure {
        let subject = format!("stream {}", self.subject);
        SourceFailure::new(FailureClass::Damaged, subject, format!("line {}: {message}", self.line))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    namespace: Option<String>,
    name: String,
}

/// The streams `discovery` and `inventory`: one document each.
pub fn document(
    subject: String,
    kind: Document,
    mut input: ByteStream,
) -> BoxStream<'static, Result<StreamItem, SourceFailure>> {
    let read = async move {
        let bad = |message: String| SourceFailure::new(FailureClass::Damaged, format!("stream {subject}"), message);
        let mut all = BytesMut::new();
        while let Some(bytes) = input.try_next().await? {
            if all.len() + bytes.len() > MAX_DOCUMENT {
                return Err(bad("is longer than 64 MiB".into()));
            }
            all.extend_from_slice(&bytes);
        }
        if shape(&all).depth > MAX_DEPTH {
            return Err(bad(format!("is nested deeper than {MAX_DEPTH} levels")));
        }
        let parsed = match kind {
            Document::Discovery => serde_json::from_slice::<Discovery>(&all).map(|document| document.format),
            Document::Inventory => serde_json::from_slice::<Inventory>(&all).map(|document| document.format),
        };
        match parsed {
            Ok(1) => Ok(StreamItem::Bytes(all.freeze())),
            Ok(other) => Err(bad(format!("is of format {other}, which this version does not read"))),
            Err(error) => Err(bad(format!("is not what it should be: {error}"))),
        }
    };
    stream::once(read).boxed()
}

#[derive(Debug, Clone, Copy)]
pub enum Document {
    Discovery,
    Inventory,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(api_version: &str, kind: &str, namespace: &str, name: &str) -> String {
        format!(
            "{{\"apiVersion\":\"{api_version}\",\"kind\":\"{kind}\",\"metadata\":{{\"namespace\":\"{namespace}\",\"name\":\"{name}\"}}}}\n"
        )
    }

    /// In pieces of `size` bytes.
    async fn read(text: &str, size: usize) -> Result<Vec<StreamItem>, String> {
        let pieces: Vec<_> = text.as_bytes().chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let items = objects("objects".into(), stream::iter(pieces).boxed());
        items.try_collect().await.map_err(|failure| failure.to_string())
    }

    fn told(items: &[StreamItem]) -> (Vec<String>, String) {
        let mut parts = Vec::new();
        let mut text = String::new();
        for item in items {
            match item {
                StreamItem::Part(name) => parts.push(name.clone()),
                StreamItem::Bytes(bytes) => text.push_str(std::str::from_utf8(bytes).unwrap()),
                StreamItem::PartEnd { rows, .. } => parts.push(rows.unwrap().to_string()),
            }
        }
        (parts, text)
    }

    #[tokio::test]
    async fn parts_are_kinds_whatever_the_pieces_are() {
        let text = [
            line("v1", "ConfigMap", "a", "x"),
            line("v1", "ConfigMap", "a-b", "a"),
            line("v1", "Secret", "a", "x"),
            line("apps/v1", "Deployment", "a", "x"),
        ]
        .concat();
        for size in [1, 7, 64, 10_000] {
            let (parts, passed) = told(&read(&text, size).await.unwrap());
            assert_eq!(parts, ["core/v1/ConfigMap", "2", "core/v1/Secret", "1", "apps/v1/Deployment", "1"]);
            assert_eq!(passed, text);
        }
        assert!(read("", 1).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_no_list_of_objects_is_refused() {
        let one = line("v1", "ConfigMap", "a", "b");
        let deep = format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"X\",\"metadata\":{{\"name\":\"x\"}},\"a\":{}1{}}}\n",
            "[".repeat(5000),
            "]".repeat(5000)
        );
        for (text, why) in [
            (format!("{one}{one}"), "line 2: ConfigMap.v1 a/b is there twice"),
            (format!("{one}{}", line("v1", "ConfigMap", "a", "a")), "is not where its name belongs"),
            (format!("{one}{}", line("v1", "Binding", "a", "a")), "is not where its name belongs"),
            (format!("{one}{{"), "the last line has no end"),
            ("{\"kind\":\"X\"}\n".into(), "does not begin with"),
            ("{\"apiVersion\":\"v1\",\"kind\":\"X\"}\n".into(), "is no object"),
            ("{\"apiVersion\":\"v1\",\"kind\":\"X\",\"metadata\":{\"name\":\"\"}}\n".into(), "names no object"),
            ("{\"apiVersion\":\"v1\",\"kind\":1}\n".into(), "is no object"),
            (deep, "is nested deeper"),
            ("{\"apiVersion\":\"".repeat(600_000), "is longer than 8 MiB"),
        ] {
            let said = read(&text, 100_000).await.unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[tokio::test]
    async fn documents_are_of_format_1() {
        let read = |text: &str, kind| {
            let input = stream::iter([Ok(Bytes::copy_from_slice(text.as_bytes()))]).boxed();
            document("inventory".into(), kind, input).try_collect::<Vec<_>>()
        };
        let good = serde_json::to_string(&Inventory { format: 1, ..Inventory::default() }).unwrap();
        assert!(read(&good, Document::Inventory).await.is_ok());
        assert!(read(&good, Document::Discovery).await.is_err());
        assert!(read(&good.replace("\"format\":1", "\"format\":2"), Document::Inventory).await.is_err());
        assert!(read("{", Document::Inventory).await.is_err());
    }
}
