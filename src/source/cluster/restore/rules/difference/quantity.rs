//! Amounts as Kubernetes writes them: `500m`, `0.5`, `1Gi`, `1e3`.

use serde_json::Value;

/// Whether both are the same amount. What is no amount equals nothing.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    let nanos = |value: &Value| match value {
        Value::String(text) => nanos(text),
        Value::Number(number) => nanos(&number.to_string()),
        _ => None,
    };
    nanos(one).is_some_and(|amount| nanos(other) == Some(amount))
}

/// In billionths, the smallest that a server keeps. None if it is no amount, or too large to tell.
fn nanos(text: &str) -> Option<i128> {
    let digits_end = text.find(|sign: char| !matches!(sign, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits_end);
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let mantissa: i128 = digits.parse().ok()?;
    let (binary, decimal) = unit(suffix)?;
    let amount = mantissa.checked_mul(1i128.checked_shl(binary)?)?;
    let exponent = decimal.checked_add(9)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = 10i128.checked_pow(exponent.unsigned_abs())?;
    let amount = if exponent >= 0 {
        amount.checked_mul(power)?
    } else {
        // A server rounds what is smaller up; nobody asks for so little.
        (amount % power == 0).then_some(amount / power)?
    };
    Some(if negative { -amount } else { amount })
}

/// Powers of two and of ten.
fn unit(suffix: &str) -> Option<(u32, i32)> {
    let unit = match suffix {
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        exponent => (0, exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(unit)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("1", "1000m", true)]
    #[case("0.5", "500m", true)]
    #[case("1Gi", "1024Mi", true)]
    #[case("1.5Gi", "1536Mi", true)]
    #[case("1e3", "1k", true)]
    #[case("1E3", "1000", true)]
    #[case("-1", "-1000m", true)]
    #[case("1E", "1000P", true)]
    #[case("1Gi", "1G", false)]
    #[case("1", "1m", false)]
    #[case("one", "one", false)]
    #[case("", "", false)]
    #[case("1e999999999999", "1", false)]
    #[case("1-1", "1-1", false)]
    #[case("340282366920938463463374607431768211456", "1", false)]
    fn amounts(#[case] one: &str, #[case] other: &str, #[case] wanted: bool) {
        assert_eq!(same(&json!(one), &json!(other)), wanted);
    }

    #[test]
    fn a_number_is_an_amount_too() {
        assert!(same(&json!(2), &json!("2000m")));
        assert!(!same(&json!(true), &json!(true)));
    }
}
