//! The address of a bucket, and of the prefix below which a repository lies in it.

use crate::model::url::StoreUrlError;

/// A bucket somewhere, and a prefix in it. Holds no secret: keys are given elsewhere, and refused here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BucketUrl {
    pub bucket: String,
    /// Without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
    /// `https://host:port`, without a path; none: the service's own.
    pub endpoint: Option<String>,
    /// S3 only: none means what the environment or profile says.
    pub region: Option<String>,
    pub addressing: Option<Addressing>,
}

/// How a request names the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Addressing {
    /// `https://host/bucket/key`: what most servers other than Amazon's want.
    Path,
    /// `https://bucket.host/key`
    Virtual,
}

impl BucketUrl {
    pub fn last_name(&self) -> Option<&str> {
        let words = if self.prefix.is_empty() { &self.bucket } else { &self.prefix };
        words.rsplit('/').next()
    }

    /// `bucket/prefix?options`
    pub(in crate::model) fn plain(&self) -> String {
        let endpoint = self.endpoint.as_ref().map(|endpoint| ("endpoint", endpoint.as_str()));
        self.path_and(endpoint)
    }

    /// `scheme://host/bucket/prefix?options`
    pub(in crate::model) fn with_host(&self) -> String {
        format!("{}/{}", self.endpoint.as_deref().unwrap_or_default(), self.path_and(None))
    }

    fn path_and(&self, endpoint: Option<(&str, &str)>) -> String {
        let mut text = self.bucket.clone();
        if !self.prefix.is_empty() {
            text = format!("{text}/{}", self.prefix);
        }
        let region = self.region.as_ref().map(|region| ("region", region.as_str()));
        let addressing = self.addressing.map(|way| {
            let word = match way {
                Addressing::Path => "path",
                Addressing::Virtual => "virtual",
            };
            ("addressing", word)
        });
        for (n, (name, value)) in [region, endpoint, addressing].into_iter().flatten().enumerate() {
            let mark = if n == 0 { '?' } else { '&' };
            text = format!("{text}{mark}{name}={value}");
        }
        text
    }
}

/// What follows `s3://` or `gs://`.
pub(in crate::model) fn plain(rest: &str) -> Result<BucketUrl, StoreUrlError> {
    read(None, rest)
}

/// What follows `minio+https://`.
pub(in crate::model) fn with_host(scheme: &str, rest: &str) -> Result<BucketUrl, StoreUrlError> {
    let (host, rest) = rest.split_once('/').unwrap_or((rest, ""));
    no_keys(host)?;
    read(Some(endpoint(&format!("{scheme}://{host}"))?), rest)
}

fn wrong(message: impl Into<String>) -> StoreUrlError {
    StoreUrlError::Bucket(message.into())
}

fn no_keys(text: &str) -> Result<(), StoreUrlError> {
    match text.contains('@') {
        false => Ok(()),
        true => Err(wrong("keys do not belong into an address, where every log would show them")),
    }
}

fn read(host: Option<String>, rest: &str) -> Result<BucketUrl, StoreUrlError> {
    no_keys(rest)?;
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let prefix = prefix.trim_end_matches('/');
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(named) {
        return Err(wrong(format!(
            "`{bucket}` is no name of a bucket: 3 to 63 lower-case letters, digits, dots, hyphens"
        )));
    }
    // Keys below it follow the same rule, so that every store and every tool takes them.
    let word = |word: &str| {
        !word.is_empty()
            && word != "."
            && word != ".."
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if !prefix.is_empty() && !prefix.split('/').all(word) {
        return Err(wrong(format!(
            "the prefix `{prefix}` wants words of letters, digits, dots, hyphens between single slashes"
        )));
    }
    let gcs_or_s3 = host.is_none();
    let mut url =
        BucketUrl { bucket: bucket.into(), prefix: prefix.into(), endpoint: host, region: None, addressing: None };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "region" if !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => {
                url.region = Some(value.into());
            }
            "region" => return Err(wrong("`region` wants a name such as eu-west-1")),
            "endpoint" if gcs_or_s3 => url.endpoint = Some(endpoint(value)?),
            "addressing" if value == "path" => url.addressing = Some(Addressing::Path),
            "addressing" if value == "virtual" => url.addressing = Some(Addressing::Virtual),
            "addressing" => return Err(wrong("`addressing` is `path` or `virtual`")),
            other => {
                return Err(wrong(format!("unknown option `{other}`; there are region=, endpoint= and addressing=")));
            }
        }
    }
    Ok(url)
}

/// `http://host:port` or `https://host:port`, nothing else.
fn endpoint(text: &str) -> Result<String, StoreUrlError> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        None => Err(wrong("an endpoint begins with http:// or https://")),
        Some("") => Err(wrong("the name of the host is missing")),
        Some(host) if host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c)) => Ok(text.to_owned()),
        Some(_) => Err(wrong("an endpoint is a host and perhaps a port, and nothing else")),
    }
}
