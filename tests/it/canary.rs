//! Canaries in everything that is the user's: none is found where somebody without an identity can look, and no secret
//! in any argument, environment, log, event or error. Needs PostgreSQL 15.

use std::path::{Path, PathBuf};
use std::process::Output;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::support::capture::fake_tools;
use crate::support::local::{Local, Said, objects};
use crate::support::postgres::{Major, Setup, TestServer};

/// What the user's data and names hold.
const DATA: [&str; 9] = [
    "canary-role",
    "canary-role-password",
    "canary-database",
    "canary-schema",
    "canary-table",
    "canary-column",
    "canary-row",
    "canary-comment",
    "canary-policy",
];
/// What only the tools may be told, by their environment.
const PASSWORD: &str = "canary-connection-password";
/// What a tool says when it fails; it quotes rows.
const SAID: &str = "canary-said-by-the-tool";

struct Bed {
    server: TestServer,
    local: Local,
    _folders: [tempfile::TempDir; 2],
    seen: PathBuf,
}

/// Each tool writes down what it, and whoever started it, was given; a dump fails once `fail` lies beside.
fn bed() -> Option<Bed> {
    let server = TestServer::start_with(Setup { password: PASSWORD.into(), ..Setup::new(Major::Fifteen) })?;
    server.sql("postgres", "CREATE ROLE \"canary-role\" LOGIN PASSWORD 'canary-role-password'");
    server.sql("postgres", "CREATE DATABASE \"canary-database\" OWNER \"canary-role\"");
    server.sql("postgres", "COMMENT ON DATABASE \"canary-database\" IS 'canary-comment'");
    server.sql(
        "canary-database",
        "CREATE SCHEMA \"canary-schema\"; CREATE TABLE \"canary-schema\".\"canary-table\" (\"canary-column\" text); \
         INSERT INTO \"canary-schema\".\"canary-table\" SELECT 'canary-row' FROM generate_series(1, 1000)",
    );
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let spy = format!(
        "mkdir -p '{seen}'\nenv >\"{seen}/env.$$\"\nprintf '%s\\n' \"$0\" \"$@\" >\"{seen}/argv.$$\"\n\
         tr '\\0' '\\n' </proc/$PPID/cmdline >\"{seen}/parent.$$\"\ncat /proc/$PPID/limits >\"{seen}/limits.$$\"\n\
         [ -e '{seen}/fail' ] && {{ echo 'ERROR: row ({said})' >&2; exit 1; }}\nexec \"$REAL/$NAME\" \"$@\"",
        seen = seen.display(),
        said = SAID,
    );
    let scripts: Vec<(&str, &str)> =
        ["pg_dump", "pg_dumpall", "pg_restore", "psql"].map(|name| (name, spy.as_str())).into();
    let (tools, bin) = fake_tools(&server.bin, &scripts);
    let source = format!(
        "{{host: 127.0.0.1, port: {}, user: postgres, password: {{env: PGPASSWORD}}, databases: all, tls: {{mode: disable}}, tools: [{}]}} # canary-policy",
        server.port,
        bin.display(),
    );
    let local = Local::with_source(&source, PASSWORD);
    Some(Bed { server, local, _folders: [tools, folder], seen })
}

/// Keys of every role, as somebody would recognise them in a heap of text.
fn keys(local: &Local) -> Vec<String> {
    let lines = |name: &str| {
        let text = std::fs::read_to_string(local.path(&format!("keys/{name}"))).unwrap();
        text.lines()
            .filter(|line| line.len() >= 40 && !line.starts_with(['#', '-']))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let files =
        ["identity.txt", "escrow.txt", "dedup.key", "writer.key", "prover.key", "collector.key", "operator.key"];
    let found: Vec<String> = files.iter().flat_map(|name| lines(name)).collect();
    assert_eq!(found.len(), 7, "one secret in each file");
    found
}

/// Everything that an object says to somebody without an identity.
fn clear(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let mut views = Vec::new();
    if path.extension().is_some_and(|end| end == "zst") {
        views.push(zstd::decode_all(&*bytes).unwrap());
    }
    if let Ok(wire) = serde_json::from_slice::<serde_json::Value>(&bytes)
        && let Some(payload) = wire["payload"].as_str()
    {
        views.push(BASE64_STANDARD.decode(payload).unwrap());
    }
    views.push(bytes);
    views
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn assert_clean(text: &str, secrets: &[String], what: &str) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{what} shows {secret}:\n{text}");
    }
}

