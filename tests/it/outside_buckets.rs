//! What is recorded of buckets, and what coverage says of them. Needs MinIO, SeaweedFS and fake-gcs-server.
//!
//! Replication is MinIO's own, from one bucket into another. How Amazon writes such rules is read from a server that says
//! what its documentation says.

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, DeleteMarkerReplication, DeleteMarkerReplicationStatus,
    Destination, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    NoncurrentVersionExpiration, ReplicationConfiguration, ReplicationRule, ReplicationRuleFilter,
    ReplicationRuleStatus, VersioningConfiguration,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::answering::answering_by;
use crate::support::local::{Local, Said, objects};
use crate::support::servers::place::{Pair, Place};
use crate::support::servers::s3::Kind;
use crate::support::servers::{gcs, minio, seaweed};

/// A policy whose source names these buckets: a list, in brackets.
fn local(buckets: &str) -> Local {
    Local::with_sources(&format!("  - name: outside\n    outside:\n      buckets: {buckets}\n"), "")
}

/// With the keys of who owns the bucket, in the environment.
struct Bed {
    local: Local,
    place: Place,
}

impl Bed {
    fn new(place: Place, more: &str) -> Self {
        let local = local(&format!("[{{url: '{}'{more}}}]", place.url()));
        Self { local, place }
    }

    fn run(&self, args: &[&str]) -> Said {
        let mut command = self.local.program();
        command.args(args).env("LIFEBOAT_POLICY", self.local.path("keys/policy.yaml"));
        command.env("LIFEBOAT_IDENTITY", self.local.path("keys/identity.txt")).envs(self.place.environment());
        Said::of(command.output().unwrap())
    }

