//! Writing names and values into SQL so that nothing in them is ever read as SQL.

/// A name, always in double quotes.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value in single quotes. With a backslash inside it is an `E''` string, which reads the same whatever
/// `standard_conforming_strings` says.
pub(super) fn literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if value.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A word as a shell reads it, always in single quotes.
pub(super) fn shell(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Settings whose value is a list of names, each quoted on its own (`GUC_LIST_QUOTE` in the server's source).
const NAME_LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// `name = value` of a setting as the catalogue keeps it, for `ALTER ... SET`.
pub(super) fn setting(name: &str, value: &str) -> String {
    let name_sql = name.split('.').map(ident).collect::<Vec<_>>().join(".");
    if !NAME_LISTS.contains(&name.to_ascii_lowercase().as_str()) {
        return format!("{name_sql} = {}", literal(value));
    }
    let names = name_list(value);
    // An empty list is written as one empty name: `SET search_path = ''`.
    let list =
        if names.is_empty() { literal("") } else { names.iter().map(|n| literal(n)).collect::<Vec<_>>().join(", ") };
    format!("{name_sql} = {list}")
}

/// The names in `"$user", public`: quotes undone, unquoted ones as they stand.
fn name_list(value: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = value.trim();
    while !rest.is_empty() {
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut chars = quoted.char_indices().peekable();
            let mut end = quoted.len();
            while let Some((at, c)) = chars.next() {
                if c == '"' && chars.next_if(|(_, next)| *next == '"').is_none() {
                    end = at + 1;
                    break;
                }
                text.push(c);
            }
            name = text;
            rest = &quoted[end..];
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            name = rest[..end].trim_end().to_owned();
            rest = &rest[end..];
        }
        names.push(name);
        rest = rest.trim_start().trim_start_matches(',').trim_start();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_and_values() {
        assert_eq!(ident(r#"a"b"#), r#""a""b""#);
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
        assert_eq!(shell("it's"), r"'it'\''s'");
    }

    #[test]
    fn settings_with_name_lists() {
        assert_eq!(
            setting("search_path", r#""$user", public, "a,""b""#),
            r#""search_path" = '$user', 'public', 'a,"b'"#
        );
        assert_eq!(setting("search_path", r#""""#), r#""search_path" = ''"#);
        assert_eq!(setting("work_mem", "4MB"), r#""work_mem" = '4MB'"#);
        assert_eq!(setting("my.app", "a, b"), r#""my"."app" = 'a, b'"#);
    }
}
