//! From what a person typed after `--to` to a target that can be loaded into.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::cluster_client::{self, Settings};
use crate::config;
use crate::context::Context;
use crate::job::JobError;
use crate::job::nearest::{Nearest, Wanted, nearest};
use crate::job::types::{Against, ObjectsAsked, RestoreMode, RestoreRequest};
use crate::model::{BackupRef, FailureClass, SourceFailure};
use crate::source::Target;
use crate::source::cluster::kubernetes::{self, UnknownVersion};
use crate::source::cluster::restore::rules::{LabelSelector, Patch, Rules, Tier};
use crate::source::cluster::restore::{self as objects, ClusterTarget, Options};
use crate::source::cluster::{Discovery, MEDIA_DISCOVERY, failed};
use crate::source::postgres::load::{Mode, PostgresTarget};
use crate::source::postgres::{TargetUrl, TargetUrlError};

const CLUSTER: &str = "cluster:";
/// A saved discovery: a server with many kinds has a few hundred kilobytes.
const MAX_DISCOVERY: usize = 32 << 20;

/// A target, and what is known of it before it is asked.
pub(in crate::job) struct Chosen {
    pub target: Box<dyn Target>,
    /// Of which kind a source must be that is loaded into it.
    pub kind: &'static str,
    /// What a person types to have something live replaced.
    pub name: String,
    /// Whether it loads beside what is there. Else everything is verified before the first write.
    pub beside: bool,
}

pub(in crate::job) async fn choose(request: &RestoreRequest, cx: &Context) -> Result<Chosen, JobError> {
    match request.target.strip_prefix(CLUSTER) {
        Some(context) => cluster(request, context, cx).await,
        None if request.objects.against.is_some() => cluster(request, "", cx).await,
        None => postgres(request, cx),
    }
}

fn postgres(request: &RestoreRequest, cx: &Context) -> Result<Chosen, JobError> {
    let url: TargetUrl = request.target.parse().map_err(|error: TargetUrlError| {
        let cure = error.cure();
        // What may hold a password is not said again.
        let what = match error {
            TargetUrlError::PasswordInUrl => "`--to`".to_owned(),
            _ => format!("`--to {}`", request.target),
        };
        JobError::usage(what).because(error).hint(format!("{cure}; objects of a cluster: cluster:CONTEXT/NAMESPACE"))
    })?;
    if let (None, Some(stream)) = (&url.database, &request.stream) {
        return Err(JobError::usage(format!("`--stream {stream}` names one database, and `--to` the whole server"))
            .hint(format!(
                "add the database's name to the address: --to {}/NAME",
                request.target.trim_end_matches('/')
            )));
    }
    if let Some(option) = request.objects.first_given() {
        return Err(JobError::usage(format!("{option} is for Kubernetes objects, and this is a Postgres server"))
            .hint("leave it out, or restore to cluster:CONTEXT"));
    }
    let tools = request.place.policy.iter().flat_map(|policy| &policy.sources).filter(|s| s.name == request.source);
    let tools = tools.flat_map(|source| match &source.kind {
        config::SourceKind::Postgres(postgres) => postgres.tools.clone(),
        config::SourceKind::Cluster(_) | config::SourceKind::Outside(_) => Vec::new(),
    });
    let target = PostgresTarget {
        settings: url.settings,
        database: url.database,
        stream: request.stream.clone(),
        mode: match request.mode {
            RestoreMode::Create => Mode::Create,
            RestoreMode::Beside => Mode::Beside,
            RestoreMode::Replace => Mode::Replace,
            RestoreMode::Update => {
                return Err(JobError::usage("--mode update is for Kubernetes objects, and this is a Postgres server")
                    .hint("--mode replace loads beside, compares, swaps, and keeps the old one"));
            }
        },
        restore: cx.clock.ulid().into(),
        jobs: request.jobs,
        tools: tools.collect(),
        wall: Vec::new(),
    };
    let name = target.database.clone().unwrap_or_else(|| target.settings.subject());
    Ok(Chosen { target: Box::new(target), kind: "postgres", name, beside: true })
}

