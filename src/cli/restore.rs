//! `lifeboat restore`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::Global;
use crate::cli::confirm::Ask;
use crate::cli::exits::after_help;
use crate::cli::text::Text;
use crate::cli::{human, objects, output, plan};
use crate::context::Context;
use crate::job::types::{Against, BackupRef, ObjectsAsked, RestoreMode, RestoreReport, RestoreRequest};
use crate::job::{self, Exit, JobError};
use crate::model::Name;

/// Load a source of a backup into a server or a cluster
///
/// A database is loaded beside what is there, compared with what was captured, and only then put in place; with
/// `replace` the old one is kept under another name. Objects of a cluster are verified first and then made one by one,
/// each as its plan says; nothing is ever deleted. Needs an identity, and pins (-f or --trust). Of a policy with several
/// repositories the first healthy copy is read, and it is said which; --repository means that one only.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "lifeboat restore latest -f policy.yaml --identity id.txt --source postgres --to postgres://postgres@localhost/shop --mode replace",
    &[Exit::Problems, Exit::Damaged, Exit::Blocked, Exit::Missing, Exit::Refused],
))]
pub struct Restore {
    #[command(flatten)]
    what: What,
    /// Replace without asking for the target's name
    #[arg(long)]
    yes: bool,
    /// Only show what would be done, as `lifeboat plan restore` does
    #[arg(short = 'n', long, conflicts_with = "yes")]
    dry_run: bool,
}

/// What a restore, or the plan of one, is asked.
#[derive(Debug, Args)]
pub struct What {
    /// Run id, the beginning of one, latest, latest-verified or before:TIME
    backup: BackupRef,
    /// Which source of the backup
    #[arg(long, value_name = "NAME")]
    source: Name,
    /// Where to: postgres://user@host:port/database, without a database for the whole server, its password in PGPASSWORD;
    /// or cluster:CONTEXT/NAMESPACE, without a namespace for all of them, without a context for the current one
    #[arg(long, value_name = "TARGET")]
    to: String,
    #[command(flatten)]
    how: How,
}

/// How a source is loaded.
#[derive(Debug, Args)]
pub struct How {
    /// create: a database that is there is refused, an object that is there is left alone; beside: a database under another name; replace: a database is swapped, and the old one kept; update: objects that differ are set to what the backup says
    #[arg(long, value_enum, default_value_t = Mode::Create, hide_possible_values = true)]
    mode: Mode,
    /// Which stream goes into the target's database, such as db/shop; default by the database's name
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Parallel loaders; above 1 each stream is spooled to disk first
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: u32,
    #[command(flatten)]
    objects: Objects,
}

/// How objects of a cluster are restored.
#[derive(Debug, Args)]
#[command(next_help_heading = "Objects of a cluster")]
pub struct Objects {
    /// The first tier that is restored, such as workloads; docs/guides/cluster-restore.md lists them
    #[arg(long, value_name = "TIER")]
    from: Option<String>,
    /// The last tier that is restored, such as databases
    #[arg(long, value_name = "TIER")]
    through: Option<String>,
    /// Only this namespace of the backup, under another name after `=`; may be given more than once
    #[arg(long, value_name = "OLD[=NEW]")]
    namespace: Vec<String>,
    /// Only objects with these labels, as kubectl takes them: app=web,tier in (front,back)
    #[arg(long, value_name = "SELECTOR")]
    select: Option<String>,
    /// Only this object; may be given more than once
    #[arg(long, value_name = "KIND/NAME")]
    object: Vec<String>,
    /// Another storage class, for claims, volumes and claim templates
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    storage_class: Vec<(String, String)>,
    /// Another ingress class
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    ingress_class: Vec<(String, String)>,
    /// Images from another registry or repository, such as docker.io=mirror.example
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    image: Vec<(String, String)>,
    /// Set a label on every object; `KEY-` removes it
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, Option<String>)>,
    /// JSON patches for some of the objects
    #[arg(long, value_name = "FILE")]
    patch: Vec<PathBuf>,
    /// Make the workloads with these labels without replicas; how many they had is written on them
    #[arg(long, value_name = "SELECTOR")]
    start_at_zero: Option<String>,
    /// Refuse images from elsewhere; may be given more than once
    #[arg(long, value_name = "REGISTRY")]
    allow_registry: Vec<String>,
    /// Keep also the node ports that the old cluster chose by itself
    #[arg(long)]
    preserve_node_ports: bool,
    /// Go on after the databases' tier only when the StatefulSets are ready
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Create,
    Beside,
    Replace,
    Update,
}

