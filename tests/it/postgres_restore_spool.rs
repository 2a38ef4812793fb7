//! `restore -j`: several workers, from a private folder that does not outlive the restore.

use std::path::Path;
use std::process::Stdio;

use crate::support::postgres::Major;
use crate::support::proxy::Proxy;
use crate::support::restore::{World, address, dump, fails, leftovers, ok, stderr};

fn entries(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn gives_the_same_server_and_leaves_no_file() {
    for major in [Major::Fifteen, Major::Eighteen] {
        let (Some(world), Some(target)) = (World::new(major), World::target(major)) else { return };
        let spool = world.path("spool");
        std::fs::create_dir(&spool).unwrap();
        let mut plan =
            world.program(&target.password, &["plan", "restore", "latest", "--source", "postgres", "-j", "2"]);
        let said = ok(plan.args(["--to", &address(target.port, "")]).env("TMPDIR", &spool).output().unwrap());
        assert!(said.contains("by 2 workers") && said.contains(&format!("bytes to {}", spool.display())), "{said}");
        assert!(said.contains("are spooled there"), "{said}");
        ok(world.restore(&target, "", &["-j", "2"]).env("TMPDIR", &spool).output().unwrap());
        world.assert_same(&target);
        assert_eq!(entries(&spool), Vec::<String>::new());
    }
}

#[test]
fn no_room_is_said_before_anything_happens() {
    let major = Major::Fifteen;
    let (Some(world), Some(target)) = (World::new(major), World::target(major)) else { return };
    let small = world.path("small");
    std::fs::create_dir(&small).unwrap();
    let mount =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"]).arg(&small).status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("LEFT OUT: needs root, to mount a small file system");
        return;
    }
    let mut restore = world.restore(&target, "", &["-j", "2"]);
    restore.env("TMPDIR", &small);
    let said = fails(restore, 5);
    std::process::Command::new("umount").arg(&small).status().unwrap();
    assert!(said.contains("are free") && said.contains("hint: set TMPDIR"), "{said}");
    assert_eq!(target.sql("postgres", "SELECT count(*) FROM pg_database WHERE oid >= 16384"), "0");
}

/// Kills (or interrupts) a restore while it loads from the folder; gives back what it said and how it ended.
fn stopped(
    world: &World,
    target: &crate::support::postgres::TestServer,
    spool: &Path,
    signal: rustix::process::Signal,
) -> (String, Option<i32>) {
    // Its pg_restore is the first that sends anything of the table.
    let (reached, is_there) = std::sync::mpsc::sync_channel(0);
    let spool_now = spool.to_owned();
    let told = std::sync::atomic::AtomicBool::new(false);
    let proxy = Proxy::start(target.port, move |_| {
        let spooled = entries(&spool_now).iter().any(|folder| spool_now.join(folder).join("archive").exists());
        if spooled && !told.swap(true, std::sync::atomic::Ordering::SeqCst) {
            reached.send(()).unwrap();
            // Held until the program is told to stop.
            let _ = reached.send(());
        }
    });
    let mut restore = world.restore_to(&address(proxy.port, ""), &target.password, &["-j", "2"]);
    let child = restore.env("TMPDIR", spool).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    is_there.recv().unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
    is_there.recv().unwrap();
    let output = child.wait_with_output().unwrap();
    (stderr(&output), output.status.code())
}

#[test]
fn what_a_killed_one_spooled_is_removed_by_the_next() {
    let major = Major::Fifteen;
    let (Some(world), Some(target)) = (World::new(major), World::target(major)) else { return };
    let spool = world.path("spool");
    std::fs::create_dir(&spool).unwrap();
    let (_, code) = stopped(&world, &target, &spool, rustix::process::Signal::KILL);
    assert_eq!(code, None);
    assert_eq!(entries(&spool).len(), 1, "it had no time to tidy up");
    ok(world.restore(&target, "", &[]).env("TMPDIR", &spool).output().unwrap());
    assert_eq!(entries(&spool), Vec::<String>::new());
    world.assert_same(&target);
}

#[test]
fn interrupted_it_leaves_nothing_behind() {
    let major = Major::Fifteen;
    let (Some(world), Some(target)) = (World::new(major), World::target(major)) else { return };
    let before = dump(&target, "postgres");
    let spool = world.path("spool");
    std::fs::create_dir(&spool).unwrap();
    let (said, code) = stopped(&world, &target, &spool, rustix::process::Signal::INT);
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(entries(&spool), Vec::<String>::new());
    assert_eq!(leftovers(&target), "");
    assert_eq!(target.sql("postgres", "SELECT count(*) FROM pg_database WHERE oid >= 16384"), "0");
    assert!(dump(&target, "postgres") == before);
}
