//! Connections: every TLS mode, and what a person reads when one cannot be made. Needs PostgreSQL 15 and openssl.

use std::path::Path;

use lifeboat::context::Context;
use lifeboat::exec::Command;
use lifeboat::model::{FailureClass, SourceFailure};
use lifeboat::secret::Secret;
use lifeboat::source::postgres::{ConnectSettings, Credential, Host, TlsMode, connect};

use crate::support::capture::settings;
use crate::support::postgres::{Major, Setup, TestServer};

/// An authority, and a certificate of it for the name `localhost`, made by openssl.
struct Pki {
    dir: tempfile::TempDir,
}

impl Pki {
    async fn new(names: &str) -> Self {
        let pki = Pki { dir: tempfile::tempdir().unwrap() };
        pki.openssl("req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=test-ca -keyout ca.key -out ca.crt").await;
        pki.openssl("req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr").await;
        std::fs::write(pki.dir.path().join("ext"), format!("subjectAltName={names}\n")).unwrap();
        let sign = "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out server.crt";
        let with_names = if names.is_empty() { "" } else { " -extfile ext" };
        pki.openssl(&format!("{sign}{with_names}")).await;
        pki
    }

    async fn openssl(&self, line: &str) {
        let args = line.split(' ');
        let command = Command::new("/usr/bin/openssl").args(args).directory(self.dir.path());
        command.output(1 << 20, &Context::silent()).await.unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    fn server(&self) -> Option<TestServer> {
        let mut setup = Setup::new(Major::Fifteen);
        setup.files =
            vec![("server.crt".into(), self.read("server.crt")), ("server.key".into(), self.read("server.key"))];
        setup.settings = vec!["ssl=on".into()];
        setup.hba = vec!["hostnossl plainless all all reject".into()];
        TestServer::start_with(setup)
    }
}

async fn attempt(settings: &ConnectSettings) -> Result<String, SourceFailure> {
    let client = connect(settings, "postgres", &Context::silent()).await?;
    let sql = "SELECT coalesce(version, 'plain') FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(client.query_one(sql, &[]).await.unwrap().get(0))
}

/// The same attempt by psql, through the environment that our tools get.
async fn by_psql(server: &TestServer, settings: &ConnectSettings) -> Result<String, String> {
    let env = settings.client_env("postgres").unwrap();
    let sql = "SELECT coalesce(version, 'plain') FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let command = env.apply(Command::new(server.bin.join("psql")).args(["-XAtq", "-c", sql]));
    let finished = command.output(1000, &Context::silent()).await.map_err(|error| error.stderr().to_owned())?;
    Ok(String::from_utf8(finished.stdout).unwrap().trim().to_owned())
}

#[tokio::test]
async fn each_tls_mode_means_what_libpq_means() {
    let pki = Pki::new("DNS:localhost").await;
    let other = Pki::new("DNS:localhost").await;
    let Some(server) = pki.server() else { return };
    let authority = |pki: &Pki| Some(Credential::Value(Secret::new(pki.read("ca.crt"))));
    let mut with = settings(&server);
    // (mode, host, whose authority) and whether a session must come about.
    for (mode, host, ca, works) in [
        (TlsMode::Disable, "localhost", None, Some("plain")),
        (TlsMode::Require, "localhost", None, Some("TLSv1.3")),
        (TlsMode::Require, "127.0.0.1", authority(&other), Some("TLSv1.3")),
        (TlsMode::VerifyCa, "127.0.0.1", authority(&pki), Some("TLSv1.3")),
        (TlsMode::VerifyCa, "localhost", authority(&other), None),
        (TlsMode::VerifyFull, "localhost", authority(&pki), Some("TLSv1.3")),
        (TlsMode::VerifyFull, "127.0.0.1", authority(&pki), None),
        (TlsMode::VerifyFull, "localhost", authority(&other), None),
        (TlsMode::VerifyFull, "localhost", None, None),
    ] {
        let case = format!("{} to {host}, authority {}", mode.as_str(), ca.is_some());
        with.host = Host::Tcp(host.into());
        with.tls.mode = mode;
        with.tls.ca = ca;
        let ours = attempt(&with).await;
        let theirs = by_psql(&server, &with).await;
        assert_eq!(ours.as_deref().ok(), works, "{case}: {ours:?}");
        assert_eq!(theirs.as_deref().ok(), works, "{case}: psql {theirs:?}");
        if let Err(failure) = ours {
            assert_eq!(failure.class, FailureClass::Unreachable, "{case}");
            assert!(failure.message.contains("certificate"), "{case}: {failure}");
            assert!(failure.cure.is_some(), "{case}");
        }
    }
}

/// What PostgreSQL's manual shows (`openssl x509 -req` without extensions) is of X.509 version 1.
#[tokio::test]
async fn an_old_kind_of_certificate_is_explained() {
    let pki = Pki::new("").await;
    let Some(server) = pki.server() else { return };
    let mut with = settings(&server);
    with.host = Host::Tcp("localhost".into());
    with.tls.mode = TlsMode::Require;
    assert_eq!(attempt(&with).await.unwrap(), "TLSv1.3");
    with.tls.ca = Some(Credential::Value(Secret::new(pki.read("ca.crt"))));
    for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
        with.tls.mode = mode;
        let failure = attempt(&with).await.unwrap_err();
        assert!(failure.message.contains("X.509 version 1"), "{failure}");
        assert!(failure.cure.unwrap().contains("subjectAltName"));
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_the_server_asks() {
    let pki = Pki::new("DNS:localhost").await;
    pki.openssl("req -newkey rsa:2048 -nodes -subj /CN=postgres -keyout client.key -out client.csr").await;
    pki.openssl(
        "x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out client.crt",
    )
    .await;
    let mut setup = Setup::new(Major::Fifteen);
    setup.files = ["server.crt", "server.key", "ca.crt"].map(|name| (name.to_owned(), pki.read(name))).to_vec();
    setup.settings = vec!["ssl=on".into(), "ssl_ca_file=ca.crt".into()];
    setup.hba = vec!["hostssl all all all cert".into()];
    let Some(server) = TestServer::start_with(setup) else { return };
    let mut with = settings(&server);
    with.password = None;
    with.host = Host::Tcp("localhost".into());
    with.tls.mode = TlsMode::VerifyFull;
    with.tls.ca = Some(Credential::Value(Secret::new(pki.read("ca.crt"))));
    assert_eq!(attempt(&with).await.unwrap_err().class, FailureClass::Authentication);
    with.tls.cert = Some(Credential::Value(Secret::new(pki.read("client.crt"))));
    with.tls.key = Some(Credential::Value(Secret::new(pki.read("client.key"))));
    assert_eq!(attempt(&with).await.unwrap(), "TLSv1.3");
    assert_eq!(by_psql(&server, &with).await.unwrap(), "TLSv1.3");
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_apart() {
    let Some(server) = TestServer::start_with(Setup {
        hba: vec![
            "host all nobody all reject".into(),
            "hostssl all tlsonly all scram-sha-256".into(),
            "hostnossl all tlsonly all reject".into(),
        ],
        settings: vec!["max_connections=6".into(), "superuser_reserved_connections=1".into()],
        ..Setup::new(Major::Fifteen)
    }) else {
        return;
    };
    server.sql("postgres", "CREATE ROLE nobody LOGIN PASSWORD 'x'; CREATE ROLE tlsonly LOGIN PASSWORD 'x'; CREATE ROLE small LOGIN PASSWORD 'x' CONNECTION LIMIT 0;");
    let good = settings(&server);
    assert_eq!(attempt(&good).await.unwrap(), "plain");
    let value = |text: &str| Some(Credential::Value(Secret::new(text.into())));
    let fails = async |change: &dyn Fn(&mut ConnectSettings), class, words: &str| {
        let mut with = good.clone();
        change(&mut with);
        let failure = attempt(&with).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        assert!(failure.to_string().contains(words), "{failure} should say: {words}");
        assert!(failure.cure.is_some(), "{failure}");
        assert!(!format!("{failure:?}").contains(&server.password));
    };
    use FailureClass::{Authentication, Configuration, Unreachable};
    fails(&|s| s.password = value("wrong"), Authentication, "password of role \"postgres\" is wrong").await;
    fails(&|s| s.password = None, Authentication, "a password is needed").await;
    fails(
        &|s| s.password = Some(lifeboat::secret::SecretRef::Env("LIFEBOAT_TEST_NOT_SET".into()).into()),
        Configuration,
        "LIFEBOAT_TEST_NOT_SET",
    )
    .await;
    fails(&|s| s.user = "nobody".into(), Authentication, "pg_hba.conf").await;
    fails(&|s| s.user = "tlsonly".into(), Authentication, "pg_hba.conf").await;
    fails(
        &|s| {
            s.user = "small".into();
            s.password = value("x")
        },
        Unreachable,
        "too many connections",
    )
    .await;
    fails(&|s| s.port = 1, Unreachable, "nothing listens there").await;
    fails(&|s| s.host = Host::Tcp("no-such-host.invalid".into()), Unreachable, "is unknown").await;
    fails(&|s| s.host = Host::Socket("/nowhere".into()), Unreachable, "no server has its socket there").await;
    fails(&|s| s.tls.mode = TlsMode::Require, Unreachable, "does not speak TLS").await;
    let failure = connect(&good, "not there", &Context::silent()).await.unwrap_err();
    assert_eq!(failure.class, Configuration);
    assert!(failure.message.contains("database \"not there\" does not exist"), "{failure}");

    // A socket folder works like a host, for us and for libpq.
    let mut by_socket = good.clone();
    by_socket.host = Host::Socket(server.socket_dir().to_owned());
    assert_eq!(attempt(&by_socket).await.unwrap(), "plain");
    assert_eq!(by_psql(&server, &by_socket).await.unwrap(), "plain");
    assert!(Path::new("/nowhere").metadata().is_err());
}

#[tokio::test]
async fn tools_are_chosen_by_major() {
    use lifeboat::source::postgres::Tools;
    let (Some(old), Some(new)) = (Major::Fifteen.bin(), Major::Eighteen.bin()) else { return };
    let cx = Context::silent();
    let dirs = [new.clone(), old.clone()];
    let same = Tools::find(&dirs, 15, &cx).await.unwrap();
    assert_eq!((same.major, same.pg_dump), (15, old.join("pg_dump")));
    let newer = Tools::find(&dirs, 16, &cx).await.unwrap();
    assert_eq!((newer.major, newer.dir), (18, new.clone()));
    let failure = Tools::find(&dirs, 29, &cx).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::ToolMissing);
    assert!(failure.message.contains("older: 18."), "{failure}");
    assert!(failure.cure.unwrap().contains("postgresql-client-29"));
    let own = Tools::in_dir(&new, &cx).await.unwrap();
    assert!(own.restrict_key && own.postgres.is_some() && own.initdb.is_some());
}
