//! Two operators at the same moment, and the way out of a fork, on every driver and server.

use lifeboat::model::{PublicKey, Role};
use lifeboat::repository::{KeyChange, Repository, RepositoryError, layout, sign};

use crate::support::person::Person;
use crate::support::repository::{Fixture, noise};
use crate::support::servers::place::{Pair, Place, on_every_pair};
use crate::support::servers::s3::Kind;

fn added(n: u8) -> KeyChange {
    KeyChange::AddKey { role: Role::Writer, key: PublicKey([n; 32]), expires: None }
}

/// Each with a client of its own.
async fn opened(fixture: &Fixture, place: &Place) -> Result<Repository, RepositoryError> {
    Repository::open(place.store().await, Some(fixture.trust.clone())).await
}

async fn one_wins(pair: Pair, kind: Kind) {
    let place = pair.place(kind).await;
    let fixture = Fixture::in_store(place.store().await, 9).await;
    fixture.backup(&place.store().await, &[("globals", noise(1, 100))]).await.unwrap();
    for round in 1..=4u8 {
        // Both have looked before either writes.
        let looked = [opened(&fixture, &place).await.unwrap(), opened(&fixture, &place).await.unwrap()];
        let [one, other] = &looked;
        let configure = async |repository: &Repository, n: u8| {
            let mut next = repository.chain().last().unwrap().next(fixture.cx.clock.now());
            added(n).apply(&mut next).unwrap();
            repository.configure(&next, &fixture.keys[&Role::Operator]).await
        };
        let (one, other) = tokio::join!(configure(one, 10 + round), configure(other, 20 + round));
        let won = [&one, &other].into_iter().filter(|result| result.is_ok()).count();
        assert_eq!(won, 1, "{} {kind:?}: {one:?} {other:?}", pair.name());
        let lost = one.err().or(other.err()).unwrap();
        assert!(matches!(lost, RepositoryError::Overtaken { .. }), "{}: {lost}", pair.name());
        assert_eq!(opened(&fixture, &place).await.unwrap().chain().len(), usize::from(round) + 1, "{}", pair.name());
    }
    assert_eq!(fixture.backups().await.len(), 1);
}

async fn a_marker_decides(pair: Pair) {
    let place = pair.place(Kind::Versioned).await;
    let fixture = Fixture::in_store(place.store().await, 9).await;
    let tip = opened(&fixture, &place).await.unwrap().chain()[0].clone();
    let mut keys = Vec::new();
    for n in [1, 2] {
        let mut next = tip.next(fixture.cx.clock.now());
        next.id = fixture.cx.clock.ulid().into();
        added(n).apply(&mut next).unwrap();
        keys.push(layout::config(next.id));
        place.put(layout::config(next.id).as_str(), sign(&next, &fixture.keys[&Role::Operator]).unwrap()).await;
    }
    let forked = opened(&fixture, &place).await.unwrap_err();
    assert!(matches!(forked, RepositoryError::Forked { .. }), "{}: {forked}", pair.name());
    place.delete(keys[1].as_str()).await;
    assert_eq!(opened(&fixture, &place).await.unwrap().chain().last().unwrap().key(), keys[0], "{}", pair.name());
    place.delete(keys[0].as_str()).await;
    let forked = opened(&fixture, &place).await.unwrap_err();
    assert!(matches!(forked, RepositoryError::Forked { .. }), "{}: {forked}", pair.name());
}

/// The verb itself, with a person's own credentials.
async fn typed(pair: Pair) {
    let place = pair.place(Kind::Versioned).await;
    let person = Person::new(place.environment());
    let url = place.url().to_string();
    person.run(&["init", &url, "--generate-keys", "keys"]).exits(0);
    person
        .say("keys rotate dedup --generate-keys new -f keys --signing-key keys/operator.key --write-trust next.yaml")
        .exits(0);
    person.write("keys/trust.yaml", person.read("next.yaml"));
    person.say("keys list -f keys").exits(0).says("a new one");
    person.say("keys add prover ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg= -f keys --signing-key keys/writer.key").exits(12);
}

async fn tried(pair: Pair) {
    for kind in [Kind::Plain, Kind::Versioned] {
        one_wins(pair, kind).await;
    }
    a_marker_decides(pair).await;
    typed(pair).await;
}

on_every_pair!(tried);
