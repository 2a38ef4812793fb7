//! Holds one file against the rules.

use super::rules::{CRATES, FREE, LEAVES, MAX_LINES, NOT_LEAVES, RIGHTS, ROOMS};
use super::scan::{Path, scan};

/// A file below `src/`, by its path with `/`.
pub struct File<'a> {
    pub path: &'a str,
    pub source: &'a str,
    /// Whole file is test code: tests may do more, but not reach around the rooms.
    pub test: bool,
}

/// Every rule that the file breaks, with its line. `dependencies` are the names in Cargo.toml, with underscores.
pub fn violations(file: &File, dependencies: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let lines = file.source.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{}: {lines} lines, at most {MAX_LINES}: one idea per file", file.path));
    }
    let scanned = scan(file.source);
    for path in &scanned.paths {
        let mut say = |message: String| {
            found.push(format!("{}:{}: {}: {message}", file.path, path.line, path.segments.join("::")));
        };
        match path.first() {
            "crate" => rooms(file, path).into_iter().for_each(&mut say),
            "super" => supers(file, path).into_iter().for_each(&mut say),
            name if scanned.modules.iter().any(|module| module == name) => {}
            name => crates(file, name, dependencies).into_iter().for_each(&mut say),
        }
        if !file.test {
            rights(file, path).into_iter().for_each(&mut say);
        }
    }
    found
}

/// `cli/mod.rs` is in room `cli`, `clock.rs` is the leaf `clock`.
fn room<'a>(file: &File<'a>) -> &'a str {
    let first = file.path.split('/').next().unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

fn rooms(file: &File, path: &Path) -> Option<String> {
    let own = room(file);
    let Some(used) = path.segments.get(1).map(String::as_str) else { return Some("the whole crate".to_owned()) };
    if own == "lib" || used == own {
        return None;
    }
    if used == "*" {
        return Some("name what you use".to_owned());
    }
    let banned = |(name, leaves): &(&str, &[&str])| *name == own && leaves.contains(&used);
    if NOT_LEAVES.iter().any(banned) {
        return Some(format!("{own} must not use {used}"));
    }
    if used == "model" || LEAVES.contains(&used) {
        return None;
    }
    // A leaf has no line in the table: it uses no room.
    let allowed = ROOMS.iter().find(|(name, _)| *name == own).map_or(&[][..], |(_, allowed)| allowed);
    (!allowed.contains(&used)).then(|| format!("{own} must not use {used}"))
}

/// `super::` may climb within the room, and not out of it.
fn supers(file: &File, path: &Path) -> Option<String> {
    let climbs = path.segments.iter().take_while(|segment| *segment == "super").count();
    let mut depth = file.path.matches('/').count();
    if file.path.ends_with("/mod.rs") {
        depth -= 1;
    }
    (climbs > depth).then(|| "leaves the room; write crate::room::Thing".to_owned())
}

fn crates(file: &File, name: &str, dependencies: &[String]) -> Option<String> {
    let known = name == "lifeboat" || dependencies.iter().any(|dependency| dependency == name);
    if !known || FREE.contains(&name) {
        return None;
    }
    let Some((_, allowed)) = CRATES.iter().find(|(listed, _)| *listed == name) else {
        return Some("a crate that tests/it/architecture/rules.rs gives to nobody".to_owned());
    };
    let ours = allowed.iter().any(|prefix| file.path.starts_with(prefix));
    // A crate that is anywhere in the room may also be used by the room's tests.
    let tests = file.test && allowed.iter().any(|prefix| prefix.split('/').next() == file.path.split('/').next());
    (!ours && !tests).then(|| format!("crate {name} belongs to {}", allowed.join(", ")))
}

fn rights(file: &File, path: &Path) -> Option<String> {
    let broken = RIGHTS.iter().find(|right| {
        right.paths.iter().any(|wanted| path.has(wanted)) && !right.only.iter().any(|own| file.path.starts_with(own))
    })?;
    Some(broken.instead.to_owned())
}
