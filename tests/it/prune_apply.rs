//! `lifeboat prune`, `prune apply`, `undelete` and `hold`, as a person types them, on a directory.

use std::path::Path;

use lifeboat::clock;
use lifeboat::model::{FORMAT, RunId, SweepNote, Timestamp, Tombstone, sha256};
use lifeboat::repository::{SigningKey, layout, sign};

use crate::support::play::{Play, Said, set_time};

const OLD: &str = "01M863G353CNKTVQKMH942EB08";
const NEW: &str = "01M863G6CWD72J0D93FE304MVA";
const DAY: i64 = 24 * 3600;

/// The old repository, with a collector.
fn play() -> Play {
    let play = Play::old();
    play.edit("keys/policy.yaml", "  objectives:", "  retention: {last: 5}\n  objectives:");
    play
}

impl Play {
    fn prune(&self, more: &str) -> Said {
        self.say(&format!("prune -f keys/policy.yaml {more}"))
    }

    fn apply(&self) -> Said {
        self.say("prune apply plan.json -f keys/policy.yaml --signing-key keys/collector.key")
    }

    fn undelete(&self, more: &str) -> Said {
        self.say(&format!("undelete {more} -f keys/policy.yaml --signing-key keys/collector.key"))
    }

    fn hold(&self, words: &[&str]) -> Said {
        let more = ["-f", "keys/policy.yaml", "--signing-key", "keys/collector.key"];
        self.run(&[&["hold"], words, &more].concat())
    }

    /// What the newer backup holds.
    fn cat(&self) -> Vec<u8> {
        let words = ["cat", NEW, "postgres", "db/shop", "-f", "keys/policy.yaml", "--identity", "keys/identity.txt"];
        let output = self.command(&words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn listed(&self) -> Vec<String> {
        let report = self.json("list -f keys/policy.yaml");
        report["backups"].as_array().unwrap().iter().map(|row| row["run"].as_str().unwrap().to_owned()).collect()
    }

    /// What time does to it: chunks, and one backup, are so much older; that one expired so long ago, and somebody looked.
    fn age(&self, expired: &str, days: i64) {
        let now = clock::system().now();
        let ago = |days: i64| now - jiff::SignedDuration::from_secs(days * DAY);
        let run = files(&self.path(&format!("store/backups/shop/{expired}")));
        for path in files(&self.path("store/data")).into_iter().chain(run) {
            set_time(&path, ago(days + 3));
        }
        let collector = SigningKey::from_pem(&self.read("keys/collector.key")).unwrap();
        let marker: serde_json::Value = serde_json::from_str(&self.read("store/lifeboat.json")).unwrap();
        let repository: lifeboat::model::RepositoryId = marker["repository"].as_str().unwrap().parse().unwrap();
        let (policy, run): (_, RunId) = ("shop".parse().unwrap(), expired.parse().unwrap());
        let manifest = std::fs::read(self.path(&format!("store/backups/shop/{expired}/manifest.json"))).unwrap();
        let id = clock::system().ulid().into();
        let tombstone = Tombstone {
            format: FORMAT,
            repository,
            policy,
            run,
            manifest_sha256: sha256(&manifest),
            rule: "last: 1 is newer".into(),
            signed: ago(days),
        };
        let policy = tombstone.policy.clone();
        self.store(layout::tombstone(&policy, run, id).as_str(), &sign(&tombstone, &collector).unwrap(), ago(days));
        let note = SweepNote { format: FORMAT, repository, policy: policy.clone(), id, signed: ago(2) };
        self.store(layout::sweep(&policy, id).as_str(), &sign(&note, &collector).unwrap(), ago(2));
    }

    fn store(&self, key: &str, body: &[u8], time: Timestamp) {
        let path = self.path("store").join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, body).unwrap();
        set_time(&path, time);
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn a_backup_is_given_up_and_undeleted() {
    let play = play();
    let before = play.tree();
    let said = play.prune("--expire 01M863G35");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains(&format!("expire: 1 backup; 1 kept\n  {OLD}")), "{}", said.out);
    assert!(said.out.contains("asked: given up by --expire"), "{}", said.out);
    assert_eq!(play.tree(), before, "a plan changes nothing");
    assert_eq!(play.prune(&format!("--expire {OLD} --out plan.json")).code, 0);
    let said = play.apply();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out.contains(&format!("expired: 1 backup; `lifeboat undelete` lists one again, within six days\n  {OLD}")),
        "{}",
        said.out
    );
    assert_eq!(play.listed(), [NEW]);
    let said = play.say(&format!("show {OLD} -f keys/policy.yaml"));
    assert!(said.code == 2 && said.err.contains("has expired") && said.err.contains("undelete --list"), "{}", said.err);
    let said = play.undelete("--list");
    assert!(said.out.contains(OLD) && said.out.contains("can be undeleted until"), "{}", said.out);
    let again = play.apply();
    assert_eq!(again.code, 2, "{}", again.err);
    assert!(again.err.contains("has expired already"), "{}", again.err);
    let said = play.undelete("01M863G3");
    assert_eq!(
        (said.code, said.out.as_str()),
        (
            0,
            format!(
                "{OLD} is listed again, and held: it does not expire until `lifeboat hold remove {OLD}`\n\
                 every object of it is there\n"
            )
            .as_str()
        ),
        "{}",
        said.err
    );
    assert_eq!(play.listed(), [NEW, OLD]);
    // The same plan once more, as a job that is tried again does it: the hold is stronger.
    let again = play.apply();
    assert!(again.code == 5 && again.err.contains("a hold lies on"), "{}", again.err);
    let said = play.undelete(OLD);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("no backup `01M863G353CNKTVQKMH942EB08` has expired"), "{}", said.err);
}

