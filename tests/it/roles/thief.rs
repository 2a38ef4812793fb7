//! Thieves: with all of the writer's keys, and with the ordinary keys of who owns the bucket.

use aws_sdk_s3::Client;

use super::bed::Bed;

/// Of a `pg_dump` archive, up to the name of the database.
const HEADER_BYTES: usize = 64;

impl Bed {
    /// The newest backup is listed, verified and read; what was done is named.
    fn holds(&self, before: &[u8], named: &[&str]) {
        let listed = self.run(&["list"]);
        let verified = self.run(&["verify", "latest", "--level", "hashed"]).exits(0);
        for words in named {
            let said = format!("{}{}{}{}", listed.out, listed.err, verified.out, verified.err);
            assert!(said.contains(words), "`{words}` in\n{said}");
        }
        assert!(self.shop() == before, "every byte comes back");
    }

    /// The dump without the seven integers of its header that say when it was made.
    fn shop(&self) -> Vec<u8> {
        let mut dump = self.run(&["cat", "latest", "postgres", "db/shop"]).exits(0).out.into_bytes();
        assert!(dump.starts_with(b"PGDMP"));
        dump.drain(16..51);
        dump
    }

    async fn overwrite(&self, client: &Client, key: &str, body: Vec<u8>) {
        let put = client.put_object().bucket(&self.bucket).key(self.name(key)).body(body.into());
        put.send().await.unwrap_or_else(|error| panic!("{key}: {error:?}"));
    }
}

/// MinIO knows no condition for `If-None-Match`, so this thief can store newer versions over what the writer may write.
#[tokio::test(flavor = "multi_thread")]
async fn a_thief_with_the_writers_keys_reads_nothing_and_takes_nothing_away() {
    let Some(bed) = Bed::new().await else { return };
    bed.backup();
    let before = bed.shop();
    let writer = bed.client("writer");
    let keys = bed.keys().await;
    // Everything that the writer can read, and what is on the machine beside it, is without plaintext.
    for key in &keys {
        let got = writer.get_object().bucket(&bed.bucket).key(bed.name(key)).send().await.unwrap();
        let body = got.body.collect().await.unwrap().into_bytes();
        for plain in ["c4ca4238a0b923820dcc509a6f75849b", "canary", "AGE-SECRET-KEY"] {
            let found = memchr::memmem::find(&body, plain.as_bytes()).is_some();
            assert!(!found, "{key} holds `{plain}`");
        }
        if key.starts_with("data/") || key.ends_with(".detail.age") || key.starts_with("keys/") {
            assert!(body.starts_with(b"age-encryption.org/v1\n"), "{key} is sealed");
        }
    }
    for file in ["writer.key", "dedup.key", "policy.yaml", "trust.yaml"] {
        assert!(!bed.file(file).contains("AGE-SECRET-KEY"), "{file}");
    }
    for key in keys.iter().filter(|key| key.starts_with("data/") || key.starts_with("backups/")) {
        if key.contains("/proofs/") {
            continue;
        }
        bed.overwrite(&writer, key, b"rubbish".to_vec()).await;
    }
    bed.holds(&before, &["manifest.json: was overwritten", "data/"]);
    // The next backup does not build on rubbish. Its archive is of another second, which stands in the header.
    bed.backup();
    assert!(bed.shop()[HEADER_BYTES..] == before[HEADER_BYTES..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thief_with_the_owners_keys_hides_and_spoils_nothing_while_the_locks_last() {
    let Some(bed) = Bed::new().await else { return };
    let first = bed.backup();
    bed.backup();
    let before = bed.shop();
    let owner = bed.owner();
    let keys = bed.keys().await;
    let manifest = |run: &str| keys.iter().find(|key| key.ends_with(&format!("{run}/manifest.json"))).unwrap().clone();
    let older = owner.get_object().bucket(&bed.bucket).key(bed.name(&manifest(&first))).send().await.unwrap();
    let older = older.body.collect().await.unwrap().into_bytes().to_vec();
    for key in &keys {
        // No bypass: that is a right of its own, which the ordinary keys of an owner do not have.
        let delete = owner.delete_object().bucket(&bed.bucket).key(bed.name(key)).version_id(bed.version(key).await);
        let answer = delete.send().await;
        let kept = !key.contains("/proofs/") && !key.starts_with("audit/");
        assert_eq!(answer.is_err(), kept, "{key}: {answer:?}");
    }
    // An older document of the same kind, rubbish, and delete markers, in turn.
    for (n, key) in bed.keys().await.iter().enumerate() {
        if key.ends_with("/manifest.json") && !key.contains(&first) {
            bed.overwrite(&owner, key, older.clone()).await;
        } else if n % 2 == 0 {
            bed.overwrite(&owner, key, b"rubbish".to_vec()).await;
        } else {
            owner.delete_object().bucket(&bed.bucket).key(bed.name(key)).send().await.unwrap();
        }
    }
    bed.holds(&before, &["was overwritten", "has a delete marker over it"]);
    for key in bed.keys().await {
        owner.delete_object().bucket(&bed.bucket).key(bed.name(&key)).send().await.unwrap();
    }
    assert_eq!(bed.keys().await.len(), 0);
    bed.holds(&before, &["has a delete marker over it"]);
}
