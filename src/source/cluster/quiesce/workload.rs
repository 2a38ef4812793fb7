//! One object that can be scaled: what it says, and the patches that change it.

use serde_json::{Map, Value, json};

use super::record::{ANNOTATION, REPLICAS, Record};
use super::{MANAGER, Scalable};
use crate::cluster_client::{Answer, Api, Call, ClusterError, Method};
use crate::model::SourceFailure;
use crate::source::cluster::restore::client::get;
use crate::source::cluster::{ObjectRef, failed};

/// An object that can be scaled.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    pub scalable: Scalable,
    pub reference: ObjectRef,
}

/// It as it is now.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub version: String,
    pub replicas: u64,
    pub record: Option<Result<Record, String>>,
    pub object: Value,
}

/// What became of a write.
pub(super) enum Sent {
    Done,
    /// It changed since it was read.
    Overtaken,
    /// Nobody knows whether it was done.
    Unknown(String),
    /// The server says no.
    Refused(Answer),
}

impl Workload {
    pub(super) fn path(&self) -> String {
        self.scalable.kind.path(&self.reference)
    }

    pub(super) fn scale_path(&self) -> String {
        format!("{}/scale", self.path())
    }

    /// None: it is gone.
    pub(super) async fn look(&self, api: &dyn Api) -> Result<Option<Live>, SourceFailure> {
        let Some(object) = get(api, &self.path()).await? else { return Ok(None) };
        let mut version = text(&object["metadata"]["resourceVersion"]);
        let replicas = match &self.scalable.pointer {
            // Not said means one, of Kubernetes' own kinds; custom kinds have no such rule.
            Some(pointer) => object.pointer(pointer).and_then(Value::as_u64).unwrap_or(u64::from(pointer == REPLICAS)),
            None => {
                let Some(scale) = get(api, &self.scale_path()).await? else { return Ok(None) };
                // Of two reads the later one: a write between them is noticed.
                version = text(&scale["metadata"]["resourceVersion"]);
                scale["spec"]["replicas"].as_u64().unwrap_or(0)
            }
        };
        Ok(Some(Live { version, replicas, record: Record::of(&object), object }))
    }

    /// Sets the record, or takes it off, in one patch with the count where that can be. The object must be as it was read.
    pub(super) async fn write(
        &self,
        api: &dyn Api,
        version: &str,
        record: Option<&Record>,
        replicas: Option<u64>,
    ) -> Result<Sent, SourceFailure> {
        let mut patch = json!({
            "metadata": {"resourceVersion": version, "annotations": {ANNOTATION: record.map(Record::to_json)}},
        });
        if let (Some(pointer), Some(replicas)) = (&self.scalable.pointer, replicas) {
            set(&mut patch, pointer, replicas);
        }
        self.send(api, self.path(), &patch).await
    }

    /// The count alone, where only the subresource knows which field it is.
    pub(super) async fn scale(&self, api: &dyn Api, version: &str, replicas: u64) -> Result<Sent, SourceFailure> {
        let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}});
        self.send(api, self.scale_path(), &patch).await
    }

    async fn send(&self, api: &dyn Api, path: String, patch: &Value) -> Result<Sent, SourceFailure> {
        let call = Call::send(Method::MergePatch, format!("{path}?{MANAGER}"), patch.to_string());
        let answer = match api.call(call).await {
            Ok(answer) => answer,
            Err(ClusterError::Unreachable { message, .. }) => return Ok(Sent::Unknown(message)),
            Err(error) => return Err(failed(error)),
        };
        Ok(match answer.status {
            200..300 => Sent::Done,
            409 => Sent::Overtaken,
            429 | 500.. => Sent::Unknown(crate::source::cluster::said(&answer)),
            _ => Sent::Refused(answer),
        })
    }
}

impl Live {
    /// Who wrote the count last, as the server knows him.
    pub fn scaled_by(&self) -> Option<String> {
        let entries = self.object["metadata"]["managedFields"].as_array()?;
        let of_count = |entry: &&Value| {
            let path = entry["fieldsV1"]["f:spec"].as_object();
            path.is_some_and(|fields| fields.contains_key("f:replicas"))
        };
        let newest = entries.iter().filter(of_count).max_by_key(|entry| text(&entry["time"]))?;
        let manager = text(&newest["manager"]);
        match newest["subresource"].as_str() {
            Some(below) => Some(format!("{manager} (through {below})")),
            None => Some(manager),
        }
    }
}

/// Puts a value at the pointer of a merge patch.
fn set(patch: &mut Value, pointer: &str, replicas: u64) {
    let mut at = patch;
    for key in pointer.split('/').skip(1) {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[key];
    }
    *at = replicas.into();
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_reaches_the_field_that_the_kind_names() {
        let mut patch = json!({"metadata": {}});
        set(&mut patch, "/spec/size/wanted", 3);
        assert_eq!(patch, json!({"metadata": {}, "spec": {"size": {"wanted": 3}}}));
    }
}
