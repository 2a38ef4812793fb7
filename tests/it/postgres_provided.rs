//! What a server does not bring itself: an extension of our own with configuration tables, providers of security labels,
//! and what one build has and another lacks (ICU, XML, pgcrypto). It comes back, or the plan says that it cannot.

use crate::support::postgres::{Major, Setup, TestServer};
use crate::support::private::Private;
use crate::support::program::{Program, quiet};
use crate::support::restore::{address, dump, globals};

const EXTENSION: [(&str, &str); 2] = [
    ("ward.control", include_str!("../testdata/hostile/provided/ward.control")),
    ("ward--1.0.sql", include_str!("../testdata/hostile/provided/ward--1.0.sql")),
];
const SHOP: &str = include_str!("../testdata/hostile/provided/shop.sql");
const LABELS: &str = include_str!("../testdata/hostile/provided/labels.sql");
const PROVIDER: &str = include_str!("../testdata/hostile/provided/label.c");
/// Of what all databases share.
const SHARED: &str = r#"
SECURITY LABEL FOR role ON ROLE app IS 'a role''s'; SECURITY LABEL FOR "odd; ""label""" ON ROLE app IS 'x';
SECURITY LABEL FOR role ON DATABASE labels IS E'a \\ database''s'; SECURITY LABEL FOR "odd; ""label""" ON DATABASE labels IS 'x';
"#;

/// A server that has the extension and the providers.
fn provided(major: Major) -> Option<(Private, TestServer)> {
    let private = Private::of(major)?;
    for (name, content) in EXTENSION {
        private.extension(name, content);
    }
    let library = format!("shared_preload_libraries={}", private.library(PROVIDER));
    let setup = Setup { bin: Some(private.bin.clone()), settings: vec![library], ..Setup::new(major) };
    let server = TestServer::start_with(setup)?;
    Some((private, server))
}

fn filled(major: Major) -> Option<(Private, TestServer)> {
    let (private, server) = provided(major)?;
    server.sql("postgres", "CREATE ROLE app; CREATE DATABASE shop; CREATE DATABASE labels OWNER app");
    server.sql("shop", SHOP);
    server.sql("labels", LABELS);
    let space = server.folder("space");
    server.sql("postgres", &format!("CREATE TABLESPACE role LOCATION '{}'", space.display()));
    server.sql("postgres", "SECURITY LABEL FOR role ON TABLESPACE role IS 'on role'");
    server.sql("postgres", SHARED);
    Some((private, server))
}

/// Everything that a dump says of it, and the tables of an extension, of which a dump says only a part.
fn state(server: &TestServer) -> Vec<String> {
    let settings = "SELECT k, v, own FROM \"w ard\".setting ORDER BY 1";
    let others = "SELECT (SELECT array_agg(h) FROM \"w ard\".history h), (SELECT last_value FROM \"w ard\".counter), \
                  (SELECT array_agg(o ORDER BY a) FROM \"w ard\".\"odd \"\"one\"\" ü\" o), (SELECT array_agg(f) FROM \"w ard\".fixed f)";
    let mut state: Vec<String> = ["shop", "labels", "postgres"].map(|name| dump(server, name)).into();
    state.push(globals(server));
    let mut state: Vec<String> = state.iter().map(|text| sorted(text)).collect();
    state.extend([server.sql("shop", settings), server.sql("shop", others)]);
    state
}

/// Labels of one object come in no order of their own.
fn sorted(text: &str) -> String {
    let is_label = |line: &&str| line.starts_with("SECURITY LABEL");
    let (mut labels, others): (Vec<_>, Vec<_>) = text.lines().partition(is_label);
    labels.sort_unstable();
    [others, labels].concat().join("\n")
}

/// Frees the folder of the tablespace for another server, as a new machine would have it.
fn vacate(server: &TestServer) {
    std::fs::rename(server.socket_dir().join("space"), server.socket_dir().join("space.used")).unwrap();
    server.folder("space");
}

