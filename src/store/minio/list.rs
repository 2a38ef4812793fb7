//! Lists, page by page.

use serde::Deserialize;

use crate::model::{ObjectInfo, Prefix, Timestamp, Version};
use crate::store::bucket::{Below, odd};
use crate::store::driver::{DriverError, Operation};
use crate::store::http;
use crate::store::minio::Minio;
use crate::store::minio::answer::accepted;

/// Rows of a page; no server gives more.
const PAGE_ROWS: &str = "1000";
/// A page of the longest names is 2 MB.
const MAX_PAGE_BYTES: u64 = 16 << 20;

/// What stands in a page, of the current objects or of all versions.
#[derive(Deserialize)]
struct Page {
    #[serde(rename = "$value", default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
enum Entry {
    Contents(Row),
    Version(Row),
    IsTruncated(bool),
    NextContinuationToken(String),
    NextKeyMarker(String),
    NextVersionIdMarker(String),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    key: String,
    size: u64,
    last_modified: String,
    version_id: Option<String>,
}

/// A page as it is used.
#[derive(Debug, Default)]
struct Rows {
    rows: Vec<ObjectInfo>,
    /// The queries that ask for the next page; none: this was the last.
    next: Option<Vec<(&'static str, String)>>,
}

impl Minio {
    /// The current objects below the folder, in the byte order of keys.
    pub(super) async fn current(&self, prefix: &Prefix) -> Result<Vec<ObjectInfo>, DriverError> {
        let mut all = self.every_page(prefix, ("list-type", "2"), "ListBucketResult").await?;
        // Some servers list folder by folder (SeaweedFS), where `a/b` comes before `a-b`.
        if !all.is_sorted_by(|one, other| one.key < other.key) {
            all.sort_by(|one, other| one.key.cmp(&other.key));
        }
        Ok(to_the_second(all))
    }

    /// Every version below the folder that holds bytes, by key, oldest first.
    pub(super) async fn versions(&self, prefix: &Prefix) -> Result<Vec<ObjectInfo>, DriverError> {
        let mut all = self.every_page(prefix, ("versions", ""), "ListVersionsResult").await?;
        // Servers give the newest of a key first. Turned around, what has the same time stays in the right order.
        all.reverse();
        all.sort_by(|one, other| (&one.key, one.created).cmp(&(&other.key, other.created)));
        Ok(to_the_second(all))
    }