/// `CONTEXT` or `CONTEXT/NAMESPACE`; nothing for the current context.
async fn cluster(request: &RestoreRequest, text: &str, cx: &Context) -> Result<Chosen, JobError> {
    let mode = match request.mode {
        RestoreMode::Create => objects::Mode::Create,
        RestoreMode::Update => objects::Mode::Update,
        RestoreMode::Beside | RestoreMode::Replace => {
            return Err(JobError::usage("objects of a cluster are neither loaded beside nor replaced").hint(
                "--mode create makes what is missing, --mode update sets the others back; --namespace OLD=NEW loads \
                 beside",
            ));
        }
    };
    if request.stream.is_some() || request.jobs != 1 {
        let option = if request.stream.is_some() { "--stream" } else { "--jobs" };
        return Err(JobError::usage(format!("{option} is for Postgres, and this is a cluster")).hint("leave it out"));
    }
    // A namespace is a label of DNS and has no `/`; a context may have one: `arn:aws:eks:...:cluster/prod`.
    let (context, namespace) = split(text);
    let asked = &request.objects;
    let (rules, options) = (rules(asked, namespace)?, options(asked, namespace, mode)?);
    let against = match &asked.against {
        Some(against) => objects::Against::Discovery(Box::new(saved(request, against, cx).await?)),
        None => {
            let settings = Settings { context: context.map(str::to_owned), ..Settings::default() };
            let api = cluster_client::connect(&settings, cx).await.map_err(failed)?;
            objects::Against::Cluster(api)
        }
    };
    let name = context.unwrap_or("cluster").to_owned();
    let target = ClusterTarget::new(against, rules, options);
    Ok(Chosen { target: Box::new(target), kind: "cluster", name, beside: false })
}

/// Contexts that clouds make up hold slashes, so that only a last piece that may be a namespace is taken for one, and
/// only where what is before it is a context without.
fn split(text: &str) -> (Option<&str>, Option<&str>) {
    let filled = |text: &str| !text.is_empty();
    match text.rsplit_once('/') {
        Some((context, namespace)) if !context.ends_with(":cluster") => {
            (Some(context).filter(|c| filled(c)), Some(namespace).filter(|n| filled(n)))
        }
        _ => (Some(text).filter(|text| filled(text)), None),
    }
}

fn rules(asked: &ObjectsAsked, namespace: Option<&str>) -> Result<Rules, JobError> {
    let pairs = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
    let mut namespaces = BTreeMap::new();
    for (old, new) in &asked.namespaces {
        if let Some(new) = new
            && new != old
        {
            namespaces.insert(old.clone(), new.clone());
        }
    }
    match (namespace, asked.namespaces.as_slice()) {
        (None, _) | (Some(_), []) => {}
        (Some(namespace), [(old, None)]) => {
            if namespace != old {
                namespaces.insert(old.clone(), namespace.to_owned());
            }
        }
        (Some(namespace), _) => {
            let message = format!("`--to` names one namespace ({namespace}), and --namespace says otherwise");
            return Err(JobError::usage(message).hint("--to cluster:CONTEXT --namespace OLD=NEW ..."));
        }
    }
    let mut patches = Vec::new();
    for path in &asked.patches {
        patches.extend(read_patches(path)?);
    }
    Ok(Rules {
        namespaces,
        storage_classes: pairs(&asked.storage_classes),
        ingress_classes: pairs(&asked.ingress_classes),
        images: pairs(&asked.images),
        labels: asked.labels.iter().cloned().collect(),
        patches,
        start_at_zero: selector("--start-at-zero", asked.start_at_zero.as_deref())?,
        preserve_node_ports: asked.preserve_node_ports,
        taken_volumes: BTreeSet::new(),
    })
}

fn options(asked: &ObjectsAsked, namespace: Option<&str>, mode: objects::Mode) -> Result<Options, JobError> {
    let tier = |option: &str, text: &Option<String>, default: Tier| match text {
        Some(text) => text.parse::<Tier>().map_err(|error| JobError::usage(format!("{option} {text}")).because(error)),
        None => Ok(default),
    };
    let (from, through) =
        (tier("--from", &asked.from, Tier::Crds)?, tier("--through", &asked.through, Tier::Admission)?);
    if from > through {
        let message = format!("--from {from} comes after --through {through}: nothing would be restored");
        return Err(JobError::usage(message));
    }
    let mut namespaces: BTreeSet<String> = asked.namespaces.iter().map(|(old, _)| old.clone()).collect();
    if namespaces.is_empty() {
        namespaces.extend(namespace.map(str::to_owned));
    }
    let object = |text: &String| {
        text.parse().map_err(|error: objects::NotAnObjectName| {
            JobError::usage(error.to_string()).hint("--object Deployment/web, --object Gateway.example.com/web")
        })
    };
    Ok(Options {
        mode,
        from,
        through,
        namespaces,
        select: selector("--select", asked.select.as_deref())?,
        objects: asked.objects.iter().map(object).collect::<Result<_, _>>()?,
        allow_registries: asked.allow_registries.clone(),
        wait: asked.wait,
    })
}

