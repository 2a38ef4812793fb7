//! Ctrl-C and SIGTERM: exit 130, nothing half done, and the next run is fine.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::play::Play;

const IDENTITY: &str = "--identity keys/identity.txt -f keys/policy.yaml";

fn start(play: &Play, line: &str) -> Child {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut command = play.command(&words);
    command.env("PGPASSWORD", "x").stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

/// How it ended; a program that does not end is killed, and fails the test instead of holding it up.
fn ended(child: &mut Child) -> Option<i32> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap();
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if waiting.recv_timeout(std::time::Duration::from_secs(60)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let status = child.wait().unwrap();
    drop(done);
    watchdog.join().unwrap();
    status.code()
}

/// A server that takes connections and never says a word: whoever talks to it waits.
fn silent_server(play: &Play) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["db.shop.example", "ledger.shop.example"] {
        play.edit("keys/policy.yaml", host, &format!("127.0.0.1, port: {port}, tls: {{mode: disable}}"));
    }
    listener
}

#[test]
fn a_verb_that_waits_for_a_server_ends_at_once() {
    for signal in [Signal::INT, Signal::TERM] {
        for verb in ["check", "plan backup", "backup --source postgres"] {
            let play = Play::old();
            let server = silent_server(&play);
            let before = play.tree();
            let mut child = start(&play, &format!("{verb} -f keys/policy.yaml"));
            // It is waiting now.
            let _connection = server.accept().unwrap();
            send(&child, signal);
            let code = ended(&mut child);
            assert_eq!(code, Some(130), "{verb}");
            let after = play.tree();
            let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
            let announced = verb.starts_with("backup");
            assert_eq!(new.len(), usize::from(announced), "{verb}: {new:?}");
            assert!(new.iter().all(|path| path.ends_with("started.json")), "{verb}: {new:?}");
            assert!(before.iter().all(|(path, state)| after.get(path) == Some(state)), "{verb}");
            let listed = play.json("list -f keys/policy.yaml");
            assert_eq!(listed["backups"].as_array().unwrap().len(), 2, "{verb}");
        }
    }
}

/// The policy's other repository takes connections and never says a word.
#[test]
fn a_verb_that_waits_for_another_repository_ends_at_once() {
    for verb in ["copy", "list", "check", "cat latest ledger globals --identity keys/identity.txt"] {
        let play = Play::old();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("minio+http://{}/bucket/repo", server.local_addr().unwrap());
        let second = format!("\n  - url: {url}\n    id: 01KAQ7Z5T5W8W0C0MZJ0ZQ1R2V\n  keys:");
        play.edit("keys/policy.yaml", "\n  keys:", &second);
        let before = play.tree();
        let words = format!("{verb} -f keys/policy.yaml");
        let mut command = play.command(&words.split_whitespace().collect::<Vec<_>>());
        command.env("MINIO_ACCESS_KEY", "x").env("MINIO_SECRET_KEY", "xxxxxxxx").env_remove("HTTP_PROXY");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let _connection = server.accept().unwrap();
        send(&child, Signal::TERM);
        assert_eq!(ended(&mut child), Some(130), "{verb}");
        assert_eq!(play.tree(), before, "{verb}");
    }
}

#[test]
fn cat_ends_although_nobody_reads() {
    for signal in [Signal::INT, Signal::TERM] {
        let play = Play::old();
        let before = play.tree();
        let mut child = start(&play, &format!("cat latest postgres db/shop {IDENTITY}"));
        // The first byte is out; the rest does not fit into the pipe.
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0]).unwrap();
        send(&child, signal);
        assert_eq!(ended(&mut child), Some(130));
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("error: interrupted"), "{said}");
        assert_eq!(play.tree(), before);
    }
}

#[test]
fn verify_leaves_no_proof_and_a_second_signal_is_no_crash() {
    let play = Play::old();
    let before = play.tree();
    let mut child = start(&play, &format!("verify all --level opened {IDENTITY}"));
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("verifying ")), "it did not begin");
    send(&child, Signal::STOP);
    send(&child, Signal::INT);
    send(&child, Signal::CONT);
    let stopping = lines.any(|line| line.starts_with("stopping; once more"));
    assert!(stopping, "it does not say that it heard");
    // It may be gone by now: that is what the first one asked for.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap();
    let _ = kill_process(pid, Signal::INT);
    assert_eq!(ended(&mut child), Some(130));
    assert_eq!(play.tree(), before, "no proof of what was not finished");
    assert_eq!(play.say(&format!("verify latest --level opened {IDENTITY}")).code, 0);
}
