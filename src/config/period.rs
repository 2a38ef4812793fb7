//! A length of time as people write it: `90s`, `15m`, `24h`, `7d`, `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A positive length of time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time: write 90s, 15m, 24h, 7d or 1h30m")]
pub struct PeriodError(pub String);

/// Largest first, each a whole multiple of the next.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Period {
    pub fn seconds(self) -> u64 {
        self.0
    }

    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        parse(text).map(Self).ok_or_else(|| PeriodError(text.to_owned()))
    }
}

/// Units only downwards, each at most once: `30m1h` is more likely a slip than a wish.
fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    let mut units = UNITS.as_slice();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let letter = tail.chars().next()?;
        let place = units.iter().position(|(unit, _)| *unit == letter)?;
        let number: u64 = number.parse().ok()?;
        seconds = seconds.checked_add(number.checked_mul(units.get(place)?.1)?)?;
        units = units.get(place + 1..)?;
        rest = tail.get(letter.len_utf8()..)?;
    }
    (seconds > 0).then_some(seconds)
}

impl fmt::Display for Period {
    /// In at most two units, exactly: the largest unit that divides it, or that and the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Objectives are spoken of in hours up to two days.
        let from = usize::from(self.0 < 2 * 86_400 || !self.0.is_multiple_of(86_400) && self.0 < 7 * 86_400);
        let mut rest = self.0;
        for (unit, size) in UNITS.iter().skip(from) {
            if rest >= *size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in
            [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("1h30m", 5_400), ("1d2h3m4s", 93_784)]
        {
            assert_eq!(text.parse::<Period>().unwrap().seconds(), seconds, "{text}");
        }
    }

    #[test]
    fn refuses_what_could_mean_two_things() {
        for text in ["", "15", "h", "0s", "15 m", "-1h", "30m1h", "1h1h", "1w", "1.5h", "99999999999999999999d", "1µ"]
        {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn writes_whole_days_and_small_hours() {
        for text in ["90m", "24h", "36h", "7d", "1h30m", "45s", "15m"] {
            let period: Period = text.parse().unwrap();
            let expected = if text == "90m" { "1h30m" } else { text };
            assert_eq!(period.to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in 1u64..u64::from(u32::MAX)) {
            prop_assert_eq!(Period(seconds).to_string().parse::<Period>().unwrap(), Period(seconds));
        }
    }
}