fn selector(option: &str, text: Option<&str>) -> Result<Option<LabelSelector>, JobError> {
    let Some(text) = text else { return Ok(None) };
    let parsed = text.parse().map_err(|error| JobError::usage(format!("{option} {text}")).because(error));
    parsed.map(Some).map_err(|error: JobError| error.hint("as kubectl takes it: app=web,tier in (front,back),!legacy"))
}

fn read_patches(path: &Path) -> Result<Vec<Patch>, JobError> {
    let wrong = || JobError::usage(format!("--patch {}", path.display()));
    let hint = r#"a JSON list of {"selector": {"kind": "Deployment", "name": "web"}, "ops": [{"op": "replace", "path": "/spec/replicas", "value": 1}]}"#;
    let text = std::fs::read(path).map_err(|error| wrong().because(error))?;
    serde_json::from_slice(&text).map_err(|error| wrong().because(error).hint(hint))
}

/// The discovery that a plan is made against.
async fn saved(request: &RestoreRequest, against: &Against, cx: &Context) -> Result<Discovery, JobError> {
    let (text, name) = match against {
        Against::Version(version) => {
            let version = version.parse().map_err(|error: UnknownVersion| {
                JobError::usage(format!("--against {version}")).because(error).hint(
                    "a saved discovery of such a server does as well: lifeboat cat BACKUP SOURCE discovery > FILE",
                )
            })?;
            return Ok(kubernetes::discovery(version));
        }
        Against::File(path) => {
            let wrong = |error| JobError::usage(format!("--against {}", path.display())).because(error);
            (std::fs::read(path).map_err(wrong)?, path.display().to_string())
        }
        Against::Backup(backup) => (discovery_of(request, backup, cx).await?, backup.to_string()),
    };
    serde_json::from_slice(&text).map_err(|error| {
        JobError::usage(format!("--against {name}: it is no saved discovery"))
            .because(error)
            .hint("lifeboat cat BACKUP SOURCE discovery > FILE makes one of a backup")
    })
}

async fn discovery_of(request: &RestoreRequest, backup: &BackupRef, cx: &Context) -> Result<Vec<u8>, JobError> {
    use futures::TryStreamExt as _;
    let RestoreRequest { place, copies, source, .. } = request;
    let found = nearest(&Wanted { place, copies, backup, source, whole: true }, Vec::new(), cx).await?;
    let Nearest { reader, .. } = found;
    let stream = reader.detail().streams.iter().find(|stream| stream.media == MEDIA_DISCOVERY).cloned();
    let lacks = || SourceFailure::new(FailureClass::Damaged, "backup", "it lacks the stream `discovery`");
    let stream = stream.ok_or_else(lacks)?;
    let mut bytes = reader.read(stream.n);
    let mut text = Vec::new();
    while let Some(piece) = bytes.try_next().await? {
        if text.len() + piece.len() > MAX_DISCOVERY {
            return Err(JobError::damaged("stream discovery: it is larger than any server's"));
        }
        text.extend_from_slice(&piece);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_and_perhaps_a_namespace() {
        for (text, context, namespace) in [
            ("", None, None),
            ("kind", Some("kind"), None),
            ("kind/shop", Some("kind"), Some("shop")),
            ("/shop", None, Some("shop")),
            ("arn:aws:eks:eu-west-1:1:cluster/prod", Some("arn:aws:eks:eu-west-1:1:cluster/prod"), None),
            ("arn:aws:eks:eu-west-1:1:cluster/prod/shop", Some("arn:aws:eks:eu-west-1:1:cluster/prod"), Some("shop")),
        ] {
            assert_eq!(split(text), (context, namespace), "{text}");
        }
    }

    #[test]
    fn a_namespace_in_the_target_goes_with_one_in_the_backup() {
        let asked = |namespaces: &[(&str, Option<&str>)]| ObjectsAsked {
            namespaces: namespaces.iter().map(|(old, new)| ((*old).to_owned(), new.map(str::to_owned))).collect(),
            ..ObjectsAsked::default()
        };
        let mapped = |asked: &ObjectsAsked, to: Option<&str>| rules(asked, to).unwrap().namespaces;
        assert!(mapped(&asked(&[]), Some("shop")).is_empty());
        assert!(mapped(&asked(&[("shop", None)]), Some("shop")).is_empty());
        assert_eq!(mapped(&asked(&[("shop", None)]), Some("copy"))["shop"], "copy");
        assert_eq!(mapped(&asked(&[("shop", Some("copy"))]), None)["shop"], "copy");
        assert!(rules(&asked(&[("a", None), ("b", None)]), Some("copy")).is_err());
        assert!(rules(&asked(&[("a", Some("b"))]), Some("copy")).is_err());
    }
}
