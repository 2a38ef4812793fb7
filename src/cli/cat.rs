//! `lifeboat cat`

use std::io::{ErrorKind, Write};

use clap::{Args, ValueEnum};
use futures::StreamExt;

use crate::cli::args::Global;
use crate::cli::exits::after_help;
use crate::cli::output;
use crate::context::Context;
use crate::job::types::{BackupRef, CatRequest, CatStream, Export, ObjectName};
use crate::job::{self, Exit, JobError};
use crate::model::Name;

/// Write the raw bytes of a stream to stdout, checked
///
/// Ends with 0 only if every byte was delivered and is what was captured. Needs an identity, and pins (-f or --trust).
/// Of a policy with several repositories the first healthy copy is read; --repository means that one only.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "lifeboat cat latest postgres db/shop -f policy.yaml --identity id.txt > shop.dump",
    &[Exit::Damaged, Exit::Blocked, Exit::Missing, Exit::Refused],
))]
pub struct Cat {
    /// Run id, the beginning of one, latest, latest-verified or before:TIME
    backup: BackupRef,
    /// Which source of the backup
    source: Name,
    /// Which stream, such as globals or db/shop: `lifeboat show BACKUP` lists them
    stream: String,
    /// Only this part of the stream, such as one table
    #[arg(long, value_name = "NAME")]
    part: Option<String>,
    /// Objects of a cluster as YAML that kubectl apply takes, without what a cluster makes by itself
    #[arg(long = "as", value_name = "FORMAT", conflicts_with = "part")]
    form: Option<Form>,
    /// Only this object, whoever makes it: deployment/web, Certificate.cert-manager.io/shop
    #[arg(long, value_name = "KIND/NAME", requires = "form")]
    object: Option<ObjectName>,
    /// Only objects of this namespace
    #[arg(long, value_name = "NAME", requires = "form")]
    namespace: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    Yaml,
}

impl Cat {
    pub async fn run(self, global: &Global, cx: &Context) -> Result<Exit, JobError> {
        let Cat { backup, source, stream, part, form, object, namespace } = self;
        let (place, copies) = global.places()?;
        let yaml = form.map(|Form::Yaml| Export { object, namespace });
        let request = CatRequest { place, copies, backup, source, stream, part, yaml };
        let CatStream { mut bytes, next: next_copy, findings, .. } = job::cat::run(request, cx).await?;
        // Which copy it is, is no progress that `--quiet` means.
        for finding in findings.into_iter().filter(|_| global.quiet) {
            output::finding(global.json, finding);
        }
        // Writing blocks while the reader is slow; on a thread of its own it holds up nobody.
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<bytes::Bytes>(4);
        let writer = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
            let mut stdout = std::io::stdout().lock();
            while let Some(chunk) = receiver.blocking_recv() {
                stdout.write_all(&chunk)?;
            }
            stdout.flush()
        });
        let pump = async {
            let mut failure = None;
            while let Some(next) = bytes.next().await {
                match next {
                    Err(error) => {
                        failure = Some(CatStream::failed(next_copy.as_ref(), error));
                        break;
                    }
                    Ok(chunk) => {
                        // The writer ended: it says why below.
                        if sender.send(chunk).await.is_err() {
                            break;
                        }
                    }
                }
            }
            drop(sender);
            (failure, writer.await)
        };
        // Reading, handing over and the last write may each wait for whoever reads us, for ever.
        let (failure, written) = tokio::select! {
            () = cx.cancel.cancelled() => return Err(JobError::interrupted()),
            done = pump => done,
        };
        let written = written.map_err(|error| JobError::failed("cannot write").because(error))?;
        match (failure, written) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(Exit::Ok),
            // Quiet, but not a success: somebody did not get everything.
            (None, Err(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Failed),
            (None, Err(error)) => Err(JobError::failed("cannot write to standard output").because(error)),
        }
    }
}
