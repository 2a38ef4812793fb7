//! `--reseal`: other people can open the copy, and the old ones can not. Run by a person, who holds the old identity.

use lifeboat::repository::Identities;

use super::{streams, *};
use crate::support::play::{OLD_URL, Play, old};

/// A repository whose recipients are others, and whose dedup key may be, too.
async fn other(first: &Fixture, same_dedup: bool) -> Fixture {
    let store = Store::memory(lifeboat::clock::system());
    let other = Fixture::in_store(Store::memory(lifeboat::clock::system()), 5).await;
    let dedup = if same_dedup { first.dedup.clone() } else { other.dedup.clone() };
    second(&Fixture { dedup, ..other }, store, 6).await
}

async fn reseal(from: &Fixture, backup: &Backup, into: &Fixture) -> Result<Committed, RepositoryError> {
    let (repository, _) = from.open(&from.store).await?;
    let (receiver, writer) = into.open(&into.store).await?;
    let from = CopyFrom { repository: &repository, backup, reseal: Some(from.identities.clone()) };
    receiver.copy(&from, &writer, &into.cx).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resealed_copy_is_opened_by_the_new_identity_only() {
    for same_dedup in [true, false] {
        let first = Fixture::memory().await;
        for seed in [10, 20] {
            first.backup(&first.store, &streams(seed)).await.unwrap();
        }
        let into = other(&first, same_dedup).await;
        let mut stats = Vec::new();
        for original in first.backups().await.iter().rev() {
            // As it is sealed it can not be copied.
            let refused = copy(&first, original, &into, &into.store).await.unwrap_err();
            assert!(matches!(refused, RepositoryError::OtherKeys { .. }), "{refused:?}");
            let made = reseal(&first, original, &into).await.unwrap().manifest;
            assert!(made.origin.as_ref().unwrap().same(&original.original()));
            assert_ne!(made.sources[0].detail.sha256, original.manifest.sources[0].detail.sha256);
            stats.push(made.sources[0].stats);
        }
        assert!(stats[1].reused_chunks > 0, "the second builds on the first: {stats:?}");
        let copies = into.backups().await;
        for (copy, seed) in copies.iter().zip([20, 10]) {
            assert_whole(&into, copy, &streams(seed)).await;
            let old = Fixture { identities: first.identities.clone(), ..into.clone() };
            let error = old.read(copy, 0).await.unwrap_err();
            assert_eq!(error.class, lifeboat::model::FailureClass::Authentication, "{error}");
        }
        // What is proved with the keyed hashes holds with the keys of the receiver.
        let (repository, _) = into.open(&into.store).await.unwrap();
        let entry = &copies[0].manifest.sources[0];
        let request = lifeboat::verify::Request {
            repository: &repository,
            backup: &copies[0],
            level: lifeboat::model::Level::Opened,
            sample: None,
            identities: Some(into.identities.clone()),
            rehearsal: None,
        };
        let checked = lifeboat::verify::verify(&request, entry, &into.cx).await;
        assert_eq!(checked.problems, [], "same dedup key: {same_dedup}");
    }
}

/// Damage in what is opened is damage of the origin; nothing is listed.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_identity_reseals_nothing() {
    let first = Fixture::memory().await;
    first.backup(&first.store, &streams(10)).await.unwrap();
    let original = first.backups().await.remove(0);
    let into = other(&first, true).await;
    let stranger = lifeboat::repository::generate_identity();
    let identities = Arc::new(Identities::parse(stranger.file.expose()).unwrap());
    let error = reseal(&Fixture { identities, ..first.clone() }, &original, &into).await.unwrap_err();
    assert_eq!(error.class(), lifeboat::repository::ErrorClass::Refused, "{error:?}");
    assert!(into.backups().await.is_empty());
}

/// By a person: a new policy with keys of its own takes over what the old repository holds.
#[test]
fn through_the_program() {
    let play = Play::old();
    let folder = play.path("moved");
    let new = format!("file://{}", folder.display());
    play.json(&format!("init {new} --generate-keys new-keys"));
    // The policy of the old one names what was backed up.
    let old_policy = std::fs::read_to_string(old().join("keys/policy.yaml")).unwrap();
    let name = |text: &str| text.lines().find(|line| line.starts_with("metadata:")).unwrap().to_owned();
    let policy = play.read("new-keys/policy.yaml");
    play.edit("new-keys/policy.yaml", &name(&policy), &name(&old_policy));
    assert!(old_policy.contains(OLD_URL));
    let from = format!("-f new-keys/policy.yaml --repository {} --trust keys/trust.yaml", play.url());
    let with = "--identity keys/identity.txt";

    let said = play.say(&format!("copy {from}"));
    assert!(said.code == 12 && said.out.contains("--reseal --identity"), "{}{}", said.out, said.err);
    let said = play.say(&format!("copy {from} --reseal"));
    assert!(said.code == 2 && said.err.contains("--identity FILE"), "{}", said.err);
    let said = play.say(&format!("copy {from} --reseal --identity new-keys/identity.txt"));
    assert!(said.code == 12, "{}{}", said.out, said.err);
    let listed = play.json("list -f new-keys/policy.yaml");
    assert_eq!(listed["backups"], serde_json::json!([]), "nothing was refused half");

    let made = play.json(&format!("copy {from} --reseal {with}"));
    assert_eq!(made["receivers"][0]["copied"].as_array().unwrap().len(), 2, "{made}");
    let there = "-f new-keys/policy.yaml";
    let verified = play.say(&format!("verify all --level opened {there} --identity new-keys/identity.txt"));
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    let before = play.say(&format!("cat latest ledger globals {with} -f keys/policy.yaml"));
    std::fs::remove_dir_all(play.path("store")).unwrap();
    let read = play.say(&format!("cat latest ledger globals {there} --identity new-keys/identity.txt"));
    assert_eq!((read.code, read.out), (0, before.out), "{}", read.err);
    let said = play.say(&format!("cat latest ledger globals {there} {with}"));
    assert!(said.code == 12 && said.out.is_empty(), "{}", said.err);
}
