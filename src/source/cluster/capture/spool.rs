//! Where the objects of one kind wait until all of them are there: a list that breaks off in the middle is started
//! again, and what a reader gets is whole and in order.
//!
//! A few wait in memory; more in a sealed file.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::model::{FailureClass, SourceFailure};
use crate::source::cluster::capture::page::Item;
use crate::source::cluster::sealed::{Opened, Sealing, Trouble};

/// Bytes of one step of what is read back.
const BATCH: usize = 256 << 10;

/// How much all spools of a capture may hold in memory.
#[derive(Debug)]
pub(super) struct Room {
    most_bytes: usize,
    used: AtomicUsize,
}

impl Room {
    pub fn new(most_bytes: usize) -> Arc<Self> {
        Arc::new(Self { most_bytes, used: AtomicUsize::new(0) })
    }

    fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.most_bytes);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The objects of one kind.
pub(super) struct Spool {
    room: Arc<Room>,
    /// Taken from the room.
    taken: usize,
    place: Place,
    bytes: u64,
    index: Vec<Entry>,
}

enum Place {
    Memory(Vec<u8>),
    File(Sealing),
}

#[derive(Debug)]
struct Entry {
    namespace: Box<str>,
    name: Box<str>,
    offset: u64,
    len: u32,
}

impl Spool {
    pub fn new(room: &Arc<Room>) -> Self {
        Self { room: room.clone(), taken: 0, place: Place::Memory(Vec::new()), bytes: 0, index: Vec::new() }
    }

    /// Blocks: a file may be written.
    pub fn push(&mut self, items: Vec<Item>) -> Result<(), SourceFailure> {
        let bytes: usize = items.iter().map(|item| item.line.len()).sum();
        if let Place::Memory(memory) = &mut self.place {
            if self.room.take(bytes) {
                self.taken += bytes;
            } else {
                let mut file = Sealing::begin().map_err(trouble)?;
                file.write_all(memory).map_err(no_room)?;
                self.place = Place::File(file);
                self.room.give_back(std::mem::take(&mut self.taken));
            }
        }
        for Item { namespace, name, line } in items {
            let len = u32::try_from(line.len()).unwrap_or(u32::MAX);
            self.index.push(Entry { namespace: namespace.into(), name: name.into(), offset: self.bytes, len });
            self.bytes += line.len() as u64;
            match &mut self.place {
                Place::Memory(memory) => memory.extend_from_slice(&line),
                Place::File(file) => file.write_all(&line).map_err(no_room)?,
            }
        }
        Ok(())
    }

    /// In the order of namespaces and names. An object that two pages had, because it was made anew between them, is
    /// taken once: the later one. Blocks.
    pub fn finish(mut self) -> Result<Sorted, SourceFailure> {
        let mut index = std::mem::take(&mut self.index);
        index.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
        // The sort is stable, so the later one of two is the one behind.
        index.dedup_by(|later, earlier| {
            let same = later.namespace == earlier.namespace && later.name == earlier.name;
            if same {
                (earlier.offset, earlier.len) = (later.offset, later.len);
            }
            same
        });
        let place = std::mem::replace(&mut self.place, Place::Memory(Vec::new()));
        let back = match place {
            Place::Memory(memory) => Back::Memory(memory),
            Place::File(file) => Back::File { reader: Box::new(file.finish().map_err(trouble)?), at: 0 },
        };
        let taken = std::mem::take(&mut self.taken);
        Ok(Sorted { room: self.room.clone(), taken, back, index, next: 0 })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.room.give_back(self.taken);
    }
}

/// What was spooled, in order, to be read once.
pub(super) struct Sorted {
    room: Arc<Room>,
    taken: usize,
    back: Back,
    index: Vec<Entry>,
    next: usize,
}

enum Back {
    Memory(Vec<u8>),
    File { reader: Box<Opened>, at: u64 },
}

impl Sorted {
    pub fn objects(&self) -> u64 {
        self.index.len() as u64
    }

    /// Keeps only what is wanted. Blocks.
    pub fn retain(&mut self, mut wanted: impl FnMut(&[u8]) -> bool) -> Result<(), SourceFailure> {
        let mut kept = Vec::new();
        let mut line = Vec::new();
        for entry in std::mem::take(&mut self.index) {
            line.clear();
            self.back.read(entry.offset, entry.len as usize, &mut line)?;
            if wanted(&line) {
                kept.push(entry);
            }
        }
        self.index = kept;
        Ok(())
    }

