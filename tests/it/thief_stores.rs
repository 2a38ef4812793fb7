//! Every driver on every server: a repository in a plain bucket works as ever, and in a bucket with versions whatever is
//! overwritten or deleted is read as it was.

use lifeboat::context::Context;
use lifeboat::model::Level;
use lifeboat::verify::{Request, verify};

use crate::support::repository::{Fixture, noise};
use crate::support::servers::place::{Pair, Place, on_every_pair};
use crate::support::servers::s3::Kind;

async fn repository(place: &Place) -> (Fixture, bytes::Bytes) {
    let fixture = Fixture::in_store(place.store().await, 9).await;
    let data = noise(5, 900_000);
    for _ in 0..2 {
        fixture.backup(&place.store().await, &[("db/shop", data.clone())]).await.unwrap();
    }
    (fixture, data)
}

async fn holds(fixture: &Fixture, data: &[u8], findings: &[&str], what: &str) {
    let (repository, _) = fixture.open(&fixture.store).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let catalog = repository.catalog(None).await.unwrap();
    assert_eq!((catalog.backups.len(), catalog.invalid.len()), (2, 0), "{what}: {catalog:?}");
    let said: Vec<String> = catalog.findings.iter().map(|finding| finding.message.clone()).collect();
    for words in findings {
        assert!(said.iter().any(|message| message.contains(words)), "{what}: `{words}` in {said:?}");
    }
    assert_eq!(said.is_empty(), findings.is_empty(), "{what}: {said:?}");
    for backup in &catalog.backups {
        let (repository, level) = (&repository, Level::Hashed);
        let request = Request { repository, backup, level, sample: None, identities: None, rehearsal: None };
        let checked = verify(&request, &backup.manifest.sources[0], &Context::silent()).await;
        assert_eq!((checked.reached, checked.problems), (Some(Level::Hashed), vec![]), "{what}");
        assert!(fixture.read(backup, 0).await.unwrap() == data, "{what}");
    }
}

async fn tried(pair: Pair) {
    let place = pair.place(Kind::Plain).await;
    let (fixture, data) = repository(&place).await;
    holds(&fixture, &data, &[], &format!("{}, plain", pair.name())).await;

    let place = pair.place(Kind::Versioned).await;
    let (fixture, data) = repository(&place).await;
    holds(&fixture, &data, &[], &format!("{}, versioned", pair.name())).await;
    for (n, key) in place.list().await.iter().enumerate() {
        if n % 2 == 0 {
            place.put(key, "rubbish").await;
        } else {
            place.delete(key).await;
        }
    }
    let named = ["was overwritten", "has a delete marker over it"];
    holds(&fixture, &data, &named, &format!("{}, spoilt", pair.name())).await;
}

on_every_pair!(tried);
