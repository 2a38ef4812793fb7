//! What is small where it lies and large where it is read: refused, in little memory.

use std::io::Write as _;

use lifeboat::model::{Manifest, Role};
use lifeboat::repository::Document;

use crate::support::forge::{Forge, envelope};
use crate::support::local::{Said, is_soak};
use crate::support::reseal::Capture;

/// Peak memory that no verb may exceed, whatever it is given to read.
const MAX_KIB: u64 = 300 << 10;

/// Runs the program and measures its peak.
fn measured(forge: &Forge, args: &[&str]) -> Said {
    let script = "import resource, subprocess, sys\n\
                  code = subprocess.call(sys.argv[1:])\n\
                  print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n\
                  sys.exit(code)";
    let mut python = std::process::Command::new("python3");
    python.args(["-c", script, env!("CARGO_BIN_EXE_lifeboat")]).args(args);
    python.env("LIFEBOAT_TRUST", forge.path("trust.yaml")).env("LIFEBOAT_IDENTITY", forge.path("identity.txt"));
    python.env("LIFEBOAT_REPOSITORY", forge.path("repo"));
    let said = Said::of(python.output().expect("python3 measures the memory of a child"));
    let peak = said.err.lines().find_map(|line| line.strip_prefix("peak ")).expect("it says the peak");
    let peak: u64 = peak.parse().unwrap();
    eprintln!("  {args:?}: exit {}, peak {} MiB", said.code, peak >> 10);
    assert!(peak < MAX_KIB, "{args:?} took {} MiB", peak >> 10);
    said
}

/// The whole size where everything is asked for; as small as still explodes, otherwise.
fn count(whole: usize) -> usize {
    if is_soak() { whole } else { (whole / 8).max(3 << 20) }
}