#[test]
fn nobody_without_an_identity_sees_a_name_a_row_or_a_hash() {
    let Some(bed) = bed() else { return };
    let local = &bed.local;
    let run = local.backup_on(&local.repo());
    local.run(&["verify", "latest", "--level", "opened"]).exits(0);
    // A failed source, and damage that quotes a name: their texts are kept as well.
    std::fs::write(bed.seen.join("fail"), "").unwrap();
    let failed = local.run(&["backup"]);
    assert_ne!(failed.code, 0);
    failed.says(SAID);
    std::fs::remove_file(bed.seen.join("fail")).unwrap();

    let keys = keys(local);
    let hash = bed.server.sql("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'canary-role'");
    let mut canaries: Vec<&str> = DATA.to_vec();
    canaries.extend([PASSWORD, SAID, &hash]);
    canaries.extend(keys.iter().map(String::as_str));
    for key in objects(&local.repo()) {
        for view in clear(&local.repo().join(&key)) {
            for canary in &canaries {
                assert!(!holds(&view, canary), "{key} holds {canary} in clear");
                assert!(!holds(&view, &hex::encode(canary)), "{key} holds {canary} in hexadecimal");
            }
        }
    }
    // The search can find something: with the identity all of it is there.
    let shown = local.run(&["show", &run, "--json"]).exits(0).out;
    let globals = local.run(&["cat", &run, "postgres", "globals"]).exits(0).out;
    let dump = local.run(&["cat", &run, "postgres", "db/canary-database"]).exits(0).out;
    assert!(shown.contains("canary-table") && globals.contains(&hash) && dump.contains("canary-row"));

    // A stranger's identity opens nothing.
    let stranger = lifeboat::repository::generate_identity();
    std::fs::write(local.path("stranger.txt"), stranger.file.expose()).unwrap();
    for args in [&["cat", &run, "postgres", "globals"][..], &["show", &run], &["verify", &run, "--level", "opened"]] {
        let mut program = local.program();
        program.args(args).env("LIFEBOAT_POLICY", local.path("keys/policy.yaml"));
        program.env("LIFEBOAT_IDENTITY", local.path("stranger.txt"));
        let said = said(program.output().unwrap()).exits(12);
        for canary in DATA {
            assert!(!said.out.contains(canary), "{args:?} shows {canary}");
        }
    }
}

fn said(output: Output) -> Said {
    Said::of(output)
}

#[test]
fn no_secret_in_arguments_environments_logs_events_and_errors() {
    let Some(bed) = bed() else { return };
    let local = &bed.local;
    let mut secrets = keys(local);
    secrets.push(PASSWORD.into());
    let target = TestServer::start_with(Setup { password: PASSWORD.into(), ..Setup::new(Major::Fifteen) }).unwrap();
    let to = format!("postgres://postgres@127.0.0.1:{}", target.port);
    let restore = ["restore", "latest", "--source", "postgres", "--to", &to, "--yes"];
    let mut talk = String::new();
    let mut hear = |said: Said| {
        talk.push_str(&said.out);
        talk.push_str(&said.err);
        said.code
    };
    for more in [&["-v"][..], &["--json"], &["-v", "--json"]] {
        for args in [&["check"][..], &["plan", "backup"], &["backup"], &["list"], &["proof", "list"]] {
            assert_eq!(hear(local.run(&[args, more].concat())), 0, "{args:?}");
        }
        assert_eq!(hear(local.run(&[&["verify", "latest", "--level", "opened"], more].concat())), 0);
        hear(local.run(&[&["plan"], &restore[..6], more].concat()));
    }
    assert_eq!(hear(local.run(&[&restore[..], &["-v"]].concat())), 0);
    assert_clean(&talk, &secrets, "the talk of verbs that succeed");

    let mut files = 0;
    for entry in std::fs::read_dir(&bed.seen).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        files += 1;
        match name.split('.').next().unwrap() {
            "env" => {
                let other = text.lines().filter(|line| !line.starts_with("PGPASSWORD=")).collect::<Vec<_>>().join("\n");
                assert_clean(&other, &secrets, "the environment of a tool");
                assert!(!other.contains("LIFEBOAT_"), "nothing of ours is passed on:\n{other}");
            }
            "argv" | "parent" => assert_clean(&text, &secrets, &name),
            "limits" => assert!(
                text.lines()
                    .any(|line| line.starts_with("Max core file size") && line.split_whitespace().nth(4) == Some("0")),
                "a core file would hold keys:\n{text}"
            ),
            other => panic!("{other}"),
        }
    }
    assert!(files >= 4 * 8, "the tools were watched: {files} files");
}

