//! `docs/runbooks/first-repository-lost.md`, command by command as it is printed.

use std::path::Path;
use std::process::{Command, Stdio};

use super::postgres::{copied, edit};
use crate::support::postgres::Major;
use crate::support::restore::{World, address};

const PAGE: &str = include_str!("../../../docs/runbooks/first-repository-lost.md");

/// The commands below a heading, one after the other.
fn section(heading: &str) -> Vec<String> {
    let (_, rest) = PAGE.split_once(&format!("\n## {heading}")).unwrap_or_else(|| panic!("{heading}"));
    let section = rest.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

struct Shell<'a> {
    world: &'a World,
    variables: Vec<(&'static str, String)>,
}

impl Shell<'_> {
    /// Exit code and all that was said.
    fn run(&self, line: &str, password: &str) -> (i32, String) {
        let program = Path::new(env!("CARGO_BIN_EXE_lifeboat")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-c", line]).current_dir(self.world.path("keys")).env("PATH", path).env("PGPASSWORD", password);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LIFEBOAT_")) {
            command.env_remove(name);
        }
        let output = command.envs(self.variables.iter().cloned()).stdin(Stdio::null()).output().unwrap();
        let said = [&output.stdout[..], &output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    #[track_caller]
    fn all(&self, heading: &str, password: &str, says: &[&str]) {
        let mut said = String::new();
        let lines = section(heading);
        assert!(!lines.is_empty(), "{heading}");
        for line in lines {
            let (code, text) = self.run(&line, password);
            assert_eq!(code, 0, "{line}: {text}");
            said += &text;
        }
        for words in says {
            assert!(said.contains(words), "{heading}: `{words}` in {said}");
        }
    }
}

#[test]
fn as_it_is_printed() {
    let Some(world) = World::new(Major::Fifteen) else { return };
    let Some(target) = World::target(Major::Fifteen) else { return };
    let second = copied(&world);
    let first = format!("file://{}", world.path("repo").display());
    let new = format!("file://{}", world.path("new").display());
    let shell = Shell {
        world: &world,
        variables: vec![
            ("POLICY", "policy.yaml".into()),
            ("KEY", "--identity identity.txt".into()),
            ("LOST", first.clone()),
            ("COPY", second.clone()),
            ("NEW", new.clone()),
            ("SERVER", address(target.port, "")),
        ],
    };
    let password = &world.source.password;

    // Section 5 first, while both are there: one object of the first is spoilt.
    super::postgres::spoil(&world, "repo", |lines| &lines[0]);
    let commands = section("5.");
    let [verify_all, copy_back, verify_latest] = &commands[..] else { panic!("{commands:?}") };
    let (code, said) = shell.run(verify_all, "");
    assert_eq!(code, 4, "{said}");
    for command in [copy_back, verify_latest] {
        let (code, said) = shell.run(command, "");
        assert_eq!(code, 0, "{command}: {said}");
    }

    std::fs::rename(world.path("repo"), world.path("gone")).unwrap();
    shell.all("1.", "", &["complete, copy", "hashed"]);
    let reads = format!("is read from {second}");
    shell.all("2.", &target.password, &[&reads, "it may hold a newer backup", "there is no repository"]);
    world.assert_same(&target);

    // The copy becomes the first one.
    let policy = std::fs::read_to_string(world.path("keys/policy.yaml")).unwrap();
    let from = policy.find("  - url: ").unwrap();
    let to = from + policy[from..].find(&format!("  - url: \"{second}\"")).unwrap();
    std::fs::write(world.path("keys/policy.yaml"), format!("{}{}", &policy[..from], &policy[to..])).unwrap();
    shell.all("3.", password, &["a backup can run", "complete backup in", &second]);

    edit(&world, "\n  keys:", &format!("\n  - url: {new}\n  keys:"));
    let commands = section("4.");
    let (code, said) = shell.run(&commands[0], "");
    assert_eq!(code, 0, "{said}");
    let id = said.lines().find_map(|line| line.split_once(" id: ")).unwrap().1.split(';').next().unwrap().to_owned();
    edit(&world, &format!("- url: {new}"), &format!("- url: {new}\n    id: {id}"));
    for command in &commands[1..] {
        let (code, said) = shell.run(command, "");
        assert_eq!(code, 0, "{command}: {said}");
        assert!(said.contains(&new), "{command}: {said}");
    }
    let (_, listed) = shell.run("lifeboat list -f $POLICY", "");
    assert!(
        listed.contains(&format!("copies in {new}: 2 of the backups")) && listed.contains("none is missing"),
        "{listed}"
    );
}