    fn records(&self) -> Vec<Value> {
        let text = self.run(&["cat", "latest", "outside", "buckets"]).exits(0).out;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Counted, canaries read, versioning said; on every driver and server.
async fn a_bucket_is_recorded(pair: Pair) {
    let place = pair.place(Kind::Versioned).await;
    place.put("canary.txt", "alive").await;
    // A name that no object of ours could have.
    place.put("in a folder/ä+b.txt", "odd").await;
    let bed = Bed::new(place, ", canaries: [canary.txt, 'in a folder/ä+b.txt', gone.txt]");
    let said = bed.run(&["backup"]).exits(0).says("canary gone.txt in");
    assert!(said.err.contains("is not there"), "{}", said.err);
    let all = bed.records();
    let (bucket, canaries) = (&all[0], &all[1..]);
    assert_eq!(bucket["name"], bed.place.url().to_string());
    assert_eq!((&bucket["objects"], &bucket["bytes"], &bucket["counted"]), (&json!(2), &json!(8), &json!("all")));
    assert_eq!(bucket["versioning"], "enabled", "{}: {bucket}", pair.name());
    let state = |name: &str| {
        let found = canaries.iter().find(|one| one["name"].as_str().unwrap().ends_with(&format!(" {name}")));
        found.unwrap_or_else(|| panic!("{name} in {canaries:?}")).clone()
    };
    assert_eq!(state("gone.txt")["state"], "missing");
    assert_eq!(state("canary.txt")["sha256"], sha256("alive"));
    assert_eq!(state("in a folder/ä+b.txt")["sha256"], sha256("odd"));

    // Red for the canary alone: a backup can run, and what it cannot help is said.
    bed.run(&["check"]).exits(3).says("a backup can run").says("versioned");
    bed.run(&["diff", "latest", "live"]).exits(0).says("outside (outside): the same");
    bed.place.put("canary.txt", "other").await;
    bed.place.put("gone.txt", "back").await;
    let said =
        bed.run(&["diff", "latest", "live"]).exits(0).says("/objects: 2 -> 3").says("\"missing\" -> \"present\"");
    said.says(&sha256("other"));
    bed.run(&["check"]).exits(0).says("a backup can run").says("is there");
    bed.run(&["show", "latest", "--coverage"]).exits(0).says("canary gone.txt").says("is not there");
}

mod recorded {
    crate::support::servers::place::on_every_pair!(super::a_bucket_is_recorded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_versions_is_red_until_they_are_on() {
    for pair in [Pair::S3Minio, Pair::MinioMinio] {
        let bed = Bed::new(pair.place(Kind::Plain).await, "");
        bed.place.put("a", "a").await;
        bed.run(&["check"])
            .exits(3)
            .says("problem")
            .says("not versioned, not replicated; what is deleted there is lost");
        bed.run(&["backup"]).exits(0);
        bed.run(&["show", "latest", "--coverage"]).exits(0).says("not versioned, not replicated");
        let client = bed.place.raw().unwrap();
        let set = async |status: BucketVersioningStatus| {
            let versions = VersioningConfiguration::builder().status(status).build();
            client
                .put_bucket_versioning()
                .bucket(&bed.place.bucket)
                .versioning_configuration(versions)
                .send()
                .await
                .unwrap();
        };
        set(BucketVersioningStatus::Enabled).await;
        bed.run(&["check"]).exits(0).says("referenced, not copied; versioned");
        bed.run(&["diff", "latest", "live"]).exits(0).says("/versioning: \"off\" -> \"enabled\"");
        let rule = LifecycleRule::builder()
            .id("old")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix("tmp/").build())
            .expiration(LifecycleExpiration::builder().days(30).build())
            .noncurrent_version_expiration(NoncurrentVersionExpiration::builder().noncurrent_days(7).build());
        let rules = BucketLifecycleConfiguration::builder().rules(rule.build().unwrap()).build().unwrap();
        let put = client.put_bucket_lifecycle_configuration().bucket(&bed.place.bucket).lifecycle_configuration(rules);
        put.send().await.unwrap();
        bed.run(&["backup"]).exits(0);
        let wanted = json!([{"id": "old", "enabled": true, "filter": {"prefix": "tmp/"},
            "action": {"expireDays": 30, "noncurrentDays": 7}}]);
        let bucket = &bed.records()[0];
        assert_eq!(bucket["lifecycle"], wanted);
        assert_eq!((&bucket["replication"], &bucket["replicated"]), (&json!([]), &json!("none")), "{bucket}");
        assert_eq!(bucket["locks"], false);
        set(BucketVersioningStatus::Suspended).await;
        bed.run(&["check"]).exits(3).says("versioning is suspended");
        // What the backup holds is judged as it was then.
        bed.run(&["show", "latest", "--coverage"]).exits(0).says("referenced, not copied; versioned");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_ends_where_it_is_told_and_says_so() {
    let place = Pair::S3Minio.place(Kind::Plain).await;
    let client = place.raw().unwrap();
    let puts = (0..1005).map(|n| {
        let put = client.put_object().bucket(&place.bucket).key(format!("{}/{n}", place.prefix));
        put.body(vec![0; 2].into()).send()
    });
    futures::future::join_all(puts).await.into_iter().for_each(|put| drop(put.unwrap()));
    place.beside().put("elsewhere", "not below the prefix").await;
    for (more, objects, counted) in [(", countUpTo: 10", 1000, "at least"), ("", 1005, "all")] {
        for pair in [Pair::S3Minio, Pair::MinioMinio] {
            let mut by = place.clone();
            by.pair = pair;
            let bed = Bed::new(by, more);
            bed.run(&["backup"]).exits(0);
            let bucket = &bed.records()[0];
            let found = (&bucket["objects"], &bucket["bytes"], &bucket["counted"]);
            assert_eq!(found, (&json!(objects), &json!(2 * objects), &json!(counted)), "{}", pair.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_asked_is_named_and_never_off() {
    let server = minio::shared().await;
    for pair in [Pair::S3Minio, Pair::MinioMinio] {
        let place = pair.place(Kind::Versioned).await;
        place.put("canary.txt", "alive").await;
        let arn = format!("arn:aws:s3:::{}", place.bucket);
        let policy = |actions: &[&str]| {
            let rows = [json!({"Effect": "Allow", "Action": actions, "Resource": [&arn, &format!("{arn}/*")]})];
            json!({"Version": "2012-10-17", "Statement": rows}).to_string()
        };
        let keys = "credentials: {accessKey: {env: A}, secretKey: {env: S}}";
        let lister = minio::user(server, &policy(&["s3:ListBucket"]));
        let nobody = minio::user(server, &policy(&["s3:PutObject"]));
        let local = local(&format!("[{{url: '{}', {keys}, canaries: [canary.txt]}}]", place.url()));
        let run = |user: &minio::User, args: &[&str]| {
            let mut command = local.program();
            command.args(args).env("LIFEBOAT_POLICY", local.path("keys/policy.yaml"));
            command.env("LIFEBOAT_IDENTITY", local.path("keys/identity.txt"));
            let said = Said::of(command.env("A", &user.access_key).env("S", &user.secret_key).output().unwrap());
            assert!(!format!("{}{}", said.out, said.err).contains(&user.secret_key));
            said
        };
        let said =
            run(&lister, &["backup"]).exits(0).says("versioning may not be asked").says("s3:GetBucketVersioning");
        said.says("s3:GetLifecycleConfiguration").says("s3:GetReplicationConfiguration").says("may not be read");
        let text = run(&lister, &["cat", "latest", "outside", "buckets"]).exits(0).out;
        let bucket: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&bucket["versioning"], &bucket["objects"]), (&json!("may not be asked"), &json!(1)));
        assert!(!text.contains(&lister.access_key) && !text.contains(&lister.secret_key), "{text}");
        run(&lister, &["check"]).exits(3).says("nobody could tell");
        run(&nobody, &["backup"]).exits(12).says("these keys may ask nothing of it");
        run(&nobody, &["check"]).exits(5).says("these keys may ask nothing of it");
        let wrong = minio::User { access_key: lister.access_key.clone(), secret_key: "another-secret".into() };
        run(&wrong, &["backup"]).exits(12).says("the secret key is wrong");
        for key in objects(&local.repo()) {
            let bytes = std::fs::read(local.repo().join(&key)).unwrap();
            let holds = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!holds(&lister.secret_key) && !holds(&lister.access_key), "{key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_buckets_that_cannot_be_asked_are_named_at_once() {
    let good = Pair::S3Minio.place(Kind::Plain).await;
    let endpoint = &good.endpoint;
    let gone = format!("s3://no-such-bucket?region=us-east-1&endpoint={endpoint}&addressing=path");
    let silent = "minio+http://127.0.0.1:1/bucket";
    let local = local(&format!("[{{url: '{}'}}, {{url: '{gone}'}}, {{url: '{silent}'}}]", good.url()));
    let mut command = local.program();
    command.arg("backup").env("LIFEBOAT_POLICY", local.path("keys/policy.yaml")).envs(good.environment());
    let said = Said::of(command.output().unwrap());
    assert_ne!(said.code, 0);
    said.says("there is no such bucket").says("no-such-bucket").says("127.0.0.1:1").says("nobody listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_minio_copies_is_told_from_one_of_which_it_copies_a_part() {
    let server = minio::shared().await;
    for pair in [Pair::S3Minio, Pair::MinioMinio] {
        let bed = Bed::new(pair.place(Kind::Versioned).await, "");
        let (bucket, other) = (&bed.place.bucket, server.bucket(Kind::Versioned).await);
        let client = server.client();
        let arn = minio::replicate(server, bucket, &other);
        let set = async |prefix: &str| {
            let off = DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Disabled).build();
            let rule = ReplicationRule::builder()
                .id("copy")
                .priority(1)
                .status(ReplicationRuleStatus::Enabled)
                .filter(ReplicationRuleFilter::builder().prefix(prefix).build())
                .delete_marker_replication(off)
                .destination(Destination::builder().bucket(&arn).build().unwrap())
                .build();
            let rules = ReplicationConfiguration::builder().role(&arn).rules(rule.unwrap()).build().unwrap();
            client.put_bucket_replication().bucket(bucket).replication_configuration(rules).send().await.unwrap();
        };
        for (prefix, replicated) in [("", "all"), ("repo/only/", "part")] {
            set(prefix).await;
            bed.run(&["backup"]).exits(0);
            let record = &bed.records()[0];
            assert_eq!(record["replicated"], replicated, "{}: {record}", pair.name());
            let rule = &record["replication"][0];
            assert_eq!(
                (&rule["id"], &rule["enabled"], &rule["destination"]),
                (&json!("copy"), &json!(true), &json!(arn))
            );
        }
        // Not only a text: what is stored under the rule comes to lie there, too.
        set("").await;
        bed.place.put("a.txt", "copied").await;
        let copied = || client.list_objects_v2().bucket(&other).send();
        server.until(|| async { copied().await.ok()?.contents.filter(|all| !all.is_empty()).map(drop) }).await;
    }
}

/// As Amazon's documentation writes the answers. The rest of the server is not there.
fn amazon(replication: &'static str) -> String {
    answering_by(move |head| {
        let body = |status: &str, body: &str| {
            format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
        };
        let query = head.lines().next().unwrap_or_default().to_owned();
        let none =
            |code: &str| body("404 Not Found", &format!("<Error><Code>{code}</Code><Message>none</Message></Error>"));
        match () {
            () if query.contains("versioning") => body("200 OK", "<VersioningConfiguration/>"),
            () if query.contains("lifecycle") => none("NoSuchLifecycleConfiguration"),
            () if query.contains("object-lock") => none("ObjectLockConfigurationNotFoundError"),
            () if query.contains("replication") => body("200 OK", replication),
            () if query.contains("list-type") => {
                body("200 OK", "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
            }
            () => body("501 Not Implemented", ""),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_copies_all_of_it_is_as_good_as_versions() {
    const ALL: &str = "<ReplicationConfiguration><Role>arn:aws:iam::1:role/r</Role><Rule><ID>all</ID><Status>Enabled</Status>\
        <Priority>1</Priority><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication><Filter></Filter>\
        <Destination><Bucket>arn:aws:s3:::there</Bucket></Destination></Rule></ReplicationConfiguration>";
    const PART: &str = "<ReplicationConfiguration><Role>r</Role><Rule><ID>part</ID><Status>Enabled</Status><Priority>1</Priority>\
        <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication><Filter><Prefix>app/only/</Prefix></Filter>\
        <Destination><Bucket>arn:aws:s3:::there</Bucket></Destination></Rule></ReplicationConfiguration>";
    for (xml, code, replicated, says) in [
        (ALL, 0, "all", "referenced, not copied; replicated by the store"),
        (PART, 3, "part", "only part of it is replicated"),
        ("<html>", 3, "unknown", "nobody could tell"),
    ] {
        let server = amazon(xml);
        for scheme in [
            format!("s3://bucket/app?region=eu-west-1&endpoint={server}&addressing=path"),
            format!("minio+{server}/bucket/app"),
        ] {
            let local = local(&format!(
                "[{{url: '{scheme}', credentials: {{accessKey: {{env: HOME}}, secretKey: {{env: HOME}}}}}}]"
            ));
            local.run(&["check"]).exits(code).says(says);
            local.run(&["backup"]).exits(0);
            let text = local.run(&["cat", "latest", "outside", "buckets"]).exits(0).out;
            let bucket: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(bucket["replicated"], replicated, "{scheme}: {bucket}");
            assert_eq!((&bucket["versioning"], &bucket["locks"]), (&json!("off"), &json!(false)), "{scheme}: {bucket}");
            match replicated {
                "all" => assert_eq!(bucket["replication"][0]["destination"], "arn:aws:s3:::there"),
                "unknown" => assert_eq!(bucket["replication"], "not offered"),
                _ => assert_eq!(bucket["replication"][0]["prefix"], "app/only/"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_servers_say_how_they_keep_a_bucket() {
    let weed = seaweed::shared().await;
    let place = Pair::S3Weed.on(weed, Kind::Plain).await;
    let bed = Bed::new(place, "");
    bed.run(&["backup"]).exits(0);
    let bucket = &bed.records()[0];
    let found = ["versioning", "lifecycle", "replication", "locks"].map(|field| bucket[field].clone());
    assert_eq!(
        found,
        [json!("off"), json!([]), json!([]), json!(false)],
        "SeaweedFS offers to say all of it: {bucket}"
    );
    let server = gcs::shared().await;
    let name = server.bucket(Kind::Plain).await;
    let local = local(&format!("[{{url: 'gs://{name}?endpoint={}'}}]", server.endpoint));
    local.run(&["check"]).exits(3).says("not versioned, not replicated");
    let gone = format!("[{{url: 'gs://no-such-bucket?endpoint={}'}}]", server.endpoint);
    self::local(&gone).run(&["backup"]).exits(5).says("there is no such bucket");
}

#[test]
fn buckets_that_cannot_be_meant_are_refused() {
    for (buckets, says) in [
        ("[{url: 'file:///srv/data'}]", "is a directory, not a bucket"),
        ("[{url: s3://abc}, {url: s3://abc}]", "is there twice"),
        ("[{url: s3://abc, canaries: [a, a]}]", "is there twice"),
        ("[{url: s3://abc, canaries: ['a/../b']}]", "`.` or `..`"),
        ("[{url: s3://abc, canaries: [/a]}]", "an empty word"),
        ("[{url: s3://abc, countUpTo: 0}]", "counts nothing"),
        ("[{url: s3://abc, credentials: {serviceAccount: {env: A}}}]", "credentials are `profile`"),
        ("[{url: 's3://key:geheim@abc'}]", "keys do not belong"),
        ("[{url: s3://abc, canarys: [a]}]", "did you mean `canaries`?"),
    ] {
        let said = local(buckets).run(&["check"]).exits(2).says(says);
        assert!(!said.err.contains("geheim"), "{}", said.err);
    }
}