#[test]
fn not_every_backup_can_be_given_up() {
    let play = play();
    let said = play.prune(&format!("--expire {NEW}"));
    assert!(said.code == 0 && said.out.contains("is the newest backup, and --expire gives it up"), "{}", said.out);
    let said = play.prune(&format!("--expire {NEW} --expire {OLD}"));
    assert!(said.code == 5 && said.err.contains("none would be left"), "{}", said.err);
}

/// Another key, or no time, says nothing of the backup: it must not look as if it were damaged, and expire for it.
#[test]
fn what_could_not_be_verified_leaves_no_proof() {
    let play = play();
    let proofs = || play.json("proof list -f keys/policy.yaml")["proofs"].as_array().unwrap().len();
    let before = proofs();
    let other = lifeboat::repository::generate_identity();
    play.write("other.txt", other.file.expose());
    let said = play.say("verify all --level opened -f keys/policy.yaml --identity other.txt");
    assert_eq!(said.code, 12, "{}", said.out);
    assert!(said.out.contains("no proof written: it was not found damaged"), "{}", said.out);
    assert_eq!(proofs(), before);
    let explained = play.say("prune --explain -f keys/policy.yaml");
    assert!(!explained.out.contains("FAILED its newest proof"), "{}", explained.out);
}

#[test]
fn what_is_dead_goes_and_the_rest_can_be_restored() {
    let play = play();
    let whole = play.cat();
    play.age(OLD, 10);
    let before = files(&play.path("store")).len();
    let said = play.prune("--out plan.json");
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("and the folders of 1 run; dead at"), "{}", said.out);
    let report: serde_json::Value = serde_json::from_str(&play.read("plan.json")).unwrap();
    let (objects, bytes) =
        (report["collect"]["objects"].as_u64().unwrap(), report["collect"]["bytes"].as_u64().unwrap());
    assert!(objects > 0 && bytes > 0, "{report}");
    let said = play.apply();
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("with the folders of 1 run"), "{}", said.out);
    let after = files(&play.path("store")).len();
    assert!(after as u64 <= before as u64 - objects, "{before} {after}");
    assert!(files(&play.path(&format!("store/backups/shop/{OLD}"))).is_empty());
    assert_eq!(play.cat(), whole);
    assert_eq!(play.say("verify all --level hashed -f keys/policy.yaml").code, 0);
    let late = play.undelete(OLD);
    assert!(late.code == 5 && late.err.contains("what it needs may be gone already"), "{}", late.err);
    assert!(late.err.contains("lifeboat hold add"), "{}", late.err);
    let said = play.prune("");
    assert!(said.out.contains("delete: nothing was dead at"), "{}", said.out);
}

