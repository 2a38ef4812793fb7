//! A backup by somebody who holds the writer's keys and means harm: nothing of it is taken for records.

use bytes::Bytes;
use futures::StreamExt as _;
use lifeboat::model::{SourceStream, StreamItem};
use lifeboat::source::outside::MEDIA_RECORDS;

use crate::support::forge::Forge;
use crate::support::repository::name;

/// A backup whose first stream says that it holds records, without parts.
async fn forged(forge: &Forge, text: &str) {
    let fixture = &forge.fixture;
    let (repository, writer) = fixture.open(&fixture.store).await.unwrap();
    let run = repository.start_run(&name("shop"), fixture.cx.clock.ulid().into()).await.unwrap();
    let mut attempt = fixture.begin(&repository, &run, &writer).await.unwrap();
    let pieces: Vec<_> =
        text.as_bytes().chunks(1 << 20).map(Bytes::copy_from_slice).map(StreamItem::Bytes).map(Ok).collect();
    let items = futures::stream::iter(pieces).boxed();
    attempt.write(SourceStream { name: "dns".into(), media: MEDIA_RECORDS.into(), items }).await.unwrap();
    attempt.finish(fixture.summary()).await.unwrap();
    fixture.commit(&repository, &run, &writer).await.unwrap();
}

fn line(kind: &str, name: &str) -> String {
    format!("{{\"kind\":\"{kind}\",\"name\":\"{name}\",\"ttl\":60}}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_no_records_are_damage() {
    let forge = Forge::new().await;
    let good = line("name", "b");
    forged(&forge, &good).await;
    // Whole in itself, but of it no part was recorded.
    forge.run(&["verify", "latest", "--level", "opened"]).exits(4).says("not those that were captured");
    for (text, words) in [
        ([good.as_str(), &good].concat(), "is there twice"),
        ([good.as_str(), &line("name", "a")].concat(), "is not where its name belongs"),
        (good.replace(",\"ttl\"", ", \"ttl\""), "is not written as a record is"),
        (good.replace("\"b\"", &format!("\"{}\"", "b".repeat(2000))), "has no `name`"),
        (format!("{{\"kind\":\"name\",\"name\":\"{}", "x".repeat(20 << 20)), "is longer than 8 MiB"),
        ("not JSON\n".into(), "is no JSON"),
        (good.trim_end().into(), "has no end"),
    ] {
        forged(&forge, &text).await;
        forge.run(&["verify", "latest", "--level", "opened"]).exits(4).says(words);
        forge.run(&["diff", "latest", "latest"]).exits(4).says(words);
    }
    // What a name holds moves no cursor.
    forged(&forge, &[line("name", "\\u001b[2J"), line("zone", "a")].concat()).await;
    let said = forge.run(&["cat", "latest", "postgres", "dns"]).exits(0);
    assert!(!said.out.contains('\u{1b}'), "{}", said.out);
}
