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

/// Random tables and rows, made by the server from a printed seed: every part is what COPY sends. More of them, and longer
/// damage, with LIFEBOAT_SOAK=1.
#[tokio::test]
async fn random_tables_agree_with_copy() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    let soak = std::env::var_os("LIFEBOAT_SOAK").is_some();
    let rounds = if soak { 40 } else { 1 };
    if !soak {
        eprintln!("LEFT OUT: 39 of 40 random schemas and most mutations of archives; LIFEBOAT_SOAK=1 runs them");
    }
    let first = std::env::var("LIFEBOAT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand_seed);
    for seed in first..first + rounds {
        eprintln!("LIFEBOAT_SEED={seed}");
        server.sql("postgres", "DROP DATABASE IF EXISTS random");
        server.sql("postgres", "CREATE DATABASE random");
        server.sql("random", &format!("SELECT setseed({});{RANDOM}", (seed % 1_000_003) as f64 / 1_000_003.0));
        let dump = server.run("pg_dump", &["-Fc", "-Z0", "--no-sync", "random"]);
        let size = 1 + usize::try_from(seed % 100_000).unwrap();
        let whole = parts(&dump, size).await.unwrap();
        let tables = server.sql(
            "random",
            "SELECT encode(convert_to(format('\"public\".\"%s\"', replace(relname, '\"', '\"\"')), 'UTF8'), 'hex') FROM pg_class
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1",
        );
        assert_eq!(whole.parts.len(), tables.lines().count(), "seed {seed}");
        for table in tables.lines() {
            let table = String::from_utf8(hex::decode(table).unwrap()).unwrap();
            let table = table.as_str();
            let bytes = server.run("psql", &["-XAtq", "-d", "random", "-c", &format!("COPY {table} TO STDOUT")]);
            let rows = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(whole.parts[table], (rows, sha256(&bytes)), "seed {seed}, {table}");
        }
        mutate(&dump, &whole, seed, if soak { 2000 } else { 60 }).await;
    }
}

/// Tables with odd names and up to six columns, up to 400 rows each, one in ten values null.
const RANDOM: &str = r#"
DO $do$
DECLARE
  name text; cols text; exprs text; n int;
  types text[] := ARRAY['text', 'bytea', 'numeric', 'int[]', 'jsonb', 'timestamptz', 'float8', '"char"', 'text[]', 'varbit'];
  makes text[] := ARRAY[
    $$(SELECT string_agg(chr((1 + random() * 300)::int), '') FROM generate_series(1, (random() * 40 + g * 0)::int))$$,
    $$decode(md5(random()::text || g), 'hex')$$, $$(random() * 10 ^ (random() * 300))::numeric * g$$,
    $$ARRAY[g, NULL, -g]$$, $$jsonb_build_object(E'k\\"\n', random(), 'x', E'\\.')$$,
    $$'2000-01-01'::timestamptz + g * random() * interval '1 year'$$, $$random() / g$$, $$chr((1 + random() * 100)::int)::"char"$$,
    $$ARRAY[E'\\.', E'a\tb', '{', '"', NULL, repeat('x', g)]$$, $$(g::bit(20))::varbit$$];
BEGIN
  FOR t IN 1..12 LOOP
    name := (SELECT string_agg(substr(E'ab\n\\"''. %$ü🛟-;', 1 + (random() * 15)::int, 1), '') FROM generate_series(1, 6)) || t;
    n := (random() * 6)::int;
    SELECT string_agg(format('c%s %s', c, types[k]), ', ' ORDER BY c),
           string_agg(format('CASE WHEN random() < 0.1 THEN NULL ELSE %s END', makes[k]), ', ' ORDER BY c)
      INTO cols, exprs FROM (SELECT c, 1 + floor(random() * 10)::int AS k FROM generate_series(1, n) c) x;
    EXECUTE format('CREATE TABLE %I (%s)', name, coalesce(cols, ''));
    EXECUTE format('INSERT INTO %I SELECT %s FROM generate_series(1, %s) g', name, coalesce(exprs, ''), (random() ^ 3 * 400)::int);
  END LOOP;
END $do$;"#;

fn rand_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::from(since.subsec_nanos())
}

/// Bytes flipped, put in and taken out: the reader gives back what went in or says that it is damaged. It never panics.
async fn mutate(dump: &[u8], whole: &Stream, seed: u64, times: u64) {
    let mut state = seed | 1;
    // xorshift64: only the seed has to be known to see it again.
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for _ in 0..times {
        let mut bytes = dump.to_vec();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] ^= 1 << next(8),
                1 => bytes[at] = 0xff,
                2 => drop(bytes.drain(at..(at + 1 + next(9)).min(bytes.len()))),
                _ => bytes.splice(at..at, [0, 0xff, 1, 0x7f].into_iter().take(1 + next(4))).for_each(drop),
            }
        }
        match parts(&bytes, 1 + next(70_000)).await {
            Ok(stream) => assert!(stream.bytes == bytes, "seed {seed}: other bytes came out than went in"),
            Err(failure) => assert_eq!(failure.class, FailureClass::Damaged, "seed {seed}"),
        }
    }
    assert_eq!(parts(dump, 65536).await.unwrap(), *whole);
}
