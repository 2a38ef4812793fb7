//! Why something is kept or expires.

use std::fmt;

use serde::Serialize;

/// What decided. The first nine are written in the policy; the others hold always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    Last,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Yearly,
    Within,
    Tags,
    NeverBelow,
    /// The newest capture of a source that was proved by restoring it.
    Restored,
    /// The newest whole capture of a source.
    Newest,
    /// A capture whose newest proof failed is not counted with the others, and is kept a while to be looked at.
    Failed,
    /// A hold lies on the backup.
    Hold,
    /// A person asked for it to expire.
    Asked,
    /// As long as the newest backups of a source fail, nothing of it expires.
    Failing,
    /// A backup looks as if its source had been encrypted or emptied: nothing of it expires for a while.
    Signal,
    /// Clocks disagree: nothing expires.
    Clocks,
    /// So many at a time.
    Limit,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Last => "last",
            Rule::Hourly => "hourly",
            Rule::Daily => "daily",
            Rule::Weekly => "weekly",
            Rule::Monthly => "monthly",
            Rule::Yearly => "yearly",
            Rule::Within => "within",
            Rule::Tags => "tags",
            Rule::NeverBelow => "neverBelow",
            Rule::Restored => "restored",
            Rule::Newest => "newest",
            Rule::Failed => "failed",
            Rule::Hold => "hold",
            Rule::Asked => "asked",
            Rule::Failing => "failing",
            Rule::Signal => "signal",
            Rule::Clocks => "clocks",
            Rule::Limit => "limit",
        })
    }
}

/// One rule, and what it says of one capture or backup: `daily: 3 of 30, the newest of 2026-11-21`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    pub rule: Rule,
    /// In words.
    pub detail: String,
}

impl Reason {
    pub fn new(rule: Rule, detail: impl Into<String>) -> Self {
        Self { rule, detail: detail.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.detail)
    }
}
