//! Copies between stores of different kinds, on real servers, each repository reached with keys of its own.

use std::process::Stdio;

use crate::support::play::{Play, Said};
use crate::support::servers::minio;
use crate::support::servers::place::{Pair, Place};
use crate::support::servers::s3::Kind;

/// The old repository, and a policy that names further ones.
struct Chain {
    play: Play,
    environment: Vec<(String, String)>,
    /// As the policy names them, the first one first.
    urls: Vec<String>,
}

const ROLES: [&str; 3] = ["writer", "restorer", "prover"];

impl Chain {
    fn new() -> Self {
        let play = Play::old();
        play.edit(
            "keys/policy.yaml",
            "writer: {file: writer.key}",
            "operator: {file: operator.key}\n      writer: {file: writer.key}",
        );
        let urls = vec![play.url()];
        Self { play, environment: Vec::new(), urls }
    }

    fn run(&self, words: &str, more: &[(String, String)]) -> Said {
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut command = self.play.command(&words);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").stdin(Stdio::null());
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(self.environment.iter().chain(more).map(|(name, value)| (name, value)));
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    fn json(&self, words: &str) -> serde_json::Value {
        let said = self.run(&format!("{words} --json"), &[]);
        assert_eq!(said.code, 0, "{words}: {}{}", said.out, said.err);
        serde_json::from_str(&said.out).unwrap()
    }

    /// Makes a repository there, and names it in the policy: with these lines, and the id that `init` says.
    #[track_caller]
    fn add(&mut self, url: &str, lines: &str, owner: &[(String, String)]) {
        self.play.edit("keys/policy.yaml", "\n  keys:", &format!("\n  - url: \"{url}\"\n{lines}  keys:"));
        let said = self.run(&format!("init {url} -f keys/policy.yaml --json"), owner);
        assert_eq!(said.code, 0, "{}", said.err);
        let made: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let id = made["repository"].as_str().unwrap();
        self.play.edit(
            "keys/policy.yaml",
            &format!("- url: \"{url}\"\n"),
            &format!("- url: \"{url}\"\n    id: {id}\n"),
        );
        self.urls.push(url.to_owned());
    }

    /// With the keys of who owns the bucket for every role, under names that only the policy knows.
    fn add_place(&mut self, place: &Place) {
        let owner: Vec<(String, String)> =
            place.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut lines = String::new();
        let n = self.urls.len();
        if let [(_, id), (_, secret), ..] = &owner[..] {
            self.environment.push((format!("ID_{n}"), id.clone()));
            self.environment.push((format!("SECRET_{n}"), secret.clone()));
            lines.push_str("    credentials:\n");
            for role in ROLES {
                lines += &format!("      {role}: {{accessKey: {{env: ID_{n}}}, secretKey: {{env: SECRET_{n}}}}}\n");
            }
        }
        self.add(&place.url().to_string(), &lines, &owner);
    }

    /// Copies everything from one of them to another, and proves what came to be there.
    #[track_caller]
    fn copies(&self, from: usize, to: usize) {
        let (from, to) = (&self.urls[from], &self.urls[to]);
        let made = self.json(&format!("copy -f keys/policy.yaml --repository {from} --to {to}"));
        assert_eq!(made["receivers"][0]["copied"].as_array().unwrap().len(), 2, "{from} to {to}: {made}");
        let again = self.json(&format!("copy -f keys/policy.yaml --repository {from} --to {to}"));
        assert_eq!(again["receivers"][0]["held"], 2, "{again}");
        let at = format!("-f keys/policy.yaml --repository {to} --identity keys/identity.txt");
        let verified = self.run(&format!("verify all --level opened {at}"), &[]);
        assert_eq!(verified.code, 0, "{from} to {to}: {}{}", verified.out, verified.err);
    }

    fn cat(&self, more: &str) -> Said {
        self.run(&format!("cat latest ledger globals -f keys/policy.yaml --identity keys/identity.txt {more}"), &[])
    }
}

/// From a directory to MinIO, on to SeaweedFS, to the GCS server, and back into a directory; and from MinIO to a directory.
/// Each is a copy of a copy, and goes by the name of the original.
#[tokio::test(flavor = "multi_thread")]
async fn around_all_kinds_of_stores_and_back() {
    let mut places = Vec::new();
    for pair in [Pair::MinioMinio, Pair::S3Weed, Pair::Gcs, Pair::S3Minio] {
        places.push(pair.place(Kind::Plain).await);
    }
    tokio::task::block_in_place(|| {
        let mut chain = Chain::new();
        for place in &places {
            chain.add_place(place);
        }
        for folder in ["last", "from-minio"] {
            let url = format!("file://{}", chain.play.path(folder).display());
            chain.add(&url, "", &[]);
        }
        for (from, to) in [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (1, 6)] {
            chain.copies(from, to);
        }
        let original = chain.cat(&format!("--repository {}", chain.urls[0]));
        assert_eq!(original.code, 0, "{}", original.err);
        // The first is gone; the nearest is in a bucket.
        std::fs::remove_dir_all(chain.play.path("store")).unwrap();
        let nearest = chain.cat("");
        assert_eq!((nearest.code, &nearest.out), (0, &original.out), "{}", nearest.err);
        assert!(nearest.err.contains(&format!("is read from {}", chain.urls[1])), "{}", nearest.err);
        for url in &chain.urls[1..] {
            let read = chain.cat(&format!("--repository {url}"));
            assert_eq!((read.code, &read.out), (0, &original.out), "{url}: {}", read.err);
        }
        // Everything goes by the run of the original.
        let listed = chain.json(&format!("list -f keys/policy.yaml --repository {}", chain.urls[5]));
        let run = listed["backups"][0]["copy_of"].as_str().unwrap();
        let first = chain.json(&format!("list -f keys/policy.yaml --repository {}", chain.urls[1]));
        assert_eq!(first["backups"][0]["copy_of"], run);
        assert_eq!(
            chain.json(&format!("copy -f keys/policy.yaml --repository {} --to {}", chain.urls[5], chain.urls[1]))["receivers"]
                [0]["held"],
            2,
            "a circle ends"
        );
    });
}

/// Two buckets with Object Lock, and users with the very rights that `init --print-access` prints for their roles: the
/// origin is read by a writer of its own who knows nothing of the receiver, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn each_repository_is_opened_in_its_own_role() {
    let server = minio::shared().await;
    let origin = Pair::MinioMinio.on(server, Kind::Locked).await;
    let receiver = Pair::MinioMinio.on(server, Kind::Locked).await;
    tokio::task::block_in_place(|| {
        let mut chain = Chain::new();
        for (n, place) in [&origin, &receiver].into_iter().enumerate() {
            let url = place.url().to_string();
            let printed = chain.json(&format!("init {url} --print-access minio"));
            let mut lines = "    lock: {mode: compliance, for: 1d}\n    credentials:\n".to_owned();
            for role in ROLES {
                let roles = printed["roles"].as_array().unwrap();
                let document = roles.iter().find(|row| row["role"] == role).unwrap()["document"].to_string();
                let user = minio::user(server, &document);
                let name = format!("{}_{n}", role.to_uppercase());
                lines += &format!("      {role}: {{accessKey: {{env: {name}_ID}}, secretKey: {{env: {name}_KEY}}}}\n");
                chain.environment.push((format!("{name}_ID"), user.access_key));
                chain.environment.push((format!("{name}_KEY"), user.secret_key));
            }
            let owner: Vec<(String, String)> =
                place.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            chain.add(&url, &lines, &owner);
        }
        chain.copies(0, 1);
        // With nothing but the writers' keys.
        let only_writers: Vec<_> =
            chain.environment.iter().filter(|(name, _)| name.starts_with("WRITER")).cloned().collect();
        let all = std::mem::replace(&mut chain.environment, only_writers);
        let words = format!("copy -f keys/policy.yaml --repository {} --to {} --json", chain.urls[1], chain.urls[2]);
        let said = chain.run(&words, &[]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let checked = chain.run("check -f keys/policy.yaml", &[]);
        for url in &chain.urls[1..] {
            let held = format!("copies in {url}: 2 of the backups");
            assert!(checked.out.contains(&held), "{}{}", checked.out, checked.err);
        }
        chain.environment = all;
        let at = format!("-f keys/policy.yaml --repository {}", chain.urls[2]);
        let verified = chain.run(&format!("verify all --level hashed {at}"), &[]);
        assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
        let read = chain.cat(&format!("--repository {}", chain.urls[2]));
        assert!(read.code == 0 && !read.out.is_empty(), "{}", read.err);
    });
    // All that the copy is read with is locked by the receiver's rule.
    let client = receiver.raw().unwrap();
    for key in
        receiver.list().await.into_iter().filter(|key| key.starts_with("data/") || key.ends_with("manifest.json"))
    {
        let head = client.head_object().bucket(&receiver.bucket).key(receiver.name(&key)).send().await.unwrap();
        assert!(head.object_lock_retain_until_date().is_some(), "{key}");
    }
}
