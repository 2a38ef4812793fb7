//! What became of what is outside between two captures, or since one.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::SourceFailure;
use crate::source::changes::{Change, Difference, changes};
use crate::source::outside::nomad;
use crate::source::outside::record::Stored;
use crate::source::outside::records::{Items, Records};

/// Records that are named of each kind of difference; more are only counted.
const NAMED: u64 = 10_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RecordsDiff {
    pub same: u64,
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    /// The first 10,000 of each, by stream, kind and name.
    pub records: Vec<RecordDiff>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordDiff {
    /// `dns`, `certificates`, ...
    pub stream: String,
    pub kind: String,
    pub name: String,
    pub what: Difference,
    /// Of a changed one.
    pub fields: Vec<Change>,
}

/// By stream. A stream that one side lacks holds nothing there. Both sides are read once, side by side.
pub async fn diff(
    mut before: BTreeMap<String, Items>,
    mut after: BTreeMap<String, Items>,
) -> Result<RecordsDiff, SourceFailure> {
    let names: std::collections::BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    let mut diff = RecordsDiff::default();
    for name in names {
        let [old, new] = [before.remove(&name), after.remove(&name)].map(|items| items.map(Records::of));
        diff.stream(&name, old, new).await?;
    }
    Ok(diff)
}

/// The fields of a record as a person may see them.
fn told(record: &Stored) -> Map<String, Value> {
    let mut fields = record.fields.clone();
    if record.kind == nomad::JOB {
        nomad::conceal(&mut fields);
    }
    fields
}

async fn next(records: &mut Option<Records>) -> Result<Option<Stored>, SourceFailure> {
    match records {
        Some(records) => records.next().await,
        None => Ok(None),
    }
}

impl RecordsDiff {
    pub fn is_same(&self) -> bool {
        self.added + self.removed + self.changed == 0
    }

    async fn stream(
        &mut self,
        name: &str,
        mut before: Option<Records>,
        mut after: Option<Records>,
    ) -> Result<(), SourceFailure> {
        let (mut left, mut right) = (next(&mut before).await?, next(&mut after).await?);
        loop {
            let order = match (&left, &right) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => (&left.kind, &left.name).cmp(&(&right.kind, &right.name)),
            };
            match (order, &left, &right) {
                (Ordering::Less, Some(gone), _) => self.tell(name, gone, Difference::Removed, Vec::new()),
                (Ordering::Greater, _, Some(new)) => self.tell(name, new, Difference::Added, Vec::new()),
                (_, Some(left), Some(right)) => {
                    let [old, new] = [left, right].map(|record| Value::Object(told(record)));
                    let fields = changes(&old, &new, &|_| false);
                    if fields.is_empty() {
                        self.same += 1;
                    } else {
                        self.tell(name, right, Difference::Changed, fields);
                    }
                }
                _ => {}
            }
            if order != Ordering::Greater {
                left = next(&mut before).await?;
            }
            if order != Ordering::Less {
                right = next(&mut after).await?;
            }
        }
    }

    fn tell(&mut self, stream: &str, record: &Stored, what: Difference, fields: Vec<Change>) {
        let counter = match what {
            Difference::Added => &mut self.added,
            Difference::Removed => &mut self.removed,
            Difference::Changed => &mut self.changed,
        };
        *counter += 1;
        if *counter <= NAMED {
            let (stream, kind, name) = (stream.to_owned(), record.kind.clone(), record.name.clone());
            self.records.push(RecordDiff { stream, kind, name, what, fields });
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::StreamExt as _;
    use futures::stream;

    use super::*;
    use crate::source::outside::{Record, split};

    fn items(records: &[(&str, u32)]) -> Items {
        let line = |(name, ttl): &(&str, u32)| Ok(Record::new("name", *name).with("ttl", *ttl).line());
        let lines: Vec<Result<Bytes, SourceFailure>> = records.iter().map(line).collect();
        split("dns".into(), stream::iter(lines).boxed())
    }

    #[tokio::test]
    async fn records_are_told_apart_by_name_and_compared_by_field() {
        let before = BTreeMap::from([("dns".to_owned(), items(&[("a", 1), ("b", 1), ("d", 1)]))]);
        let after = BTreeMap::from([
            ("certificates".to_owned(), items(&[("x", 1)])),
            ("dns".to_owned(), items(&[("b", 2), ("c", 1), ("d", 1)])),
        ]);
        let diff = diff(before, after).await.unwrap();
        let told: Vec<_> = diff.records.iter().map(|one| (one.name.as_str(), one.what, one.fields.len())).collect();
        assert_eq!(
            told,
            [
                ("x", Difference::Added, 0),
                ("a", Difference::Removed, 0),
                ("b", Difference::Changed, 1),
                ("c", Difference::Added, 0)
            ]
        );
        assert_eq!((diff.same, diff.added, diff.removed, diff.changed), (1, 2, 1, 1));
    }
}