fn comes_back(major: Major) {
    let Some((_private, source)) = filled(major) else { return };
    let program = Program::new(&source, source.clients.clone());
    let checked = quiet(&program.run(&source.password, &["check"]));
    assert!(
        checked.contains("rows that no dump takes") && checked.contains("\"w ard\".fixed, public.adopted"),
        "{checked}"
    );
    let backup = program.run(&source.password, &["backup"]);
    assert!(backup.status.success(), "{}", quiet(&backup));
    let before = state(&source);
    assert!(before[1].matches("SECURITY LABEL FOR role").count() > 15, "the dump tells of labels: {}", before[1]);
    vacate(&source);
    let (_private, target) = provided(major).unwrap();
    program.restore(&target, &address(target.port, ""));
    for (before, after) in before.iter().zip(state(&target)) {
        let lines: Vec<_> =
            before.lines().zip(after.lines()).filter(|(before, after)| before != after).take(5).collect();
        assert!(*before == after, "became: {lines:#?}");
    }
    // A server without either: said before anything is made.
    let bare = TestServer::start(major).unwrap();
    let to = address(bare.port, "");
    let plan = quiet(&program.run(&bare.password, &["plan", "restore", "latest", "--source", "postgres", "--to", &to]));
    for said in ["needs extension \"ward\"", "needs the label provider \"role\"", "odd; \\\"label\\\""] {
        assert!(plan.contains(said), "{said}: {plan}");
    }
    let untouched = globals(&bare);
    let refused = program.run(&bare.password, &["restore", "latest", "--source", "postgres", "--to", &to, "--yes"]);
    assert_eq!(refused.status.code(), Some(5), "{}", quiet(&refused));
    assert!(globals(&bare) == untouched);
}

/// 15 into 18, where both have what is needed.
#[test]
fn an_extension_of_ones_own_and_labels_from_15_into_18() {
    let (Some((_older, source)), Some((_newer, target))) = (filled(Major::Fifteen), provided(Major::Eighteen)) else {
        return;
    };
    let program = Program::new(&source, target.clients.clone());
    let backup = program.run(&source.password, &["backup"]);
    assert!(backup.status.success(), "{}", quiet(&backup));
    let before = state(&source);
    vacate(&source);
    program.restore(&target, &address(target.port, ""));
    let after = state(&target);
    let labels = |text: &str| {
        text.lines().filter(|line| line.starts_with("SECURITY LABEL")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(labels(&before[1]).len() > 15 && labels(&before[3]).len() == 3);
    for (before, after) in before[..4].iter().zip(&after) {
        assert_eq!(labels(before), labels(after));
    }
    assert_eq!(before[4..], after[4..]);
}

/// The builds of 18 that tests run against have no ICU, no libxml and no OpenSSL.
#[test]
fn what_the_target_was_built_without() {
    let (Some(source), Some(target)) = (TestServer::start(Major::Fifteen), TestServer::start(Major::Eighteen)) else {
        return;
    };
    source
        .sql("postgres", "CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C.UTF-8'");
    for name in ["words", "papers", "crypt"] {
        source.sql("postgres", &format!("CREATE DATABASE {name}"));
    }
    source.sql(
        "words",
        "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
                         CREATE TABLE t (a text COLLATE nocase)",
    );
    source.sql(
        "papers",
        "CREATE TABLE t (a int, x xml); INSERT INTO t VALUES (1, '<a>&lt;</a>'); CREATE TABLE u (xml text)",
    );
    source.sql("crypt", "CREATE EXTENSION pgcrypto; CREATE TABLE t AS SELECT digest('a', 'sha256') AS d");
    let program = Program::new(&source, target.clients.clone());
    let backup = program.run(&source.password, &["backup"]);
    assert!(backup.status.success(), "{}", quiet(&backup));
    let restore = |verb: &[&str], to: &str| {
        let to = address(target.port, to);
        program.run(&target.password, &[verb, &["restore", "latest", "--source", "postgres", "--to", &to]].concat())
    };
    let plan = quiet(&restore(&["plan"], ""));
    for said in [
        "database \"icu\": needs ICU, which the target was built without",
        "database \"words\": needs ICU, which the target was built without: collations \"nocase\"",
        "database \"papers\": holds the type xml, of which the target, built without libxml, takes no value but null: \"t\"",
        "database \"crypt\": needs extension \"pgcrypto\", which the target lacks",
    ] {
        assert!(plan.contains(said), "{said}: {plan}");
    }
    let before = globals(&target);
    for (to, code) in [("", 5), ("/icu", 5), ("/words", 5), ("/crypt", 5), ("/papers", 1)] {
        let to = address(target.port, to);
        let args = ["restore", "latest", "--source", "postgres", "--to", &to, "--yes"];
        let refused = program.run(&target.password, &args);
        assert_eq!(refused.status.code(), Some(code), "{to}: {}", quiet(&refused));
    }
    assert!(globals(&target) == before);
    assert_eq!(target.sql("postgres", "SELECT count(*) FROM pg_database"), "3");
    // All of it comes back where it can.
    let again = TestServer::start(Major::Fifteen).unwrap();
    program.restore(&again, &address(again.port, ""));
    for name in ["icu", "words", "papers", "crypt"] {
        assert!(dump(&source, name) == dump(&again, name), "{name}");
    }
}

#[test]
fn an_extension_of_ones_own_and_labels_15() {
    comes_back(Major::Fifteen);
}

#[test]
fn an_extension_of_ones_own_and_labels_18() {
    comes_back(Major::Eighteen);
}
