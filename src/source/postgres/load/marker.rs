//! What a restore writes on a database while it is not finished: whose it is, what it holds, how far it came.
//!
//! The marker is the database's comment, and the last thing that a restore does is to put the captured comment there.
//! So nothing of it remains, nothing but the database itself has to be looked after, and a person who meets one sees
//! what it is. A marker counts only on the database whose OID it names: a copy of the text elsewhere says nothing.

use serde::{Deserialize, Serialize};

use crate::model::{AttemptId, Digest, RunId};
use crate::source::postgres::load::quote::{ident, literal};

/// Comments longer than this are not ours.
const MAX_TEXT: usize = 1 << 20;
const BEGIN: &str = "lifeboat restore ";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Something may be in it, and something may be missing.
    Loading,
    /// Everything is in it, and was compared with the capture. Owner, privileges and settings are not set.
    Loaded,
    /// It has its final name, owner, privileges and settings; only the comment is left to set.
    Placed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    /// The restore that answers for it; its session holds a lock as long as it lives.
    pub restore: RunId,
    pub state: State,
    /// Of the database that carries it.
    pub oid: u32,
    /// The capture and the stream that it is loaded from.
    pub attempt: AttemptId,
    pub stream: String,
    pub sha256: Digest,
    /// Name that was asked for, and how.
    pub name: String,
    pub mode: String,
    /// The name that the replaced database has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<String>,
    /// Loaded by one transaction: there is all of it, or nothing.
    #[serde(default)]
    pub atomic: bool,
    /// The comment that stood there before, on a database that was not made by the restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Marker {
    /// The marker in a comment, if it is one and stands where it belongs.
    pub(super) fn read(comment: &str, oid: u32) -> Option<Self> {
        let text = Some(comment).filter(|text| text.len() <= MAX_TEXT)?.strip_prefix(BEGIN)?;
        let marker: Marker = serde_json::from_str(&text[text.find('{')?..]).ok()?;
        Some(marker).filter(|marker| marker.oid == oid)
    }

    /// The statement that puts it on the database that is called `name` now.
    pub(super) fn comment(&self, name: &str) -> String {
        comment(name, Some(&self.text()))
    }

    fn text(&self) -> String {
        let state = match self.state {
            State::Loading => "half loaded, not for use",
            State::Loaded => "loaded, not in place yet",
            State::Placed => "in place",
        };
        // Nothing in it can fail to be written as JSON.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{BEGIN}{}: {state} {json}", self.restore)
    }
}

/// `COMMENT ON DATABASE`; None takes the comment away.
pub(super) fn comment(name: &str, text: Option<&str>) -> String {
    format!("COMMENT ON DATABASE {} IS {}", ident(name), text.map_or("NULL".into(), literal))
}

/// The restore whose unfinished database a name would be: `shop__lb_01K...`, perhaps with a number behind.
pub(super) fn restore_in(name: &str) -> Option<RunId> {
    let (_, id) = name.rsplit_once("__lb_")?;
    let id = id.split_once('_').map_or(id, |(id, _)| id);
    id.parse().ok()
}

/// The key of the advisory lock that a restore holds while it works.
pub(super) fn lock_key(restore: RunId) -> i64 {
    let hash = crate::model::sha256(format!("lifeboat restore {restore}").as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> Marker {
        Marker {
            restore: "01K4M2Z5J6T7V8W9X0Y1Z2A3B4".parse().unwrap(),
            state: State::Loaded,
            oid: 16_400,
            attempt: "01K4M2Z5J6T7V8W9X0Y1Z2A3B5".parse().unwrap(),
            stream: "db/it's {odd}".into(),
            sha256: crate::model::sha256(b"stream"),
            name: "it's {odd}".into(),
            mode: "create".into(),
            aside: None,
            atomic: false,
            before: None,
        }
    }

    #[test]
    fn reads_what_it_wrote_and_only_on_its_own_database() {
        let text = marker().text();
        assert!(text.starts_with("lifeboat restore 01K4M2Z5J6T7V8W9X0Y1Z2A3B4: loaded, not in place yet {"));
        assert_eq!(Marker::read(&text, 16_400), Some(marker()));
        assert_eq!(Marker::read(&text, 16_401), None, "the same text on another database");
        assert_eq!(Marker::read("lifeboat restore, said a person", 16_400), None);
        assert_eq!(Marker::read(&text[..text.len() - 1], 16_400), None);
    }

    #[test]
    fn names_of_unfinished_databases() {
        let id = marker().restore;
        assert_eq!(restore_in(&format!("shop__lb_{id}")), Some(id));
        assert_eq!(restore_in(&format!("a__lb_b__lb_{id}_2")), Some(id));
        assert_eq!(restore_in("shop__lb_test"), None);
        assert_eq!(restore_in(&format!("shop__old_{id}")), None);
    }
}