#[test]
fn more_than_half_of_everything_wants_to_be_said() {
    let play = play();
    play.age(OLD, 10);
    // Chunks of a run that left nothing else.
    let id = "ab".repeat(32);
    let orphan = format!("data/shop.postgres/ab/{id}.01M863G13Z4GG15X4S2ZY6FT3V");
    play.store(&orphan, &[0; 1 << 20], clock::system().now() - jiff::SignedDuration::from_secs(20 * DAY));
    assert_eq!(play.prune("--out plan.json").code, 0);
    let before = play.tree();
    let said = play.apply();
    assert_eq!(said.code, 5, "{}", said.out);
    assert!(said.err.contains("% of all bytes would be deleted, more than 50 %") && said.err.contains("--yes-delete"));
    assert_eq!(play.tree(), before);
    let said = play.say("prune apply plan.json -f keys/policy.yaml --signing-key keys/collector.key --yes-delete");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!play.path("store").join(orphan).exists());
}

/// In a directory a clock that jumps makes everything old: what goes was dead at two looks, a day apart.
#[test]
fn in_a_directory_somebody_must_have_looked_before() {
    let play = play();
    play.age(OLD, 10);
    std::fs::remove_dir_all(play.path("store/expired/shop/sweeps")).unwrap();
    let said = play.prune("--out plan.json");
    assert!(said.out.contains("delete: nothing yet") && said.out.contains("must be found dead twice"), "{}", said.out);
    let data = files(&play.path("store/data")).len();
    assert_eq!(play.apply().code, 0);
    assert_eq!(files(&play.path("store/data")).len(), data);
    assert_eq!(files(&play.path("store/expired/shop/sweeps")).len(), 1, "it was noted that somebody looked");
    assert_eq!(play.prune("--out plan.json").code, 0);
    assert_eq!(play.apply().code, 0);
    assert_eq!(files(&play.path("store/expired/shop/sweeps")).len(), 1, "once a day");
    assert_eq!(files(&play.path("store/data")).len(), data);
}

