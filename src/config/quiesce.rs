//! `spec.quiesce`: as it is typed, and checked.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::Period;
use crate::config::check::Checker;
use crate::config::policy::{Quiesce, Source, SourceKind, Watchdog};
use crate::model::{LabelSelector, Name};

/// Below, nothing is captured in time; above, it is no pause any more, but an outage.
const BOUNDS: (u64, u64) = (10, 12 * 3600);

/// Workloads that are set to zero replicas while the sources are captured, and scaled back after that.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuiesceField {
    /// Which ones, by their labels, as kubectl takes them: layer=application. At least one label must be there.
    #[schemars(with = "String", example = &"layer=application")]
    pub scale: Spanned<String>,
    /// The longest that they may be at zero, 10s to 12h. After that they are scaled back, captured or not; their pods have
    /// half of it to end.
    #[schemars(with = "Period")]
    pub max: Spanned<Period>,
    /// The source of kind `cluster` whose cluster and namespaces are meant. Left out: the only one.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub cluster: Option<Spanned<Name>>,
    /// A pod in the cluster that scales back when lifeboat's own pod or machine is lost. Left out: made like the pod that
    /// lifeboat runs in; outside of a cluster there is none, only the process beside.
    #[serde(default)]
    pub watchdog: Option<WatchdogField>,
}

/// What the watching pod is made of.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WatchdogField {
    /// Where it runs.
    #[schemars(with = "String", example = &"lifeboat")]
    pub namespace: Spanned<String>,
    /// lifeboat's own image, its entry point the program.
    #[schemars(with = "String")]
    pub image: Spanned<String>,
    /// An account with the rights of deploy/rbac-quiesce.yaml.
    #[schemars(with = "String")]
    pub service_account: Spanned<String>,
}

impl Checker<'_> {
    pub(in crate::config) fn quiesce(&mut self, field: QuiesceField, sources: &[Source]) -> Option<Quiesce> {
        let QuiesceField { scale, max, cluster, watchdog } = field;
        let selector = match scale.value.parse::<LabelSelector>() {
            Ok(selector) if selector.asks_for_a_label() => Some(selector),
            Ok(_) => {
                let message = format!("`{}` fits everything that nobody has labelled", scale.value);
                self.wrong(&scale, message, Some("ask for a label that must be there: layer=application"));
                None
            }
            Err(error) => {
                self.wrong(&scale, error.to_string(), Some("write labels as kubectl takes them: layer=application"));
                None
            }
        };
        if !(BOUNDS.0..=BOUNDS.1).contains(&max.value.seconds()) {
            self.wrong(&max, format!("{} is not between 10s and 12h", max.value), None);
        }
        let clusters: Vec<&Name> = sources
            .iter()
            .filter(|source| matches!(source.kind, SourceKind::Cluster(_)))
            .map(|source| &source.name)
            .collect();
        let names = clusters.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let cluster = match (cluster, clusters.as_slice()) {
            (Some(named), known) if known.contains(&&named.value) => Some(named.value),
            (Some(named), _) => {
                let message = format!("`{}` is no source of kind `cluster`", named.value);
                let cure =
                    if names.is_empty() { "add one: `cluster: {}`".into() } else { format!("there is: {names}") };
                self.wrong(&named, message, Some(&cure));
                None
            }
            (None, [only]) => Some((*only).clone()),
            (None, []) => {
                let cure = "add one to `sources`: its context and namespaces say where";
                self.wrong(&scale, "there is no source of kind `cluster` to scale anything in", Some(cure));
                None
            }
            (None, _) => {
                let cure = format!("add `cluster: NAME` to `quiesce`, one of: {names}");
                self.wrong(&scale, "which cluster? the policy has several", Some(&cure));
                None
            }
        };
        let watchdog = watchdog.map(|watchdog| self.watchdog(watchdog));
        Some(Quiesce { selector: selector?, max: max.value, cluster: cluster?, watchdog })
    }

    fn watchdog(&mut self, field: WatchdogField) -> Watchdog {
        for (value, what) in
            [(&field.namespace, "namespace"), (&field.image, "image"), (&field.service_account, "account")]
        {
            if value.value.trim().is_empty() {
                self.wrong(value, format!("the {what} is empty"), None);
            }
        }
        Watchdog {
            namespace: field.namespace.value,
            image: field.image.value,
            service_account: field.service_account.value,
        }
    }
}
