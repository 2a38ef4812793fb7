//! What others do to a database between our snapshot and our locks, once: the backup then holds every row that the
//! snapshot, or the one of the next attempt, sees. A failure would be allowed; zero rows never.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt;
use lifeboat::context::Context;
use lifeboat::source::postgres::{Databases, Moment, Seam};

use crate::support::capture::{read, source};
use crate::support::postgres::{Major, TestServer};
use crate::support::restore::load;

struct Race {
    name: &'static str,
    setup: &'static str,
    change: &'static str,
    /// Rows that must be in the backup.
    rows: &'static [(&'static str, u64)],
}

const TABLE: &str = "CREATE TABLE t AS SELECT g AS i, g::text AS v, g AS w FROM generate_series(1, 1000) g;";
const PARTS: &str = "CREATE TABLE p (k int) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
    CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2); INSERT INTO p SELECT 1 + g % 2 FROM generate_series(1, 1000) g;";

const RACES: [Race; 17] = [
    Race {
        name: "truncate of a partition",
        setup: PARTS,
        change: "BEGIN; TRUNCATE p1; INSERT INTO p SELECT 1 FROM generate_series(1, 300); COMMIT",
        rows: &[("p1", 300), ("p2", 500)],
    },
    Race { name: "truncate of all partitions", setup: PARTS, change: "TRUNCATE p", rows: &[("p1", 0), ("p2", 0)] },
    Race {
        name: "a partition detached",
        setup: PARTS,
        change: "ALTER TABLE p DETACH PARTITION p2",
        rows: &[("p1", 500), ("p2", 500)],
    },
    Race {
        name: "a partition attached",
        setup: PARTS,
        change: "CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3)",
        rows: &[("p1", 500), ("p2", 500)],
    },
    Race {
        name: "rewrite of parents and children",
        setup: "CREATE TABLE base AS SELECT g AS i FROM generate_series(1, 10) g; CREATE TABLE heir () INHERITS (base); INSERT INTO heir SELECT generate_series(1, 1000);",
        change: "ALTER TABLE base ALTER i TYPE bigint",
        rows: &[("base", 10), ("heir", 1000)],
    },
    Race {
        name: "vacuum full",
        setup: TABLE,
        change: "DELETE FROM t WHERE i > 900; VACUUM FULL t",
        rows: &[("t", 900)],
    },
    Race {
        name: "cluster",
        setup: "CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000);",
        change: "CLUSTER t USING t_pkey",
        rows: &[("t", 1000)],
    },
    Race {
        name: "another column",
        setup: TABLE,
        change: "ALTER TABLE t ADD x int NOT NULL DEFAULT 5",
        rows: &[("t", 1000)],
    },
    Race { name: "a column fewer", setup: TABLE, change: "ALTER TABLE t DROP COLUMN v", rows: &[("t", 1000)] },
    Race { name: "a column renamed", setup: TABLE, change: "ALTER TABLE t RENAME v TO x", rows: &[("t", 1000)] },
    Race {
        name: "a table moved",
        setup: TABLE,
        change: "CREATE SCHEMA s; ALTER TABLE t SET SCHEMA s",
        rows: &[("s.t", 1000)],
    },
    Race {
        name: "a table made anew",
        setup: TABLE,
        change: "DROP TABLE t; CREATE TABLE t (j int); INSERT INTO t VALUES (1)",
        rows: &[("t", 1)],
    },
    Race {
        name: "an index fewer",
        setup: "CREATE TABLE t (i int, j int UNIQUE); CREATE INDEX x ON t (i); INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g;",
        change: "DROP INDEX x; ALTER TABLE t DROP CONSTRAINT t_j_key; CREATE INDEX y ON t (j)",
        rows: &[("t", 1000)],
    },
    Race {
        name: "views",
        setup: "CREATE TABLE t AS SELECT g AS i FROM generate_series(1, 1000) g; CREATE VIEW v AS SELECT i FROM t; CREATE MATERIALIZED VIEW m AS SELECT i FROM v;",
        change: "REFRESH MATERIALIZED VIEW m; CREATE VIEW w AS SELECT 1",
        rows: &[("t", 1000)],
    },
    Race {
        name: "a view fewer",
        setup: "CREATE TABLE t AS SELECT g AS i FROM generate_series(1, 1000) g; CREATE VIEW v AS SELECT i FROM t;",
        change: "DROP VIEW v",
        rows: &[("t", 1000)],
    },
    Race {
        name: "large objects",
        setup: "CREATE TABLE t AS SELECT 1 AS i; SELECT lo_from_bytea(5001, 'one'), lo_from_bytea(5002, 'two');",
        change: "SELECT lo_unlink(5001), lo_from_bytea(5003, 'three'), lo_from_bytea(5004, 'four')",
        rows: &[("t", 1), ("BLOBS", 2)],
    },
    Race {
        name: "a sequence reset",
        setup: "CREATE TABLE t (i serial); INSERT INTO t SELECT FROM generate_series(1, 1000);",
        change: "TRUNCATE t RESTART IDENTITY; INSERT INTO t DEFAULT VALUES",
        rows: &[("t", 1)],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn no_change_before_the_locks_costs_a_row() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    let server = Arc::new(server);
    for (n, race) in RACES.iter().enumerate() {
        let database = format!("race{n}");
        server.sql("postgres", &format!("CREATE DATABASE {database}"));
        server.sql(&database, race.setup);
        let mut with = source(&server);
        with.databases = Databases::List(vec![database.clone()]);
        let (other, times, inside) = (server.clone(), AtomicU32::new(0), database.clone());
        with.seam = Seam::new(move |moment, _| {
            if moment == Moment::Taken && times.fetch_add(1, Ordering::SeqCst) == 0 {
                other.sql(&inside, race.change);
            }
            async {}.boxed()
        });
        let captured = match read(&with, &Context::silent()).await {
            Ok(captured) => captured,
            Err(failure) => panic!("{}: {failure}", race.name),
        };
        let parts: BTreeMap<&str, u64> = captured.streams[&format!("db/{database}")]
            .parts
            .iter()
            .map(|(name, part)| (name.as_str(), part.0))
            .collect();
        for (table, rows) in race.rows {
            let part = match table.split_once('.') {
                _ if *table == "BLOBS" => "BLOBS".to_owned(),
                Some((schema, table)) => format!("\"{schema}\".\"{table}\""),
                None => format!("\"public\".\"{table}\""),
            };
            assert_eq!(parts.get(part.as_str()), Some(rows), "{}: {table} in {parts:?}", race.name);
        }
        let archive = &captured.streams[&format!("db/{database}")].bytes;
        load(&server, archive, &format!("{database}_again"), race.name);
        server.sql("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"));
    }
}
