//! Cutting the SQL of `pg_dumpall --globals-only` into statements, and those into words.

/// Why a text could not be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    #[error("a quoted text or comment does not end")]
    Unterminated,
    #[error("the last statement does not end with a semicolon")]
    Unfinished,
    #[error("a psql command other than \\restrict and \\unrestrict")]
    PsqlCommand,
}

/// The statements of a script, without comments and final semicolons.
pub(super) fn split(sql: &str) -> Result<Vec<String>, StatementError> {
    let mut statements = Vec::new();
    let mut current = String::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        if c == '\\' && current.trim().is_empty() {
            // Newer minors fence their output with a random key; for psql only.
            if !(rest.starts_with("\\restrict ") || rest.starts_with("\\unrestrict ")) {
                return Err(StatementError::PsqlCommand);
            }
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let token = token(rest, current.chars().next_back())?;
        let (text, after) = rest.split_at(token.bytes);
        rest = after;
        match token.kind {
            Kind::Comment => current.push(' '),
            Kind::End => {
                statements.push(std::mem::take(&mut current).trim().to_owned());
            }
            Kind::Text => current.push_str(text),
        }
    }
    if !current.trim().is_empty() {
        return Err(StatementError::Unfinished);
    }
    statements.retain(|statement| !statement.is_empty());
    Ok(statements)
}

enum Kind {
    Text,
    Comment,
    End,
}

struct Token {
    kind: Kind,
    bytes: usize,
}

/// What stands at the beginning of `rest`: a whole quoted text, a whole comment, the end of a statement, or a character.
fn token(rest: &str, before: Option<char>) -> Result<Token, StatementError> {
    let text = |bytes| Ok(Token { kind: Kind::Text, bytes });
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
    if rest.starts_with("--") {
        let bytes = rest.find('\n').unwrap_or(rest.len());
        return Ok(Token { kind: Kind::Comment, bytes });
    }
    if rest.starts_with("/*") {
        return Ok(Token { kind: Kind::Comment, bytes: comment(rest)? });
    }
    match rest.as_bytes().first() {
        Some(b';') => Ok(Token { kind: Kind::End, bytes: 1 }),
        Some(b'\'') => text(quoted(rest, '\'', false)?),
        Some(b'"') => text(quoted(rest, '"', false)?),
        Some(b'E' | b'e') if !in_word && rest[1..].starts_with('\'') => text(1 + quoted(&rest[1..], '\'', true)?),
        Some(b'$') if !in_word => text(dollar_quoted(rest)?),
        _ => text(rest.chars().next().map_or(1, char::len_utf8)),
    }
}

/// Length of a text in quotes; a doubled quote stands for itself.
fn quoted(rest: &str, quote: char, backslash_escapes: bool) -> Result<usize, StatementError> {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && backslash_escapes {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Ok(at + 1);
        }
    }
    Err(StatementError::Unterminated)
}

/// Length of a `$tag$...$tag$` text, or 1 where the dollar begins none.
fn dollar_quoted(rest: &str) -> Result<usize, StatementError> {
    let Some(end) = rest[1..].find('$') else { return Ok(1) };
    let tag = &rest[..end + 2];
    let inner = &tag[1..tag.len() - 1];
    if inner.starts_with(|c: char| c.is_ascii_digit()) || !inner.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Ok(1);
    }
    rest[tag.len()..].find(tag).map(|at| tag.len() * 2 + at).ok_or(StatementError::Unterminated)
}

/// Length of a block comment; they nest.
fn comment(rest: &str) -> Result<usize, StatementError> {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Ok(at);
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Err(StatementError::Unterminated)
}

/// One word of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A keyword or name without quotes, in lower case.
    Bare(String),
    /// A name in double quotes, undone. Never a keyword.
    Quoted(String),
    /// A text in single or dollar quotes, as it stands.
    Text(String),
    /// Any other character.
    Sign(char),
}

impl Word {
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Word::Bare(name) if name == keyword)
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Word::Bare(name) | Word::Quoted(name) => Some(name),
            _ => None,
        }
    }
}

/// The words of one statement, each with the place where it begins.
pub(super) fn words(statement: &str) -> Result<Vec<(usize, Word)>, StatementError> {
    let mut words = Vec::new();
    let mut at = 0;
    while at < statement.len() {
        let rest = &statement[at..];
        let Some(c) = rest.chars().next() else { break };
        let bytes = if c.is_whitespace() {
            c.len_utf8()
        } else if c == '"' {
            let bytes = quoted(rest, '"', false)?;
            words.push((at, Word::Quoted(rest[1..bytes - 1].replace("\"\"", "\""))));
            bytes
        } else if c.is_alphabetic() || c == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            if end == 1 && matches!(c, 'E' | 'e') && rest[1..].starts_with('\'') {
                let bytes = 1 + quoted(&rest[1..], '\'', true)?;
                words.push((at, Word::Text(rest[..bytes].to_owned())));
                bytes
            } else {
                // The server folds ASCII only.
                words.push((at, Word::Bare(rest[..end].to_ascii_lowercase())));
                end
            }
        } else {
            let bytes = token(rest, None)?.bytes;
            if bytes > c.len_utf8() {
                words.push((at, Word::Text(rest[..bytes].to_owned())));
            } else {
                words.push((at, Word::Sign(c)));
            }
            bytes
        };
        at += bytes;
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_comments_hide_semicolons() {
        let sql = "--\n-- a; b\n--\n\n\\restrict abc\nSET x = 'a;''b';\nCREATE ROLE \"a;\"\"b\"; /* ; /* ; */ ; */\
                   COMMENT ON ROLE r IS E'it\\'s; \\\\';COMMENT ON ROLE r IS $x$;$$;$x$;\n\\unrestrict abc\n";
        assert_eq!(
            split(sql).unwrap(),
            [
                "SET x = 'a;''b'",
                "CREATE ROLE \"a;\"\"b\"",
                "COMMENT ON ROLE r IS E'it\\'s; \\\\'",
                "COMMENT ON ROLE r IS $x$;$$;$x$",
            ],
        );
    }

    #[test]
    fn a_cut_script_is_refused() {
        assert_eq!(split("CREATE ROLE a"), Err(StatementError::Unfinished));
        assert_eq!(split("COMMENT ON ROLE a IS 'x;"), Err(StatementError::Unterminated));
        assert_eq!(split("/* /* */ CREATE ROLE a;"), Err(StatementError::Unterminated));
        assert_eq!(split("\\! rm -rf /\n"), Err(StatementError::PsqlCommand));
        assert_eq!(split("SET a = 1;\n\\connect x\n"), Err(StatementError::PsqlCommand));
    }

    #[test]
    fn names_are_folded_as_the_server_does() {
        let names: Vec<_> = words("GRANT \"A b\" To Ümlaut, x$1").unwrap().into_iter().map(|(_, word)| word).collect();
        let bare = |text: &str| Word::Bare(text.to_owned());
        let quoted = Word::Quoted("A b".into());
        assert_eq!(names, [bare("grant"), quoted, bare("to"), bare("Ümlaut"), Word::Sign(','), bare("x$1")]);
    }
}
