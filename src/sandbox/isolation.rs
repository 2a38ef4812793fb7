//! The wall: how programs are kept apart on this machine, and as whom they run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::context::Context;
use crate::exec::{self, Command};
use crate::sandbox::folder::Folder;
use crate::sandbox::limits::Limits;
use crate::sandbox::{Options, SandboxError, USUAL_USER};

/// Process 1 of every sandbox.
const ENTER: &str = include_str!("enter.sh");
/// What every program needs to read; whichever of these are there.
const SYSTEM: [&str; 9] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/alternatives", "/var/cache/postgresql"];
const TRIAL: Duration = Duration::from_secs(30);

/// What happens to a program's standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// It gets it.
    Passed,
    /// The program gets none, and is ended when ours ends.
    HoldsUp,
}

#[derive(Debug)]
pub(super) struct Isolation {
    way: Way,
    uid: u32,
    gid: u32,
    setpriv: PathBuf,
    unshare: PathBuf,
    prlimit: PathBuf,
}

#[derive(Debug)]
enum Way {
    /// We are root: namespaces, and a user of its own.
    Root,
    /// Namespaces that belong to a user namespace of ours.
    User,
    /// None but the user, where we are root; and why.
    Weak { root: bool, reason: String },
}

impl Isolation {
    /// Tries the strongest way that our rights allow.
    pub(super) async fn find(options: &Options, cx: &Context) -> Result<Isolation, SandboxError> {
        let program = |name| exec::in_path(name).ok_or(SandboxError::ToolMissing { name });
        let [setpriv, unshare, prlimit] = ["setpriv", "unshare", "prlimit"].map(program);
        let root = rustix::process::geteuid().is_root();
        let (uid, gid) = match root {
            true => user(options.user.as_deref().unwrap_or(USUAL_USER), cx).await?,
            false => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        };
        let way = if root { Way::Root } else { Way::User };
        let mut isolation = Isolation { way, uid, gid, setpriv: setpriv?, unshare: unshare?, prlimit: prlimit? };
        if let Err(reason) = isolation.try_out(cx).await? {
            if !options.weak {
                return Err(SandboxError::Impossible { reason });
            }
            isolation.way = Way::Weak { root, reason };
        }
        Ok(isolation)
    }

    /// Who owns the work folder, where that is not us.
    pub(super) fn owner(&self) -> Option<(u32, u32)> {
        rustix::process::geteuid().is_root().then_some((self.uid, self.gid))
    }

    pub(super) fn is_weak(&self) -> bool {
        matches!(self.way, Way::Weak { .. })
    }

    pub(super) fn weakness(&self) -> Option<String> {
        match &self.way {
            Way::Root | Way::User => None,
            Way::Weak { root, reason } => {
                let user = if *root { "under a user of its own" } else { "under our own user" };
                Some(format!(
                    "the throw-away server ran {user} without namespaces of its own: code in the backup could reach the network and this machine ({reason})"
                ))
            }
        }
    }

    /// Words to put in front of a program, so that it runs behind the wall and can read `readable`.
    pub(super) fn wall(&self, input: Input, folder: &Folder, limits: &Limits, readable: &[PathBuf]) -> Vec<OsString> {
        let mut words = Words::default();
        let (uid, gid) = (self.uid.to_string(), self.gid.to_string());
        let namespaces = match &self.way {
            Way::Weak { root, .. } => {
                words.add(&self.setpriv);
                if *root {
                    words.all(["--reuid", &uid, "--regid", &gid, "--clear-groups"]);
                }
                words.all(["--no-new-privs", "--pdeathsig", "KILL", "--"]);
                words.add(&self.prlimit);
                words.all(limits.for_prlimit().split(' '));
                words.add("--");
                return words.0;
            }
            Way::Root => &["--mount"][..],
            Way::User => &["--user", "--map-root-user", "--mount"],
        };
        // If we are killed, the kernel kills `unshare`, with it process 1, and with that everything behind the wall.
        words.add(&self.setpriv);
        words.all(["--pdeathsig", "KILL", "--"]);
        words.add(&self.unshare);
        words.all(namespaces);
        words.all(["--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child=KILL", "--"]);
        words.all(["/bin/sh", "-c", ENTER, "lifeboat-sandbox"]);
        words.add(if input == Input::Passed { "pass" } else { "hold" });
        words.add(if matches!(self.way, Way::Root) { "setuid" } else { "namespace" });
        words.all([&uid, &gid]);
        words.all([folder.root(), folder.work()]);
        words.add(limits.for_prlimit());
        words.all(SYSTEM);
        words.all(readable);
        words.add("--");
        words.0
    }

