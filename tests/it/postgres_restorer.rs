//! A role without superuser rights restores: what it may make and own comes back; what it may not is said before
//! anything is made.

use std::process::Output;

use crate::support::postgres::{Major, TestServer};
use crate::support::program::{Program, quiet};
use crate::support::restore::{dump, leftovers};

/// All of it belongs to `app`.
const SHOP: &str = r#"
SET ROLE app; CREATE SCHEMA "s 1"; CREATE TYPE "s 1".mood AS ENUM ('ok'); CREATE TABLE t (i int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m "s 1".mood);
INSERT INTO t (m) SELECT 'ok' FROM generate_series(1, 100); CREATE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN i; END';
CREATE VIEW v AS SELECT f(i) FROM t; CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t; GRANT SELECT ON t TO reader; SELECT lo_from_bytea(4242, '\xff');
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader; ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t TO reader USING (true);
CREATE EXTENSION hstore; CREATE TABLE h (h hstore); COMMENT ON TABLE t IS 'c'; CREATE PUBLICATION mine FOR TABLE t;
"#;

struct Bed {
    source: TestServer,
    target: TestServer,
    program: Program,
}

impl Bed {
    fn new(major: Major) -> Option<Self> {
        let (source, target) = (TestServer::start(major)?, TestServer::start(major)?);
        source.sql("postgres", "CREATE ROLE app; CREATE ROLE reader; CREATE DATABASE shop OWNER app");
        source.sql("shop", SHOP);
        target
            .sql("postgres", "CREATE ROLE app LOGIN CREATEDB PASSWORD 'geheim'; CREATE ROLE reader; CREATE ROLE other");
        let program = Program::new(&source, source.clients.clone());
        Some(Self { source, target, program })
    }

    fn back_up(&self) {
        let backup = self.program.run(&self.source.password, &["backup"]);
        assert!(backup.status.success(), "{}", quiet(&backup));
    }

    fn as_app(&self, args: &[&str]) -> Output {
        let to = format!("postgres://app@127.0.0.1:{}/shop", self.target.port);
        self.program.run(&self.target.password, &[args, &["--source", "postgres", "--to", &to]].concat())
    }

    fn restore(&self) -> Output {
        self.as_app(&["restore", "latest", "--yes"])
    }
}

fn ones_own_database(major: Major) {
    let Some(bed) = Bed::new(major) else { return };
    bed.back_up();
    let said = bed.restore();
    assert!(said.status.success(), "{}", quiet(&said));
    assert!(dump(&bed.source, "shop") == dump(&bed.target, "shop"), "{}", dump(&bed.target, "shop"));
    // And in the place of the one that is there.
    let said = bed.as_app(&["restore", "latest", "--yes", "--mode", "replace"]);
    assert!(said.status.success(), "{}", quiet(&said));
    assert!(dump(&bed.source, "shop") == dump(&bed.target, "shop"));
}

#[test]
fn ones_own_database_15() {
    ones_own_database(Major::Fifteen);
}

#[test]
fn ones_own_database_18() {
    ones_own_database(Major::Eighteen);
}

/// What only superusers may make, or only members of a role may give to it.
#[test]
fn what_it_may_not_is_said_before() {
    let Some(bed) = Bed::new(Major::Fifteen) else { return };
    let cases = [
        (
            "CREATE ROLE other; CREATE TABLE theirs (a int); ALTER TABLE theirs OWNER TO other",
            "owned by roles",
            "DROP OWNED BY other; DROP ROLE other",
        ),
        (
            "CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; ALTER FUNCTION on_ddl() OWNER TO app; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION on_ddl()",
            "event trigger",
            "DROP EVENT TRIGGER e; DROP FUNCTION on_ddl()",
        ),
        ("CREATE EXTENSION pageinspect", "pageinspect", "DROP EXTENSION pageinspect"),
        ("CREATE PUBLICATION everything FOR ALL TABLES", "publication", "DROP PUBLICATION everything"),
        (
            "CREATE FUNCTION c() RETURNS int LANGUAGE internal AS 'int4pl'; ALTER FUNCTION c() OWNER TO app",
            "language",
            "DROP FUNCTION c()",
        ),
        ("CREATE FOREIGN DATA WRAPPER w", "foreign data wrapper", "DROP FOREIGN DATA WRAPPER w"),
    ];
    for (make, named, take_back) in cases {
        bed.source.sql("shop", make);
        bed.back_up();
        let plan = quiet(&bed.as_app(&["plan", "restore", "latest"]));
        let said = bed.restore();
        eprintln!("== {named}\n{plan}\n{:?} {}", said.status.code(), quiet(&said));
        assert_eq!(said.status.code(), Some(5), "{named}: {}", quiet(&said));
        assert!(plan.to_lowercase().contains(named), "{named}: {plan}");
        assert_eq!(leftovers(&bed.target), "");
        bed.source.sql("shop", take_back);
    }
}
