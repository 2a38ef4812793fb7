//! The layers of the house, enforced. A layer that only a document knows is gone within a month.

mod check;
mod rules;
mod scan;

use std::path::{Path, PathBuf};

use check::{File, violations};
use rules::{CRATES, FREE, LEAVES, ROOMS};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Names of `[dependencies]`, as the compiler spells them.
fn dependencies() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]\n").nth(1).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim().replace('-', "_")).collect()
}

/// Test modules in files of their own: `tests.rs`, `*_tests.rs`, anything in a folder `tests`, and the simulation.
fn is_test(path: &str) -> bool {
    let simulates = path.starts_with("simulation/") || path == "store/gated.rs";
    simulates || path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

#[test]
fn every_file_keeps_to_its_room() {
    let source = root().join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    let names = dependencies();
    assert!(files.len() > 30 && names.len() > 20, "the checker looks at {} files, {} crates", files.len(), names.len());
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        found.extend(violations(&File { path: &path, source: &text, test: is_test(&path) }, &names));
    }
    assert!(found.is_empty(), "{} rules broken:\n{}", found.len(), found.join("\n"));
}

/// A method is no path, so it is looked for as a word.
#[test]
fn only_the_collector_deletes_from_a_store() {
    let source = root().join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    let mut users = Vec::new();
    for file in files {
        let path = file.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        if text.contains("delete_version(") && !is_test(&path) {
            users.push(path);
        }
    }
    users.sort();
    assert_eq!(
        users,
        ["delete", "expire", "notes"]
            .map(|name| format!("repository/collect/{name}.rs"))
            .into_iter()
            .chain(["store/mod.rs".into()])
            .collect::<Vec<_>>()
    );
}

#[test]
fn every_test_file_is_small_enough_to_read() {
    let mut files = Vec::new();
    rust_files(&root().join("tests"), &mut files);
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= rules::MAX_LINES, "{}: {lines} lines", file.display());
    }
}

#[test]
fn every_room_and_leaf_is_in_the_table() {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(modules.len() > 5, "{modules:?}");
    for module in modules {
        let known = LEAVES.contains(&module) || ROOMS.iter().any(|(room, _)| *room == module);
        assert!(known, "src/lib.rs has `{module}`, tests/it/architecture/rules.rs does not");
    }
}

#[test]
fn every_dependency_has_an_owner() {
    for name in dependencies() {
        let owned = FREE.contains(&name.as_str()) || CRATES.iter().any(|(listed, _)| *listed == name);
        assert!(owned, "Cargo.toml has `{name}`, tests/it/architecture/rules.rs does not say who may use it");
    }
}

/// What the checker says of one fake file.
fn said(path: &str, source: &str) -> Vec<String> {
    let names: Vec<String> = ["clap", "tokio", "serde", "serde_saphyr", "tokio_postgres"].map(str::to_owned).to_vec();
    violations(&File { path, source, test: is_test(path) }, &names)
}

#[track_caller]
fn refused(path: &str, source: &str, wanted: &str) {
    let found = said(path, source);
    assert!(found.len() == 1 && found[0].contains(wanted), "{path}: `{source}`: {found:?}");
}

#[track_caller]
fn accepted(path: &str, source: &str) {
    assert_eq!(said(path, source), Vec::<String>::new(), "{path}: `{source}`");
}

#[test]
fn the_checker_catches_a_room_that_reaches_up_or_aside() {
    refused(
        "store/mod.rs",
        "use crate::repository::Run;",
        "store/mod.rs:1: crate::repository::Run: store must not use",
    );
    refused("source/a.rs", "\n\nuse crate::{model::Name, store::{Store}};", "source/a.rs:3");
    refused("repository/read.rs", "fn f() { crate::job::run() }", "repository must not use job");
    refused("cli/list.rs", "use crate::store::Store;", "cli must not use store");
    refused("clock.rs", "use crate::store::Store;", "clock must not use store");
    refused("model/ids.rs", "use crate::clock::Clock;", "model must not use clock");
    refused("config/load.rs", "use crate::exec::Command;", "config must not use exec");
    refused("job/a.rs", "use crate::*;", "name what you use");
    refused("job/a.rs", "use crate::cli::main as m;", "job must not use cli");
    accepted("job/a.rs", "use crate::{config::Policy, repository::{self, Run as Other}, clock};");
    accepted("store/local/mod.rs", "use crate::model::Key;\npub(in crate::store) fn f() {}");
}

