//! A backup that can not be made, through the built program: what is said, the exit code, and that nothing is committed.

use std::path::PathBuf;

use crate::support::postgres::{Major, TestServer};
use crate::support::program::{Program, quiet};

/// Runs `check` and `backup` with the policy changed; both must fail, the backup with `exit`, and say all of `wanted`.
fn fails(program: &Program, password: &str, change: &[(&str, &str)], exit: i32, wanted: &[&str]) {
    let path = program.folder.path().join("keys/policy.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    let bad = change.iter().fold(good.clone(), |text, (from, to)| {
        assert!(text.contains(from), "{from}: {text}");
        text.replace(from, to)
    });
    std::fs::write(&path, bad).unwrap();
    for (verb, code) in [("check", 5), ("backup", exit)] {
        let output = program.run(password, &[verb]);
        let said = quiet(&output);
        assert_eq!(output.status.code(), Some(code), "{verb}: {said}");
        for words in wanted.iter().chain(&["hint: "]) {
            assert!(said.contains(words), "{verb} does not say `{words}`: {said}");
        }
    }
    std::fs::write(&path, good).unwrap();
    let list = quiet(&program.run("", &["list", "--json"]));
    let list: serde_json::Value = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    assert_eq!(list["backups"].as_array().map(Vec::len), Some(0), "nothing is committed: {list}");
}

#[test]
fn what_cannot_be_captured_is_said_and_nothing_is_committed() {
    let (Some(old), Some(new)) = (TestServer::start(Major::Fifteen), TestServer::start(Major::Eighteen)) else {
        return;
    };
    let program = Program::new(&old, PathBuf::new());
    let port = format!("port: {}", old.port);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fails(&program, "wrong", &[], 12, &["the password of role \"postgres\" is wrong"]);
    fails(&program, &old.password, &[(&port, &format!("port: {closed}"))], 1, &[&format!("127.0.0.1:{closed}")]);
    fails(&program, &old.password, &[("mode: disable", "mode: require")], 1, &["TLS"]);
    fails(&program, &old.password, &[("databases: all", "databases: [nothing]")], 5, &["nothing"]);
    // Only older tools are at hand, once the policy does not name the folder of the newer ones.
    let tools = format!(", tools: [{}]", new.clients.display());
    let program = Program::new(&new, PathBuf::new());
    fails(&program, &new.password, &[(&tools, "")], 5, &["the server is PostgreSQL 18", "older"]);
}

/// The backup is there, and a script that waits for its name gets it; the exit code says that the rest was not done.
#[test]
fn a_backup_that_cannot_be_verified_at_once_still_tells_its_name() {
    let Some(server) = TestServer::start(Major::Fifteen) else { return };
    let program = Program::new(&server, PathBuf::new());
    let path = program.folder.path().join("keys/policy.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, good + "  verify: {afterBackup: hashed}\n").unwrap();
    std::fs::write(program.folder.path().join("keys/prover.key"), "no key").unwrap();
    let output = program.run(&server.password, &["backup"]);
    let (out, said) = (String::from_utf8(output.stdout.clone()).unwrap(), quiet(&output));
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("verify.afterBackup: cannot use the prover's signing key"), "{said}");
    let run = out.lines().last().unwrap();
    let listed = quiet(&program.run("", &["list"]));
    assert!(run.len() == 26 && listed.contains(run), "{out}{listed}");
}