    /// Whole lines, up to about [`BATCH`] bytes; empty at the end. Blocks.
    fn batch(&mut self) -> Result<Vec<u8>, SourceFailure> {
        let mut batch = Vec::new();
        while let Some(entry) = self.index.get(self.next) {
            let len = entry.len as usize;
            if !batch.is_empty() && batch.len() + len > BATCH {
                break;
            }
            self.back.read(entry.offset, len, &mut batch)?;
            self.next += 1;
        }
        Ok(batch)
    }

    pub fn into_batches(self) -> BoxStream<'static, Result<Bytes, SourceFailure>> {
        let read = |mut sorted: Sorted| async move {
            let done = tokio::task::spawn_blocking(move || sorted.batch().map(|batch| (batch, sorted))).await;
            let (batch, sorted) = done.map_err(|error| lost(&error))??;
            Ok((!batch.is_empty()).then(|| (Bytes::from(batch), sorted)))
        };
        stream::try_unfold(self, read).boxed()
    }
}

impl Drop for Sorted {
    fn drop(&mut self) {
        self.room.give_back(self.taken);
    }
}

impl Back {
    fn read(&mut self, offset: u64, len: usize, into: &mut Vec<u8>) -> Result<(), SourceFailure> {
        match self {
            Back::Memory(memory) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let line = memory.get(start..start.saturating_add(len));
                into.extend_from_slice(line.ok_or_else(|| lost(&"an object is not where it was put"))?);
            }
            Back::File { reader, at } => {
                // Servers list nearly in our order, so this is rare.
                if *at != offset {
                    reader.seek(SeekFrom::Start(offset)).map_err(|error| lost(&error))?;
                }
                let begin = into.len();
                into.resize(begin + len, 0);
                let space = into.get_mut(begin..).unwrap_or_default();
                reader.read_exact(space).map_err(|error| lost(&error))?;
                *at = offset + len as u64;
            }
        }
        Ok(())
    }
}

fn trouble(trouble: Trouble) -> SourceFailure {
    match trouble {
        Trouble::Disk(error) => no_room(error),
        Trouble::Seal(error) => lost(&error),
    }
}

fn no_room(error: std::io::Error) -> SourceFailure {
    let folder = std::env::temp_dir();
    let message = format!("objects that wait to be sorted cannot be kept there: {error}");
    SourceFailure::new(FailureClass::Configuration, format!("folder {}", folder.display()), message).cure(
        "set TMPDIR to a folder with room for the largest kind; what lies there is sealed, and gone with the process",
    )
}

fn lost(error: &dyn std::fmt::Display) -> SourceFailure {
    SourceFailure::new(
        FailureClass::Internal,
        "cluster",
        format!("objects that waited to be sorted cannot be read back: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    fn item(namespace: &str, name: &str, text: &str) -> Item {
        Item {
            namespace: namespace.into(),
            name: name.into(),
            line: format!("{namespace}/{name}={text}\n").into_bytes(),
        }
    }

    async fn read(spool: Spool) -> String {
        let batches: Vec<Bytes> = spool.finish().unwrap().into_batches().try_collect().await.unwrap();
        String::from_utf8(batches.concat()).unwrap()
    }

    /// As a server lists them: by `namespace/name`, so that `a-b` comes before `a`.
    fn pages() -> Vec<Vec<Item>> {
        let filler = "x".repeat(70_000);
        vec![
            vec![item("a-b", "one", &filler), item("a-b", "two", "2")],
            vec![item("a", "late", "old"), item("a", "z", &filler)],
            vec![item("a", "late", "new"), item("", "cluster", "c")],
        ]
    }

    #[tokio::test]
    async fn both_places_give_the_same_in_order_and_the_later_of_two() {
        let mut texts = Vec::new();
        for most_bytes in [1 << 20, 0, 71_000] {
            let room = Room::new(most_bytes);
            let mut spool = Spool::new(&room);
            for page in pages() {
                spool.push(page).unwrap();
            }
            assert_eq!(matches!(spool.place, Place::Memory(_)), most_bytes == 1 << 20);
            texts.push(read(spool).await);
            assert_eq!(room.used.load(Ordering::Relaxed), 0, "nothing is held when it is gone");
        }
        assert!(texts.iter().all(|text| *text == texts[0]));
        let heads: Vec<&str> = texts[0].lines().map(|line| line.split('=').next().unwrap()).collect();
        assert_eq!(heads, ["/cluster", "a/late", "a/z", "a-b/one", "a-b/two"]);
        assert!(texts[0].contains("a/late=new") && !texts[0].contains("=old"));
    }
}
