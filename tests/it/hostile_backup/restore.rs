//! A restore into a real server of what an attacker signed. Needs PostgreSQL 15.

use crate::support::local::Local;
use crate::support::postgres::{Major, TestServer};
use crate::support::reseal::Capture;

struct Bed {
    local: Local,
    server: TestServer,
    run: String,
    to: String,
}

fn bed() -> Option<Bed> {
    let source = TestServer::start(Major::Fifteen)?;
    source.sql("postgres", "CREATE ROLE keeper NOLOGIN; CREATE DATABASE shop OWNER keeper");
    source.sql("postgres", "GRANT CONNECT ON DATABASE shop TO keeper");
    source.sql("shop", "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)");
    let local = Local::new(&source);
    let run = local.backup_on(&local.repo());
    drop(source);
    let server = TestServer::start(Major::Fifteen)?;
    let to = format!("postgres://postgres@127.0.0.1:{}", server.port);
    Some(Bed { local, server, run, to })
}

impl Bed {
    /// Whether something of the backup was read as SQL.
    fn is_pwned(&self) -> bool {
        self.server.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pwned%'") != "0"
    }

    /// Everything that a restore could have left.
    fn state(&self) -> String {
        let sql = "SELECT (SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles), \
                   (SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database)";
        self.server.sql("postgres", sql)
    }
}

/// Whatever is no statement of pg_dumpall stops the restore before the first statement runs.
#[test]
fn globals_that_are_no_globals_are_refused_before_anything_runs() {
    let Some(bed) = bed() else { return };
    let before = bed.state();
    let marker = bed.local.path("pwned");
    let shell = marker.display();
    for script in [
        format!("CREATE ROLE first;\n\\! touch {shell}\n"),
        format!("CREATE ROLE first;\nCOPY (SELECT 1) TO PROGRAM 'touch {shell}';\n"),
        format!("CREATE ROLE first;\nDO $$BEGIN COPY (SELECT 1) TO PROGRAM 'touch {shell}'; END$$;\n"),
        "CREATE ROLE first;\n\\connect other\n".into(),
        "CREATE ROLE first;\n\\restrict x\n\\! id\n".into(),
        "CREATE ROLE first;\nDROP DATABASE postgres;\n".into(),
        "CREATE ROLE first;\nALTER SYSTEM SET archive_command = 'touch /tmp/x';\n".into(),
        "CREATE ROLE first;\nSELECT pg_catalog.lo_import('/etc/passwd');\n".into(),
        "CREATE ROLE first;\nALTER ROLE first IN DATABASE shop SET work_mem = '1MB';\n".into(),
        "CREATE ROLE first;\nGRANT ALL ON SCHEMA public TO first;\n".into(),
        "CREATE ROLE first;\nCREATE ROLE \"unterminated;\n".into(),
        "CREATE ROLE first;\nCREATE ROLE second".into(),
        "SET client_encoding = 'SJIS';\nCREATE ROLE first;\n".into(),
    ] {
        let twin = bed.local.path("twin");
        if twin.exists() {
            std::fs::remove_dir_all(&twin).unwrap();
        }
        bed.local.twin("twin");
        let mut capture = Capture::of_local(&bed.local, &twin, &bed.run);
        capture.set_stream("globals", &[script.clone().into_bytes()]);
        capture.store();
        let said = bed.local.run_on(&twin, &["restore", &bed.run, "--source", "postgres", "--to", &bed.to, "--yes"]);
        assert_eq!(said.code, 4, "{script:?}\n{}\n{}", said.out, said.err);
        assert_eq!(bed.state(), before, "{script:?}");
        assert!(!marker.exists(), "{script:?}");
    }
}

/// Names, privileges and settings of a database come from the backup too, and are never read as SQL.
#[test]
fn properties_of_a_database_are_never_read_as_sql() {
    let Some(bed) = bed() else { return };
    let evil = "x\"'; CREATE ROLE pwned SUPERUSER; --";
    let one = format!("{}/shop", bed.to);
    for (pointer, value) in [
        ("/owner", evil.into()),
        ("/encoding", evil.into()),
        ("/tablespace", evil.into()),
        ("/comment", evil.into()),
        ("/locale/collate", evil.into()),
        ("/locale/ctype", evil.into()),
        (
            "/acl",
            serde_json::json!([{"grantor": "keeper", "grantee": evil, "privilege": "CONNECT", "grantable": false}]),
        ),
        (
            "/acl",
            serde_json::json!([{"grantor": "postgres", "grantee": "postgres", "privilege":
                "CONNECT ON DATABASE postgres TO postgres; CREATE ROLE pwned SUPERUSER; GRANT CONNECT", "grantable": false}]),
        ),
        (
            "/settings",
            serde_json::json!([{"role": null, "name": "work_mem\" = '1MB'; CREATE ROLE pwned; --", "value": "1MB"}]),
        ),
        ("/settings", serde_json::json!([{"role": null, "name": "work_mem", "value": "1MB'; CREATE ROLE pwned; --"}])),
        (
            "/settings",
            serde_json::json!([{"role": null, "name": "search_path", "value": "\"a'\"\"; CREATE ROLE pwned; --\""}]),
        ),
        ("/settings", serde_json::json!([{"role": evil, "name": "work_mem", "value": "1MB"}])),
        ("/extensions", serde_json::json!([{"name": evil, "version": evil, "schema": evil}])),
        ("/connection_limit", serde_json::json!(i32::MIN)),
    ] {
        let twin = bed.local.path("twin");
        if twin.exists() {
            std::fs::remove_dir_all(&twin).unwrap();
        }
        bed.local.twin("twin");
        let mut capture = Capture::of_local(&bed.local, &twin, &bed.run);
        let database = &mut capture.detail["properties"]["databases"][0];
        database["owner"] = "postgres".into();
        *database.pointer_mut(pointer).unwrap() = value.clone();
        capture.store();
        let said = bed
            .local
            .run_on(&twin, &["restore", &bed.run, "--source", "postgres", "--to", &one, "--mode", "beside", "--yes"]);
        eprintln!("{pointer} {value}: {}", said.code);
        assert!(!bed.is_pwned(), "{pointer} {value}: {}\n{}", said.out, said.err);
    }
    // A name of a database goes into connection strings as well.
    for name in ["x' host='127.0.0.2", "x\\' port=1", "postgresql://127.0.0.2/x", "a=b", evil] {
        let twin = bed.local.path("twin");
        std::fs::remove_dir_all(&twin).unwrap();
        bed.local.twin("twin");
        let mut capture = Capture::of_local(&bed.local, &twin, &bed.run);
        capture.detail["properties"]["databases"][0]["name"] = name.into();
        capture.detail["properties"]["databases"][0]["owner"] = "postgres".into();
        capture.store();
        let said = bed.local.run_on(&twin, &["restore", &bed.run, "--source", "postgres", "--to", &bed.to, "--yes"]);
        assert!(!bed.is_pwned(), "{name}: {}\n{}", said.out, said.err);
        said.exits(0);
        let made = format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", name.replace('\'', "''"));
        assert_eq!(bed.server.sql("postgres", &made), "1", "{name}");
    }
}
