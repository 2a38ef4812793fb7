//! A source of kind `cluster`: as it is typed, and checked.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::check::Checker;
use crate::config::policy::{Cluster, ClusterScoped};

/// The objects of a Kubernetes cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterField {
    /// A context of the kubeconfig. Left out: its current one.
    #[serde(default)]
    pub context: Option<String>,
    /// Left out: KUBECONFIG, else ~/.kube/config, else the account of the pod that lifeboat runs in. A relative path
    /// counts from the folder of this file.
    #[serde(default)]
    #[schemars(example = &"/etc/lifeboat/kubeconfig")]
    pub kubeconfig: Option<PathBuf>,
    /// Only these. Lists are made in each of them, so a Role there suffices. Left out: all.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", length(min = 1), example = ["shop"])]
    pub namespaces: Option<Spanned<Vec<Spanned<String>>>>,
    /// Only objects with these labels, as kubectl takes them: app=web,tier!=cache
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"app=web")]
    pub selector: Option<Spanned<String>>,
    /// Only some kinds, or all but some.
    #[serde(default)]
    pub kinds: KindsField,
    /// What belongs to no namespace. Default: all; with `namespaces`: referenced.
    #[serde(default)]
    pub cluster_scoped: Option<ClusterScopedField>,
}

/// Words: secrets (of the core, and wherever else that plural is served), deployments.apps, *.example.com
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KindsField {
    /// Left out: all.
    #[serde(default)]
    #[schemars(with = "Vec<String>", example = ["configmaps", "deployments.apps"])]
    pub include: Vec<Spanned<String>>,
    /// Beside events, leases and measurements, which are never captured.
    #[serde(default)]
    #[schemars(with = "Vec<String>", example = ["pods", "*.wgpolicyk8s.io"])]
    pub exclude: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClusterScopedField {
    /// All of it.
    All,
    /// What the captured namespaces need: themselves, definitions, bound roles, volumes, classes, their webhooks.
    Referenced,
    /// Nothing.
    None,
}

impl Checker<'_> {
    pub(in crate::config) fn cluster(&mut self, field: ClusterField) -> Cluster {
        let mut namespaces: Vec<String> = Vec::new();
        if let Some(list) = &field.namespaces {
            self.not_empty(list, "every namespace is to leave `namespaces` out");
            for name in &list.value {
                if !is_label(&name.value) {
                    let message =
                        format!("`{}` is no name of a namespace (lower-case letters, digits, hyphens)", name.value);
                    self.wrong(name, message, None);
                } else if namespaces.contains(&name.value) {
                    self.wrong(name, format!("namespace `{}` is there twice", name.value), None);
                }
                namespaces.push(name.value.clone());
            }
        }
        if let Some(selector) = field.selector.as_ref().filter(|selector| selector.value.trim().is_empty()) {
            self.wrong(
                selector,
                "the selector is empty: it would select everything",
                Some("leave it out, or write app=web"),
            );
        }
        let mut words = |list: Vec<Spanned<String>>| -> Vec<String> {
            for word in &list {
                if let Some(cure) = not_a_kind(&word.value) {
                    self.wrong(word, format!("`{}` is not the plural of a kind", word.value), Some(cure));
                }
            }
            list.into_iter().map(|word| word.value).collect()
        };
        let (include, exclude) = (words(field.kinds.include), words(field.kinds.exclude));
        let default = if namespaces.is_empty() { ClusterScoped::All } else { ClusterScoped::Referenced };
        Cluster {
            context: field.context,
            kubeconfig: field.kubeconfig.map(|path| self.absolute(&path)),
            namespaces,
            selector: field.selector.map(|selector| selector.value),
            include,
            exclude,
            cluster_scoped: field.cluster_scoped.map_or(default, |scoped| match scoped {
                ClusterScopedField::All => ClusterScoped::All,
                ClusterScopedField::Referenced => ClusterScoped::Referenced,
                ClusterScopedField::None => ClusterScoped::None,
            }),
        }
    }
}

/// RFC 1123.
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// What is wrong with a word that names kinds.
fn not_a_kind(word: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let (resource, group) = word.split_once('.').unwrap_or((word, "x"));
    if word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Some("write the plural in lower-case letters: secrets, deployments.apps (kubectl api-resources lists them)")
    } else if word.contains('/') {
        Some("a version has no place here: write deployments.apps")
    } else if group.is_empty()
        || !(resource == "*" && word != "*" || !resource.is_empty() && resource.bytes().all(plain))
    {
        Some("write the plural, with its group unless it is of the core: secrets, deployments.apps, *.example.com")
    } else {
        None
    }
}
