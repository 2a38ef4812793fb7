//! Jobs: the whole of each as its server gives it, and how much of it runs.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::model::{SourceFailure, sha256};
use crate::source::outside::Record;
use crate::source::outside::nomad::JOB;
use crate::source::outside::nomad::api::Api;

/// Requests at the same time.
const AT_ONCE: usize = 8;

/// What the server writes beside what was submitted: it changes by itself, or is another one after a restore.
const BOOKKEEPING: [&str; 8] =
    ["CreateIndex", "JobModifyIndex", "ModifyIndex", "Stable", "Status", "StatusDescription", "SubmitTime", "Version"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default, rename = "ParentID")]
    parent_id: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    status: String,
}

impl Row {
    /// Servers before namespaces say none.
    fn namespace(&self) -> &str {
        if self.namespace.is_empty() { "default" } else { &self.namespace }
    }

    /// The one whose text is recorded: a dispatched or periodic child comes and goes by itself.
    fn recorded(&self) -> &str {
        if self.parent_id.is_empty() { &self.id } else { &self.parent_id }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Allocation {
    #[serde(rename = "JobID")]
    job_id: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    client_status: String,
}

/// Namespace and id.
type Key = (String, String);

/// A record for each job that is no child of another.
pub(super) async fn all(
    api: &Api,
    namespaces: &[String],
    records: &mut Vec<Record>,
    cx: &Context,
) -> Result<(), SourceFailure> {
    for namespace in asked(namespaces) {
        let rows: Vec<Row> = api.list("/v1/jobs", &[("namespace", namespace)], cx).await?;
        let running = running(api, namespace, &rows, cx).await?;
        let parents: Vec<Row> = rows.into_iter().filter(|row| row.parent_id.is_empty()).collect();
        let found = stream::iter(parents).map(|row| one(api, row, &running, cx)).buffered(AT_ONCE);
        let found: Vec<Option<Record>> = found.try_collect().await?;
        records.extend(found.into_iter().flatten());
    }
    Ok(())
}

/// Whether the token may read jobs, without reading all.
pub(super) async fn may_read(api: &Api, namespaces: &[String], cx: &Context) -> Result<(), SourceFailure> {
    for namespace in asked(namespaces) {
        let queries = [("namespace", namespace), ("per_page", "1")];
        let _: Vec<Row> = api.get("/v1/jobs", &queries, cx).await?;
        let _: Vec<Allocation> = api.get("/v1/allocations", &queries, cx).await?;
    }
    Ok(())
}

fn asked(namespaces: &[String]) -> Vec<&str> {
    if namespaces.is_empty() { vec!["*"] } else { namespaces.iter().map(String::as_str).collect() }
}

/// Allocations that run, by the job that is recorded: those of children count for their parent.
async fn running(api: &Api, namespace: &str, rows: &[Row], cx: &Context) -> Result<BTreeMap<Key, u64>, SourceFailure> {
    let recorded: BTreeMap<(&str, &str), &str> =
        rows.iter().map(|row| ((row.namespace(), row.id.as_str()), row.recorded())).collect();
    // Older servers do not know the filter and give all of them.
    let queries = [("namespace", namespace), ("filter", "ClientStatus == \"running\"")];
    let all: Vec<Allocation> = api.list("/v1/allocations", &queries, cx).await?;
    let mut running = BTreeMap::new();
    for allocation in all.iter().filter(|allocation| allocation.client_status == "running") {
        let namespace = if allocation.namespace.is_empty() { "default" } else { &allocation.namespace };
        let job = recorded.get(&(namespace, allocation.job_id.as_str())).copied().unwrap_or(&allocation.job_id);
        *running.entry((namespace.to_owned(), job.to_owned())).or_default() += 1;
    }
    Ok(running)
}

/// None: it was deleted since it was listed.
async fn one(api: &Api, row: Row, running: &BTreeMap<Key, u64>, cx: &Context) -> Result<Option<Record>, SourceFailure> {
    let path = format!("/v1/job/{}", escaped(&row.id));
    let job = match api.get::<Map<String, Value>>(&path, &[("namespace", row.namespace())], cx).await {
        Ok(job) => job,
        Err(failure) if failure.message.contains("job not found") => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let key = (row.namespace().to_owned(), row.id.clone());
    let running = running.get(&key).copied().unwrap_or_default();
    let version = job.get("Version").cloned().unwrap_or_default();
    let record = Record::new(JOB, format!("{}/{}", key.0, key.1))
        .with("namespace", key.0)
        .with("id", key.1)
        .with("status", row.status)
        .with("version", version)
        .with("running", running)
        .with("job", Value::Object(kept(job)));
    Ok(Some(record))
}

fn kept(mut job: Map<String, Value>) -> Map<String, Value> {
    job.retain(|field, _| !BOOKKEEPING.contains(&field.as_str()));
    job
}

/// Where a job has what may be a secret: Nomad knows no other place for one.
const CONCEALED: [&str; 6] = ["Env", "EmbeddedTmpl", "Payload", "auth", "args", "Artifacts"];

/// A hash in place of each value that may be a secret, however deep: that it changed is told, and not what it is.
pub fn conceal(fields: &mut Map<String, Value>) {
    for (name, value) in fields {
        if CONCEALED.contains(&name.as_str()) {
            hash(value);
            continue;
        }
        match value {
            Value::Object(inner) => conceal(inner),
            Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).for_each(conceal),
            _ => {}
        }
    }
}

fn hash(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(hash),
        Value::Array(items) => items.iter_mut().for_each(hash),
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => *text = format!("sha256:{}", sha256(text.as_bytes())),
        _ => {}
    }
}

/// An id may hold slashes and more.
fn escaped(id: &str) -> String {
    utf8_percent_encode(id, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_writes_beside_the_job_is_left_out() {
        let Value::Object(job) = json!({"ID": "a", "ModifyIndex": 7, "SubmitTime": 9, "Status": "running", "Version": 3,
            "TaskGroups": [{"Name": "g", "Tasks": [{"Env": {"K": "v"}}]}]})
        else {
            unreachable!()
        };
        assert_eq!(json!(kept(job)), json!({"ID": "a", "TaskGroups": [{"Name": "g", "Tasks": [{"Env": {"K": "v"}}]}]}));
    }

    #[test]
    fn what_may_be_a_secret_is_told_as_a_hash() {
        let Value::Object(mut fields) = json!({"job": {"TaskGroups": [{"Tasks": [{"Env": {"K": "geheim"}, "Driver": "docker",
            "Config": {"image": "web:1", "auth": [{"password": "geheim"}], "args": ["geheim"]},
            "Templates": [{"EmbeddedTmpl": "geheim", "DestPath": "a"}]}]}]}})
        else {
            unreachable!()
        };
        conceal(&mut fields);
        let text = json!(fields).to_string();
        assert!(!text.contains("geheim") && text.contains("web:1") && text.contains("DestPath"), "{text}");
        assert_eq!(text.matches("sha256:").count(), 4);
    }

    #[test]
    fn an_id_is_one_word_of_the_path() {
        assert_eq!(escaped("web"), "web");
        assert_eq!(escaped("a/1?x y%"), "a%2F1%3Fx%20y%25");
    }
}
