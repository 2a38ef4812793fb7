//! A backup of a cluster by somebody who holds the writer's keys and means harm: nothing of it is taken for objects.

use bytes::Bytes;
use futures::StreamExt as _;
use lifeboat::model::{SourceStream, StreamItem};
use lifeboat::source::cluster::{MEDIA_DISCOVERY, MEDIA_OBJECTS};

use crate::support::forge::Forge;
use crate::support::repository::name;

/// A backup whose first stream says that it is what `media` is, without parts.
async fn forged(forge: &Forge, stream: &str, media: &str, text: &str) {
    let fixture = &forge.fixture;
    let (repository, writer) = fixture.open(&fixture.store).await.unwrap();
    let run = repository.start_run(&name("shop"), fixture.cx.clock.ulid().into()).await.unwrap();
    let mut attempt = fixture.begin(&repository, &run, &writer).await.unwrap();
    let pieces: Vec<_> =
        text.as_bytes().chunks(1 << 20).map(Bytes::copy_from_slice).map(StreamItem::Bytes).map(Ok).collect();
    let items = futures::stream::iter(pieces).boxed();
    attempt.write(SourceStream { name: stream.into(), media: media.into(), items }).await.unwrap();
    attempt.finish(fixture.summary()).await.unwrap();
    fixture.commit(&repository, &run, &writer).await.unwrap();
}

fn line(kind: &str, name: &str, more: &str) -> String {
    format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"{kind}\",\"metadata\":{{\"namespace\":\"n\",\"name\":\"{name}\"}}{more}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_no_objects_are_damage() {
    let forge = Forge::new().await;
    let deep = format!(",\"x\":{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let twice = [line("A", "a", ""), line("A", "a", "")].concat();
    let turned = [line("B", "a", ""), line("A", "a", "")].concat();
    let endless = format!("{{\"apiVersion\":\"v1\",\"kind\":\"A\",\"x\":\"{}", "x".repeat(20 << 20));
    for (text, words) in [
        (twice.as_str(), "is there twice"),
        (&turned, "is not where its name belongs"),
        (&line("A", "a", &deep), "is nested deeper"),
        (&endless, "is longer than 8 MiB"),
        ("not JSON\n", "does not begin with"),
        // Whole in itself, but of it no part was recorded.
        (&line("A", "a", ""), "not those that were captured"),
    ] {
        forged(&forge, "objects", MEDIA_OBJECTS, text).await;
        forge.run(&["verify", "latest", "--level", "opened"]).exits(4).says(words);
    }
    for text in [deep.as_str(), "{\"format\":1}", "{\"format\":2}"] {
        forged(&forge, "discovery", MEDIA_DISCOVERY, text).await;
        forge.run(&["verify", "latest", "--level", "opened"]).exits(4).says("stream discovery");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_them_ends_with_an_error_and_writes_no_line_of_its_own() {
    let forge = Forge::new().await;
    for (text, words) in [
        (line("A", "../../etc/passwd", ""), "metadata.name"),
        (line("A", "a\\n---\\nkind: Secret", ""), "metadata.name"),
        (line("A", "a", &format!(",\"x\":{}1{}", "[".repeat(100_000), "]".repeat(100_000))), "levels"),
        ("x".repeat(20 << 20), "longer than 8 MiB"),
    ] {
        forged(&forge, "objects", MEDIA_OBJECTS, &text).await;
        let said = forge.run(&["cat", "latest", "postgres", "objects", "--as", "yaml"]).exits(4).says(words);
        assert_eq!(said.out, "");
    }
    let nested = line("A", "a", ",\"data\":{\"x\":\"\\n---\\nkind: Secret\\n\",\"\\nkind\":\"y\"}");
    forged(&forge, "objects", MEDIA_OBJECTS, &nested).await;
    let said = forge.run(&["cat", "latest", "postgres", "objects", "--as", "yaml"]).exits(0);
    assert!(!said.out.lines().any(|line| line.starts_with("kind: Secret")), "{}", said.out);
    assert_eq!(said.out.lines().filter(|line| *line == "---").count(), 1, "{}", said.out);
}