#[test]
fn the_checker_catches_super_across_rooms() {
    refused("clock.rs", "use super::model::Name;", "leaves the room");
    refused("store/mod.rs", "use super::model::Name;", "leaves the room");
    refused("store/put.rs", "use super::super::model::Name;", "leaves the room");
    accepted("store/put.rs", "use super::Store;");
    accepted("store/local/file.rs", "use super::super::Store;");
    accepted("clock.rs", "#[cfg(test)]\nmod tests {\n use super::*;\n}");
}

#[test]
fn the_checker_catches_a_crate_in_the_wrong_room() {
    refused("job/a.rs", "use clap::Parser;", "crate clap belongs to cli/");
    refused("plan/a.rs", "async fn f() { tokio::spawn(g()); }", "crate tokio belongs to");
    refused("job/a.rs", "use serde_saphyr as yaml;", "crate serde_saphyr belongs to config/");
    refused("source/mongo/a.rs", "fn f() { tokio_postgres::connect() }", "belongs to source/postgres/");
    accepted("source/postgres/a.rs", "use tokio_postgres::Client;");
    accepted("model/a.rs", "use serde::Serialize;");
    // A module of one's own may be called like a crate.
    accepted("model/mod.rs", "mod clap;\npub use clap::Applause;");
}

#[test]
fn the_checker_catches_what_only_one_place_may_do() {
    refused("job/a.rs", "use std::process::Command;", "child processes start in exec");
    refused("job/a.rs", "use std::process::{self, Command};", "child processes start in exec");
    refused("job/a.rs", "fn f() { std::process::Command::new(\"x\"); }", "child processes start in exec");
    refused("store/a.rs", "fn f() { let t = Timestamp::now(); }", "time comes from clock");
    refused("store/a.rs", "fn f() { std::time::SystemTime::now() }", "time comes from clock");
    refused("job/a.rs", "fn f() { println!(\"x\"); }", "stdout is data");
    refused("job/a.rs", "use std::io::{Write, stdout};", "stdout is data");
    refused("verify/a.rs", "fn f() { eprintln!(\"x\"); }", "tell it as an event");
    refused("job/a.rs", "fn f() { std::process::exit(1) }", "only cli ends the program");
    refused("plan/a.rs", "use std::fs;", "pure rooms do no I/O");
    refused("model/a.rs", "fn f() { std::fs::read(p) }", "pure rooms do no I/O");
    accepted("exec/run.rs", "use std::process::Command;");
    accepted("clock.rs", "fn f() { Timestamp::now() }");
    accepted("cli/output.rs", "fn f() { std::io::stdout() }");
}

#[test]
fn the_checker_is_not_fooled_by_texts_comments_and_tests() {
    accepted(
        "store/a.rs",
        "// use crate::job::X; println!()\n/* crate::job /* nested */ crate::cli */\n/// crate::job::Y",
    );
    accepted("store/a.rs", r###"const A: &str = "crate::job::X \" println!()"; const B: &str = r#"crate::"job""#;"###);
    accepted("store/a.rs", "const Q: char = '\"'; const R: char = '\\''; fn f<'a>(x: &'a str) {}");
    refused("store/a.rs", "const Q: char = '\"'; use crate::job::X; const E: char = '\"';", "store must not use job");
    accepted("store/a.rs", "#[cfg(test)]\nmod tests {\n fn f() { println!(\"{}\", 1); use std::process::Command; }\n}");
    // `use<...>` in a type is no import.
    refused("store/a.rs", "fn f() -> impl Sized + use<'_> { g(); }\nuse crate::job::X;", "store/a.rs:2");
    refused("store/a.rs", "#[cfg(test)]\nmod tests;\nuse crate::job::X;", "store/a.rs:3");
    refused("store/a.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::job::X;", "store/a.rs:3");
    accepted("store/tests.rs", "use std::process::Command;");
}

#[test]
fn the_checker_catches_a_file_that_is_too_long() {
    refused("store/a.rs", &"\n".repeat(601), "601 lines");
    accepted("store/a.rs", &"\n".repeat(600));
}
