//! Keysets: where the values lie whose hashes are recorded.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::check::Checker;
use crate::secret::SecretRef;

/// A name, and one place.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 2, "maxProperties" = 2))]
pub struct KeysetField {
    /// How it is called in the record; unique in the source.
    #[schemars(example = &"sign")]
    pub name: String,
    /// A file; its final line break does not count. A relative path counts from the folder of this file.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// An environment variable of lifeboat.
    #[serde(default)]
    pub env: Option<String>,
    /// A key of a Secret of the cluster.
    #[serde(default)]
    pub secret: Option<SecretKeyField>,
    /// An environment variable of a container of a Deployment; what it refers to is followed.
    #[serde(default)]
    pub deployment: Option<DeploymentField>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyField {
    /// Of the Secret.
    #[schemars(example = &"circleci-server")]
    pub namespace: String,
    /// Of the Secret.
    #[schemars(example = &"signing-keys")]
    pub name: String,
    /// Below `data`.
    #[schemars(example = &"keyset")]
    pub key: String,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentField {
    /// Of the Deployment.
    #[schemars(example = &"circleci-server")]
    pub namespace: String,
    /// Of the Deployment.
    #[schemars(example = &"frontend")]
    pub name: String,
    /// Left out: the only one that has the variable.
    #[serde(default)]
    pub container: Option<String>,
    /// The variable.
    #[schemars(example = &"CIRCLE_SECRETS__KEYSET__SIGN")]
    pub env: String,
}

/// One value whose hash is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyset {
    pub name: String,
    pub at: KeysetAt,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysetAt {
    Here(SecretRef),
    Secret {
        namespace: String,
        name: String,
        key: String,
    },
    Deployment {
        namespace: String,
        name: String,
        /// None: the only one that has the variable.
        container: Option<String>,
        env: String,
    },
}

impl Checker<'_> {
    pub(super) fn keysets(&mut self, list: Vec<Spanned<KeysetField>>) -> Vec<Keyset> {
        let mut keysets: Vec<Keyset> = Vec::new();
        for field in list {
            let name = field.value.name.clone();
            if name.is_empty() {
                self.wrong(&field, "the keyset has no name", Some("name it: it is called so in every record"));
            } else if keysets.iter().any(|keyset| keyset.name == name) {
                self.wrong(&field, format!("keyset `{name}` is there twice"), None);
            }
            if let Some(at) = self.keyset_at(&field) {
                keysets.push(Keyset { name, at });
            }
        }
        keysets
    }

    fn keyset_at(&mut self, field: &Spanned<KeysetField>) -> Option<KeysetAt> {
        let KeysetField { name, file, env, secret, deployment } = &field.value;
        let given = [file.is_some(), env.is_some(), secret.is_some(), deployment.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            let message = format!("keyset `{name}` is not in exactly one place");
            self.wrong(field, message, Some("write one of `file`, `env`, `secret`, `deployment` beside its name"));
            return None;
        }
        let words: Vec<&String> = match (env, secret, deployment) {
            (Some(env), ..) => vec![env],
            (_, Some(secret), _) => vec![&secret.namespace, &secret.name, &secret.key],
            (_, _, Some(at)) => [&at.namespace, &at.name, &at.env].into_iter().chain(&at.container).collect(),
            _ => Vec::new(),
        };
        // They become pieces of a path that an API server is asked for.
        let odd = |word: &&&String| word.is_empty() || word.contains(['/', '=', '$', ' ', '?', '#', '%', '\n']);
        if let Some(odd) = words.iter().find(odd) {
            self.wrong(field, format!("keyset `{name}`: `{odd}` is no name"), Some("write the bare name"));
            return None;
        }
        match (file, env, secret.clone(), deployment.clone()) {
            (Some(file), ..) => Some(KeysetAt::Here(SecretRef::File(self.absolute(file)))),
            (_, Some(env), ..) => Some(KeysetAt::Here(SecretRef::Env(env.clone()))),
            (_, _, Some(SecretKeyField { namespace, name, key }), _) => Some(KeysetAt::Secret { namespace, name, key }),
            (_, _, _, Some(DeploymentField { namespace, name, container, env })) => {
                Some(KeysetAt::Deployment { namespace, name, container, env })
            }
            _ => None,
        }
    }
}
