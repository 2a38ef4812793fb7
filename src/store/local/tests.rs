//! Disks that fail while they are flushed, file systems without hard links, and what a barrier has to cover.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Mutex;

use super::*;
use crate::clock;
use crate::model::Key;

fn directory(folder: &tempfile::TempDir) -> Directory {
    Directory::new(Tree::open(folder.path()).unwrap(), Access::ReadWrite, clock::system())
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn left_in_tmp(folder: &tempfile::TempDir) -> usize {
    std::fs::read_dir(folder.path().join(TEMPORARY)).unwrap().count()
}

fn errno(error: Errno) -> io::Error {
    io::Error::from_raw_os_error(error.raw_os_error())
}

/// The kernel tells of lost pages once, so the same file is never asked again.
#[test]
fn after_a_failed_flush_the_body_is_written_to_another_file() {
    static FLUSHED: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    fn broken_once(file: &File) -> io::Result<()> {
        let mut flushed = FLUSHED.lock().unwrap();
        flushed.push(file.metadata()?.ino());
        if flushed.len() == 1 { Err(errno(Errno::IO)) } else { Ok(()) }
    }
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory { flush: broken_once, ..directory(&folder) };
    // Keeps the first file's number from being given again at once.
    let _other = File::create(folder.path().join("other")).unwrap();
    directory.put(&key("a/b"), b"whole").unwrap();
    assert_eq!(directory.read(&key("a/b"), 10).unwrap().unwrap(), "whole");
    let flushed = FLUSHED.lock().unwrap().clone();
    assert_eq!(flushed.len(), 2);
    assert_eq!(flushed[1], std::fs::metadata(folder.path().join("a/b")).unwrap().ino(), "the one that was flushed");
    assert_eq!(left_in_tmp(&folder), 0);
}

#[test]
fn a_disk_that_goes_on_failing_stores_nothing() {
    static CALLS: Mutex<u32> = Mutex::new(0);
    fn broken(_: &File) -> io::Result<()> {
        *CALLS.lock().unwrap() += 1;
        Err(errno(Errno::IO))
    }
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory { flush: broken, ..directory(&folder) };
    let error = directory.put(&key("a/b"), b"lost").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
    assert_eq!(*CALLS.lock().unwrap(), 2, "two files, and that is final");
    assert!(!folder.path().join("a/b").exists());
    assert_eq!(left_in_tmp(&folder), 0);
}

#[test]
fn a_full_disk_is_not_written_again() {
    static CALLS: Mutex<u32> = Mutex::new(0);
    fn full(_: &File) -> io::Result<()> {
        *CALLS.lock().unwrap() += 1;
        Err(errno(Errno::NOSPC))
    }
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory { flush: full, ..directory(&folder) };
    directory.put(&key("a"), b"lost").unwrap_err();
    assert_eq!(*CALLS.lock().unwrap(), 1);
    assert!(!folder.path().join("a").exists());
}

/// Without hard links a file is renamed, and a name is taken all the same.
#[test]
fn without_hard_links_names_are_taken_once_too() {
    let folder = tempfile::tempdir().unwrap();
    let directory = directory(&folder);
    directory.rename_only.store(true, std::sync::atomic::Ordering::Relaxed);
    directory.probe().unwrap();
    let won = std::thread::scope(|scope| {
        let put = |n: u8| directory.put(&key("deep/wanted"), &[n; 1000]).is_ok();
        let writers: Vec<_> = (0..16).map(|n| scope.spawn(move || put(n))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    let winners: Vec<usize> = (0..16).filter(|n| won[*n]).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(directory.read(&key("deep/wanted"), 1000).unwrap().unwrap(), vec![winners[0] as u8; 1000]);
    let error = directory.put(&key("deep/wanted"), b"late").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(left_in_tmp(&folder), 0);
}

/// A barrier covers the folders, up to the root, of what was stored, looked up, read and listed; a taken name, too.
#[test]
fn whatever_was_relied_on_is_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let directory = directory(&folder);
    let relied = |work: &dyn Fn()| {
        directory.dirty.flush(&directory.tree).unwrap();
        work();
        directory.dirty.waiting()
    };
    let all = ["", "a", "a/b"];
    assert_eq!(relied(&|| directory.put(&key("a/b/c"), b"x").unwrap()), all);
    assert_eq!(relied(&|| drop(directory.put(&key("a/b/c"), b"x").unwrap_err())), all);
    assert_eq!(relied(&|| drop(directory.read(&key("a/b/c"), 10).unwrap())), all);
    assert_eq!(relied(&|| drop(directory.look_up(&key("a/b/c")).unwrap())), all);
    let list = |prefix: &Prefix| {
        let (rows, _keep) = mpsc::channel(10);
        directory.list(prefix, &rows).unwrap();
    };
    assert_eq!(relied(&|| list(&Prefix::folder(&key("a")))), all);
    assert_eq!(relied(&|| {}), Vec::<String>::new());
    let reader = Directory::new(Tree::open(folder.path()).unwrap(), Access::ReadOnly, clock::system());
    reader.read(&key("a/b/c"), 10).unwrap();
    assert!(reader.dirty.waiting().is_empty(), "a reader flushes nothing");
}
