//! The archive reader against real `pg_dump` output; needs PostgreSQL 15 and 18. Oracle: what psql's COPY prints.

use bytes::Bytes;
use futures::{StreamExt, stream};
use lifeboat::model::{FailureClass, SourceFailure, sha256};
use lifeboat::source::postgres::archive::{Section, read_toc, split};

use crate::support::capture::{Stream, collect};
use crate::support::postgres::{Major, TestServer};

const SCHEMA: &str = r#"
CREATE SCHEMA "odd "".schema";
CREATE TABLE plain (id int primary key, t text);
INSERT INTO plain SELECT g, 'line' || chr(10) || 'tab' || chr(9) || g || '\.' FROM generate_series(1, 5000) g;
CREATE TABLE "odd "".schema"."t.""a b" (b bytea, n numeric, j jsonb);
INSERT INTO "odd "".schema"."t.""a b" SELECT decode(md5(g::text), 'hex'), g * 1.5, jsonb_build_object('g', g) FROM generate_series(1, 300) g;
CREATE TABLE empty (i int);
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE gone (a int, b int, c int GENERATED ALWAYS AS (a * 2) STORED); ALTER TABLE gone DROP COLUMN b;
INSERT INTO gone VALUES (1), (2), (NULL);
CREATE TABLE wide (t text); INSERT INTO wide SELECT repeat('ä', 700000) FROM generate_series(1, 3);
CREATE TABLE parent (k int, v text) PARTITION BY LIST (k);
CREATE TABLE child PARTITION OF parent FOR VALUES IN (1); INSERT INTO parent VALUES (1, 'x');
CREATE UNLOGGED TABLE unlogged (i int); INSERT INTO unlogged VALUES (7);
CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM plain;
SELECT lo_from_bytea(70001, 'first'), lo_from_bytea(70002, ''), lo_from_bytea(4000000000, decode(repeat('00ff', 30000), 'hex'));
"#;

fn pieces(bytes: &[u8], size: usize) -> lifeboat::model::ByteStream {
    let all: Vec<Result<Bytes, SourceFailure>> = bytes.chunks(size).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    stream::iter(all).boxed()
}

async fn parts(bytes: &[u8], size: usize) -> Result<Stream, SourceFailure> {
    collect(split("database \"shop\"".into(), pieces(bytes, size))).await
}

async fn agrees_with_copy(major: Major) {
    let Some(server) = TestServer::start(major) else { return };
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", SCHEMA);
    let dump = server.run("pg_dump", &["-Fc", "-Z0", "--no-sync", "shop"]);
    let copied = |table: &str| {
        let sql = format!("COPY {table} TO STDOUT");
        let bytes = server.run("psql", &["-XAtq", "-d", "shop", "-c", &sql]);
        (bytes.iter().filter(|byte| **byte == b'\n').count() as u64, sha256(&bytes))
    };
    let whole = parts(&dump, 65536).await.unwrap();
    assert_eq!(whole.bytes, dump, "the bytes pass unchanged");
    for (part, table, rows) in [
        (r#""public"."plain""#, "plain", 5000),
        (r#""odd "".schema"."t.""a b""#, r#""odd "".schema"."t.""a b""#, 300),
        (r#""public"."empty""#, "empty", 0),
        (r#""public"."nothing""#, "nothing", 2),
        (r#""public"."gone""#, "gone (a)", 3),
        (r#""public"."wide""#, "wide", 3),
        (r#""public"."child""#, "child", 1),
        (r#""public"."unlogged""#, "unlogged", 1),
    ] {
        let (counted, hash) = copied(table);
        assert_eq!(counted, rows, "{table}");
        assert_eq!(whole.parts.get(part), Some(&(rows, hash)), "{part}");
    }
    let objects: u64 = whole.parts.iter().filter(|(name, _)| name.starts_with("BLOBS")).map(|(_, part)| part.0).sum();
    assert_eq!(objects, 3);
    assert_eq!(whole.parts.keys().filter(|name| !name.starts_with("BLOBS")).count(), 8, "{:?}", whole.parts.keys());
    for size in [1009, 5_000_000] {
        assert_eq!(parts(&dump, size).await.unwrap(), whole, "pieces of {size}");
    }

    // The statements are what a restore would run.
    let (toc, again) = read_toc("x", pieces(&dump, 4096)).await.unwrap();
    assert_eq!(toc.database, "shop");
    let data: Vec<_> = toc.entries.iter().filter(|entry| entry.desc == "TABLE DATA").collect();
    assert_eq!(data.len(), 8);
    assert!(data.iter().all(|entry| entry.section == Section::Data && entry.has_data));
    let gone = data.iter().find(|entry| entry.tag == "gone").unwrap();
    assert_eq!(gone.copy_stmt, "COPY public.gone (a) FROM stdin;\n");
    assert!(
        toc.entries
            .iter()
            .any(|entry| entry.desc == "MATERIALIZED VIEW" && entry.defn.contains("AS seen") || entry.tag == "seen")
    );
    assert_eq!(collect(split("x".into(), again)).await.unwrap().bytes, dump, "the stream begins again");

    // Large objects: a changed one changes the hash.
    server.sql("shop", "SELECT lo_put(70001, 0, 'F')");
    let changed = parts(&server.run("pg_dump", &["-Fc", "-Z0", "shop"]), 65536).await.unwrap();
    let blobs = |stream: &Stream| {
        stream.parts.iter().filter(|(name, _)| name.starts_with("BLOBS")).map(|(_, part)| *part).collect::<Vec<_>>()
    };
    assert_ne!(blobs(&changed), blobs(&whole));

    damage(&dump, &whole).await;
    let compressed = server.run("pg_dump", &["-Fc", "-Z1", "shop"]);
    assert_eq!(parts(&compressed, 65536).await.unwrap_err().class, FailureClass::Damaged);
}

/// Truncated anywhere: an error. A flipped bit: an error, or other rows or hashes, or (in what no part covers, or in
/// SQL text) nothing that could be seen here; never a panic, and never other bytes than went in.
async fn damage(dump: &[u8], whole: &Stream) {
    let step = dump.len() / 60;
    for cut in (0..dump.len()).step_by(step) {
        let failure = parts(&dump[..cut], 65536).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Damaged, "cut at {cut}");
    }
    assert!(parts(&dump[..dump.len() - 1], 65536).await.is_err());
    let data = memchr::memmem::find(dump, b"line\\ntab").expect("rows of the first table");
    for at in [data, data + 1000, data + 20_000] {
        let mut flipped = dump.to_vec();
        flipped[at] ^= 4;
        match parts(&flipped, 65536).await {
            Ok(stream) => {
                assert_eq!(stream.bytes, flipped);
                assert_ne!(stream.parts, whole.parts, "flipped at {at}");
            }
            Err(failure) => assert_eq!(failure.class, FailureClass::Damaged),
        }
    }
    for at in (0..dump.len()).step_by(step / 4) {
        let mut flipped = dump.to_vec();
        flipped[at] ^= 0x41;
        if let Ok(stream) = parts(&flipped, 65536).await {
            assert_eq!(stream.bytes, flipped);
        }
    }
}

#[tokio::test]
async fn archives_of_15_agree_with_copy() {
    agrees_with_copy(Major::Fifteen).await;
}

#[tokio::test]
async fn archives_of_18_agree_with_copy() {
    agrees_with_copy(Major::Eighteen).await;
}