#[test]
fn a_hold_is_stronger_than_any_rule_or_wish() {
    let play = play();
    let said = play.hold(&["add", OLD, "--reason", "case 4711"]);
    assert_eq!(said.out, format!("{OLD} is held back: it does not expire\n  case 4711\n"), "{}", said.err);
    let said = play.prune(&format!("--expire {OLD}"));
    assert_eq!(said.code, 5, "{}", said.out);
    assert!(said.err.contains("a hold lies on") && said.err.contains("lifeboat hold remove"), "{}", said.err);
    assert_eq!(play.say("hold list -f keys/policy.yaml").out, format!("{OLD}  case 4711\n"));
    let said = play.hold(&["remove", "01M863G353", "--reason", "closed"]);
    assert_eq!(said.out, format!("no hold lies on {OLD} any more: the rules decide\n"), "{}", said.err);
    assert_eq!(play.prune(&format!("--expire {OLD}")).code, 0);
    assert_eq!(play.hold(&["add", NEW]).out, format!("{NEW} is held back: it does not expire\n  no reason given\n"));
    assert_eq!(play.hold(&["remove", NEW]).code, 0);
    let said = play.hold(&["remove", OLD, "--reason", "closed"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("no hold lies on"), "{}", said.err);
    assert_eq!(play.say("hold list -f keys/policy.yaml").out, "nothing of policy shop is held\n");
}

#[test]
fn a_plan_that_is_not_of_now_is_refused_with_the_cure() {
    let play = play();
    assert_eq!(play.prune(&format!("--expire {OLD} --out plan.json")).code, 0);
    let plan = play.read("plan.json");
    let changed = |from: &str, to: &str| {
        assert!(plan.contains(from), "{plan}");
        play.write("plan.json", plan.replace(from, to));
        let said = play.apply();
        (said.code, said.err)
    };
    let at = serde_json::from_str::<serde_json::Value>(&plan).unwrap()["at"].as_str().unwrap().to_owned();
    let yesterday = at.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_hours(25);
    let (code, text) = changed(&at, &yesterday.to_string());
    assert!(code == 5 && text.contains("the plan is 25 h old") && text.contains("lifeboat prune -f"), "{text}");
    let tomorrow = at.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_hours(25);
    let (code, text) = changed(&at, &tomorrow.to_string());
    assert!(code == 5 && text.contains("which clock is wrong"), "{text}");
    let (code, text) = changed("\"policy\": \"shop\"", "\"policy\": \"other\"");
    assert!(code == 5 && text.contains("it is a plan for policy other"), "{text}");
    let (code, text) = changed("\"objects\": 0", "\"objects\": 7");
    assert!(code == 5 && text.contains("7 objects were to be deleted and 0 would be now"), "{text}");
    let (code, text) = changed("PrunePlan", "Policy");
    assert!(code == 2 && text.contains("not a plan of prune"), "{text}");
    let (code, text) = changed("{", "");
    assert!(code == 2 && text.contains("is no plan of prune") && text.contains("--out FILE makes one"), "{text}");
    // A plan that somebody wrote by hand orders nothing: what it says must come out by itself.
    let (code, text) = changed(&format!("\"givenUp\": [\n    \"{OLD}\"\n  ]"), "\"givenUp\": []");
    assert!(code == 5 && text.contains("1 backups were to expire and 0 would now"), "{text}");
    play.write("plan.json", &plan);
    assert_eq!(play.apply().code, 0);
}

#[test]
fn without_the_collectors_key_nothing_is_done() {
    let play = play();
    assert_eq!(play.prune(&format!("--expire {OLD} --out plan.json")).code, 0);
    let before = play.tree();
    let without = play.say("prune apply plan.json -f keys/policy.yaml");
    assert_eq!(without.code, 12, "{}", without.err);
    assert!(
        without.err.contains("names no signing key for the collector") && without.err.contains("collector.key"),
        "{}",
        without.err
    );
    for key in ["writer.key", "prover.key", "operator.key"] {
        let said = play.say(&format!("prune apply plan.json -f keys/policy.yaml --signing-key keys/{key}"));
        assert_eq!(said.code, 12, "{key}: {}", said.err);
        let said = play.say(&format!("undelete {OLD} -f keys/policy.yaml --signing-key keys/{key}"));
        assert_eq!(said.code, 12, "{key}: {}", said.err);
        let said = play.run(&[
            "hold",
            "add",
            OLD,
            "--reason",
            "x",
            "-f",
            "keys/policy.yaml",
            "--signing-key",
            &format!("keys/{key}"),
        ]);
        assert_eq!(said.code, 12, "{key}: {}", said.err);
    }
    assert_eq!(play.tree(), before);
}

/// What cannot be understood stops it; what a person gives up gets its tombstone all the same, which is the way out.
#[test]
fn in_doubt_nothing_is_deleted_and_the_way_out_is_said() {
    let play = play();
    play.age(OLD, 10);
    let manifest = format!("store/backups/shop/{NEW}/manifest.json");
    let body = play.read(&manifest);
    play.write(&manifest, "rubbish");
    let data = files(&play.path("store/data")).len();
    let said = play.prune("--out plan.json");
    assert_eq!(said.code, 5, "{}", said.out);
    assert!(
        said.out.contains("BLOCKED") && said.out.contains(&format!("lifeboat prune --expire {NEW}")),
        "{}",
        said.out
    );
    let said = play.apply();
    assert_eq!(said.code, 5, "{}{}", said.out, said.err);
    assert!(said.out.contains("BLOCKED: nothing was deleted"), "{}", said.out);
    assert_eq!(files(&play.path("store/data")).len(), data);
    assert_eq!(play.prune(&format!("--expire {NEW} --out plan.json")).code, 5);
    let said = play.apply();
    let expired = format!("expired: 1 backup; `lifeboat undelete` lists one again, within six days\n  {NEW}");
    assert!(said.out.contains(&expired), "{}{}", said.out, said.err);
    assert_eq!(files(&play.path("store/data")).len(), data, "its time of grace has only begun");
    // It was a mistake: the manifest is back, and so is the backup.
    play.write(&manifest, body);
    assert_eq!(play.undelete(NEW).code, 0);
}

#[test]
fn rules_that_are_not_known_or_keep_nothing_are_refused() {
    for (rules, says) in [("{lasst: 3}", "last"), ("{}", "keeps any"), ("{last: 0}", "last")] {
        let play = Play::old();
        play.edit("keys/policy.yaml", "  objectives:", &format!("  retention: {rules}\n  objectives:"));
        let said = play.prune("");
        assert_eq!(said.code, 2, "{rules}: {}", said.out);
        assert!(said.err.contains(says), "{rules}: {}", said.err);
    }
    let said = play().prune("--expire 01M863G353CNKTVQKMH942EB09");
    assert!(said.code == 2 && said.err.contains("there is no backup 01M863G353CNKTVQKMH942EB09"), "{}", said.err);
}
