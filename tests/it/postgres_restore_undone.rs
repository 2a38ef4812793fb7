//! A restore of a whole server that does not come to its end leaves the server as it was: roles, settings and
//! tablespaces belong to all databases, and are made before the last byte of the last one is proved.

use std::path::Path;

use lifeboat::model::Digest;
use lifeboat::repository::layout;

use crate::support::local::{Local, objects, replace};
use crate::support::postgres::{Major, Setup, TestServer};
use crate::support::restore::{address, leftovers};

/// Every kind of statement that `pg_dumpall --globals-only` writes, but for tablespaces.
const ROLES: &str = r#"
CREATE ROLE "odd; role" NOLOGIN; CREATE ROLE app LOGIN PASSWORD 'app' CREATEDB; CREATE ROLE live;
GRANT "odd; role" TO app WITH ADMIN OPTION; GRANT app TO live; GRANT pg_monitor TO app;
SET ROLE app; GRANT "odd; role" TO live; RESET ROLE; CREATE ROLE guest; GRANT live TO guest;
ALTER ROLE app SET work_mem = '7MB'; ALTER ROLE ALL SET lock_timeout = '77s'; COMMENT ON ROLE app IS 'an app';
"#;
const PARAMETERS: &str = r#"
GRANT SET ON PARAMETER log_min_messages TO app WITH GRANT OPTION; GRANT ALTER SYSTEM ON PARAMETER work_mem TO PUBLIC;
SET SESSION AUTHORIZATION app; GRANT SET ON PARAMETER log_min_messages TO live; RESET SESSION AUTHORIZATION;
"#;
/// A few chunks of it.
const LARGE: &str = "CREATE TABLE large AS SELECT g AS i, md5(g::text) || md5((g * 7)::text) AS v \
                     FROM generate_series(1, 150000) g; ALTER TABLE large OWNER TO app";

/// A server with roles and a tablespace, two databases and a `postgres` with something in it.
fn source(major: Major) -> Option<TestServer> {
    let server = TestServer::start(major)?;
    server.sql("postgres", ROLES);
    server.sql("postgres", PARAMETERS);
    let folder = server.folder("space");
    server.sql("postgres", &format!("CREATE TABLESPACE \"sp ace\" OWNER app LOCATION '{}'", folder.display()));
    server.sql("postgres", "CREATE DATABASE alpha OWNER app");
    server.sql("postgres", "CREATE DATABASE zeta OWNER app TABLESPACE \"sp ace\"");
    server.sql("zeta", LARGE);
    server.sql("postgres", LARGE);
    Some(server)
}

/// The last chunk of each stream that has several.
fn last_chunks(local: &Local) -> Vec<String> {
    let list = objects(&local.repo()).into_iter().find(|key| key.ends_with("chunks.0.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(&*std::fs::read(local.repo().join(list)).unwrap()).unwrap()).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let is_last =
        |at: &usize| lines[*at]["n"].as_u64() > Some(1) && lines.get(at + 1).is_none_or(|next| next["n"] == 0);
    let key = |at: usize| {
        let id: Digest = lines[at]["id"].as_str().unwrap().parse().unwrap();
        let attempt = lines[at]["a"].as_str().unwrap().parse().unwrap();
        layout::chunk(&"repo".parse().unwrap(), &"postgres".parse().unwrap(), &id, attempt).to_string()
    };
    (0..lines.len()).filter(is_last).map(key).collect()
}

fn flip(repo: &Path, key: &str) {
    let path = repo.join(key);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    replace(&path, &bytes);
}

/// Everything of a server that its databases share, which of them there are, and what is in `postgres`.
fn state(server: &TestServer) -> [String; 4] {
    let text = |tool: &str, args: &[&str]| {
        let out = String::from_utf8(server.run(tool, args)).unwrap();
        // A word of chance in each dump.
        out.lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    [
        text("pg_dumpall", &["--globals-only"]),
        server.sql("postgres", "SELECT setrole, setconfig FROM pg_db_role_setting ORDER BY 1"),
        server.sql(
            "postgres",
            "SELECT oid, datname, datallowconn, shobj_description(oid, 'pg_database') FROM pg_database ORDER BY 1",
        ),
        text("pg_dump", &["postgres"]),
    ]
}

fn damage_leaves_the_server_as_it_was(major: Major) {
    let Some(mut source) = source(major) else { return };
    let local = Local::with_source(
        &format!(
            "{{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: all, tls: {{mode: disable}}, tools: [{}]}}",
            source.port,
            source.bin.display(),
        ),
        &source.password,
    );
    local.backup_on(&local.repo());
    let settings = "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0";
    // `live` is there before, and stays as it is.
    let parameters = "SELECT a.grantee::regrole, a.privilege_type FROM pg_parameter_acl, aclexplode(paracl) a \
                      WHERE parname = 'log_min_messages' AND a.grantee <> 'live'::regrole ORDER BY 1";
    let expected = [source.sql("postgres", settings), source.sql("postgres", parameters)];
    // Its folder waits for the tablespace of another server, as on a new machine.
    source.stop();
    let space = source.socket_dir().join("space");
    for entry in std::fs::read_dir(&space).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    let Some(target) = TestServer::start_with(Setup::new(major)) else { return };
    let to = address(target.port, "");
    let restore = ["restore", "latest", "--source", "postgres", "--to", &to, "--yes"];
    target.sql("postgres", "CREATE ROLE live LOGIN; ALTER ROLE ALL SET lock_timeout = '5s'");
    target
        .sql("postgres", "GRANT ALTER SYSTEM ON PARAMETER work_mem TO live; GRANT SET ON PARAMETER work_mem TO PUBLIC");
    let before = state(&target);
    let chunks = last_chunks(&local);
    assert_eq!(chunks.len(), 2, "of zeta, and of postgres");
    for (number, key) in chunks.iter().enumerate() {
        let twin = local.twin(&format!("twin{number}"));
        flip(&twin, key);
        local.run_on(&twin, &restore).exits(4).says(key);
        let after = state(&target);
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after, "{key}: before\n{before}\nafter\n{after}");
        }
        assert_eq!(leftovers(&target), "");
    }
    local.run(&restore).exits(0);
    assert_eq!(target.sql("zeta", "SELECT count(*) FROM large"), "150000");
    assert_eq!([target.sql("postgres", settings), target.sql("postgres", parameters)], expected);
}

#[test]
fn damage_in_a_late_database_leaves_no_role_on_15() {
    damage_leaves_the_server_as_it_was(Major::Fifteen);
}

#[test]
fn damage_in_a_late_database_leaves_no_role_on_18() {
    damage_leaves_the_server_as_it_was(Major::Eighteen);
}
