//! Every other major that is supported, as long as its server can be had: backed up by the tools of 18, since there are
//! none of its own, loaded back into the same server under another name, and into 18.

use crate::support::postgres::{Major, TestServer};
use crate::support::program::{Program, ok, quiet};

const SHOP: &str = r#"
CREATE TABLE "odd "" name" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text, n numeric, d date, b bytea, f float8);
INSERT INTO "odd "" name" (t, n, d, b, f) SELECT E'tab\t\\ ' || g, g / 7.0, '4712-01-01 BC', decode(md5(g::text), 'hex'), 'NaN'
  FROM generate_series(1, 2000) g;
CREATE TABLE parts (k int, v text, w int GENERATED ALWAYS AS (k * 2) STORED) PARTITION BY LIST (k);
CREATE TABLE part PARTITION OF parts FOR VALUES IN (1, 2); INSERT INTO parts VALUES (1, 'x'), (2, NULL);
CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;
CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM parts;
CREATE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN i + 1; END $$;
SELECT lo_from_bytea(4242, '\xdeadbeef'), lo_from_bytea(4243, '');
"#;

const SUMS: &str = r#"SELECT count(*), sum(hashtext(t)), sum(n), min(d), count(DISTINCT b) FROM "odd "" name"
  UNION ALL SELECT count(*), sum(w), NULL, NULL, NULL FROM parts UNION ALL SELECT count(*), f(1), NULL, NULL, NULL FROM nothing
  UNION ALL SELECT count, NULL, NULL, NULL, NULL FROM seen UNION ALL SELECT length(lo_get(4242)), NULL, NULL, NULL, NULL"#;

fn smoke(major: Major) {
    let (Some(server), Some(newest)) = (TestServer::start(major), TestServer::start(Major::Eighteen)) else { return };
    server.sql("postgres", "CREATE ROLE app; GRANT app TO postgres WITH ADMIN OPTION; CREATE DATABASE shop OWNER app");
    server.sql("shop", SHOP);
    let program = Program::new(&server, newest.clients.clone());
    let newer = "newer than the server";
    let checked = program.run(&server.password, &["check"]);
    assert!(quiet(&checked).contains(newer), "{}", quiet(&checked));
    let backup = program.run(&server.password, &["backup"]);
    assert!(quiet(&backup).contains(newer), "a backup says that its tools are newer: {}", quiet(&backup));
    assert!(backup.status.success());
    let sums = server.sql("shop", SUMS);
    let to = format!("postgres://postgres@127.0.0.1:{}/again", server.port);
    let again = ["restore", "latest", "--source", "postgres", "--stream", "db/shop", "--to", &to, "--yes"];
    let restored = program.run(&server.password, &again);
    if quiet(&backup).contains("does not load into") {
        // Known since the backup, and said again before anything is done.
        assert_eq!(restored.status.code(), Some(5), "{}", quiet(&restored));
        assert!(quiet(&restored).contains("whose archives load only into 17"), "{}", quiet(&restored));
        assert_eq!(server.sql("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'again%'"), "0");
    } else {
        ok(restored);
        assert_eq!(server.sql("again", SUMS), sums, "loaded into the same major");
    }
    let to = format!("postgres://postgres@127.0.0.1:{}", newest.port);
    program.restore(&newest, &to);
    assert_eq!(newest.sql("shop", SUMS), sums, "loaded into 18");
    // And not the other way.
    let newer_backup = Program::new(&newest, newest.clients.clone());
    ok(newer_backup.run(&newest.password, &["backup"]));
    let to = format!("postgres://postgres@127.0.0.1:{}/third", server.port);
    let refused = newer_backup.run(
        &server.password,
        &["restore", "latest", "--source", "postgres", "--stream", "db/shop", "--to", &to, "--yes"],
    );
    assert_eq!(refused.status.code(), Some(5), "{}", quiet(&refused));
    assert!(quiet(&refused).contains("older than the captured"), "{}", quiet(&refused));
}

#[test]
fn postgres_12() {
    smoke(Major::Twelve);
}

#[test]
fn postgres_13() {
    smoke(Major::Thirteen);
}

#[test]
fn postgres_14() {
    smoke(Major::Fourteen);
}

#[test]
fn postgres_16() {
    smoke(Major::Sixteen);
}

#[test]
fn postgres_17() {
    smoke(Major::Seventeen);
}
