//! A throw-away PostgreSQL server: own folder, Unix socket and loopback port, SCRAM passwords, stopped on drop.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

/// Which installation to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Major {
    Twelve,
    Thirteen,
    Fourteen,
    Fifteen,
    Sixteen,
    Seventeen,
    Eighteen,
}

impl Major {
    pub fn number(self) -> u32 {
        match self {
            Major::Twelve => 12,
            Major::Thirteen => 13,
            Major::Fourteen => 14,
            Major::Fifteen => 15,
            Major::Sixteen => 16,
            Major::Seventeen => 17,
            Major::Eighteen => 18,
        }
    }

    /// Folder of the server's programs, or None where only embedded tests were asked for.
    pub fn bin(self) -> Option<PathBuf> {
        let variable = format!("LIFEBOAT_TEST_PG{}_BIN", self.number());
        let default = (self == Major::Fifteen).then_some("/usr/lib/postgresql/15/bin");
        let dir = std::env::var_os(&variable).map(PathBuf::from).or(default.map(PathBuf::from));
        let found = dir.filter(|dir| dir.join("postgres").is_file());
        if found.is_none() {
            assert_eq!(
                std::env::var("LIFEBOAT_BENCH").as_deref(),
                Ok("embedded"),
                "no PostgreSQL server in ${variable}: run `tests/bench/install.sh test` and `eval \"$(tests/bench/env.sh)\"`, or set LIFEBOAT_BENCH=embedded to leave such tests out",
            );
            eprintln!("LEFT OUT: a test that needs a real PostgreSQL server ({variable})");
        }
        found
    }

    /// Folder of the client programs: some installations are servers alone, and 18's talk to all.
    pub fn clients(self) -> Option<PathBuf> {
        self.bin().filter(|bin| bin.join("psql").is_file()).or_else(|| Major::Eighteen.bin())
    }
}

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    pub major: Major,
    /// Its programs, if not those of the installation.
    pub bin: Option<PathBuf>,
    pub password: String,
    /// Lines for postgresql.conf.
    pub settings: Vec<String>,
    /// Lines put before the standard pg_hba.conf.
    pub hba: Vec<String>,
    /// Files put into the data folder before the start, readable by the server alone.
    pub files: Vec<(String, String)>,
    /// Further arguments of initdb.
    pub initdb: Vec<String>,
}

impl Setup {
    pub fn new(major: Major) -> Self {
        Setup {
            major,
            bin: None,
            password: "geheim".into(),
            settings: Vec::new(),
            hba: Vec::new(),
            files: Vec::new(),
            initdb: Vec::new(),
        }
    }
}

/// A running server with the superuser `postgres`.
pub struct TestServer {
    pub bin: PathBuf,
    /// Where its client programs are.
    pub clients: PathBuf,
    pub port: u16,
    pub password: String,
    dir: tempfile::TempDir,
    child: Child,
}

impl TestServer {
    /// A plain server, or None where the bench says `embedded`.
    pub fn start(major: Major) -> Option<Self> {
        Self::start_with(Setup::new(major))
    }

    pub fn start_with(setup: Setup) -> Option<Self> {
        let (bin, clients) = (setup.bin.or(setup.major.bin())?, setup.major.clients()?);
        let dir = tempfile::Builder::new().prefix("lbpg").tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(dir.path().join("pw"), &setup.password).unwrap();
        give(dir.path());
        give(&data);
        give(&dir.path().join("pw"));
        let initdb = as_server(&bin.join("initdb"))
            .args(["--username=postgres", "--auth=scram-sha-256", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8"])
            .args(&setup.initdb)
            .arg(format!("--pwfile={}", dir.path().join("pw").display()))
            .arg(format!("--pgdata={}", data.display()))
            .output()
            .unwrap();
        assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
        let hba = std::fs::read_to_string(data.join("pg_hba.conf")).unwrap();
        std::fs::write(data.join("pg_hba.conf"), format!("{}\n{hba}", setup.hba.join("\n"))).unwrap();
        for (name, content) in &setup.files {
            let path = data.join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            give(&path);
        }
        let port = free_port();
        let child = launch(&bin, dir.path(), port, &setup.settings);
        Some(TestServer { bin, clients, port, password: setup.password, dir, child })
    }

    /// Folder of the Unix socket.
    pub fn socket_dir(&self) -> &Path {
        self.dir.path()
    }

    /// A new folder inside of the server's own, which its user may write to.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir(&path).unwrap();
        give(&path);
        path
    }

    /// One of the client programs, ready to talk to this server as superuser.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = command(&self.clients.join(name));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("PGUSER", "postgres");
        command.env("PGHOST", self.socket_dir()).env("PGPORT", self.port.to_string());
        command.env("PGPASSWORD", &self.password);
        command
    }

    /// Runs statements through psql and gives back what it prints, unaligned and without headings.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = self.tool("psql");
        psql.env("PGDATABASE", database).env("PGCLIENTENCODING", "UTF8").args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-f",
            "-",
        ]);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let text = sql.to_owned();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, text.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let written = writer.join().unwrap();
        assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        written.unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Runs a client program to its end and gives back what it prints.
    pub fn run(&self, name: &str, args: &[&str]) -> Vec<u8> {
        let output = self.tool(name).args(args).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Stops the server by its pid; clients are disconnected.
    pub fn stop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
            let _ = self.child.wait();
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(bin: &Path, dir: &Path, port: u16, settings: &[String]) -> Child {
    let mut server = as_server(&bin.join("postgres"));
    server.arg("-D").arg(dir.join("data")).arg("-k").arg(dir).arg("-p").arg(port.to_string());
    server.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "logging_collector=off"]);
    server.args(["-c", "log_destination=stderr", "-c", "lc_messages=C", "-c", "shared_buffers=32MB"]);
    for setting in settings {
        server.arg("-c").arg(setting);
    }
    let mut child = server.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let (ready, is_ready) = mpsc::channel();
    let kept = log.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let now = line.contains("database system is ready to accept connections");
            kept.lock().unwrap().push(line);
            if now {
                let _ = ready.send(());
            }
        }
    });
    // The sender goes away with the server's stderr: a server that dies while starting is an error at once.
    if is_ready.recv().is_err() {
        panic!("the server did not start: {}", log.lock().unwrap().join("\n"));
    }
    child
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program as the server's user: PostgreSQL refuses to run as root.
fn as_server(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = command(Path::new("setpriv"));
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
        command
    } else {
        command(program)
    };
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("TZ", "UTC").current_dir("/");
    command
}

#[expect(clippy::disallowed_methods, reason = "tests start servers without the program under test")]
fn command(program: &Path) -> Command {
    Command::new(program)
}

/// Gives a path to the server's user, where we are root.
pub fn give(path: &Path) {
    if is_root() {
        let status = command(Path::new("chown")).arg("postgres:").arg(path).status().unwrap();
        assert!(status.success());
    }
}
