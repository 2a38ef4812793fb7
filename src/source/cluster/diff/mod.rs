//! What became of the objects between two captures, or since one.

mod autoscaled;
mod fields;

use std::cmp::Ordering;

use serde::Serialize;

use crate::model::SourceFailure;
use crate::source::cluster::ObjectRef;
use crate::source::cluster::lines::{Items, Line, Lines};
use crate::source::cluster::restore::rules::Object;

use autoscaled::Autoscaled;

pub use crate::source::changes::{Change, Difference};

/// Objects that are named of each kind of difference; more are only counted.
const NAMED: usize = 10_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ObjectsDiff {
    pub same: u64,
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    /// What controllers make of others: pods of a Deployment, addresses of a Service. Not compared.
    pub left_out: u64,
    /// Deleted and made again under the same name, equal or not. Also counted as what they are besides.
    pub made_again: u64,
    /// The first 10,000 of each, in the order of the stream.
    pub objects: Vec<ObjectDiff>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectDiff {
    #[serde(flatten)]
    pub object: ObjectRef,
    pub what: Difference,
    /// Of a changed one.
    pub fields: Vec<Change>,
}

/// Both are read once, side by side.
pub async fn diff(before: Items, after: Items) -> Result<ObjectsDiff, SourceFailure> {
    let mut autoscaled = Autoscaled::default();
    let (mut before, mut after) = (Lines::of(before), Lines::of(after));
    let mut diff = ObjectsDiff::default();
    let (mut left, mut right) = (before.next().await?, after.next().await?);
    loop {
        let order = match (&left, &right) {
            (None, None) => {
                autoscaled.settle(&mut diff);
                return Ok(diff);
            }
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => left.object.reference.cmp(&right.object.reference),
        };
        for line in [&left, &right].into_iter().flatten() {
            autoscaled.see(&line.object);
        }
        match (order, &left, &right) {
            (Ordering::Less, Some(line), _) | (_, _, Some(line)) if is_made_of_another(&line.object) => {
                diff.left_out += 1
            }
            (Ordering::Less, Some(gone), _) => diff.tell(&gone.object, Difference::Removed, Vec::new()),
            (Ordering::Greater, _, Some(new)) => diff.tell(&new.object, Difference::Added, Vec::new()),
            (_, Some(left), Some(right)) => diff.compare(left, right, &mut autoscaled),
            _ => {}
        }
        if order != Ordering::Greater {
            left = before.next().await?;
        }
        if order != Ordering::Less {
            right = after.next().await?;
        }
    }
}

/// Its controller makes it again, under another name if need be.
fn is_made_of_another(object: &Object) -> bool {
    match (object.reference.gvk.group.as_str(), object.reference.gvk.kind.as_str()) {
        ("", "Endpoints") | ("discovery.k8s.io", "EndpointSlice") => true,
        // The record of a Service's address. One that a person wrote says nothing of a controller.
        ("networking.k8s.io", "IPAddress") => {
            object.value["metadata"]["labels"]["ipaddress.kubernetes.io/managed-by"].is_string()
        }
        ("", "Pod") | ("apps", "ReplicaSet" | "ControllerRevision") | ("batch", "Job") => object.controller().is_some(),
        _ => false,
    }
}

impl ObjectsDiff {
    fn compare(&mut self, before: &Line, after: &Line, autoscaled: &mut Autoscaled) {
        self.made_again += u64::from(before.object.uid != after.object.uid);
        if before.bytes == after.bytes {
            self.same += 1;
            return;
        }
        let fields = fields::changes(&after.object.reference.gvk, &before.object.value, &after.object.value);
        if fields.is_empty() {
            self.same += 1;
        } else if autoscaled.may_be(&fields, before, after) {
            autoscaled.wait(&after.object, fields);
        } else {
            self.tell(&after.object, Difference::Changed, fields);
        }
    }

    fn tell(&mut self, object: &Object, what: Difference, fields: Vec<Change>) {
        self.tell_of(&object.reference, what, fields);
    }

    fn tell_of(&mut self, object: &ObjectRef, what: Difference, fields: Vec<Change>) {
        let counter = match what {
            Difference::Added => &mut self.added,
            Difference::Removed => &mut self.removed,
            Difference::Changed => &mut self.changed,
        };
        *counter += 1;
        if *counter <= NAMED as u64 {
            self.objects.push(ObjectDiff { object: object.clone(), what, fields });
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::StreamExt as _;
    use futures::stream;

    use super::*;
    use crate::source::cluster::split_objects;

    fn items(lines: &[&str]) -> Items {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        split_objects("objects".into(), stream::iter([Ok(Bytes::from(text))]).boxed())
    }

    fn map(name: &str, uid: &str, data: &str) -> String {
        format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"shop","uid":"{uid}","resourceVersion":"{data}"}},"data":{{"x":"{data}"}}}}"#
        )
    }

    #[tokio::test]
    async fn objects_are_told_apart_by_name_and_compared_by_field() {
        let before = [map("a", "1", "1"), map("b", "2", "1"), map("d", "4", "1"), map("e", "5", "1")];
        let after = [map("b", "2", "2"), map("c", "3", "1"), map("d", "9", "1"), map("e", "5", "1")];
        let [before, after] = [before, after].map(|lines| items(&lines.iter().map(String::as_str).collect::<Vec<_>>()));
        let diff = diff(before, after).await.unwrap();
        let told: Vec<_> =
            diff.objects.iter().map(|one| (one.object.name.as_str(), one.what, one.fields.len())).collect();
        assert_eq!(told, [("a", Difference::Removed, 0), ("b", Difference::Changed, 1), ("c", Difference::Added, 0)]);
        assert_eq!((diff.same, diff.added, diff.removed, diff.changed, diff.made_again), (2, 1, 1, 1, 1));
    }

    #[tokio::test]
    async fn what_an_autoscaler_does_is_no_difference() {
        let workload = |name: &str, replicas: u32, image: &str| {
            format!(
                r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"{name}","namespace":"shop","uid":"{name}"}},"spec":{{"replicas":{replicas},"image":"{image}"}}}}"#
            )
        };
        let autoscaler = |name: &str| {
            format!(
                r#"{{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{{"name":"{name}","namespace":"shop","uid":"h{name}"}},"spec":{{"scaleTargetRef":{{"apiVersion":"apps/v1","kind":"Deployment","name":"{name}"}}}}}}"#
            )
        };
        let state = |replicas: u32, image: &str, off: u32| {
            let lines = [
                workload("alone", replicas, "a"),
                workload("both", replicas, image),
                workload("off", off, "a"),
                workload("web", replicas, "a"),
                autoscaler("both"),
                autoscaler("off"),
                autoscaler("web"),
            ];
            items(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let diff = diff(state(2, "a", 2), state(5, "b", 0)).await.unwrap();
        let told: Vec<_> =
            diff.objects.iter().map(|one| (one.object.name.as_str(), one.fields[0].path.as_str())).collect();
        assert_eq!(told, [("alone", "/spec/replicas"), ("both", "/spec/image"), ("off", "/spec/replicas")]);
        assert_eq!((diff.same, diff.changed), (4, 3));
        assert!(diff.objects.iter().all(|one| one.fields.len() == 1));
    }

    #[tokio::test]
    async fn addresses_that_services_get_anew_are_left_out() {
        let address = |name: &str, labels: &str| {
            format!(
                r#"{{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{{"name":"{name}","labels":{{{labels}}}}}}}"#
            )
        };
        let by = r#""ipaddress.kubernetes.io/managed-by":"ipallocator.k8s.io""#;
        let (before, after) = (address("10.0.0.1", by), [address("10.0.0.2", by), address("10.0.0.3", "")]);
        let after: Vec<&str> = after.iter().map(String::as_str).collect();
        let diff = diff(items(&[&before]), items(&after)).await.unwrap();
        assert_eq!((diff.left_out, diff.removed, diff.added), (2, 0, 1));
    }

    #[tokio::test]
    async fn a_damaged_stream_is_no_difference() {
        let whole = map("a", "1", "1");
        let broken = whole.replace("shop", "../shop");
        assert!(diff(items(&[&whole]), items(&[&broken])).await.is_err());
        assert!(diff(items(&[&whole]), items(&[&whole, &whole])).await.is_err());
    }
}
