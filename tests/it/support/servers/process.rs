//! A server program: started on a loopback port, stopped by its pid, gone when the test's process is gone.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take until it serves: the slowest needs 6 s, and 16 s on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Holds the server until its standard input ends: that is when this value is dropped, or this process dies in any way.
///
/// One that outlived its test would hold a port and a folder; a static is never dropped.
const KEEPER: &str = r#"
dir=$1; shift
setpriv --pdeathsig KILL -- "$@" >"$dir/log" 2>&1 &
pid=$!
echo $pid >"$dir/pid"
read -r _
kill -9 $pid
wait $pid
rm -rf "$dir"
"#;

/// One running server and its folder, which vanish with this value.
pub struct Process {
    pub dir: PathBuf,
    keeper: Child,
}

impl Process {
    /// The program gets its folder and then its arguments; both from `command`.
    pub fn start(name: &str, command: impl FnOnce(&Path) -> Command) -> Self {
        let dir = tempfile::Builder::new().prefix(&format!("lb{name}")).tempdir().unwrap().keep();
        let command = command(&dir);
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&dir).arg(command.get_program()).args(command.get_args());
        keeper.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &dir).env("LC_ALL", "C.UTF-8");
        keeper.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // A group of its own: an interrupt at the keyboard is for the test, and its end is for the keeper to act on.
        keeper.current_dir(&dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let keeper = keeper.spawn().unwrap();
        Self { dir, keeper }
    }

    /// Tries until the server does what it is there for. A server that died, or takes too long, is an error with its log.
    pub async fn until<T, F: Future<Output = Option<T>>>(&self, works: impl Fn() -> F) -> T {
        let began = Instant::now();
        loop {
            if let Some(done) = works().await {
                return done;
            }
            assert!(began.elapsed() < PATIENCE && !self.is_dead(), "the server does not serve:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    fn is_dead(&self) -> bool {
        let Ok(pid) = std::fs::read_to_string(self.dir.join("pid")) else { return false };
        // The keeper has not waited for it yet: of one that ended, the program is no longer known.
        pid.ends_with('\n') && std::fs::read_link(format!("/proc/{}/exe", pid.trim())).is_err()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.keeper.stdin.take() {
            let _ = stdin.write_all(b"\n");
        }
        let _ = self.keeper.wait();
    }
}

/// Where `install.sh` put a program.
pub fn program(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file());
    path.unwrap_or_else(|| {
        panic!("no server in ${variable}: run `tests/bench/install.sh test` and `eval \"$(tests/bench/env.sh)\"`")
    })
}

/// A loopback port that nobody listens on, below those that the kernel gives to outgoing connections.
///
/// `span` further ports, 10,000 higher each, are free as well.
pub fn free_port(span: u16) -> u16 {
    // Starts where no other test process starts, as likely as not.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 9000) as u16;
    loop {
        let port = 12_000 + (start + NEXT.fetch_add(7, Ordering::SeqCst)) % 9000;
        if (0..=span).all(|n| TcpListener::bind(("127.0.0.1", port + n * 10_000)).is_ok()) {
            return port;
        }
    }
}