/// Each way to fail, with a secret at hand that an error might want to quote.
#[test]
fn errors_never_quote_a_secret() {
    let Some(bed) = bed() else { return };
    let local = &bed.local;
    local.backup_on(&local.repo());
    let mut secrets = keys(local);
    secrets.extend([PASSWORD.into(), "canary-inline".into(), "canary-wrong".into()]);
    let policy = std::fs::read_to_string(local.path("keys/policy.yaml")).unwrap();
    let to = "postgres://postgres:canary-inline@127.0.0.1:1/x";
    let run = |policy: &str, args: &[&str], more: &[(&str, &str)]| {
        std::fs::write(local.path("keys/changed.yaml"), policy).unwrap();
        let mut program = local.program();
        program.args(args).env("LIFEBOAT_POLICY", local.path("keys/changed.yaml"));
        program.env("LIFEBOAT_IDENTITY", local.path("keys/identity.txt"));
        program.envs(more.iter().copied());
        let said = said(program.output().unwrap());
        assert_ne!(said.code, 0, "{args:?} {more:?}");
        assert_clean(&format!("{}{}", said.out, said.err), &secrets, &format!("{args:?} {more:?}"));
    };
    let file = |name: &str, text: &str| {
        std::fs::write(local.path(&format!("keys/{name}")), text).unwrap();
        format!("{{file: {name}}}")
    };
    let read = |name: &str| std::fs::read_to_string(local.path(&format!("keys/{name}"))).unwrap();
    run(&policy, &["backup", "-v"], &[("PGPASSWORD", "canary-wrong")]);
    run(&policy, &["check", "--json"], &[("PGPASSWORD", "canary-wrong")]);
    run(&policy.replace("{env: PGPASSWORD}", "canary-inline"), &["check"], &[]);
    run(&policy.replace("{env: PGPASSWORD}", "{value: canary-inline}"), &["check"], &[]);
    run(&policy.replace("host: 127.0.0.1", "host: \"postgres://u:canary-inline@h\""), &["check"], &[]);
    run(&policy, &["restore", "latest", "--source", "postgres", "--to", to, "--yes"], &[]);
    run(&policy, &["plan", "restore", "latest", "--source", "postgres", "--to", to], &[]);
    // Keys with one wrong letter are still nearly keys.
    let nearly = |name: &str| {
        let text = read(name);
        format!("{}!\n", &text.trim_end()[..text.trim_end().len() - 1])
    };
    let dedup = file("nearly.key", &nearly("dedup.key"));
    run(&policy.replace("{file: dedup.key}", &dedup), &["backup"], &[]);
    let writer = file("nearly.pem", &nearly("writer.key"));
    run(&policy.replace("{file: writer.key}", &writer), &["backup"], &[]);
    run(&policy.replace("{file: writer.key}", "{file: dedup.key}"), &["backup"], &[]);
    run(&policy.replace("{file: dedup.key}", "{file: writer.key}"), &["backup"], &[]);
    run(&policy.replace("{file: prover.key}", "{file: writer.key}"), &["verify", "latest"], &[]);
    file("nearly.txt", &nearly("identity.txt"));
    let path = |name: &str| local.path(&format!("keys/{name}")).display().to_string();
    for identity in ["nearly.txt", "writer.key", "dedup.key", "policy.yaml"] {
        run(&policy, &["cat", "latest", "postgres", "globals"], &[("LIFEBOAT_IDENTITY", &path(identity))]);
    }
    // A tool that fails, one that is not there, one that says the password.
    std::fs::write(bed.seen.join("fail"), "").unwrap();
    run(&policy, &["backup", "-v", "--json"], &[]);
    run(&policy.replace("tools: [", "tools: [/nowhere, "), &["backup"], &[]);
    drop(bed.server);
    std::fs::remove_file(bed.seen.join("fail")).unwrap();
    run(&policy, &["backup", "-v"], &[]);
}
