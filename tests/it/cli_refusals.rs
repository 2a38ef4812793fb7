//! What is refused: each with its exit code, what happened to which thing, what to type next, and nothing changed.
//!
//! On a copy of the old repository, so that no server is needed.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::play::{Play, Said};

const POLICY: &str = "-f keys/policy.yaml";
const IDENTITY: &str = "--identity keys/identity.txt";

/// Runs it and holds the folder against what it was before.
#[track_caller]
fn unchanged(play: &Play, line: &str) -> Said {
    let before = play.tree();
    let said = play.say(line);
    let after = play.tree();
    assert!(before == after, "`{line}` changed something: {}", said.err);
    said
}

/// Exit code, and words of which each must be said.
#[track_caller]
fn refused(play: &Play, line: &str, code: i32, words: &[&str]) {
    let said = unchanged(play, line);
    assert_eq!(said.code, code, "`{line}`: {}", said.err);
    assert_eq!(said.out, "", "`{line}`: an error is not data");
    assert!(said.err.starts_with("error: "), "`{line}`: {}", said.err);
    for word in words {
        assert!(said.err.contains(word), "`{line}` does not say `{word}`: {}", said.err);
    }
}

#[test]
fn a_backup_that_is_not_there_or_not_the_only_one() {
    let play = Play::old();
    let cases: &[(&str, i32, &[&str])] = &[
        ("show 01M863G", 2, &["01M863G6CWD72J0D93FE304MVA, 01M863G353CNKTVQKMH942EB08", "hint: type more"]),
        ("show 01ZZ", 2, &["there is no backup 01ZZ", "hint: `lifeboat list`"]),
        ("show 01M863G5Z7", 2, &["there is no backup"]),
        ("show last", 2, &["latest-verified"]),
        ("show before:yesterday", 2, &["before:2026-11-23T02:00:00Z, with a zone"]),
        ("show before:2026-11-24", 2, &["with a zone"]),
        ("show before:2020-01-01T00:00:00Z", 1, &["there is no backup before:2020-01-01T00:00:00Z"]),
        ("proof show latest --proof 01ZZ", 2, &["has no such proof", "lifeboat proof list"]),
        ("cat latest reports nope --identity keys/identity.txt", 2, &["no stream `nope`", "globals, db/reports"]),
        ("cat 01M863G6 reports globals --identity keys/identity.txt", 2, &["no source `reports`", "it has: postgres"]),
        (
            "cat latest mongo globals --identity keys/identity.txt",
            2,
            &["no backup has a source `mongo`", "there are: ledger, postgres, reports"],
        ),
    ];
    for (line, code, words) in cases {
        refused(&play, &format!("{line} {POLICY}"), *code, words);
    }
    for good in ["01m863g6", "before:2030-01-01T00:00:00+02:00", "latest", "latest-verified"] {
        let said = unchanged(&play, &format!("show {good} {POLICY}"));
        assert_eq!(said.code, 0, "{good}: {}", said.err);
    }
}

#[test]
fn a_place_that_holds_no_repository() {
    let play = Play::old();
    play.write("file", "x");
    std::fs::create_dir(play.path("empty")).unwrap();
    std::fs::create_dir(play.path("other")).unwrap();
    play.write("other/lifeboat.json", "{}");
    refused(&play, "list --repository nowhere", 10, &["no repository at file:///", "lifeboat init"]);
    refused(&play, "list --repository empty", 10, &["no repository at file:///", "is the disk mounted?"]);
    refused(&play, "list --repository file", 1, &["Not a directory", "hint: a file or a symbolic link"]);
    refused(&play, "list --repository other", 12, &["lifeboat.json is not valid", "hint: "]);
    refused(&play, "list --repository ftp://bucket", 2, &["file:///absolute/path"]);
    play.edit("keys/policy.yaml", "/store", "/gone");
    for verb in ["backup", "plan backup", "verify latest", "list", "show latest", "cat latest postgres globals"] {
        refused(
            &play,
            &format!("{verb} {POLICY} {IDENTITY}"),
            10,
            &["no repository at file:///", "is the disk mounted? the policy"],
        );
    }
    let said = unchanged(&play, &format!("check {POLICY}"));
    assert_eq!(said.code, 5);
    assert!(said.out.contains("PROBLEM  repository: there is no repository at"), "{}", said.out);
}

