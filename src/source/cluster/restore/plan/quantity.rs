//! Quantities of the API: `500m`, `5Gi`, `1e3`. In thousandths, so that they add up exactly.

/// Thousandths of the unit; None for what is no quantity, or larger than any.
pub(super) fn parse(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (numerator, denominator) = unit_of(unit)?;
    let negative = whole.starts_with('-');
    let digits = whole.trim_start_matches(['+', '-']);
    if digits.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    value = value.checked_mul(1000)?.checked_mul(numerator)?;
    let mut place: i128 = 10;
    for digit in fraction.chars().take(18) {
        let digit = i128::from(digit.to_digit(10)?);
        value = value.checked_add(digit.checked_mul(1000)?.checked_mul(numerator)? / place)?;
        place *= 10;
    }
    let value = value / denominator;
    Some(if negative { -value } else { value })
}

fn unit_of(unit: &str) -> Option<(i128, i128)> {
    let power = |exponent: u32| 10i128.checked_pow(exponent);
    Some(match unit {
        "" => (1, 1),
        "n" => (1, power(9)?),
        "u" => (1, power(6)?),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (power(6)?, 1),
        "G" => (power(9)?, 1),
        "T" => (power(12)?, 1),
        "P" => (power(15)?, 1),
        "E" => (power(18)?, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let exponent: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            match exponent {
                0..=24 => (power(exponent.unsigned_abs())?, 1),
                -24..0 => (1, power(exponent.unsigned_abs())?),
                _ => return None,
            }
        }
    })
}

/// As a person writes it: without thousandths where there are none.
pub(super) fn show(thousandths: i128) -> String {
    let steps = [("Ti", 1i128 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    if thousandths % 1000 != 0 {
        return format!("{thousandths}m");
    }
    let whole = thousandths / 1000;
    match steps.into_iter().find(|(_, size)| whole != 0 && whole % size == 0) {
        Some((unit, size)) => format!("{}{unit}", whole / size),
        None => whole.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_api_writes_them() {
        for (text, thousandths) in [
            ("0", 0),
            ("10", 10_000),
            ("500m", 500),
            ("1.5", 1500),
            ("0.5Gi", 536_870_912_000),
            ("5Gi", 5_368_709_120_000),
            ("1e3", 1_000_000),
            ("1E3", 1_000_000),
            ("2E", 2_000_000_000_000_000_000_000),
            ("-1", -1000),
            (".5", 500),
            ("100n", 0),
        ] {
            assert_eq!(parse(text), Some(thousandths), "{text}");
        }
        for wrong in ["", "-", "x", "1x", "1e99", "1 Gi", "99999999999999999999999999999999999999Ei"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shown_as_people_write_them() {
        for text in ["0", "10", "500m", "5Gi", "1536Mi", "3Ti"] {
            assert_eq!(parse(text).map(show).as_deref(), Some(text));
        }
    }
}
