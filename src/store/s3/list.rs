//! Lists, page by page.

use crate::model::{ObjectInfo, Prefix, Version};
use crate::store::bucket::odd;
use crate::store::driver::{DriverError, Operation};
use crate::store::s3::{S3, sent, timestamp};

impl S3 {
    /// The current objects below the folder, in the byte order of keys.
    pub(super) async fn current(&self, prefix: &Prefix) -> Result<Vec<ObjectInfo>, DriverError> {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let page = self.client.list_objects_v2().bucket(&self.bucket).prefix(self.below.name(prefix.as_str()));
            let page = page.set_continuation_token(token.clone());
            let page = sent(Operation::List, page.send()).await?;
            for row in page.contents.unwrap_or_default() {
                all.extend(self.info(row.key, row.size, row.last_modified.as_ref(), None)?);
            }
            match next(page.is_truncated, page.next_continuation_token, &token)? {
                None => break,
                further => token = further,
            }
        }
        // Some servers list folder by folder (SeaweedFS), where `a/b` comes before `a-b`.
        if !all.is_sorted_by(|one, other| one.key < other.key) {
            all.sort_by(|one, other| one.key.cmp(&other.key));
        }
        Ok(all)
    }

    /// Every version below the folder that holds bytes, by key, oldest first.
    pub(super) async fn versions(&self, prefix: &Prefix) -> Result<Vec<ObjectInfo>, DriverError> {
        let (mut all, mut marker) = (Vec::new(), None);
        loop {
            let page = self.client.list_object_versions().bucket(&self.bucket).prefix(self.below.name(prefix.as_str()));
            let (key, version) = marker.clone().unzip();
            let page = page.set_key_marker(key).set_version_id_marker(version);
            let page = sent(Operation::ListVersions, page.send()).await?;
            for row in page.versions.unwrap_or_default() {
                let version = row.version_id.filter(|id| !id.is_empty()).map(Version);
                // In milliseconds as told: two versions of one second keep their order.
                let order = row.last_modified.and_then(|time| time.to_millis().ok());
                let info = self.info(row.key, row.size, row.last_modified.as_ref(), version)?;
                all.extend(info.map(|info| (order, info)));
            }
            let further = page.next_key_marker.map(|key| (key, page.next_version_id_marker.unwrap_or_default()));
            match next(page.is_truncated, further, &marker)? {
                None => break,
                further => marker = further,
            }
        }
        // Servers give the newest of a key first. Turned around, what has the same time stays in the right order.
        all.reverse();
        all.sort_by(|(one_time, one), (other_time, other)| (&one.key, one_time).cmp(&(&other.key, other_time)));
        Ok(all.into_iter().map(|(_, info)| info).collect())
    }

    /// None: what others put there, which is no object of ours.
    fn info(
        &self,
        name: Option<String>,
        size: Option<i64>,
        time: Option<&aws_smithy_types::DateTime>,
        version: Option<Version>,
    ) -> Result<Option<ObjectInfo>, DriverError> {
        let name = name.ok_or_else(|| odd("a list with an object without a name"))?;
        let Some(key) = self.below.listed(&name)? else { return Ok(None) };
        let bytes = size.and_then(|size| u64::try_from(size).ok());
        let bytes = bytes.ok_or_else(|| odd("a list without the size of an object"))?;
        Ok(Some(ObjectInfo { key, bytes, created: timestamp(time)?, version }))
    }
}

/// Where the list goes on. Believed, a page that does not say so would be a list with a gap.
pub(super) fn next<T: PartialEq>(
    truncated: Option<bool>,
    further: Option<T>,
    here: &Option<T>,
) -> Result<Option<T>, DriverError> {
    match (truncated, further) {
        (Some(false), _) => Ok(None),
        (Some(true), further @ Some(_)) if further == *here => Err(odd("the next page of a list is the same again")),
        (Some(true), further @ Some(_)) => Ok(further),
        _ => Err(odd("a list does not say whether it ends here, or not how it goes on")),
    }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn what_could_hide_a_gap_is_an_error() {
        assert_eq!(next(Some(false), Some("b"), &None).unwrap(), None);
        assert_eq!(next(Some(true), Some("b"), &Some("a")).unwrap(), Some("b"));
        for (truncated, further) in [(None, None), (None, Some("b")), (Some(true), None), (Some(true), Some("a"))] {
            assert!(next(truncated, further, &Some("a")).is_err(), "{truncated:?} {further:?}");
        }
    }
}