#[test]
fn pins_that_differ_from_the_repository() {
    let id = "01M863G0JF90PXXR32H827C2PC";
    let cases: [(&str, &str, &str); 4] = [
        (id, "01M863G0JF90PXXR32H827C2PD", "the repository's id in lifeboat.json differs"),
        (
            "    - age1",
            "    - age1vegljuxs4us4tl2jp6vryh5jgph2pntkevuysjgl4cmpzx8chdaq6uxt40\n    - age1",
            "it lacks age1vegl",
        ),
        ("operator: ed25519:", "operator: ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg= #", "is not valid"),
        ("writer: [\"", "writer: [\"ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\", \"", "list of writer keys"),
    ];
    for (from, to, word) in cases {
        let play = Play::old();
        let text = play.read("keys/policy.yaml");
        assert!(text.contains(from), "{from}");
        play.write("keys/policy.yaml", text.replacen(from, to, 1));
        for verb in ["list", "backup", "verify latest", "cat latest postgres globals", "plan backup"] {
            refused(&play, &format!("{verb} {POLICY} {IDENTITY}"), 12, &[word, "hint: "]);
        }
    }
}

#[test]
fn identities_that_open_nothing() {
    let play = Play::old();
    let cat = format!("cat latest postgres globals {POLICY}");
    play.write("bad.txt", "nonsense\n");
    play.write("empty.txt", "# nothing\n");
    play.write("armoured.age", "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n");
    // A valid key of nobody here.
    play.write("stranger.txt", include_str!("../testdata/format1/identity.txt"));
    std::fs::create_dir(play.path("folder")).unwrap();
    for name in ["bad.txt", "empty.txt", "armoured.age", "stranger.txt"] {
        std::fs::set_permissions(play.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    refused(&play, &cat, 12, &["nothing can be decrypted", "hint: --identity FILE"]);
    for (name, word) in [
        ("nowhere.txt", "No such file"),
        ("folder", "Is a directory"),
        ("bad.txt", "line 1 of the identity file is no age identity"),
        ("empty.txt", "identity"),
        ("armoured.age", "the identity file is itself encrypted; open it first with `age -d`"),
        ("stranger.txt", "none of the identities opens it"),
        ("keys/policy.yaml", "is no age identity"),
    ] {
        let said = unchanged(&play, &format!("{cat} --identity {name}"));
        assert_eq!((said.code, said.out.as_str()), (12, ""), "{name}: {}", said.err);
        assert!(said.err.contains(word) && said.err.contains("hint: "), "{name}: {}", said.err);
    }
    // One of several is enough.
    let said = unchanged(&play, &format!("{cat} --identity stranger.txt --identity keys/escrow.txt"));
    assert_eq!(said.code, 0, "{}", said.err);
}

#[test]
fn keys_of_another_role_or_repository() {
    let play = Play::old();
    let policy = play.read("keys/policy.yaml");
    let case = |from: &str, to: &str, line: &str, words: &[&str]| {
        assert!(policy.contains(from), "{from}");
        play.write("keys/policy.yaml", policy.replace(from, to));
        refused(&play, &format!("{line} {POLICY}"), 12, words);
    };
    let writer = "writer: {file: writer.key}";
    case(writer, "writer: {file: prover.key}", "backup", &["this is the prover's key, not the writer's", "writer.key"]);
    case(writer, "writer: {file: nowhere.key}", "backup", &["No such file", "hint: keys.signing.writer"]);
    case(writer, "writer: {file: identity.txt}", "backup", &["PKCS#8", "hint: keys.signing.writer"]);
    case(
        "dedup: {file: dedup.key}",
        "dedup: {file: writer.key}",
        "backup",
        &["64 hexadecimal digits", "hint: keys.dedup"],
    );
    play.write("keys/other.key", "00".repeat(32));
    case("dedup: {file: dedup.key}", "dedup: {file: other.key}", "backup", &["not that of this repository", "hint: "]);
    case("{file: prover.key}", "{file: writer.key}", "verify latest", &["this is the writer's key, not the prover's"]);
    case("{file: prover.key}", "{file: prover-1.key}", "verify latest", &["it is retired: ed25519:"]);
    case("", "", "verify latest --signing-key keys/collector.key", &["this is the collector's key"]);
}

#[test]
fn a_trust_file_that_says_something_else() {
    let play = Play::old();
    let text = play.read("keys/trust.yaml");
    play.write("other.yaml", text.replace("01M863G0JF90PXXR32H827C2PC", "01M863G0JF90PXXR32H827C2PD"));
    play.write("dedup.yaml", text.replace("check: \"", "check: \"0000").replace("0000\"", "\""));
    refused(&play, &format!("list {POLICY} --trust other.yaml"), 12, &["pin different things", "hint: find out which"]);
    refused(&play, "list --repository store --trust other.yaml", 12, &["the repository's id in lifeboat.json differs"]);
    refused(&play, "list --repository store --trust keys/policy.yaml", 2, &["no trust file", "hint: "]);
    refused(&play, "list --repository store --trust nowhere.yaml", 2, &["cannot read nowhere.yaml"]);
}

#[test]
fn key_files_that_others_may_read_are_named() {
    let play = Play::old();
    for name in ["keys/writer.key", "keys/identity.txt"] {
        std::fs::set_permissions(play.path(name), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let said = unchanged(&play, &format!("check {POLICY}"));
    assert!(said.out.contains("writer.key has mode 0644"), "{}", said.out);
    assert!(said.out.contains("hint: chmod 600 "), "{}", said.out);
    // So are passwords of databases, whether or not the database answers.
    play.write("db.password", "secret");
    std::fs::set_permissions(play.path("db.password"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let policy = play.read("keys/policy.yaml").replacen("{env: PGPASSWORD}", "{file: ../db.password}", 1);
    play.write("keys/with-file.yaml", policy);
    let said = play.say("check -f keys/with-file.yaml");
    assert!(
        said.out.contains("warning  database password: ") && said.out.contains("db.password has mode 0640"),
        "{}",
        said.out
    );
    let said = unchanged(&play, &format!("show latest {POLICY} {IDENTITY}"));
    assert_eq!(said.code, 0);
    assert_eq!(said.err.trim(), "WARN keys/identity.txt has mode 0644: others on this machine may use it");
    // Among JSON lines it is one.
    let said = unchanged(&play, &format!("show latest {POLICY} {IDENTITY} --json"));
    let line: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!(line["event"], "log");
}

/// Time is the store's: a machine whose clock is wrong is told so.
#[test]
fn a_clock_that_is_far_off() {
    let play = Play::old();
    let (key, _) =
        crate::support::play::old_times().into_iter().rfind(|(key, _)| key.ends_with("manifest.json")).unwrap();
    let day = std::time::SystemTime::now() + std::time::Duration::from_secs(26 * 3600 + 60);
    std::fs::File::options().append(true).open(play.path("store").join(key)).unwrap().set_modified(day).unwrap();
    let said = unchanged(&play, &format!("list {POLICY}"));
    assert!(said.out.contains("26 h in the future"), "{}", said.out);
}

#[test]
fn init_changes_nothing_that_is_there() {
    let play = Play::old();
    std::fs::create_dir(play.path("full")).unwrap();
    play.write("full/holiday.jpg", "x");
    play.write("file", "x");
    std::fs::create_dir(play.path("half")).unwrap();
    crate::support::play::copy(&play.path("store/config"), &play.path("half/config"));
    refused(
        &play,
        "init store --generate-keys new",
        5,
        &["there already is a repository", "lifeboat list --repository"],
    );
    refused(&play, "init store --generate-keys keys", 5, &["there already is a repository"]);
    refused(&play, "init new --generate-keys keys", 5, &["exists already", "never overwritten"]);
    refused(&play, "init store/data/x --generate-keys new", 5, &["lies inside the repository", "beside it"]);
    refused(&play, "init full --generate-keys new", 5, &["is not empty: it holds holiday.jpg"]);
    refused(&play, "init half --generate-keys new", 5, &["an init was interrupted", "remove that folder"]);
    refused(&play, "init file --generate-keys new", 1, &["Not a directory", "hint: "]);
    refused(&play, &format!("init {POLICY}"), 12, &["lacks keys.signing.operator", "hint: "]);
    refused(&play, "init new", 2, &["which keys?"]);
}

/// Whatever is left of an init that was killed, the way out is the one that the message names.
#[test]
fn after_an_interrupted_init() {
    let play = Play::empty();
    assert_eq!(play.say("init store --generate-keys keys").code, 0);
    // As if killed before the marker, which is written last.
    std::fs::remove_file(play.path("store/lifeboat.json")).unwrap();
    refused(&play, "list -f keys/policy.yaml", 10, &["there is no repository"]);
    refused(
        &play,
        "init store --generate-keys keys",
        5,
        &["an init was interrupted", "remove that folder, and the key folder"],
    );
    for folder in ["store", "keys"] {
        std::fs::remove_dir_all(play.path(folder)).unwrap();
    }
    assert_eq!(play.say("init store --generate-keys keys").code, 0);
    assert_eq!(play.say("list -f keys/policy.yaml").code, 0);
}

#[test]
fn policies_that_are_no_policies() {
    let play = Play::old();
    let text = play.read("keys/policy.yaml").replace("{file: ", "{file: keys/");
    let nodes = ["a: &a [x]"].into_iter().map(str::to_owned);
    let more = (b'b'..b'k').map(|c| {
        let (name, before) = (char::from(c), char::from(c - 1));
        format!("{name}: &{name} [{}]", vec![format!("*{before}"); 9].join(","))
    });
    let bomb: Vec<String> = nodes.chain(more).collect();
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty", Vec::new(), &["no policy in", "hint: "]),
        ("comments", b"# nothing\n---\n".to_vec(), &["no policy in"]),
        ("twice", format!("{text}---\n{text}").into(), &["more than one policy", "hint: name one file"]),
        ("latin1", text.replace("shop", "sh\u{f6}p").chars().map(|c| c as u8).collect(), &["UTF-8", "hint: save it"]),
        ("utf16", text.encode_utf16().flat_map(u16::to_le_bytes).collect(), &["utf16.yaml"]),
        ("bomb", bomb.join("\n").into(), &["too large or too deep"]),
        ("deep", "[".repeat(100_000).into(), &["too large or too deep"]),
        ("huge", "#".repeat(2_000_000).into(), &["larger than 1 MiB", "hint: "]),
        ("list", b"- a\n".to_vec(), &["list.yaml:1:1: expected fields"]),
        ("scalar", b"hello\n".to_vec(), &["scalar.yaml:1:1: expected fields"]),
        ("nul", format!("{text}\0").into(), &["nul.yaml:", "unexpected character"]),
        (
            "dup",
            text.replace("metadata:", "metadata: {name: x}\nmetadata:").into(),
            &["dup.yaml:5:1: `metadata` is there twice"],
        ),
        ("inline", text.replace("{env: PGPASSWORD}", "hunter2").into(), &["a secret must not stand in the file"]),
        ("field", text.replace("host: ", "hots: ").into(), &["unknown field `hots`", "did you mean `host`?"]),
    ];
    for (name, bytes, words) in cases {
        play.write(&format!("{name}.yaml"), bytes);
        refused(&play, &format!("backup -f {name}.yaml"), 2, words);
    }
    std::fs::create_dir(play.path("several")).unwrap();
    play.write("several/a.yaml", &text);
    play.write("several/b.yml", text.replace("{name: shop}", "{name: other}"));
    refused(&play, "backup -f several", 2, &["more than one policy in several: shop (", "other (", "name one file"]);
    refused(&play, "backup -f nowhere.yaml", 2, &["cannot read nowhere.yaml", "lifeboat init"]);
}

/// What editors on other systems make of a file, and what YAML offers for saying a thing once.
#[test]
fn policies_that_are_fine_all_the_same() {
    let play = Play::old();
    let text = play.read("keys/policy.yaml").replace("{file: ", "{file: keys/");
    let anchor = text.replacen("password: {env: PGPASSWORD}", "password: &p {env: PGPASSWORD}", 1);
    let (first, rest) = anchor.split_at(anchor.find("&p").unwrap() + 20);
    for (name, text) in [
        ("crlf", text.replace('\n', "\r\n")),
        ("bom", format!("\u{feff}{text}")),
        ("anchor", format!("{first}{}", rest.replace("{env: PGPASSWORD}", "*p"))),
        ("merge", text.replace("  sources:\n", "  sources:\n  - {name: x, postgres: &b {host: a, user: b}}\n  - {name: y, postgres: {<<: *b, host: c}}\n")),
    ] {
        play.write(&format!("{name}.yaml"), text);
        let said = unchanged(&play, &format!("list -f {name}.yaml"));
        assert_eq!(said.code, 0, "{name}: {}", said.err);
        assert!(said.out.contains("01M863G6CWD72J0D93FE304MVA"), "{name}");
    }
}
