use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::context::Context;
use crate::exec::error::short_name;
use crate::exec::supervise::{self, Limits};
use crate::exec::{ExecError, Finished, Running};
use crate::model::ByteStream;
use crate::secret::Secret;

/// Passed on from our own environment; everything else stays here.
const ALLOWED_ENV: [&str; 3] = ["PATH", "TZ", "TMPDIR"];

/// A program to run, and under which conditions.
pub struct Command {
    program: PathBuf,
    args: Vec<OsString>,
    wrapper: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    inherit: bool,
    directory: Option<PathBuf>,
    user: Option<(u32, u32)>,
    stdin: Option<ByteStream>,
    may_leave_input: bool,
    stall: Option<Duration>,
    deadline: Option<Duration>,
}

impl Command {
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Command {
            program: program.into(),
            args: Vec::new(),
            wrapper: Vec::new(),
            env: vec![("LC_ALL".into(), "C.UTF-8".into()), ("LANG".into(), "C.UTF-8".into())],
            inherit: true,
            directory: None,
            user: None,
            stdin: None,
            may_leave_input: false,
            stall: None,
            deadline: None,
        }
    }

    /// Never a secret: arguments are visible to every user of the machine.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn secret_env(self, name: impl AsRef<OsStr>, value: &Secret<String>) -> Self {
        self.env(name, value.expose())
    }

    /// Not even PATH of our own environment: for what must learn nothing about us.
    #[must_use]
    pub fn bare_env(mut self) -> Self {
        self.inherit = false;
        self
    }

    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Runs as another user; supplementary groups are dropped. Needs root.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }

    /// Runs `wrapper... program args...`, for `unshare`, `prlimit`, `setpriv` and the like. They must exec the
    /// program, or take it down with them. Wrappers add up: the first one given is the outermost.
    #[must_use]
    pub fn wrapper<A: AsRef<OsStr>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Self {
        self.wrapper.extend(wrapper.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Runs behind the wall that these words put up: they are a wrapper, and nothing of our own environment passes.
    /// No words, no wall.
    #[must_use]
    pub fn enclosed<A: AsRef<OsStr>>(self, wall: &[A]) -> Self {
        if wall.is_empty() { self } else { self.bare_env().wrapper(wall) }
    }

    /// Bytes for standard input; it is closed when they end. Their error stops the program.
    #[must_use]
    pub fn stdin(mut self, bytes: ByteStream) -> Self {
        self.stdin = Some(bytes);
        self
    }

    /// The program may say success before it read all of its input.
    #[must_use]
    pub fn may_leave_input(mut self) -> Self {
        self.may_leave_input = true;
        self
    }

    /// Stops a program that neither prints nor takes a byte for so long. Time that it waits for us does not count.
    #[must_use]
    pub fn stall_timeout(mut self, after: Duration) -> Self {
        self.stall = Some(after);
        self
    }

    /// Stops a program that has not ended after so long.
    #[must_use]
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }

    /// The command line as one could type it, without environment.
    pub fn display(&self) -> String {
        let words = self.wrapper.iter().map(OsString::as_os_str);
        let words = words.chain([self.program.as_os_str()]).chain(self.args.iter().map(OsString::as_os_str));
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// Starts the program; its standard output is a stream. Needs a runtime.
    pub fn start(mut self, cx: &Context) -> Result<Running, ExecError> {
        let name = short_name(&self.program);
        let failed = |source: std::io::Error| ExecError::Start {
            program: self.program.display().to_string(),
            reason: source.to_string(),
        };
        let stdin = self.stdin.take();
        let child = self.prepare(stdin.is_some()).spawn().map_err(failed)?;
        let limits = Limits { stall: self.stall, deadline: self.deadline, may_leave_input: self.may_leave_input };
        supervise::supervise(name, child, stdin, limits, cx.cancel.clone())
    }

    /// Runs the program to its end and collects what it prints, at most `cap` bytes.
    pub async fn output(self, cap: usize, cx: &Context) -> Result<Finished, ExecError> {
        self.start(cx)?.finish(cap).await
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn prepare(&self, piped: bool) -> tokio::process::Command {
        let mut words = self.wrapper.iter().map(OsString::as_os_str).chain([self.program.as_os_str()]);
        let mut command = tokio::process::Command::new(words.next().unwrap_or(self.program.as_os_str()));
        command.args(words).args(&self.args);
        command.env_clear();
        if self.inherit {
            command.envs(ALLOWED_ENV.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if let Some((uid, gid)) = self.user {
            command.gid(gid).uid(uid);
        }
        command.stdin(if piped { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }
}

/// As a shell would need it.
fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+%@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Finds a program in the folders of `PATH`.
pub fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| is_program(path))
}

/// A file that somebody may execute.
pub fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_could_be_typed() {
        let command = Command::new("/bin/pg_dump").arg("-Fc").arg("it's a name").wrapper(["nice", "-n", "5"]);
        assert_eq!(command.display(), r"nice -n 5 /bin/pg_dump -Fc 'it'\''s a name'");
    }
}