    /// Runs the smallest program behind the wall. The inner error says why that cannot be.
    async fn try_out(&self, cx: &Context) -> Result<Result<(), String>, SandboxError> {
        let folder = Folder::make(self.owner()).await?;
        let wall = self.wall(Input::Passed, &folder, &Limits::for_size(0, None), &[]);
        let tried = Command::new("/bin/true").enclosed(&wall).deadline(TRIAL).output(1 << 16, cx).await;
        folder.remove().await?;
        if cx.cancel.is_cancelled() {
            return Err(SandboxError::Cancelled);
        }
        Ok(tried.map(drop).map_err(|error| match error.stderr().trim() {
            "" => error.to_string(),
            said => said.lines().next().unwrap_or_default().to_owned(),
        }))
    }
}

#[derive(Default)]
struct Words(Vec<OsString>);

impl Words {
    fn add(&mut self, word: impl Into<OsString>) {
        self.0.push(word.into());
    }

    fn all<W: Into<OsString>>(&mut self, words: impl IntoIterator<Item = W>) {
        self.0.extend(words.into_iter().map(Into::into));
    }
}

/// Numbers of a user, by the machine's own means: it may live in a directory service.
async fn user(name: &str, cx: &Context) -> Result<(u32, u32), SandboxError> {
    let number = async |option: &str| {
        let asked = Command::new("id").args([option, "--", name]).deadline(TRIAL).output(1 << 10, cx).await;
        let text = asked.ok().and_then(|finished| String::from_utf8(finished.stdout).ok());
        text.and_then(|text| text.trim().parse::<u32>().ok())
    };
    let (Some(uid), Some(gid)) = (number("-u").await, number("-g").await) else {
        return Err(SandboxError::NoUser { name: name.into() });
    };
    if uid == 0 || gid == 0 { Err(SandboxError::RootUser { name: name.into() }) } else { Ok((uid, gid)) }
}

/// The folders that a program in `bin` finds its own files in: beside it, and where its libraries are.
pub(super) async fn belongings(bin: &Path, program: &Path, cx: &Context) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let real = program.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
    for bin in real.iter().map(PathBuf::as_path).chain([bin]) {
        folders.push(bin.to_owned());
        if let Some(prefix) = bin.parent() {
            // Never the prefix itself: for programs in a person's own `bin` that would be everything that is hers.
            folders.extend(["lib", "lib64", "share"].map(|name| prefix.join(name)));
        }
    }
    let libraries = Command::new("ldd").arg(program).deadline(TRIAL).output(1 << 16, cx).await;
    let libraries = libraries.ok().map(|finished| String::from_utf8_lossy(&finished.stdout).into_owned());
    for word in libraries.iter().flat_map(|text| text.split_whitespace()).filter(|word| word.starts_with('/')) {
        let library = Path::new(word);
        let real = library.canonicalize().ok();
        folders.extend(
            [Some(library), real.as_deref()].into_iter().flatten().filter_map(Path::parent).map(Path::to_owned),
        );
    }
    folders.sort();
    folders.dedup();
    folders.retain(|folder| folder.is_absolute() && !SYSTEM.iter().any(|system| folder.starts_with(system)));
    folders
}
