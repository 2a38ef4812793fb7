//! `lifeboat keys` as a person types it.

use lifeboat::config::load_trust;
use lifeboat::model::{Level, Role, RunId, Statement};
use lifeboat::repository::{SigningKey, generate_identity, peek};

use super::chain::HOUR;
use crate::support::forge::Forge;
use crate::support::local::{Said, objects};
use crate::support::person::Person;
use crate::support::play::set_time;
use crate::support::repository::noise;

/// A repository in a folder, pins in `trust.yaml`, the operator's key beside it.
pub struct Desk {
    pub forge: Forge,
}

impl Desk {
    pub async fn new() -> Self {
        let forge = Forge::new().await;
        for (role, key) in &forge.fixture.keys {
            std::fs::write(forge.path(&format!("{role}.key")), key.to_pem().expose()).unwrap();
        }
        Self { forge }
    }

    /// Words without spaces.
    fn say(&self, line: &str) -> Said {
        self.forge.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// A change by the operator, after which everybody pins what was written out.
    #[track_caller]
    fn change(&mut self, line: &str) -> Said {
        let said = self.say(&format!("keys {line} --signing-key operator.key --write-trust next.yaml --yes")).exits(0);
        std::fs::rename(self.forge.path("next.yaml"), self.forge.path("trust.yaml")).unwrap();
        self.forge.fixture.trust = load_trust(&self.forge.path("trust.yaml")).unwrap();
        said
    }

    /// From a folder that `rotate` wrote.
    fn use_writer(&mut self, folder: &str) {
        self.forge.fixture.writer_pem = std::fs::read_to_string(self.forge.path(folder).join("writer.key")).unwrap();
    }

    fn use_dedup(&mut self, folder: &str) {
        let text = std::fs::read_to_string(self.forge.path(folder).join("dedup.key")).unwrap();
        self.forge.fixture.dedup = lifeboat::repository::DedupKey::parse(&text).unwrap();
    }

    pub async fn backup(&self, n: u64) -> RunId {
        let streams = [("globals", noise(n, 100)), ("db/shop", noise(1, 30_000))];
        self.forge.fixture.backup(&self.forge.fixture.store, &streams).await.unwrap().manifest.run
    }

    fn public(&self, role: Role) -> String {
        self.forge.fixture.keys[&role].public().to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_one_after_the_other_and_all_backups_stay() {
    let mut desk = Desk::new().await;
    let mut runs = vec![desk.backup(0).await];
    desk.change("rotate writer --generate-keys w").says("ed25519:");
    desk.use_writer("w");
    runs.push(desk.backup(1).await);
    desk.change("rotate dedup --generate-keys d").says("keys.dedup: {file: d/dedup.key}");
    desk.use_dedup("d");
    runs.push(desk.backup(2).await);
    let joins = generate_identity();
    desk.change(&format!("add recipient {}", joins.recipient)).says("sealed anew");
    runs.push(desk.backup(3).await);
    // The other one of the first two goes; the identity that is left is the escrow key.
    let gone = desk.forge.fixture.trust.recipients[1].clone();
    desk.change(&format!("remove recipient {gone}")).says("removed");
    runs.push(desk.backup(4).await);
    desk.say("list").exits(0);
    desk.say("verify all --level opened").exits(0);
    for (n, run) in runs.iter().enumerate() {
        let bytes = desk.forge.run(&["cat", &run.to_string(), "postgres", "globals"]).exits(0);
        assert_eq!(bytes.out.len(), String::from_utf8_lossy(&noise(n as u64, 100)).len(), "{run}");
    }
    let list = desk.say("keys list").exits(0);
    assert_eq!(list.out.matches("NOT PINNED").count(), 0, "{}", list.out);
    assert!(list.out.contains("retired") && list.out.contains(&joins.recipient), "{}", list.out);
    let json: serde_json::Value = serde_json::from_str(&desk.say("keys list --json").exits(0).out).unwrap();
    assert_eq!(json["repositories"][0]["chain"].as_array().unwrap().len(), 5);
    let modes = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(desk.forge.path("w/writer.key")).unwrap().permissions(),
    );
    assert_eq!(modes & 0o777, 0o600);
}

/// Old pins are refused until they are changed, and the list says what to change.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_old_pins_is_told_what_differs() {
    let desk = Desk::new().await;
    desk.backup(0).await;
    let new = generate_identity().recipient;
    let said = desk.say(&format!("keys add recipient {new} --signing-key operator.key --yes")).exits(0);
    for line in ["policy.yaml  spec.keys.recipients", "trust.yaml   spec.recipients", "trust.yaml   spec.dedup"] {
        assert!(said.out.contains(line), "{}", said.out);
    }
    desk.say("list").exits(12).says("which is not pinned").says("lifeboat keys list");
    desk.say("keys list").exits(12).says(&new).says("NOT PINNED");
    // Asked again, nothing is left to do, whatever the pins say.
    desk.say(&format!("keys add recipient {new} --signing-key operator.key --yes"))
        .exits(5)
        .says("is a recipient already");
    // But nothing else is built on a configuration that is not pinned.
    desk.say("keys rotate writer --generate-keys w --signing-key operator.key")
        .exits(12)
        .says("differs from what is pinned");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_and_nothing_is_written() {
    let desk = Desk::new().await;
    desk.backup(0).await;
    let before = desk.forge.snapshot();
    let [first, second] = [0, 1].map(|n| desk.forge.fixture.trust.recipients[n].clone());
    let (writer, prover) = (desk.public(Role::Writer), desk.public(Role::Prover));
    let stranger = SigningKey::generate().unwrap();
    std::fs::write(desk.forge.path("stranger.key"), stranger.to_pem().expose()).unwrap();
    std::fs::write(desk.forge.path("there.yaml"), "").unwrap();
    let (stranger, new) = (stranger.public(), generate_identity().recipient);
    let operator = "--signing-key operator.key";
    let cases: Vec<(String, i32, String)> = vec![
        (format!("add recipient {first} {operator}"), 5, "is a recipient already".into()),
        (format!("remove recipient {new} {operator} --yes"), 5, format!("it has {first}, {second}")),
        (format!("remove recipient {first} {operator} --yes"), 5, "one recipient would be left".into()),
        (format!("remove writer {writer} {operator}"), 5, "the only current writer's key".into()),
        (format!("remove writer {prover} {operator}"), 5, format!("hint: it has {writer}")),
        (format!("add writer {writer} {operator}"), 5, "a current writer's key already".into()),
        (format!("add writer {prover} {operator}"), 12, "is the prover's key, and each role has".into()),
        (format!("rotate prover {writer} {operator}"), 12, "is the writer's key".into()),
        (format!("rotate prover {} {operator}", desk.public(Role::Operator)), 12, "is the operator's key".into()),
        (format!("rotate writer {writer} {operator}"), 5, "a current writer's key already".into()),
        (
            "rotate writer --generate-keys w --signing-key writer.key".into(),
            12,
            "this is the writer's key, not the operator's".into(),
        ),
        (
            "rotate writer --generate-keys w --signing-key stranger.key".into(),
            12,
            format!("not the operator's key that is pinned: {stranger}"),
        ),
        ("rotate writer --generate-keys w".into(), 12, "whose key was not given".into()),
        (format!("rotate dedup --generate-keys w {operator}"), 5, "store everything anew, 1 MB".into()),
        (format!("rotate writer --generate-keys . {operator}"), 5, "writer.key exists already".into()),
        (
            format!("rotate writer --generate-keys w --write-trust there.yaml {operator}"),
            5,
            "there.yaml exists already".into(),
        ),
        (format!("rotate writer {operator}"), 2, "required".into()),
        (format!("rotate writer nowhere.key {operator}"), 12, "cannot use the key in nowhere.key".into()),
        (format!("rotate dedup writer.key {operator} --yes"), 12, "cannot use the dedup key".into()),
        (format!("add writer {first} {operator}"), 2, "not a key".into()),
        (format!("add recipient {writer} {operator}"), 2, "not a recipient".into()),
        (format!("add writer {stranger} {operator} --expires tomorrow"), 2, "2027-01-31".into()),
        (format!("rotate operator {stranger} {operator}"), 2, "invalid value 'operator'".into()),
    ];
    for (line, code, words) in cases {
        eprintln!("{line}");
        desk.say(&format!("keys {line}")).exits(code).says(&words);
        assert!(desk.forge.snapshot() == before, "{line} wrote something");
        assert!(!desk.forge.path("w").exists(), "{line} made a key");
    }
    // Nobody signs a trial, so it asks for no key.
    let plan = desk.say("keys rotate writer --generate-keys w --dry-run").exits(0).says("(the new key) added");
    assert!(plan.out.contains("nothing was changed") && !desk.forge.path("w").exists(), "{}", plan.out);
    desk.say("keys rotate dedup --generate-keys w --dry-run").exits(0).says("(a new id)").says("store everything anew");
    assert!(desk.forge.snapshot() == before);
    // Unpinned it can be looked at, and not changed.
    desk.forge.run_unpinned(&["keys", "list"]).exits(0).says("it vouches for itself");
    desk.forge
        .run_unpinned(&["keys", "rotate", "writer", "--generate-keys", "w", "--signing-key", "operator.key"])
        .exits(12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_date_is_warned_of_and_then_signs_nothing() {
    let mut desk = Desk::new().await;
    desk.backup(0).await;
    std::fs::write(desk.forge.path("new.key"), SigningKey::generate().unwrap().to_pem().expose()).unwrap();
    let soon = (lifeboat::clock::system().now() + std::time::Duration::from_secs(10 * 24 * 3600)).to_string();
    desk.change(&format!("rotate prover new.key --expires {soon}")).says("expires at");
    desk.say("keys list").exits(0).says("warning").says("in 9 days: then it signs nothing new");
    desk.say("verify latest --level hashed --signing-key new.key").exits(0).says("hashed");
    let newer = SigningKey::generate().unwrap();
    std::fs::write(desk.forge.path("newer.key"), newer.to_pem().expose()).unwrap();
    desk.change(&format!("add prover {} --expires 2026-01-01", newer.public()));
    desk.say("keys list").exits(0).says("expired on 2026-01-01: it signs nothing new");
    let refused = desk.say("verify latest --level hashed --signing-key newer.key").exits(12);
    refused.says("this prover's key expired on 2026-01-01").says("hint: lifeboat keys rotate prover");
    desk.change(&format!(
        "remove prover {}",
        SigningKey::from_pem(&std::fs::read_to_string(desk.forge.path("new.key")).unwrap()).unwrap().public()
    ));
    desk.say("verify latest --level hashed --signing-key new.key").exits(12).says("it is retired");
    // What they signed still counts.
    desk.say("list").exits(0).says("hashed");
}

/// The thief of a retired prover's key proves nothing; what it proved in its time stays proved.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_proof_raises_no_level() {
    let mut desk = Desk::new().await;
    let run = desk.backup(0).await;
    desk.say("verify latest --level present --signing-key prover.key").exits(0);
    desk.change("rotate prover --generate-keys p");
    let proofs = |desk: &Desk| -> Vec<String> {
        objects(&desk.forge.path("repo")).into_iter().filter(|key| key.contains("/proofs/")).collect()
    };
    let stored = peek::<Statement>(&desk.forge.read(&proofs(&desk)[0])).unwrap().document;
    let mut forged = stored.clone();
    forged.predicate.id = lifeboat::clock::system().ulid().into();
    for capture in &mut forged.predicate.captures {
        capture.reached = Some(Level::Restored);
    }
    let name = format!("backups/shop/{run}/proofs/{}.json", forged.predicate.id);
    desk.forge.write(&name, &desk.forge.sign(&forged, Role::Prover));
    let now = lifeboat::clock::system().now();
    set_time(&desk.forge.object(&name), now + 80 * HOUR);
    desk.say("list").exits(0).says("present").says("is no valid proof of this backup");
    // In time, by the store's clock, it cannot be told from one that was being made when the key was retired.
    set_time(&desk.forge.object(&name), now + 70 * HOUR);
    desk.say("list").exits(0).says("restored");
}

/// A policy that pins, and a person who changes it first.
#[test]
fn the_policy_may_be_changed_first_and_dates_are_told_where_backups_run() {
    let person = Person::new(Vec::new());
    person.say("init one --generate-keys keys").exits(0);
    // The policy alone pins: no dedup pin, which could only follow.
    std::fs::remove_file(person.path("keys/trust.yaml")).unwrap();
    let new = generate_identity().recipient;
    let policy = person.read("keys/policy.yaml");
    person
        .write("keys/policy.yaml", policy.replacen("    recipients:\n", &format!("    recipients:\n    - {new}\n"), 1));
    person.say("backup -f keys").exits(12).says(&format!("it lacks {new}"));
    let operator = "-f keys --signing-key keys/operator.key";
    person.say(&format!("keys add recipient {new} {operator} --expires 2026-01-31")).exits(0);
    let check = person.say("check -f keys");
    assert!(check.out.contains("the writer's key and the dedup key are those"), "{}", check.out);
    assert!(check.out.contains(&format!("{new} expired on 2026-01-31")), "{}", check.out);
    let backup = person.say("backup -f keys");
    assert!(backup.out.contains("expired on 2026-01-31"), "{}{}", backup.out, backup.err);

    let dated = SigningKey::generate().unwrap();
    std::fs::create_dir(person.path("w")).unwrap();
    person.write("w/writer.key", dated.to_pem().expose().clone());
    let dated = dated.public().to_string();
    person.say(&format!("keys add writer {dated} --expires 2026-02-01 {operator}")).exits(0);
    let policy = person.read("keys/policy.yaml").replace("{file: writer.key}", "{file: ../w/writer.key}");
    let report = person.say("keys list -f keys --json");
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    let keys = report["repositories"][0]["keys"].as_array().unwrap();
    assert!(keys.iter().any(|one| one["key"] == dated.as_str() && one["status"] == "current"), "{report}");
    let policy = policy.replacen("      writer: [", &format!("      writer: [\"{dated}\", "), 1);
    person.write("keys/policy.yaml", policy);
    let said = person.say("backup -f keys").exits(12);
    said.says("this writer's key expired on 2026-02-01").says("lifeboat keys rotate writer");
}

/// A policy's repositories change together: one dedup pin serves all of them.
#[test]
fn all_repositories_of_a_policy_change_and_one_that_was_left_out_follows() {
    let person = Person::new(Vec::new());
    person.say("init one --generate-keys keys").exits(0);
    let two = format!("file://{}", person.path("two").display());
    let policy = person.read("keys/policy.yaml").replacen("  keys:\n", &format!("  - url: {two}\n  keys:\n"), 1);
    person.write("keys/policy.yaml", policy);
    let made = person.say("init two -f keys --signing-key keys/operator.key --json").exits(0);
    let made: serde_json::Value = serde_json::from_str(&made.out).unwrap();
    let id = made["repository"].as_str().unwrap();
    let policy =
        person.read("keys/policy.yaml").replacen(&format!("url: {two}\n"), &format!("url: {two}\n    id: {id}\n"), 1);
    person.write("keys/policy.yaml", policy);
    let trust =
        person.read("keys/trust.yaml").replacen("  repositories:\n", &format!("  repositories:\n  - {id}\n"), 1);
    person.write("keys/trust.yaml", trust);

    let operator = "-f keys --signing-key keys/operator.key";
    // One of them cannot be reached: nothing happens to the other.
    std::fs::rename(person.path("two"), person.path("away")).unwrap();
    person.say(&format!("keys rotate dedup --generate-keys new {operator}")).exits(10);
    assert!(!person.path("new").exists());
    assert_eq!(std::fs::read_dir(person.path("one/config")).unwrap().count(), 1);
    std::fs::rename(person.path("away"), person.path("two")).unwrap();
    // One of them alone, then both: the other one gets the same key under the same name.
    let one = person.path("one").display().to_string();
    person.say(&format!("keys rotate dedup --generate-keys new {operator} --repository {one}")).exits(0);
    let both = person.say(&format!("keys rotate dedup new/dedup.key {operator} --write-trust next.yaml")).exits(0);
    both.says("was changed before");
    person.write("keys/trust.yaml", person.read("next.yaml"));
    let list = person.say("keys list -f keys --json").exits(0);
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    let dedup = |n: usize| list["repositories"][n]["dedup"]["id"].as_str().unwrap().to_owned();
    assert_eq!((dedup(0), list["repositories"][1]["dedup"]["pinned"]["trust"].as_bool()), (dedup(1), Some(true)));
    // The policy's writer has the old key still.
    let check = person.say("check -f keys");
    check.exits(5).says("the dedup key is not that of this repository");
    let policy = person.read("keys/policy.yaml").replace("{file: dedup.key}", "{file: ../new/dedup.key}");
    person.write("keys/policy.yaml", policy);
    person.say("check -f keys").says("the writer's key and the dedup key are those of the repository");
}

/// Where backups run, a rotated-out key is refused before anything is asked of the source.
#[test]
fn a_rotated_out_writer_is_refused_and_the_new_one_taken() {
    let person = Person::new(Vec::new());
    person.say("init one --generate-keys keys").exits(0);
    person
        .say("keys rotate writer --generate-keys new -f keys --signing-key keys/operator.key --write-trust next.yaml")
        .exits(0);
    person.say("backup -f keys").exits(12).says("it is retired").says("lifeboat keys list");
    let policy = person.read("keys/policy.yaml").replace("{file: writer.key}", "{file: ../new/writer.key}");
    person.write("keys/policy.yaml", policy.clone());
    person.say("backup -f keys").exits(12).says("is not pinned");
    let next = person.read("next.yaml");
    let keys: Vec<&str> = next.lines().filter(|line| line.contains("ed25519:")).collect();
    let new =
        keys.iter().find(|line| !policy.contains(line.trim_start_matches("  - "))).unwrap().trim_start_matches("  - ");
    person.write("keys/policy.yaml", policy.replacen("      writer: [", &format!("      writer: [\"{new}\", "), 1));
    person.write("keys/trust.yaml", next);
    // Only the source is missing now.
    person.say("check -f keys").says("the writer's key and the dedup key are those of the repository");
    let said = person.say("backup -f keys");
    assert_ne!(said.code, 12, "{}", said.err);
}

/// A new key that is expired already would take the old one out of service and put none in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_has_gone_by_is_refused() {
    let desk = Desk::new().await;
    let rotate = "keys rotate writer --generate-keys n --expires 2020-01-01 --signing-key operator.key";
    desk.say(rotate).exits(2).says("has gone by");
    assert!(!desk.forge.path("n").exists());
}

/// A trust file that is written after two changes must not forget the first one.
#[tokio::test(flavor = "multi_thread")]
async fn a_trust_file_that_would_lack_a_current_key_is_not_written() {
    let desk = Desk::new().await;
    let rotate = |role: &str, more: &str| {
        desk.say(&format!("keys rotate {role} --generate-keys {role}-new --signing-key operator.key {more}"))
    };
    rotate("writer", "").exits(0);
    rotate("prover", "--write-trust new-trust.yaml").exits(5).says("a current key that the pins lack: ed25519:");
    assert!(!desk.forge.path("new-trust.yaml").exists() && !desk.forge.path("prover-new").exists());
}