    async fn every_page(
        &self,
        prefix: &Prefix,
        kind: (&str, &str),
        root: &str,
    ) -> Result<Vec<ObjectInfo>, DriverError> {
        let below = self.below.name(prefix.as_str());
        let (mut all, mut next) = (Vec::new(), Vec::new());
        loop {
            let mut queries = vec![kind, ("prefix", &below), ("max-keys", PAGE_ROWS)];
            queries.extend(next.iter().map(|(name, value): &(&str, String)| (*name, value.as_str())));
            let body =
                http::whole(accepted(Operation::List, self.get_bucket(&queries).await?).await?, MAX_PAGE_BYTES).await?;
            let text = std::str::from_utf8(&body).map_err(|_| odd("a list that is not text"))?;
            let page = read(text, root, &self.below)?;
            all.extend(page.rows);
            match page.next {
                None => return Ok(all),
                Some(again) if again == next => return Err(odd("the next page of a list is the same again")),
                Some(further) => next = further,
            }
        }
    }
}

/// A look-up tells no fractions, and both must say the same of an object.
fn to_the_second(mut rows: Vec<ObjectInfo>) -> Vec<ObjectInfo> {
    for row in &mut rows {
        row.created = Timestamp::from_second(row.created.as_second()).unwrap_or(row.created);
    }
    rows
}

/// Reads a page.
fn read(text: &str, root: &str, below: &Below) -> Result<Rows, DriverError> {
    // The reader below takes any root: a page of somebody else would be an empty list.
    if !text.contains(&format!("<{root}")) {
        return Err(odd("a list was asked for, and something else came"));
    }
    let page: Page =
        quick_xml::de::from_str(text).map_err(|error| odd(format!("a list that cannot be read: {error}")))?;
    let (mut rows, mut next, mut truncated) = (Vec::new(), Vec::new(), None);
    for entry in page.entries {
        match entry {
            Entry::Contents(row) | Entry::Version(row) => rows.extend(row.info(below)?),
            Entry::IsTruncated(more) => truncated = Some(more),
            Entry::NextContinuationToken(token) => next.push(("continuation-token", token)),
            Entry::NextKeyMarker(key) => next.push(("key-marker", key)),
            Entry::NextVersionIdMarker(version) => next.push(("version-id-marker", version)),
            Entry::Other => {}
        }
    }
    next.retain(|(_, value)| !value.is_empty());
    match (truncated, next.is_empty()) {
        (Some(false), _) => Ok(Rows { rows, next: None }),
        (Some(true), false) => Ok(Rows { rows, next: Some(next) }),
        // Believed, it would be a list with a gap.
        _ => Err(odd("a list does not say whether it ends here, or not how it goes on")),
    }
}

impl Row {
    /// None: what others put there, which is no object of ours.
    fn info(self, below: &Below) -> Result<Option<ObjectInfo>, DriverError> {
        let Some(key) = below.listed(&self.key)? else { return Ok(None) };
        let time: Timestamp = self.last_modified.parse().map_err(|_| odd("a list without the time of an object"))?;
        let version = self.version_id.filter(|id| !id.is_empty()).map(Version);
        Ok(Some(ObjectInfo { key, bytes: self.size, created: time, version }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BucketUrl;

    fn below(prefix: &str) -> Below {
        let url = BucketUrl {
            bucket: "bucket".into(),
            prefix: prefix.into(),
            endpoint: None,
            region: None,
            addressing: None,
        };
        Below::new(&url)
    }

    fn list(inside: &str) -> Result<Rows, String> {
        let page = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ListVersionsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inside}</ListVersionsResult>"
        );
        read(&page, "ListVersionsResult", &below("pre/fix")).map_err(|error| error.source.to_string())
    }

    fn version(key: &str, id: &str) -> String {
        format!(
            "<Version><Key>{key}</Key><LastModified>2026-11-24T09:35:53.120Z</LastModified><ETag>&#34;a&#34;</ETag>\
             <Size>7</Size><Owner><ID>x</ID><DisplayName>y</DisplayName></Owner><VersionId>{id}</VersionId></Version>"
        )
    }

    #[test]
    fn a_page_is_read_in_any_mixture() {
        let marker = "<DeleteMarker><Key>pre/fix/a</Key><VersionId>9</VersionId></DeleteMarker>";
        let inside = [
            "<Name>b</Name><Prefix>pre/fix/</Prefix><IsTruncated>true</IsTruncated>",
            &version("pre/fix/a", "2"),
            marker,
            &version("pre/fix/a", "1"),
            &version("pre/fix/folder/", "null"),
            "<NextKeyMarker>pre/fix/a</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker><KeyMarker/>",
        ];
        let page = list(&inside.concat()).unwrap();
        let found: Vec<_> = page.rows.iter().map(|row| (row.key.as_str(), row.bytes, row.version.clone())).collect();
        assert_eq!(found, [("a", 7, Some(Version("2".into()))), ("a", 7, Some(Version("1".into())))]);
        let next = page.next.unwrap();
        assert_eq!(next, [("key-marker", "pre/fix/a".to_owned()), ("version-id-marker", "1".to_owned())]);
        assert!(list("<IsTruncated>false</IsTruncated><NextKeyMarker>x</NextKeyMarker>").unwrap().next.is_none());
    }

    #[test]
    fn what_could_hide_a_gap_is_an_error() {
        for (inside, told) in [
            (String::new(), "whether it ends here"),
            ("<IsTruncated>true</IsTruncated>".into(), "how it goes on"),
            ("<IsTruncated>true</IsTruncated><NextKeyMarker></NextKeyMarker>".into(), "how it goes on"),
            ("<IsTruncated>perhaps</IsTruncated>".into(), "cannot be read"),
            (version("pre/other/a", "1"), "has `pre/other/a` in it"),
            (version("pre/fix/a", "1").replace("Size", "Length"), "cannot be read"),
            (version("pre/fix/a", "1").replace("2026-", "20261-"), "the time of an object"),
        ] {
            let error = list(&inside).unwrap_err();
            assert!(error.contains(told), "{inside}: {error}");
        }
        for page in
            ["<html>sign in</html>", "", "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"]
        {
            let error = read(page, "ListVersionsResult", &below("")).unwrap_err().source.to_string();
            assert!(error.contains("something else came"), "{page}: {error}");
        }
        let half = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a";
        assert!(read(half, "ListBucketResult", &below("")).is_err());
    }
}
