//! How long backups are kept: the rules, and what is wrong with those that a person typed.

use std::fmt;

use jiff::tz::TimeZone;
use serde_saphyr::Spanned;

use crate::config::Period;
use crate::config::check::Checker;
use crate::config::hints::nearest;
use crate::config::typed::RetentionField;

/// Proved captures of a source that are kept whatever the rules say, where the policy names no number.
const NEVER_BELOW: u32 = 3;

/// Which captures of a source are kept. The rules add up: what any of them keeps is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// The newest so many.
    pub last: Option<u32>,
    /// One for each of the newest so many hours that have one; the others likewise.
    pub hourly: Option<u32>,
    pub daily: Option<u32>,
    /// ISO weeks: they begin on Monday.
    pub weekly: Option<u32>,
    pub monthly: Option<u32>,
    pub yearly: Option<u32>,
    /// Everything less than so much older than the newest.
    pub within: Option<Period>,
    /// Everything with one of these tags.
    pub tags: Vec<TagRule>,
    /// The newest so many that are proved at least `hashed`, at least one; a source with fewer loses nothing.
    pub never_below: u32,
    /// Where days begin.
    pub time_zone: TimeZone,
}

impl Default for Retention {
    /// No rule: only what is kept anyway.
    fn default() -> Self {
        Self {
            last: None,
            hourly: None,
            daily: None,
            weekly: None,
            monthly: None,
            yearly: None,
            within: None,
            tags: Vec::new(),
            never_below: NEVER_BELOW,
            time_zone: TimeZone::UTC,
        }
    }
}

/// `release`: the tag with any value; `reason=audit`: with this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRule {
    pub tag: String,
    pub value: Option<String>,
}

impl TagRule {
    /// Whether a backup with that tag and value is meant.
    pub fn matches(&self, tag: &str, value: &str) -> bool {
        self.tag == tag && self.value.as_ref().is_none_or(|wanted| wanted == value)
    }

    fn parse(text: &str) -> Option<Self> {
        let (tag, value) = match text.split_once('=') {
            Some((tag, value)) => (tag, Some(value.to_owned())),
            None => (text, None),
        };
        (!tag.is_empty()).then(|| Self { tag: tag.to_owned(), value })
    }
}

impl fmt::Display for TagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.tag),
            None => f.write_str(&self.tag),
        }
    }
}

impl Checker<'_> {
    pub(in crate::config) fn retention(&mut self, field: Spanned<RetentionField>) -> Retention {
        let whole = Spanned { value: (), referenced: field.referenced, defined: field.defined };
        let RetentionField { last, hourly, daily, weekly, monthly, yearly, within, tags, never_below, time_zone } =
            field.value;
        let mut retention = Retention {
            last: self.count("last", last),
            hourly: self.count("hourly", hourly),
            daily: self.count("daily", daily),
            weekly: self.count("weekly", weekly),
            monthly: self.count("monthly", monthly),
            yearly: self.count("yearly", yearly),
            within,
            ..Retention::default()
        };
        for text in tags {
            match TagRule::parse(&text.value) {
                Some(tag) => retention.tags.push(tag),
                None => self.wrong(&text, format!("`{}` is no tag", text.value), Some("write `name` or `name=value`")),
            }
        }
        match never_below {
            Some(Spanned { value: 0, referenced, defined }) => {
                let place = Spanned { value: (), referenced, defined };
                let cure = "write at least 1, or leave it out: 3";
                self.wrong(&place, "with 0 the last backup that is known to be good could expire", Some(cure));
            }
            Some(number) => retention.never_below = number.value,
            None => {}
        }
        if let Some(name) = time_zone {
            match TimeZone::get(&name.value) {
                Ok(zone) => retention.time_zone = zone,
                Err(_) => self.unknown_zone(&name),
            }
        }
        let Retention { last, hourly, daily, weekly, monthly, yearly, .. } = &retention;
        if [last, hourly, daily, weekly, monthly, yearly].iter().all(|count| count.is_none()) && within.is_none() {
            let cure = "add a rule such as `daily: 30`, or leave `retention` out: then everything is kept";
            let message = match retention.tags.is_empty() {
                true => "no rule here keeps any backup",
                false => "no rule here keeps a backup without a tag",
            };
            self.wrong(&whole, message, Some(cure));
        }
        retention
    }

    fn count(&mut self, rule: &str, field: Option<Spanned<u32>>) -> Option<u32> {
        let number = field?;
        if number.value == 0 {
            self.wrong(&number, format!("`{rule}: 0` keeps nothing"), Some("leave it out"));
        }
        Some(number.value)
    }

    fn unknown_zone(&mut self, name: &Spanned<String>) {
        let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let cure = match nearest(&name.value, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write a name of the tz database, such as Europe/Berlin, or UTC".to_owned(),
        };
        self.wrong(name, format!("unknown time zone `{}`", name.value), Some(&cure));
    }
}
