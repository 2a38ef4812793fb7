//! What others do to the server while databases are read: databases and roles come, go and change their names. What was
//! captured loads, or the capture fails; it never says success over something else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::{FutureExt, StreamExt};
use lifeboat::context::Context;
use lifeboat::model::{CaptureItem, SourceFailure};
use lifeboat::source::Source;
use lifeboat::source::postgres::{Databases, Moment, Seam};

use crate::support::capture::{Captured, collect, read, source};
use crate::support::postgres::{Major, TestServer};
use crate::support::restore::load;

const SHOP: &str = "CREATE TABLE t AS SELECT g AS i FROM generate_series(1, 1000) g; CREATE SCHEMA s; \
                    CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
                    GRANT SELECT ON t TO reader; ALTER FUNCTION s.f() OWNER TO maker; \
                    ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO reader";

/// A capture of `shop`, or of everything, during which `sql` runs in `postgres` at that moment, once.
async fn during(
    server: &Arc<TestServer>,
    databases: Databases,
    moment: Moment,
    sql: &'static str,
) -> Result<Captured, SourceFailure> {
    let mut with = source(server);
    with.databases = databases;
    let (other, times) = (server.clone(), AtomicU32::new(0));
    with.seam = Seam::new(move |now, database| {
        if now == moment && database == "shop" && times.fetch_add(1, Ordering::SeqCst) == 0 {
            for (database, sql) in sql.split('\n').map(|line| line.split_once(':').unwrap()) {
                // What is refused while a session is in the database changes nothing.
                let _ = other.tool("psql").args(["-XAtq", "-d", database.trim(), "-c", sql]).output().unwrap();
            }
        }
        async {}.boxed()
    });
    read(&with, &Context::silent()).await
}

fn shop() -> Databases {
    Databases::List(vec!["shop".into()])
}

fn fresh(server: &TestServer) {
    server
        .sql("postgres", "DROP DATABASE IF EXISTS shop; DROP DATABASE IF EXISTS bazaar; DROP DATABASE IF EXISTS late");
    for role in ["reader", "maker", "scribe"] {
        server.sql("postgres", &format!("DROP ROLE IF EXISTS {role}"));
    }
    server.sql("postgres", "CREATE ROLE reader; CREATE ROLE maker; CREATE DATABASE shop");
    server.sql("shop", SHOP);
}

/// A grantee, an owner and whom a default names: a dump writes the number of who is gone, and nothing loads it.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_goes_away() {
    let Some(server) = TestServer::start(Major::Fifteen).map(Arc::new) else { return };
    let sql = [
        "shop:REVOKE ALL ON t FROM reader; ALTER DEFAULT PRIVILEGES IN SCHEMA s REVOKE SELECT ON TABLES FROM reader; DROP ROLE reader",
        "shop:ALTER FUNCTION s.f() OWNER TO postgres; DROP ROLE maker",
        "postgres:ALTER ROLE maker RENAME TO scribe",
        "shop:DROP OWNED BY reader; DROP ROLE reader; CREATE ROLE reader",
    ];
    for moment in [Moment::Taken, Moment::Locked] {
        for sql in sql {
            fresh(&server);
            match during(&server, shop(), moment, sql).await {
                Ok(captured) => {
                    let globals = String::from_utf8_lossy(&captured.streams["globals"].bytes).into_owned();
                    let archive = &captured.streams["db/shop"].bytes;
                    fresh(&server);
                    server.sql("postgres", "DROP DATABASE shop; DROP ROLE reader; DROP ROLE maker");
                    let roles: Vec<&str> = globals
                        .lines()
                        .filter(|line| line.starts_with("CREATE ROLE") && !line.contains("postgres"))
                        .collect();
                    server.sql("postgres", &roles.join("\n"));
                    load(&server, archive, "again", sql);
                }
                Err(failure) => assert!(failure.to_string().contains("role"), "{moment:?} {sql}: {failure}"),
            }
        }
    }
}

/// Content of one and owner, encoding and privileges of another would be neither.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away() {
    let Some(server) = TestServer::start(Major::Fifteen).map(Arc::new) else { return };
    let gone = [
        "postgres:DROP DATABASE shop WITH (FORCE)",
        "postgres:ALTER DATABASE shop RENAME TO bazaar",
        "postgres:DROP DATABASE shop WITH (FORCE)\npostgres:CREATE DATABASE shop OWNER maker\nshop:CREATE TABLE other (a int)",
        "postgres:ALTER DATABASE shop RENAME TO bazaar\npostgres:CREATE DATABASE shop ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
    ];
    for moment in [Moment::Listed, Moment::Taken, Moment::Locked] {
        for sql in gone {
            let all = (moment == Moment::Listed).then_some(Databases::All);
            if all.is_none() && sql.contains("LATIN1") {
                continue;
            }
            for databases in all.into_iter().chain([shop()]) {
                fresh(&server);
                let result = during(&server, databases, moment, sql).await;
                // A rename has to wait for us, and gives up; so does a plain DROP.
                if moment != Moment::Listed && sql.contains("RENAME") {
                    let parts = &result.unwrap().streams["db/shop"].parts;
                    assert_eq!(parts["\"public\".\"t\""].0, 1000, "{sql}");
                    continue;
                }
                let failure = match result {
                    Err(failure) => failure,
                    Ok(captured) => panic!("{moment:?} {sql}: success, with {:?}", captured.streams.keys()),
                };
                let said = format!("{failure} {:?}", failure.cure);
                eprintln!("{moment:?} {sql}: {said}");
                assert!(moment == Moment::Locked || said.contains("again"), "{moment:?} {sql}: {said}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_is_in_the_next_backup() {
    let Some(server) = TestServer::start(Major::Fifteen).map(Arc::new) else { return };
    for moment in [Moment::Listed, Moment::Taken, Moment::Locked] {
        fresh(&server);
        let captured =
            during(&server, Databases::All, moment, "postgres:CREATE DATABASE late TEMPLATE template0").await.unwrap();
        assert!(captured.streams.contains_key("db/shop") && !captured.streams.contains_key("db/late"), "{moment:?}");
        let next = read(&source(&server), &Context::silent()).await.unwrap();
        assert!(next.streams.contains_key("db/late"));
    }
}

/// Whoever makes a database copies `template1`, and can not while our session is in it.
#[tokio::test(flavor = "multi_thread")]
async fn databases_can_be_made_while_the_others_are_still_read() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    fresh(&server);
    let mut items = source(&server).capture(&Context::silent()).await.unwrap();
    let mut read = Vec::new();
    while let Some(item) = items.next().await {
        let CaptureItem::Stream(stream) = item.unwrap() else { break };
        collect(stream.items).await.unwrap();
        if stream.name == "db/template1" {
            assert!(!read.contains(&"db/shop".to_owned()), "the others come later");
            server.sql("postgres", "CREATE DATABASE late");
        }
        read.push(stream.name);
    }
    assert!(read.contains(&"db/shop".to_owned()) && read.contains(&"db/template1".to_owned()), "{read:?}");
}