/// `count` times the same text, between two others.
fn repeated(begin: &str, text: &str, count: usize, end: &str) -> Vec<u8> {
    [begin.as_bytes(), text.repeat(count).as_bytes(), end.as_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_unpack_to_too_much_are_refused_in_little_memory() {
    let (forge, [older, newest]) = Forge::with_backups().await;
    let key = forge.key_of(newest, "manifest.json");
    let json = serde_json::to_string(&forge.manifest(newest)).unwrap();
    let insert = |field: &str, value: Vec<u8>| {
        let (before, after) = json.split_once(&format!("\"{field}\":")).unwrap();
        let rest = after.split_once(']').or(after.split_once('}')).unwrap().1;
        [before.as_bytes(), format!("\"{field}\":").as_bytes(), &value, rest.as_bytes()].concat()
    };
    let signed = |payload: &[u8]| envelope(Manifest::PAYLOAD_TYPE, payload, &[&forge.fixture.keys[&Role::Writer]]);
    for (what, bytes) in [
        ("names", signed(&insert("skipped_sources", repeated("[\"a\"", ",\"a\"", count(10_000_000), "]")))),
        ("texts", signed(&insert("requires", repeated("[\"\"", ",\"\"", count(14_000_000), "]")))),
        ("depth", signed(&insert("requires", repeated("", "[", count(40_000_000), "")))),
        ("an unknown field", signed(&repeated("{\"x\":[0", ",0", count(20_000_000), "]}"))),
        ("larger than any", vec![b' '; 65 << 20]),
    ] {
        eprintln!("manifest: {what}, {} bytes", bytes.len());
        forge.write(&key, &bytes);
        measured(&forge, &["list"]).exits(0).says(&key);
        forge.run(&["verify", &older.to_string(), "--level", "present"]).exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_nobody_can_take_in_do_not_hide_the_others() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let large = vec![b'x'; 65 << 20];
    for key in [
        format!("expired/shop/{newest}.01JD7Z9T3Q5R6S7T8V9W0X1Y2Z.json"),
        format!("backups/shop/{newest}/proofs/01JD7Z9T3Q5R6S7T8V9W0X1Y2Z.json"),
    ] {
        forge.write(&key, &large);
        measured(&forge, &["list"]).exits(0).says(&key).says(&newest.to_string());
        forge.run(&["cat", "latest", "postgres", "globals"]).exits(0);
        std::fs::remove_file(forge.object(&key)).unwrap();
    }
    forge.write("config/01JD7Z9T3Q5R6S7T8V9W0X1Y2Z.json", &large);
    measured(&forge, &["list"]).exits(12);
}

#[tokio::test(flavor = "multi_thread")]
async fn details_that_unpack_to_too_much_are_refused_in_little_memory() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let mut capture = Capture::of_forge(&forge, newest);
    capture.detail["properties"] = "PROPERTIES".into();
    capture.detail["commands"] = serde_json::json!(["COMMANDS"]);
    let text = capture.detail.to_string();
    let with = |placeholder: &str, value: &[u8]| {
        let (before, after) = text.split_once(placeholder).unwrap();
        [before.as_bytes(), value, after.as_bytes()].concat()
    };
    for (what, bytes) in [
        ("depth", with("\"PROPERTIES\"", &repeated("", "[", count(20_000_000), ""))),
        (
            "objects",
            with(
                "\"PROPERTIES\"",
                &repeated("[{\"a\":0}", ",{\"a\":0}", if is_soak() { 900_000 } else { 150_000 }, "]"),
            ),
        ),
        ("numbers", with("\"PROPERTIES\"", &repeated("[0", ",0", count(30_000_000), "]"))),
        ("texts", with("\"COMMANDS\"", &repeated("\"\"", ",\"\"", count(20_000_000), ""))),
        ("larger than any", vec![b'['; 65 << 20]),
    ] {
        eprintln!("detail: {what}, {} bytes", bytes.len());
        capture.detail_bytes = Some(bytes);
        capture.store();
        measured(&forge, &["show", &newest.to_string()]).exits(4);
        forge.run(&["verify", &newest.to_string(), "--level", "opened"]).exits(4);
    }
    // Honest ones may be large.
    let part = |n: u64| serde_json::json!({"name": format!("\"public\".\"table number {n}\""), "offset": n, "bytes": 1, "rows": n, "sha256": lifeboat::model::sha256(b"x")});
    capture.detail_bytes = None;
    capture.detail["streams"][1]["parts"] = (0..150_000).map(part).collect::<Vec<_>>().into();
    capture.store();
    measured(&forge, &["cat", "latest", "postgres", "db/shop"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_age_header_cannot_keep_anybody_busy() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let mut capture = Capture::of_forge(&forge, newest);
    let sealed = capture.seal(b"{}");
    let end = sealed.windows(4).position(|bytes| bytes == b"\n---").unwrap();
    let stanza = "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\nEmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n";
    let with = |stanzas: String| [b"age-encryption.org/v1\n", stanzas.as_bytes(), &sealed[end + 1..]].concat();
    for (what, bytes) in [
        ("many stanzas", with(stanza.repeat(100_000))),
        ("one endless stanza", with(format!("-> {}\n\n", "a ".repeat(5_000_000)))),
        (
            "a password that takes years",
            with("-> scrypt rF0/NwblUHHTpgQgRpe5CQ 63\ngUjEymFKMVXQEKdMMHL24oYexjE3TIC0O0zGSqJ2aUY\n".into()),
        ),
        ("no header", vec![b'a'; 20 << 20]),
        ("cut", sealed[..end].to_vec()),
    ] {
        eprintln!("{what}");
        capture.detail_sealed = Some(bytes);
        capture.store();
        let said = measured(&forge, &["show", "latest"]);
        assert!(matches!(said.code, 4 | 12), "{said:?}");
    }
}

fn zstd_of(pieces: impl Iterator<Item = Vec<u8>>, window_log: Option<u32>) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    if let Some(log) = window_log {
        encoder.window_log(log).unwrap();
    }
    for piece in pieces {
        encoder.write_all(&piece).unwrap();
    }
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_list_that_unpacks_to_too_much_is_refused_in_little_memory() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let mut capture = Capture::of_forge(&forge, newest);
    let (header, line) = (format!("{}\n", capture.lines[0]), format!("{}\n", capture.lines[1]));
    let mib = |byte: u8| vec![byte; 1 << 20];
    let lines = || line.repeat(4096).into_bytes();
    let head = || std::iter::once(header.clone().into_bytes());
    let count = 1_000_000_000_u64;
    for (what, bytes) in [
        ("300 MiB of nothing", zstd_of((0..300).map(|_| mib(0)), None)),
        ("300 MiB of empty lines", zstd_of(head().chain((0..300).map(|_| mib(b'\n'))), None)),
        ("one endless line", zstd_of(head().chain((0..300).map(|_| mib(b' '))), None)),
        ("two million lines", zstd_of(head().chain((0..500).map(|_| lines())), None)),
        ("a window of 128 MiB", zstd_of(head().chain((0..200).map(|_| lines())), Some(27))),
        ("a second frame", [zstd_of(head(), None), zstd_of(head(), None)].concat()),
        ("no frame", mib(b'x')),
        ("too few lines", zstd_of(head(), None)),
    ] {
        eprintln!("list: {what}, {} bytes", bytes.len());
        capture.list_bytes = Some(bytes);
        capture.manifest["sources"][0]["chunk_lists"][0]["count"] = count.into();
        capture.manifest["sources"][0]["streams"][1]["chunks"] = count.into();
        capture.manifest["sources"][0]["streams"][1]["bytes"] = (count << 20).into();
        capture.store();
        measured(&forge, &["verify", "latest", "--level", "present"]).exits(4).says("chunks.0.jsonl.zst");
    }
    // It must not disturb the next backup either.
    let streams = [("globals", bytes::Bytes::from_static(b"--\n"))];
    forge.fixture.backup(&forge.fixture.store, &streams).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_unpacks_to_too_much_is_refused_in_little_memory() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let capture = Capture::of_forge(&forge, newest);
    let plain = vec![0_u8; 1 << 20];
    let good = zstd::bulk::compress(&plain, 1).unwrap();
    let bomb = zstd_of((0..512).map(|_| vec![0; 1 << 20]), None);
    // The content size of the frame changed to what the line says.
    let mut lies = zstd::bulk::compress(&vec![0_u8; 64 << 20], 1).unwrap();
    assert_eq!(lies[4] >> 6, 2, "the size is in four bytes");
    let at = if lies[4] & 32 == 0 { 6 } else { 5 };
    lies[at..at + 4].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    for (what, len, frame) in [
        ("no size in it", 1_u64 << 20, bomb.clone()),
        ("a size that lies", 1 << 20, lies),
        ("a length of 2 GiB", 2 << 30, bomb.clone()),
        ("a length of 4 GiB", u64::from(u32::MAX), bomb),
        ("a second frame", 1 << 20, [good.clone(), good.clone()].concat()),
        ("a window of 128 MiB", 1 << 20, zstd_of(std::iter::once(plain.clone()), Some(27))),
        ("no frame", 1 << 20, vec![b'x'; 100]),
        ("nothing", 1 << 20, Vec::new()),
    ] {
        let snapshot = forge.snapshot();
        let mut capture = Capture::of_forge(&forge, newest);
        let name = capture.detail["streams"][0]["name"].as_str().unwrap().to_owned();
        capture.set_stream(&name, std::slice::from_ref(&plain));
        capture.set_chunk(0, 0, usize::try_from(len).unwrap(), &capture.seal(&frame));
        capture.manifest["sources"][0]["streams"][0]["bytes"] = len.into();
        capture.detail["streams"][0]["bytes"] = len.into();
        capture.store();
        eprintln!("chunk: {what}");
        measured(&forge, &["cat", "latest", "postgres", &name]).exits(4);
        forge.run(&["verify", "latest", "--level", "opened"]).exits(4);
        forge.restore_snapshot(&snapshot);
    }
    drop(capture);
}

/// Tables of contents that claim more than there is, or hold more than anybody has.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_cannot_make_its_reader_take_memory() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let int = |n: u32| [&[0], &n.to_le_bytes()[..]].concat();
    let text = |text: &str| [int(text.len() as u32), text.as_bytes().to_vec()].concat();
    let head = |entries: u32| {
        let time: Vec<u8> = (0..7).flat_map(|_| int(1)).collect();
        let names = [text("shop"), text("15.18"), text("15.18")].concat();
        [
            b"PGDMP\x01\x0e\x00\x04\x08\x01".to_vec(),
            [&[1], &[0; 4][..]].concat()[..0].to_vec(),
            int(0),
            time,
            names,
            int(entries),
        ]
        .concat()
    };
    let entry = |id: u32| {
        let strings: Vec<u8> = ["1259", "1", "t", "TABLE DATA"].iter().flat_map(|s| text(s)).collect();
        let more: Vec<u8> = ["", "", "", "public", "", "", "o", "f"].iter().flat_map(|s| text(s)).collect();
        [int(id), int(1), strings, int(3), more, vec![1, 1, 0, 0, 0], vec![1], vec![0; 8]].concat()
    };
    let zeros = |mib: usize| vec![vec![0_u8; 4 << 20]; mib / 4];
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("a text of 250 MiB", [vec![[head(1), int(1), int(1), int(250 << 20)].concat()], zeros(256)].concat()),
        ("a text of 4 GiB", vec![[head(1), int(1), int(1), int(u32::MAX)].concat()]),
        ("four thousand million entries", vec![head(u32::MAX)]),
        (
            "a million tables",
            std::iter::once(head(1_000_000))
                .chain((0..100).map(|n| (0..10_000).flat_map(|m| entry(n * 10_000 + m + 1)).collect()))
                .collect(),
        ),
    ];
    for (what, pieces) in cases {
        let snapshot = forge.snapshot();
        let mut capture = Capture::of_forge(&forge, newest);
        capture.set_stream("db/shop", &pieces);
        capture.detail["streams"][1]["media"] = lifeboat::model::MEDIA_PG_ARCHIVE.into();
        capture.manifest["sources"][0]["streams"][1]["media"] = lifeboat::model::MEDIA_PG_ARCHIVE.into();
        capture.store();
        eprintln!("archive: {what}");
        let said = measured(&forge, &["verify", "latest", "--level", "opened"]).exits(4).says("stream db/shop");
        assert!(!said.out.contains("keyed hash"), "it is the archive that is wrong: {}", said.out);
        forge.restore_snapshot(&snapshot);
    }
}
