//! Whole captures of real servers; needs PostgreSQL 15 and 18.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use lifeboat::context::Context;
use lifeboat::model::{FailureClass, Severity, sha256};
use lifeboat::secret::Secret;
use lifeboat::source::Source;
use lifeboat::source::postgres::properties::{LocaleProvider, Properties};
use lifeboat::source::postgres::{Credential, Databases, Moment, Seam};

use crate::support::capture::{Findings, fake_tools, read, settings, source};
use crate::support::postgres::{Major, TestServer};

const ODD: &str = "od=d 'n\"ame\\ x";

async fn a_whole_server(major: Major) {
    let Some(server) = TestServer::start(major) else { return };
    server.sql(
        "postgres",
        r#"CREATE ROLE anna LOGIN PASSWORD 'pw1'; CREATE ROLE "odd role"; GRANT anna TO "odd role";
           CREATE DATABASE shop OWNER anna CONNECTION LIMIT 7;
           COMMENT ON DATABASE shop IS 'it''s a shop';
           ALTER DATABASE shop SET search_path = shop, "$user"; ALTER DATABASE shop SET work_mem = '8MB';
           ALTER ROLE anna IN DATABASE shop SET statement_timeout = '1min';
           REVOKE CONNECT ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE shop TO "odd role" WITH GRANT OPTION;
           CREATE DATABASE closed ALLOW_CONNECTIONS false;
           CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C';
           CREATE DATABASE model IS_TEMPLATE true;"#,
    );
    // The build of 18 that the bench installs has no ICU, but that major brought a provider of its own.
    let (provider, locale) = match major {
        Major::Eighteen => {
            ("LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'", (LocaleProvider::Builtin, Some("C.UTF-8")))
        }
        _ => ("LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'", (LocaleProvider::Icu, Some("de-DE"))),
    };
    server.sql("postgres", &format!("CREATE DATABASE other TEMPLATE template0 {provider}"));
    server.run("createdb", &["--", ODD]);
    server.sql("shop", "CREATE TABLE public.t AS SELECT g AS i, 'x' || g AS v FROM generate_series(1, 1000) g; SELECT lo_from_bytea(0, 'lo');");
    server.sql("latin", "CREATE TABLE \"caf\u{e9}\" (t text); INSERT INTO \"caf\u{e9}\" VALUES ('\u{e4}\u{f6}');");
    server.sql(ODD, "CREATE TABLE odd AS SELECT 1 AS i");

    let (cx, findings) = Findings::context();
    let captured = read(&source(&server), &cx).await.unwrap();
    let expected = ["globals", "db/latin", "db/model", "db/other", "db/postgres", "db/shop", "db/template1"];
    let odd = format!("db/{ODD}");
    let mut expected: Vec<&str> = expected.into_iter().chain([odd.as_str()]).collect();
    expected.sort_unstable();
    assert_eq!(captured.streams.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    let found = findings.all();
    assert!(found.len() == 1 && found[0].message.contains("allows no connections"), "{found:?}");

    // Globals: what pg_dumpall itself prints, but for the random key.
    let plain = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.lines()
            .filter(|l| !l.starts_with("\\restrict") && !l.starts_with("\\unrestrict"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let globals = plain(&captured.streams["globals"].bytes);
    assert_eq!(globals, plain(&server.run("pg_dumpall", &["--globals-only"])));
    assert!(globals.contains("SCRAM-SHA-256$"));

    let shop = &captured.streams["db/shop"];
    let (rows, hash) = shop.parts["\"public\".\"t\""];
    let copied = server.run("psql", &["-XAtq", "-d", "shop", "-c", "COPY public.t TO STDOUT"]);
    assert_eq!((rows, hash), (1000, sha256(&copied)));
    // A name that is not UTF-8 in the archive is still one part.
    let latin = &captured.streams["db/latin"].parts;
    assert_eq!(
        latin.iter().map(|(name, part)| (name.as_str(), part.0)).collect::<Vec<_>>(),
        [("\"public\".b\"caf\\xe9\"", 1)]
    );
    assert_eq!(captured.streams[&odd].parts["\"public\".\"odd\""].0, 1);

    let summary = captured.summary;
    assert_eq!(summary.consistency.kind, "snapshot");
    assert!(summary.consistency.from <= summary.consistency.to);
    let properties: Properties = serde_json::from_value(summary.properties).unwrap();
    assert_eq!(properties.server.version_num / 10_000, if major == Major::Fifteen { 15 } else { 18 });
    assert_eq!((properties.server.bootstrap_role.as_str(), properties.server.superuser), ("postgres", true));
    assert_eq!(
        properties.server.system_identifier.unwrap(),
        server.sql("postgres", "SELECT system_identifier FROM pg_control_system()")
    );
    assert!(properties.passwords && properties.roles.iter().any(|role| role.name == "anna" && role.login));
    let database = |name: &str| properties.databases.iter().find(|database| database.name == name).unwrap();
    let shop = database("shop");
    assert_eq!((shop.owner.as_str(), shop.connection_limit, shop.comment.as_deref()), ("anna", 7, Some("it's a shop")));
    let settings: Vec<_> =
        shop.settings.iter().map(|s| (s.role.as_deref(), s.name.as_str(), s.value.as_str())).collect();
    assert_eq!(
        settings,
        [
            (None, "search_path", "shop, \"$user\""),
            (None, "work_mem", "8MB"),
            (Some("anna"), "statement_timeout", "1min"),
        ]
    );
    let acl: Vec<_> =
        shop.acl.as_ref().unwrap().iter().map(|a| (a.grantee.as_deref(), a.privilege.as_str(), a.grantable)).collect();
    assert!(acl.contains(&(Some("odd role"), "CONNECT", true)) && acl.contains(&(None, "TEMPORARY", false)));
    assert!(!acl.contains(&(None, "CONNECT", false)), "{acl:?}");
    assert_eq!(shop.large_objects, 1);
    assert_eq!(shop.extensions.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["plpgsql"]);
    assert!(shop.lsn.contains('/') && shop.size_bytes > 1_000_000);
    assert_eq!(database("postgres").acl, None);
    let other = &database("other").locale;
    assert_eq!((other.provider, other.locale.as_deref()), locale);
    assert_eq!(other.collation_version, other.actual_collation_version);
    assert!(other.collation_version.is_some());
    assert_eq!((database("latin").encoding.as_str(), database("latin").locale.collate.as_str()), ("LATIN1", "C"));
    assert!(database("model").is_template && !database("shop").is_template);
    let everything = format!("{:?} {}", summary.commands, summary.stderr);
    assert!(everything.contains("pg_dumpall") && !everything.contains(&server.password));
    // Nothing stays behind on the server.
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lifeboat'";
    until(|| server.sql("postgres", left) == "0", "our sessions end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_server_15() {
    a_whole_server(Major::Fifteen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_server_18() {
    a_whole_server(Major::Eighteen).await;
}

#[tokio::test]
async fn globals_are_the_same_bytes_with_a_chosen_key() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    let mut with = source(&server);
    with.databases = Databases::List(vec!["template1".into()]);
    with.restrict_key = Some("0123abc".into());
    let cx = Context::silent();
    let (one, two) = (read(&with, &cx).await.unwrap(), read(&with, &cx).await.unwrap());
    assert_eq!(one.streams["globals"], two.streams["globals"]);
    assert_eq!(one.streams.len(), 2);
    with.databases = Databases::List(vec!["template1".into(), "absent".into()]);
    assert_eq!(read(&with, &cx).await.unwrap_err().class, FailureClass::Configuration);
}

/// A rewriting ALTER TABLE in the gap between snapshot and locks is seen, and the database starts again.
#[tokio::test]
async fn a_rewrite_before_the_locks_is_noticed() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE a AS SELECT g AS i FROM generate_series(1, 1000) g; CREATE TABLE b AS TABLE a;");
    let server = Arc::new(server);
    let mut with = source(&server);
    with.databases = Databases::List(vec!["shop".into()]);

    let (times, other) = (Arc::new(AtomicU32::new(0)), server.clone());
    let seen = times.clone();
    with.seam = Seam::new(move |moment, database| {
        if (moment, database) == (Moment::Taken, "shop") && seen.fetch_add(1, Ordering::SeqCst) == 0 {
            other.sql("shop", "ALTER TABLE a ALTER i TYPE bigint; BEGIN; TRUNCATE b; INSERT INTO b SELECT generate_series(1, 500); COMMIT;");
        }
        async {}.boxed()
    });
    let captured = read(&with, &Context::silent()).await.unwrap();
    let rows = |name: &str| captured.streams["db/shop"].parts[&format!("\"public\".\"{name}\"")].0;
    assert_eq!((rows("a"), rows("b")), (1000, 500));
    assert_eq!(times.load(Ordering::SeqCst), 2);

    // Somebody who never stops: a failure that names the table, and no zero rows.
    let other = server.clone();
    with.seam = Seam::new(move |moment, _| {
        if moment == Moment::Taken {
            other.sql("shop", "ALTER TABLE a ALTER i TYPE int; ALTER TABLE a ALTER i TYPE bigint;");
        }
        async {}.boxed()
    });
    let failure = read(&with, &Context::silent()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Inconsistent);
    assert!(failure.to_string().contains("database \"shop\"") && failure.message.contains("\"a\""), "{failure}");
    assert!(failure.cure.is_some());
}

/// Tables that vanish or change their name in that gap.
#[tokio::test]
async fn a_drop_or_rename_before_the_locks_is_noticed() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE a AS SELECT 1 AS i; CREATE TABLE b AS SELECT 2 AS i;");
    let server = Arc::new(server);
    let other = server.clone();
    let mut with = source(&server);
    with.databases = Databases::List(vec!["shop".into()]);
    with.seam = Seam::new(move |moment, _| {
        if moment == Moment::Taken {
            other.sql("shop", "DROP TABLE IF EXISTS b; ALTER TABLE IF EXISTS a RENAME TO c;");
        }
        async {}.boxed()
    });
    let captured = read(&with, &Context::silent()).await.unwrap();
    let parts: Vec<&str> = captured.streams["db/shop"].parts.keys().map(String::as_str).collect();
    assert_eq!(parts, ["\"public\".\"c\""]);
}

/// After the locks, TRUNCATE and ALTER wait for the dump to end.
#[tokio::test]
async fn a_truncate_after_the_locks_has_to_wait() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE a AS SELECT g AS i FROM generate_series(1, 1000) g");
    let server = Arc::new(server);
    let other = server.clone();
    let mut with = source(&server);
    with.databases = Databases::List(vec!["shop".into()]);
    with.seam = Seam::new(move |moment, _| {
        if moment == Moment::Locked {
            let sql = "SET lock_timeout = '50ms'; DO $$ BEGIN TRUNCATE a; EXCEPTION WHEN lock_not_available THEN CREATE TABLE waited (); END $$";
            other.sql("shop", sql);
        }
        async {}.boxed()
    });
    let captured = read(&with, &Context::silent()).await.unwrap();
    assert_eq!(captured.streams["db/shop"].parts["\"public\".\"a\""].0, 1000);
    assert_eq!(server.sql("shop", "SELECT to_regclass('waited') IS NOT NULL"), "t");
    server.sql("shop", "SET lock_timeout = '2s'; TRUNCATE a");
}

/// A TRUNCATE queued between our locks and pg_dump's own: neither waits for ever, and the rows are all there.
#[tokio::test]
async fn a_queue_between_our_locks_and_the_dumps_is_resolved() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE TABLE a AS SELECT g AS i FROM generate_series(1, 1000) g");
    let server = Arc::new(server);
    let mut with = source(&server);
    with.databases = Databases::List(vec!["shop".into()]);
    with.lock_timeout = Duration::from_secs(1);
    let queued = Arc::new(std::sync::Mutex::new(None));
    let (other, thread) = (server.clone(), queued.clone());
    with.seam = Seam::new(move |moment, _| {
        let mut thread = thread.lock().unwrap();
        if moment == Moment::Locked && thread.is_none() {
            let alter = other.clone();
            *thread = Some(std::thread::spawn(move || alter.sql("shop", "ALTER TABLE a ALTER i TYPE bigint")));
            let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'";
            until(|| other.sql("shop", waiting) == "1", "the ALTER waits for our lock");
        }
        async {}.boxed()
    });
    let captured = read(&with, &Context::silent()).await.unwrap();
    assert_eq!(captured.streams["db/shop"].parts["\"public\".\"a\""].0, 1000);
    let thread = queued.lock().unwrap().take().unwrap();
    thread.join().unwrap();
    assert_eq!(
        server
            .sql("shop", "SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'i'"),
        "bigint"
    );
}

/// What a managed service gives: no superuser, no pg_authid (which pg_read_all_data alone would open).
#[tokio::test]
async fn an_ordinary_role_loses_passwords_and_says_so() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    server.sql("postgres", "CREATE ROLE saver LOGIN PASSWORD 'pw'; CREATE ROLE bare LOGIN PASSWORD 'pw'; CREATE TABLE t AS SELECT 1 AS i; GRANT SELECT ON t TO saver;");
    let mut with = source(&server);
    with.settings = settings(&server);
    with.settings.user = "saver".into();
    with.settings.password = Some(Credential::Value(Secret::new("pw".into())));
    let (cx, findings) = Findings::context();
    let captured = read(&with, &cx).await.unwrap();
    let globals = String::from_utf8(captured.streams["globals"].bytes.clone()).unwrap();
    assert!(globals.contains("CREATE ROLE saver") && !globals.contains("PASSWORD"), "{globals}");
    let properties: Properties = serde_json::from_value(captured.summary.properties).unwrap();
    assert!(!properties.passwords);
    let said = findings.all();
    assert!(
        said.iter().any(|f| f.severity == Severity::Warning && f.message.contains("passwords of roles will not be")),
        "{said:?}"
    );
    let probe = with.probe(&Context::silent()).await.unwrap();
    assert!(probe.findings.iter().any(|f| f.message.contains("pg_authid")));
    assert!(probe.findings.iter().all(|f| f.severity != Severity::Problem), "{:?}", probe.findings);

    with.settings.user = "bare".into();
    let probe = with.probe(&Context::silent()).await.unwrap();
    assert!(
        probe.findings.iter().any(|f| f.severity == Severity::Problem && f.message.contains("public.t")),
        "{:?}",
        probe.findings
    );
    let failure = read(&with, &Context::silent()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permission, "{failure}");
    assert!(failure.cure.unwrap().contains("pg_read_all_data"));
}

#[tokio::test]
async fn a_probe_says_what_is_there() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    server.sql("postgres", "CREATE UNLOGGED TABLE u (i int); SELECT lo_create(0);");
    let probe = source(&server).probe(&Context::silent()).await.unwrap();
    assert!(probe.version.starts_with("PostgreSQL 15."), "{}", probe.version);
    assert_eq!(probe.streams, ["globals", "db/postgres", "db/template1"]);
    assert!(probe.estimate_bytes > 10_000_000);
    let says = |words: &str| probe.findings.iter().any(|f| f.message.contains(words));
    assert!(
        says("is a superuser") && says("1 unlogged tables") && says("1 large objects, extensions: plpgsql 1.0"),
        "{:?}",
        probe.findings
    );
    let (_dir, tools) = fake_tools(&server.bin, &[("pg_dump", "exit 1")]);
    let mut with = source(&server);
    with.tools = vec![tools];
    let probe = with.probe(&Context::silent()).await.unwrap();
    assert!(probe.findings.iter().any(|f| f.subject == "client tools" && f.severity == Severity::Ok));
}

/// Waits for a condition of the server, with a deadline.
fn until(condition: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
    }
}