/// `OLD=NEW`. Images have no `=` of their own.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
        _ => Err("write OLD=NEW".to_owned()),
    }
}

/// `KEY=VALUE`, or `KEY-`.
fn label(text: &str) -> Result<(String, Option<String>), String> {
    match (text.split_once('='), text.strip_suffix('-')) {
        (Some((key, value)), _) if !key.is_empty() => Ok((key.to_owned(), Some(value.to_owned()))),
        (None, Some(key)) if !key.is_empty() => Ok((key.to_owned(), None)),
        _ => Err("write KEY=VALUE, or KEY- to remove it".to_owned()),
    }
}

impl Objects {
    fn asked(self, against: Option<Against>) -> ObjectsAsked {
        let namespace = |text: String| match text.split_once('=') {
            Some((old, new)) => (old.to_owned(), Some(new.to_owned())),
            None => (text, None),
        };
        ObjectsAsked {
            from: self.from,
            through: self.through,
            namespaces: self.namespace.into_iter().map(namespace).collect(),
            select: self.select,
            objects: self.object,
            storage_classes: self.storage_class,
            ingress_classes: self.ingress_class,
            images: self.image,
            labels: self.label,
            patches: self.patch,
            start_at_zero: self.start_at_zero,
            allow_registries: self.allow_registry,
            preserve_node_ports: self.preserve_node_ports,
            wait: self.wait,
            against,
        }
    }
}

impl What {
    pub fn request(self, global: &Global) -> Result<RestoreRequest, JobError> {
        request(global, self.backup, self.source, self.to, self.how, None)
    }
}

/// What both a restore and its plan ask for.
pub fn request(
    global: &Global,
    backup: BackupRef,
    source: Name,
    target: String,
    how: How,
    against: Option<Against>,
) -> Result<RestoreRequest, JobError> {
    let (place, copies) = global.places()?;
    Ok(RestoreRequest {
        place,
        copies,
        backup,
        source,
        target,
        mode: match how.mode {
            Mode::Create => RestoreMode::Create,
            Mode::Beside => RestoreMode::Beside,
            Mode::Replace => RestoreMode::Replace,
            Mode::Update => RestoreMode::Update,
        },
        stream: how.stream,
        jobs: how.jobs,
        objects: how.objects.asked(against),
    })
}

impl Restore {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        if self.dry_run {
            return plan::restore(&self.what.request(global)?, global, cx).await;
        }
        let ask = Ask { yes: self.yes, quiet: global.quiet || global.json, cancel: cx.cancel.clone() };
        let report = job::restore::run(self.what.request(global)?, &ask, cx).await?;
        output::report(global.json, &report, text)?;
        // What was written until then is in the report.
        Ok(if cx.cancel.is_cancelled() && report.exit() != Exit::Ok { Exit::Interrupted } else { report.exit() })
    }
}

fn text(report: &RestoreReport) -> String {
    let mut text = Text::new();
    for made in &report.made {
        text.line(format!("restored {made}"));
    }
    for kept in &report.kept {
        text.line(format!("kept {kept}: drop it when nobody misses it"));
    }
    objects::rows(&mut text, &report.objects, report.not_asked);
    text.findings(0, &report.findings);
    if !report.objects.is_empty() {
        text.line(format!(
            "{} of backup {} of {} in {}: {}, {}",
            report.source,
            report.run,
            report.url,
            report.target,
            objects::counts(&report.objects),
            human::seconds(report.seconds),
        ));
        return text.finish();
    }
    text.line(format!(
        "{} of backup {} of {} is in {}: {}, {} equal to those captured, {}",
        report.source,
        report.run,
        report.url,
        report.target,
        human::bytes(report.bytes),
        human::count(report.rows, "row"),
        human::seconds(report.seconds),
    ));
    for command in &report.next {
        text.line(format!("next: {command}"));
    }
    text.finish()
}
