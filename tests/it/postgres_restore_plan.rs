//! `plan restore` names what a backup would execute, and an unchanged server's second backup stores nothing.

use crate::support::postgres::Major;
use crate::support::restore::{World, address, fails, ok};

const CODE: &str = r#"
CREATE FUNCTION f(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE TABLE g (a int DEFAULT f(1), b int GENERATED ALWAYS AS (f(a)) STORED, CHECK (f(a) > 0));
CREATE INDEX "by f" ON g (f(a));
CREATE MATERIALIZED VIEW m AS SELECT f(a) FROM g;
CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER "odd 'trigger'" ON ddl_command_end EXECUTE FUNCTION tell();
CREATE FUNCTION c() RETURNS int LANGUAGE internal AS 'pg_backend_pid';
CREATE RULE r AS ON DELETE TO g DO ALSO (SELECT 1; NOTIFY gone);
"#;

fn plan_on(major: Major) {
    let Some(world) = World::new(major) else { return };
    world.source.sql("shop", CODE);
    world.backup();
    let Some(target) = World::target(major) else { return };
    let to = address(target.port, "/shop");
    let args = ["plan", "restore", "latest", "--source", "postgres", "--to", &to];
    let json = ok(world.program(&target.password, &[&args[..], &["--json"]].concat()).output().unwrap());
    let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
    let told: Vec<&str> = plan["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|finding| finding["message"].as_str()?.strip_prefix("would execute while loading: "))
        .collect();
    assert_eq!(
        told,
        [
            "functions in languages that can do anything the server's user can (1): \"public.c()\"",
            "queries of materialized views (2): \"public.m\", \"public.seen\"",
            "functions in generated columns (1): \"public.g\"",
            "functions in check constraints (1): \"public.g\"",
            "functions and operators in indexes and exclusion constraints (1): \"public.by f\"",
            "event triggers, once they are there (1): \"odd 'trigger'\"",
        ],
    );
    assert_eq!(target.sql("postgres", "SELECT count(*) FROM pg_database WHERE oid >= 16384"), "0");
}

#[test]
fn what_would_execute_on_15() {
    plan_on(Major::Fifteen);
}

#[test]
fn what_would_execute_on_18() {
    plan_on(Major::Eighteen);
}

#[test]
fn a_second_backup_of_an_unchanged_server_stores_no_chunk() {
    for major in [Major::Fifteen, Major::Eighteen] {
        let Some(world) = World::new(major) else { return };
        let chunks = || {
            let data = std::fs::read_dir(world.path("repo/data")).unwrap().map(|entry| entry.unwrap().path());
            let folders: Vec<_> = data.flat_map(|lineage| std::fs::read_dir(lineage).unwrap()).collect();
            folders.into_iter().map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum::<usize>()
        };
        let globals = |run: &str| ok(world.program("", &["cat", run, "postgres", "globals"]).output().unwrap());
        let (before, first) = (chunks(), globals(&world.run));
        assert!(before > 0 && first.contains("\\restrict "), "{first}");
        let second = globals(&world.backup());
        assert_eq!(first, second);
        // An archive holds the time when it was made: of the databases one chunk each is new.
        assert!(chunks() - before <= 4, "{} new chunks for 4 databases and the globals", chunks() - before);
    }
}

/// One database brings no roles: what would fail in the middle is said before.
#[test]
fn one_database_needs_its_roles() {
    let (Some(world), Some(target)) = (World::new(Major::Fifteen), World::target(Major::Fifteen)) else { return };
    world.source.sql("shop", "ALTER TABLE item OWNER TO app; GRANT SELECT ON none TO \"odd; role\"");
    world.backup();
    let to = address(target.port, "/shop");
    let arguments = |verb: &[&'static str]| [verb, &["restore", "latest", "--source", "postgres", "--to"]].concat();
    let plan = || world.program(&target.password, &[&arguments(&["plan"])[..], &[&to]].concat());
    let output = plan().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("needs 2 roles that the target lacks: \"app\", \"odd; role\""), "{said}");
    assert!(said.contains("lifeboat cat BACKUP SOURCE globals"), "{said}");
    fails(world.restore(&target, "/shop", &[]), 5);
    target.sql("postgres", "CREATE ROLE app; CREATE ROLE \"odd; role\"");
    let mut json = plan();
    let json: serde_json::Value = serde_json::from_slice(&json.arg("--json").output().unwrap().stdout).unwrap();
    let bytes = json["estimate_bytes"].as_u64().unwrap();
    assert!((1_000..1_000_000).contains(&bytes), "of that database, not of the source: {bytes}");
    ok(world.restore(&target, "/shop", &[]).output().unwrap());

    let said = fails(world.restore(&target, "", &["--stream", "db/shop"]), 2);
    assert!(said.contains("names one database") && said.contains("/NAME"), "{said}");
}
