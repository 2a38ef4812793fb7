//! Keysets in a cluster: a key of a Secret, or what a container sees as a variable. No message quotes what was read.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

use crate::cluster_client::{Api, Call};
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::secret::Secret;
use crate::source::cluster::{failed, unexpected};
use crate::source::outside::keysets::{Found, KeysetAt};

/// Where one keyset is looked for.
struct Asking<'a> {
    api: &'a dyn Api,
    /// `keyset sign`
    subject: &'a str,
    namespace: &'a str,
}

pub(super) async fn find(api: &dyn Api, at: &KeysetAt, subject: &str) -> Result<Found, SourceFailure> {
    match at {
        KeysetAt::Secret { namespace, name, key } => {
            let asking = Asking { api, subject, namespace };
            match asking.key("secrets", name, key).await? {
                Some(found) => Ok(found),
                None => Err(asking.none(format!("Secret {namespace}/{name} has no key `{key}`"))),
            }
        }
        KeysetAt::Deployment { namespace, name, container, env } => {
            Asking { api, subject, namespace }.variable(name, container.as_deref(), env).await
        }
        KeysetAt::Here(_) => Err(SourceFailure::new(FailureClass::Internal, subject, "is not in a cluster")),
    }
}

impl Asking<'_> {
    async fn variable(&self, name: &str, container: Option<&str>, env: &str) -> Result<Found, SourceFailure> {
        let namespace = self.namespace;
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        let what = format!("Deployment {namespace}/{name}");
        let deployment = self.get(&path, &what).await?;
        let empty = Vec::new();
        let all = deployment.pointer("/spec/template/spec/containers").and_then(Value::as_array).unwrap_or(&empty);
        let mut found = Vec::new();
        for spec in all.iter().filter(|spec| container.is_none_or(|wanted| spec["name"] == wanted)) {
            let called = spec["name"].as_str().unwrap_or_default();
            let at = format!("variable {env} of container {called} of {what}");
            found.extend(self.of_container(spec, env, at).await?);
        }
        match (found.pop(), found.len()) {
            (Some(found), 0) => Ok(found),
            (Some(_), _) => Err(self
                .none(format!("several containers of {what} have a variable {env}"))
                .cure("name one of them: `container: NAME`")),
            (None, _) => {
                let names: Vec<&str> = all.iter().filter_map(|spec| spec["name"].as_str()).collect();
                let message = match container {
                    Some(wanted) if !names.contains(&wanted) => format!("{what} has no container {wanted}"),
                    Some(wanted) => format!("container {wanted} of {what} has no variable {env}"),
                    None => format!("no container of {what} has a variable {env}"),
                };
                Err(self.none(message).cure(format!("its containers are: {}", names.join(", "))))
            }
        }
    }

    /// None: that container has no such variable.
    async fn of_container(&self, spec: &Value, env: &str, at: String) -> Result<Option<Found>, SourceFailure> {
        let items = |field: &str| spec[field].as_array().into_iter().flatten();
        // Of two of one name the later one counts, and one by name over all that come in bulk.
        if let Some(entry) = items("env").rfind(|entry| entry["name"] == env) {
            return self.entry(entry, at).await.map(Some);
        }
        for bulk in items("envFrom").rev() {
            let Some(key) = env.strip_prefix(bulk["prefix"].as_str().unwrap_or_default()) else { continue };
            for (field, plural) in [("secretRef", "secrets"), ("configMapRef", "configmaps")] {
                let Some(name) = bulk[field]["name"].as_str() else { continue };
                let found = match self.key(plural, name, key).await {
                    Err(failure) if failure.class == FailureClass::Configuration && bulk[field]["optional"] == true => {
                        None
                    }
                    found => found?,
                };
                if let Some(found) = found {
                    return Ok(Some(Found { at: format!("{at}, from {}", found.at), ..found }));
                }
            }
        }
        Ok(None)
    }

    async fn entry(&self, entry: &Value, at: String) -> Result<Found, SourceFailure> {
        for (field, plural) in [("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps")] {
            let reference = &entry["valueFrom"][field];
            let (Some(name), Some(key)) = (reference["name"].as_str(), reference["key"].as_str()) else { continue };
            return match self.key(plural, name, key).await? {
                Some(found) => Ok(Found { at: format!("{at}, from {}", found.at), ..found }),
                None => Err(self.none(format!("{at} refers to a key `{key}` of {name}, which is not there"))),
            };
        }
        if entry.get("valueFrom").is_some_and(|from| !from.is_null()) {
            return Err(self.none(format!("{at} is made from the pod itself, so it is no keyset")));
        }
        let value = entry["value"].as_str().unwrap_or_default();
        let mut findings = Vec::new();
        if value.contains("$(") {
            let message =
                format!("{at} holds `$(`, which Kubernetes may replace: the hash is of what is written there");
            findings.push(Finding::warning(self.subject, message));
        }
        Ok(Found { value: Secret::new(value.as_bytes().to_vec()), at, findings })
    }

    /// None: the object is there and has no such key.
    async fn key(&self, plural: &str, name: &str, key: &str) -> Result<Option<Found>, SourceFailure> {
        let namespace = self.namespace;
        let kind = if plural == "secrets" { "Secret" } else { "ConfigMap" };
        let what = format!("{kind} {namespace}/{name}");
        let object = self.get(&format!("/api/v1/namespaces/{namespace}/{plural}/{name}"), &what).await?;
        let text = |field: &str| object[field][key].as_str();
        let unreadable = || self.none(format!("key `{key}` of {what} is no base64"));
        let bytes = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| unreadable());
        let value = match (plural, text("data"), text("binaryData")) {
            ("secrets", Some(text), _) | (_, None, Some(text)) => bytes(text)?,
            (_, Some(text), _) => text.as_bytes().to_vec(),
            _ => return Ok(None),
        };
        Ok(Some(Found { value: Secret::new(value), at: format!("key {key} of {what}"), findings: Vec::new() }))
    }

    async fn get(&self, path: &str, what: &str) -> Result<Value, SourceFailure> {
        let answer = self.api.call(Call::get(path)).await.map_err(|error| {
            let failure = failed(error);
            SourceFailure { subject: format!("{} ({what})", self.subject), ..failure }
        })?;
        match answer.status {
            200 => {}
            404 => return Err(self.none(format!("{what} is not there"))),
            403 => {
                let failure = unexpected(self.subject, &format!("may not read {what}"), &answer);
                return Err(failure.cure("bind a Role that may `get` it to the account that makes backups"));
            }
            _ => return Err(unexpected(self.subject, &format!("cannot read {what}"), &answer)),
        }
        // What a parser says may quote what it read.
        let unreadable = |_| SourceFailure::new(FailureClass::ToolFailed, self.subject, format!("{what} is no JSON"));
        serde_json::from_slice(&answer.body).map_err(unreadable)
    }

    fn none(&self, message: String) -> SourceFailure {
        SourceFailure::new(FailureClass::Configuration, self.subject, message)
            .cure("see `keysets` of the source in the policy, and whether the platform still keeps it there")
    }
}
