//! Sizes, times and ages as people say them.

use crate::model::Timestamp;

/// `0 B`, `17 KiB`, `1.3 GiB`: powers of 1024, two or three digits.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut name = "B";
    for unit in UNITS {
        value /= 1024.0;
        name = unit;
        // What would be printed as 1024 belongs to the next unit.
        if value < 1023.5 {
            break;
        }
    }
    if value < 9.95 { format!("{value:.1} {name}") } else { format!("{value:.0} {name}") }
}

/// `0.4 s`, `12 s`, `7 min 41 s`, `3 h 20 min`, `2 d 4 h`.
pub fn seconds(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    let whole = seconds.round() as u64;
    let (big, small) = match whole {
        0..60 => return format!("{whole} s"),
        60..3600 => (("min", 60), ("s", 1)),
        3600..172_800 => (("h", 3600), ("min", 60)),
        _ => (("d", 86_400), ("h", 3600)),
    };
    let rest = whole % big.1 / small.1;
    let first = format!("{} {}", whole / big.1, big.0);
    if rest == 0 { first } else { format!("{first} {rest} {}", small.0) }
}

/// The same of a number that was counted in whole seconds: nothing is known below one.
pub fn whole_seconds(whole: u64) -> String {
    if whole == 0 { "under 1 s".to_owned() } else { seconds(whole as f64) }
}

/// `3 h ago`; one unit, rounded down. A clock that runs ahead is said, not hidden.
pub fn age(seconds: i64) -> String {
    match seconds {
        ..-60 => format!("{} in the future", span(seconds.unsigned_abs())),
        -60..60 => "just now".to_owned(),
        _ => format!("{} ago", span(seconds.unsigned_abs())),
    }
}

/// `45 s`, `15 min`, `7 h`, `3 d`: one unit, rounded down.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `2026-11-23 02:07 UTC`
pub fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `1 stream`, `2 streams`.
pub fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (17_500, "17 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_401_050_143, "1.3 GiB"),
            (u64::MAX, "16 EiB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn lengths_of_time() {
        for (number, text) in [
            (0.04, "0.0 s"),
            (0.44, "0.4 s"),
            (12.4, "12 s"),
            (59.6, "1 min"),
            (461.0, "7 min 41 s"),
            (12_000.0, "3 h 20 min"),
            (187_200.0, "2 d 4 h"),
        ] {
            assert_eq!(seconds(number), text);
        }
    }

    #[test]
    fn ages() {
        for (number, text) in [
            (-7200, "2 h in the future"),
            (-5, "just now"),
            (59, "just now"),
            (3 * 3600 + 1, "3 h ago"),
            (864_000, "10 d ago"),
        ] {
            assert_eq!(age(number), text);
        }
    }

    #[test]
    fn times_are_utc() {
        let moment: Timestamp = "2026-11-23T03:07:59+01:00".parse().unwrap();
        assert_eq!(time(moment), "2026-11-23 02:07 UTC");
    }
}
