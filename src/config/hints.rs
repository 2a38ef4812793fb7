//! Plain words for what the YAML reader says, and the nearest right spelling.

use serde_saphyr::Error;

/// Fields and kinds that exist in the design, and come with a later version.
const LATER: [&str; 16] = [
    "Schedule",
    "Playbook",
    "mongo",
    "velero",
    "vault",
    "files",
    "credentials",
    "lock",
    "via",
    "method",
    "restorer",
    "secret",
    "backup",
    "s3",
    "gs",
    "minio",
];

/// What the custom readers of `fields.rs` say of a secret in the file. Never with the secret.
pub const INLINE_SECRET: &str = "a secret must not stand in the file itself";

/// Message and cure for a word that is not one of `expected`.
pub fn unknown(what: &str, word: &str, expected: &[&str]) -> (String, String) {
    let message = if LATER.contains(&word) {
        format!("this version does not know {what} `{word}` yet")
    } else {
        format!("unknown {what} `{word}`")
    };
    let cure = match nearest(word, expected) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", expected.join(", ")),
    };
    (message, cure)
}

/// The candidate that a slip of the fingers could have turned into `word`.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
    let best = candidates.iter().map(|candidate| (distance(candidate), *candidate)).min()?;
    (best.0 <= 1.max(word.chars().count() / 3)).then_some(best.1)
}

/// The cure of an inline secret in `field`; None for any other message.
pub fn inline_secret(message: &str, field: &str) -> Option<String> {
    let field = if field.is_empty() { "password" } else { field };
    message.starts_with(INLINE_SECRET).then(|| {
        format!("write `{field}: {{env: NAME}}` (an environment variable) or `{field}: {{file: PATH}}`, and put the secret there")
    })
}

/// The message without its position.
pub fn plain(error: &Error) -> String {
    let said = words(error);
    // The reader's own guards against files made to exhaust it.
    if said.starts_with("budget breached") || said.starts_with("recursion limit") {
        return "it is too large or too deep for a file that a person wrote, its `*aliases` followed".to_owned();
    }
    said
}

fn words(error: &Error) -> String {
    match error {
        Error::InvalidScalar { ty, .. } => format!("this is not {}", type_in_words(ty)),
        Error::Unexpected { expected, .. } => format!("expected {}", expected_in_words(expected)),
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            format!("expected {expected}")
        }
        Error::NullIntoString { .. } => "a text is missing here".to_owned(),
        Error::Message { msg, .. } | Error::ExternalMessage { msg, .. } => msg.clone(),
        other => {
            let text = other.to_string();
            let position = other.location().map(|l| format!(" at line {}, column {}", l.line(), l.column()));
            position.and_then(|p| text.strip_suffix(&p).map(str::to_owned)).unwrap_or(text)
        }
    }
}

fn type_in_words(name: &str) -> &str {
    match name {
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number, 0 or more",
        "bool" => "true or false",
        other => other,
    }
}

fn expected_in_words(name: &str) -> &str {
    match name {
        "string scalar" | "scalar" => "one value, not a list or mapping",
        "sequence start" => "a list: `[a, b]`, or one `- item` per line",
        "mapping start" => "fields with values: `name: value`",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let fields = ["host", "port", "user", "password", "databases", "stallTimeout"];
        assert_eq!(nearest("hots", &fields), Some("host"));
        assert_eq!(nearest("stalltimeout", &fields), Some("stallTimeout"));
        assert_eq!(nearest("pasword", &fields), Some("password"));
        assert_eq!(nearest("retention", &fields), None);
        assert_eq!(nearest("ca", &fields), None);
    }
}
