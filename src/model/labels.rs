//! Label selectors, in the grammar of `kubectl get -l`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// `app=web,tier!=cache,env in (prod, test),zone notin (a),owner,!legacy`: all must hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    /// Also fits where the label is missing, as in kubectl.
    NotIn(Vec<String>),
    Exists,
    Missing,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{part:?} is no label selector: {problem}")]
pub struct SelectorError {
    /// What could not be read.
    pub part: String,
    pub problem: &'static str,
}

impl LabelSelector {
    /// Whether it asks for a label that is there. Without that, nearly everything fits: whatever nobody has labelled.
    pub fn asks_for_a_label(&self) -> bool {
        let asks = |requirement: &Requirement| matches!(requirement.operator, Operator::In(_) | Operator::Exists);
        self.requirements.iter().any(asks)
    }

    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.fits(|key| labels.get(key).map(String::as_str))
    }

    /// Against `metadata.labels`.
    pub fn matches_object(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        self.fits(|key| labels?.get(key)?.as_str())
    }

    fn fits<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = label(&requirement.key);
            let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
            match &requirement.operator {
                Operator::In(values) => among(values),
                Operator::NotIn(values) => !among(values),
                Operator::Exists => value.is_some(),
                Operator::Missing => value.is_none(),
            }
        })
    }
}

/// As it may be typed.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |Requirement { key, operator }: &Requirement| match operator {
            Operator::In(values) if values.len() == 1 => format!("{key}={}", values[0]),
            Operator::In(values) => format!("{key} in ({})", values.join(",")),
            Operator::NotIn(values) if values.len() == 1 => format!("{key}!={}", values[0]),
            Operator::NotIn(values) => format!("{key} notin ({})", values.join(",")),
            Operator::Exists => key.clone(),
            Operator::Missing => format!("!{key}"),
        };
        f.write_str(&self.requirements.iter().map(one).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let requirements = split(text)?.into_iter().map(requirement).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { requirements })
    }
}

impl TryFrom<String> for LabelSelector {
    type Error = SelectorError;

    fn try_from(text: String) -> Result<Self, SelectorError> {
        text.parse()
    }
}

/// At commas that stand outside of brackets.
fn split(text: &str) -> Result<Vec<&str>, SelectorError> {
    let fail = |problem| Err(SelectorError { part: text.to_owned(), problem });
    // An empty selector means "everything" to kubectl. Here it would be a slip, and start everything at zero.
    if text.trim().is_empty() {
        return fail("it is empty");
    }
    let (mut parts, mut start, mut inside) = (Vec::new(), 0, false);
    for (at, sign) in text.char_indices() {
        match sign {
            '(' if inside => return fail("brackets in brackets"),
            '(' => inside = true,
            ')' if !inside => return fail("a bracket closes that was not opened"),
            ')' => inside = false,
            ',' if !inside => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return fail("a bracket is not closed");
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn requirement(part: &str) -> Result<Requirement, SelectorError> {
    let part = part.trim();
    if let Some(list) = part.strip_suffix(')') {
        return set(part, list);
    }
    if let Some(key) = part.strip_prefix('!') {
        return made(part, key, Operator::Missing);
    }
    // `!=` before `=`: it holds one. `==` is `=`.
    for sign in ["!=", "==", "="] {
        if let Some((key, value)) = part.split_once(sign) {
            let values = vec![checked(part, value)?];
            return made(part, key, if sign == "!=" { Operator::NotIn(values) } else { Operator::In(values) });
        }
    }
    made(part, part, Operator::Exists)
}

/// `env in (prod, test` and `env notin (prod`
fn set(part: &str, list: &str) -> Result<Requirement, SelectorError> {
    let fail = |problem| SelectorError { part: part.to_owned(), problem };
    let (head, values) = list.split_once('(').ok_or_else(|| fail("a bracket closes that was not opened"))?;
    let values = values.split(',').map(|value| checked(part, value)).collect::<Result<Vec<_>, _>>()?;
    let mut words = head.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(key), Some("in"), None) => made(part, key, Operator::In(values)),
        (Some(key), Some("notin"), None) => made(part, key, Operator::NotIn(values)),
        _ => Err(fail("brackets follow `KEY in` or `KEY notin`")),
    }
}

fn made(part: &str, key: &str, operator: Operator) -> Result<Requirement, SelectorError> {
    let key = key.trim();
    let plain = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.' | '/');
    if key.is_empty() || !key.chars().all(plain) {
        return Err(SelectorError { part: part.to_owned(), problem: "that is no key of a label" });
    }
    Ok(Requirement { key: key.to_owned(), operator })
}

/// An empty value is legal.
fn checked(part: &str, value: &str) -> Result<String, SelectorError> {
    let value = value.trim();
    let plain = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.');
    if value.len() > 63 || !value.chars().all(plain) {
        return Err(SelectorError { part: part.to_owned(), problem: "that is no value of a label" });
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("app=web", true)]
    #[case("app==web", true)]
    #[case(" app = web , env != prod ", true)]
    #[case("app!=web", false)]
    #[case("env!=prod", true)]
    #[case("missing!=x", true)]
    #[case("env in (dev, test)", true)]
    #[case("env in (prod)", false)]
    #[case("missing in (a)", false)]
    #[case("env notin (prod, stage)", true)]
    #[case("env notin (dev)", false)]
    #[case("missing notin (a)", true)]
    #[case("app", true)]
    #[case("missing", false)]
    #[case("!missing", true)]
    #[case("!app", false)]
    #[case("app=web,!app", false)]
    #[case("empty=", true)]
    #[case("app=", false)]
    #[case("app.kubernetes.io/part-of in (shop,store),env", true)]
    fn as_kubectl_does(#[case] selector: &str, #[case] wanted: bool) {
        let labels = json!({"app": "web", "env": "dev", "empty": "", "app.kubernetes.io/part-of": "shop"});
        let selector: LabelSelector = selector.parse().unwrap();
        assert_eq!(selector.matches_object(&json!({"metadata": {"labels": labels}})), wanted);
        let labels = serde_json::from_value(labels).unwrap();
        assert_eq!(selector.matches(&labels), wanted);
    }

    #[rstest]
    #[case("")]
    #[case("a=b,,c=d")]
    #[case("a in (b")]
    #[case("a in b)")]
    #[case("a in ((b))")]
    #[case("a on (b)")]
    #[case("in (b)")]
    #[case("a b=c")]
    #[case("!")]
    #[case("=x")]
    #[case("a=b=c")]
    #[case("a=b c")]
    fn what_is_none_is_refused(#[case] selector: &str) {
        assert!(selector.parse::<LabelSelector>().is_err());
    }

    #[test]
    fn what_only_says_no_fits_nearly_everything() {
        let asks = |text: &str| text.parse::<LabelSelector>().unwrap().asks_for_a_label();
        assert!(["app=web", "app", "app in (a, b)", "a!=b,app=web"].into_iter().all(asks));
        assert!(!["app!=web", "!app", "app notin (a, b)", "a!=b,!app"].into_iter().any(asks));
    }

    #[test]
    fn an_object_without_labels_has_none() {
        let selector: LabelSelector = "!app".parse().unwrap();
        assert!(selector.matches_object(&json!({"metadata": {}})));
        assert!(selector.matches_object(&json!({})));
    }
}
