//! Buckets that the platform keeps something in.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::Credentials;
use crate::config::check::Checker;
use crate::config::fields::SecretField;
use crate::config::typed::CredentialsField;
use crate::model::StoreUrl;
use crate::secret::SecretRef;

/// Objects that are counted, at the least, before it says "at least".
const COUNT_UP_TO: u64 = 100_000;

/// A bucket, or what lies below a prefix in it. Referenced, not copied.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BucketField {
    /// s3://bucket/prefix?region=eu-west-1, gs://bucket/prefix or minio+https://host/bucket/prefix.
    #[schemars(with = "String", example = &"s3://artifacts?region=eu-west-1")]
    pub url: Spanned<StoreUrl>,
    /// Keys that may list it and ask how it is kept; they need no right to write. Left out: what the environment says,
    /// as the ecosystem's own tools do.
    #[serde(default)]
    #[schemars(with = "Option<CredentialsField>")]
    pub credentials: Option<Spanned<CredentialsField>>,
    /// The authority that signed the store's certificate (PEM), believed beside the system's own.
    #[serde(default)]
    pub ca: Option<SecretField>,
    /// Names below the prefix of objects that are looked at each time: is it there, and is it the same?
    #[serde(default)]
    #[schemars(with = "Vec<String>", example = ["canary.txt"])]
    pub canaries: Vec<Spanned<String>>,
    /// Counting objects ends there, and says so. Default 100,000.
    #[serde(default)]
    #[schemars(with = "Option<u64>", range(min = 1))]
    pub count_up_to: Option<Spanned<u64>>,
}

/// A bucket to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedBucket {
    /// Never a directory.
    pub url: StoreUrl,
    /// None: what the environment says.
    pub credentials: Option<Credentials>,
    pub ca: Option<SecretRef>,
    pub canaries: Vec<String>,
    pub count_up_to: u64,
}

impl Checker<'_> {
    pub(super) fn buckets(&mut self, list: Vec<BucketField>) -> Vec<WatchedBucket> {
        let mut buckets: Vec<WatchedBucket> = Vec::new();
        for field in list {
            let url = field.url.value.clone();
            if buckets.iter().any(|bucket| bucket.url == url) {
                self.wrong(&field.url, format!("bucket {url} is there twice"), None);
            }
            if matches!(url, StoreUrl::Local(_)) {
                let cure = "name a bucket: s3://..., gs://... or minio+https://...";
                self.wrong(&field.url, format!("{url} is a directory, not a bucket"), Some(cure));
                continue;
            }
            let mut canaries: Vec<String> = Vec::new();
            for canary in field.canaries {
                let name = &canary.value;
                if let Some(why) = not_a_name(name) {
                    self.wrong(&canary, format!("the canary `{}` {why}", printable(name)), None);
                } else if canaries.contains(name) {
                    self.wrong(&canary, format!("the canary `{name}` is there twice"), None);
                }
                canaries.push(canary.value);
            }
            if let Some(none) = field.count_up_to.as_ref().filter(|number| number.value == 0) {
                self.wrong(none, "counting up to 0 counts nothing", Some("leave `countUpTo` out"));
            }
            buckets.push(WatchedBucket {
                credentials: field.credentials.and_then(|credentials| self.credentials(credentials, &url)),
                ca: field.ca.map(|ca| self.secret(ca)),
                canaries,
                count_up_to: field.count_up_to.map_or(COUNT_UP_TO, |number| number.value),
                url,
            });
        }
        buckets
    }
}

/// Stores allow more than can be asked for over HTTP, or be recorded.
fn not_a_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("has no name")
    } else if name.len() > 512 {
        Some("is longer than 512 bytes")
    } else if name.contains(char::is_control) {
        Some("has a control character in it")
    } else if name.split('/').any(|word| matches!(word, "." | ".." | "")) {
        Some("has an empty word, `.` or `..` between its slashes")
    } else {
        None
    }
}

fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}
