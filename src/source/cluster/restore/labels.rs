//! Label selectors as the API writes them: `{matchLabels: {...}, matchExpressions: [...]}`.

use serde_json::Value;

use crate::source::cluster::restore::view::Labels;

/// Whether an API selector chooses something with these labels. A selector that says nothing chooses everything.
pub(super) fn selects(selector: &Value, labels: &Labels) -> bool {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut equal = equal.map(|(key, value)| labels.get(key).map(String::as_str) == value.as_str());
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.all(|holds| holds) && expressions.all(|expression| holds(expression, labels))
}

fn holds(expression: &Value, labels: &Labels) -> bool {
    let value = expression["key"].as_str().and_then(|key| labels.get(key));
    let mut named = expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
    match expression["operator"].as_str() {
        Some("In") => value.is_some_and(|value| named.any(|name| name == value)),
        Some("NotIn") => value.is_none_or(|value| named.all(|name| name != value)),
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        Some("Gt") => compared(value, named.next(), |have, than| have > than),
        Some("Lt") => compared(value, named.next(), |have, than| have < than),
        _ => false,
    }
}

/// Node selectors compare whole numbers.
fn compared(value: Option<&String>, than: Option<&str>, holds: fn(i64, i64) -> bool) -> bool {
    let numbers = value.and_then(|value| value.parse().ok()).zip(than.and_then(|than| than.parse().ok()));
    numbers.is_some_and(|(value, than)| holds(value, than))
}

/// The labels of an object.
pub(super) fn of(object: &Value) -> Labels {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_operator() {
        let labels: Labels = [("app".to_owned(), "web".to_owned()), ("cpus".to_owned(), "8".to_owned())].into();
        let chosen = |selector: Value| selects(&selector, &labels);
        let expression = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        assert!(chosen(Value::Null) && chosen(json!({})));
        assert!(chosen(json!({"matchLabels": {"app": "web"}})) && !chosen(json!({"matchLabels": {"app": "db"}})));
        for (key, operator, values, expected) in [
            ("app", "In", &["db", "web"][..], true),
            ("app", "In", &["db"], false),
            ("app", "NotIn", &["db"], true),
            ("app", "NotIn", &["web"], false),
            ("zone", "NotIn", &["a"], true),
            ("zone", "Exists", &[], false),
            ("app", "Exists", &[], true),
            ("app", "DoesNotExist", &[], false),
            ("cpus", "Gt", &["4"], true),
            ("cpus", "Gt", &["8"], false),
            ("cpus", "Lt", &["9"], true),
            ("app", "Like", &["w*"], false),
        ] {
            assert_eq!(chosen(expression(key, operator, values)), expected, "{key} {operator} {values:?}");
        }
    }
}
