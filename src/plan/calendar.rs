//! Hours, days, weeks, months and years in a time zone.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

use crate::model::Timestamp;
use crate::plan::Rule;

/// One hour, day, week, month or year of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// With its offset: where clocks are put back, the hour that comes twice is two hours.
    Hour {
        date: Date,
        hour: i8,
        offset: Offset,
    },
    Day(Date),
    /// ISO 8601: from Monday; the week belongs to the year that holds its Thursday.
    Week {
        year: i16,
        week: i8,
    },
    Month {
        year: i16,
        month: i8,
    },
    Year(i16),
}

impl Slot {
    /// The one that holds that moment; None for a rule that knows no calendar.
    pub fn of(rule: Rule, moment: Timestamp, zone: &TimeZone) -> Option<Self> {
        let there = moment.to_zoned_datetime(zone.clone());
        let date = there.date();
        Some(match rule {
            Rule::Hourly => Slot::Hour { date, hour: there.hour(), offset: there.offset() },
            Rule::Daily => Slot::Day(date),
            Rule::Weekly => {
                let week = date.iso_week_date();
                Slot::Week { year: week.year(), week: week.week() }
            }
            Rule::Monthly => Slot::Month { year: date.year(), month: date.month() },
            Rule::Yearly => Slot::Year(date.year()),
            _ => return None,
        })
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Hour { date, hour, offset } => write!(f, "{date} {hour:02}h ({offset})"),
            Slot::Day(date) => write!(f, "{date}"),
            Slot::Week { year, week } => write!(f, "week {week} of {year}"),
            Slot::Month { year, month } => write!(f, "{year:04}-{month:02}"),
            Slot::Year(year) => write!(f, "{year:04}"),
        }
    }
}
