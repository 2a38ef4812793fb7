//! `docs/guides/keys.md` is done, line by line, as it stands there.

use std::process::{Command, Stdio};

use lifeboat::repository::generate_identity;

use crate::support::local::Said;
use crate::support::person::Person;

const GUIDE: &str = include_str!("../../../docs/guides/keys.md");

/// The line of the guide that begins so, without its comment.
fn line(begin: &str) -> &'static str {
    let line = GUIDE.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no line `{begin}`"));
    line.split("  #").next().unwrap().trim_end()
}

struct Reader(Person);

impl Reader {
    /// In the folder of the keys, with the guide's variables.
    fn types(&self, lines: &[&str]) -> Said {
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_lifeboat")).parent().unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let script = [&["set -e", line("POLICY="), line("SIGN=")], lines].concat().join("\n");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(self.0.path("keys")).env("PATH", path).env("PGPASSWORD", "none");
        Said::of(command.stdin(Stdio::null()).output().unwrap())
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.0.read(file);
        assert!(text.contains(from), "{file} has no `{from}`");
        self.0.write(file, text.replacen(from, to, 1));
    }

    /// What a person copies out of the lines to change.
    fn copied(said: &Said, field: &str) -> String {
        let line =
            said.out.lines().find(|line| line.contains(field)).unwrap_or_else(|| panic!("{field} in {}", said.out));
        line.split_whitespace().last().unwrap().to_owned()
    }

    /// The writer's key and the pins are right.
    fn works(&self) {
        let check = self.types(&[line("lifeboat check")]);
        check.says("the writer's key and the dedup key are those of the repository");
    }
}

#[test]
fn each_step_of_the_guide_does_what_it_says() {
    let reader = Reader(Person::new(Vec::new()));
    reader.0.say("init one --generate-keys keys").exits(0);
    let list = reader.types(&[line("lifeboat keys list")]).exits(0);
    let old = list.out.lines().find(|line| line.trim_start().starts_with("writer ")).unwrap();
    let old = old.split_whitespace().nth(1).unwrap().to_owned();

    let added = reader.types(&[line("openssl genpkey"), line("NEW="), line("lifeboat keys add writer")]).exits(0);
    let new = Reader::copied(&added, "spec.keys.trusted.writer");
    reader.works();
    let pin = |new: &str| {
        reader.edit("keys/policy.yaml", "      writer: [", &format!("      writer: [\"{new}\", "));
    };
    pin(&new);
    reader.edit("keys/trust.yaml", "  writer:\n", &format!("  writer:\n  - {new}\n"));
    reader.works();
    reader.edit("keys/policy.yaml", "{file: writer.key}", "{file: writer-2.key}");
    reader.works();
    reader.types(&[&line("lifeboat keys remove writer").replace("ed25519:OLD", &old)]).exits(0).says("retired");
    reader.works();

    let rotated = reader.types(&[line("lifeboat keys rotate writer")]).exits(0);
    pin(&Reader::copied(&rotated, "spec.keys.trusted.writer"));
    reader.types(&[line("mv new-trust.yaml")]).exits(0);
    reader.edit("keys/policy.yaml", "{file: writer-2.key}", "{file: new/writer.key}");
    reader.works();

    let joins = generate_identity().recipient;
    reader
        .types(&[&line("lifeboat keys add recipient").replace("age1...", &joins), line("mv new-trust.yaml")])
        .exits(0);
    reader.edit("keys/policy.yaml", "    recipients:\n", &format!("    recipients:\n    - {joins}\n"));
    reader.works();

    reader.types(&[line("lifeboat keys rotate dedup"), line("mv new-trust.yaml")]).exits(0);
    reader.edit("keys/policy.yaml", "{file: dedup.key}", "{file: new/dedup.key}");
    reader.works();
    let list = reader.types(&[line("lifeboat keys list")]).exits(0);
    assert!(!list.out.contains("NOT PINNED") && !list.out.contains("warning"), "{}", list.out);
}
