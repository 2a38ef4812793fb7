//! What stands on a workload that we set to zero.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Name, RunId, Timestamp};

/// The annotation that holds a [`Record`] as JSON.
pub const ANNOTATION: &str = "lifeboat.dev/quiesced";
/// Where Kubernetes' own kinds say how many are wanted.
pub(super) const REPLICAS: &str = "/spec/replicas";

/// How many replicas a workload had, who took them, and until when at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub policy: Name,
    pub run: RunId,
    pub replicas: u32,
    /// By the clock of whoever wrote it. After that nobody needs it at zero any more.
    pub until: Timestamp,
    /// JSON pointer of the count in the object; none if only its subresource `scale` knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Record {
    /// What stands on that object. An annotation that is no record is not nothing: somebody may have edited it.
    pub(super) fn of(object: &Value) -> Option<Result<Self, String>> {
        let text = annotation(object)?;
        let read = serde_json::from_str::<Record>(text).map_err(|error| error.to_string());
        Some(read.and_then(|record| match record.replicas {
            0 => Err("it says 0 replicas".into()),
            n if i32::try_from(n).is_err() => Err(format!("it says {n} replicas")),
            _ => Ok(record),
        }))
    }

    pub(super) fn to_json(&self) -> String {
        // Plain fields of plain types: there is nothing in it that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn annotation(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][ANNOTATION].as_str()
}

/// Of a captured object, what it was before it was quiesced.
pub struct Woken {
    pub replicas: u32,
    /// Where the count was set; none if the object does not say how many are wanted: a person has to.
    pub path: Option<String>,
}

/// Takes the record off an object that was captured at zero, and sets the count that it had. An object that was scaled
/// by others meanwhile keeps what it says. None: it bears no record.
pub fn wake(object: &mut Value) -> Option<Woken> {
    let record = Record::of(object);
    annotation(object)?;
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(ANNOTATION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    let record = record?.ok()?;
    let path = record.path.filter(|path| path.starts_with("/spec/"));
    let Some(wanted) = path.as_deref().and_then(|path| object.pointer_mut(path)) else {
        return Some(Woken { replicas: record.replicas, path: None });
    };
    if wanted.as_u64() != Some(0) {
        return None;
    }
    *wanted = record.replicas.into();
    Some(Woken { replicas: record.replicas, path })
}

/// How many a captured object wants, had it not been quiesced.
pub fn replicas_before(object: &Value) -> Option<u64> {
    Record::of(object)?.ok().map(|record| u64::from(record.replicas))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn quiesced(replicas: u32, wanted: u32) -> Value {
        let run: RunId = ulid::Ulid::nil().into();
        let record = json!({"policy": "shop", "run": run, "replicas": replicas, "until": "2026-12-01T03:00:00Z", "path": "/spec/replicas"});
        json!({"metadata": {"name": "web", "annotations": {ANNOTATION: record.to_string()}}, "spec": {"replicas": wanted}})
    }

    #[test]
    fn a_record_is_read_as_it_is_written_and_no_other() {
        let object = quiesced(3, 0);
        let record = Record::of(&object).unwrap().unwrap();
        assert_eq!((record.replicas, record.path.as_deref()), (3, Some(REPLICAS)));
        let mut again = object.clone();
        again["metadata"]["annotations"][ANNOTATION] = record.to_json().into();
        assert_eq!(Record::of(&again).unwrap().unwrap(), record);
        assert!(Record::of(&json!({"metadata": {}})).is_none());
        for text in ["", "3", "{}", "{\"replicas\": 3}"] {
            let object = json!({"metadata": {"annotations": {ANNOTATION: text}}});
            assert!(Record::of(&object).unwrap().is_err(), "{text}");
        }
        assert!(Record::of(&quiesced(0, 0)).unwrap().is_err(), "a count of 0 is never recorded");
        assert!(Record::of(&quiesced(u32::MAX, 0)).unwrap().is_err());
    }

    #[test]
    fn a_captured_workload_gets_its_count_back_unless_somebody_scaled_it() {
        let mut object = quiesced(3, 0);
        assert_eq!(wake(&mut object).unwrap().replicas, 3);
        assert_eq!(object, json!({"metadata": {"name": "web"}, "spec": {"replicas": 3}}));
        assert!(wake(&mut object).is_none());
        let mut scaled = quiesced(3, 2);
        assert!(wake(&mut scaled).is_none());
        assert_eq!(scaled, json!({"metadata": {"name": "web"}, "spec": {"replicas": 2}}));
    }
}
