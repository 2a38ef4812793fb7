//! What a source file refers to: every path in it, without comments, texts and test modules.

/// One word or sign of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    line: usize,
}

/// A path as written, such as `crate::model::Name` or `std::io::stdout`, with the line it stands on.
/// A macro's name ends in `!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub segments: Vec<String>,
    pub line: usize,
}

impl Path {
    pub fn first(&self) -> &str {
        &self.segments[0]
    }

    /// Whether these segments stand somewhere in the path, in this order.
    pub fn has(&self, wanted: &[&str]) -> bool {
        self.segments.windows(wanted.len()).any(|window| window == wanted)
    }
}

/// Modules declared with `mod name;`, and every path outside of `#[cfg(test)]` items.
pub struct Scanned {
    pub modules: Vec<String>,
    pub paths: Vec<Path>,
}

pub fn scan(source: &str) -> Scanned {
    let tokens = without_tests(tokens(source));
    let mut scanned = Scanned { modules: Vec::new(), paths: Vec::new() };
    let mut at = 0;
    while at < tokens.len() {
        let text = tokens[at].text.as_str();
        let next = |n: usize| tokens.get(at + n).map_or("", |token| token.text.as_str());
        if text == "mod" && next(2) == ";" {
            scanned.modules.push(next(1).to_owned());
            at += 3;
        } else if text == "use" && next(1) != "<" {
            at = use_tree(&tokens, at + 1, &[], &mut scanned.paths);
        } else if is_word(text) && (at == 0 || !matches!(tokens[at - 1].text.as_str(), "::" | ".")) {
            at = plain_path(&tokens, at, &mut scanned.paths);
        } else {
            at += 1;
        }
    }
    scanned
}

/// `a::b::c` or `name!` in code.
fn plain_path(tokens: &[Token], start: usize, paths: &mut Vec<Path>) -> usize {
    let mut segments = vec![tokens[start].text.clone()];
    let mut at = start + 1;
    while at + 1 < tokens.len() && tokens[at].text == "::" && is_word(&tokens[at + 1].text) {
        segments.push(tokens[at + 1].text.clone());
        at += 2;
    }
    let sign = |n: usize| tokens.get(n).map_or("", |token| token.text.as_str());
    if sign(at) == "!" && sign(at + 1) != "=" {
        if let Some(last) = segments.last_mut() {
            last.push('!');
        }
    } else if segments.len() == 1 {
        return at;
    }
    paths.push(Path { segments, line: tokens[start].line });
    at
}

/// Everything that a `use` names, spelt out: `a::{b, c::d}` is `a::b` and `a::c::d`. Ends after its `;`, `,` or `}`.
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], paths: &mut Vec<Path>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    let mut group = false;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "::" => at += 1,
            "{" => {
                group = true;
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}" && token.text != ";") {
                    at = use_tree(tokens, at, &segments, paths);
                    if tokens.get(at).is_some_and(|token| token.text == ",") {
                        at += 1;
                    }
                }
                at += 1;
            }
            "as" => at += 2,
            ";" | "," | "}" => break,
            word => {
                segments.push(word.to_owned());
                at += 1;
            }
        }
    }
    if !group && segments.len() > prefix.len() {
        paths.push(Path { segments, line });
    }
    at
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Drops each item that is marked `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let marked = |at: usize| {
        mark.iter().enumerate().all(|(n, text)| tokens.get(at + n).is_some_and(|token| token.text == *text))
    };
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if marked(at) {
            at = item_end(&tokens, at + mark.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// After the `;` or the closing brace of the item that begins at `at`.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
        if depth == 0 && tokens[at - 1].text == "}" {
            return at;
        }
    }
    at
}

/// Words and signs; comments, texts, characters and lifetimes are left out.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let is = |at: usize, wanted: char| chars.get(at) == Some(&wanted);
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        if c == '/' && is(at + 1, '/') {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if c == '/' && is(at + 1, '*') {
            at = block_comment(&chars, at);
        } else if c == '"' {
            at = text_end(&chars, at);
        } else if let Some(end) = raw_text_end(&chars, at) {
            at = end;
        } else if c == '\'' {
            at = quote_end(&chars, at);
        } else if c.is_alphanumeric() || c == '_' {
            while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                at += 1;
            }
            tokens.push(Token { text: chars[start..at].iter().collect(), line });
        } else if c == ':' && is(at + 1, ':') {
            at += 2;
            tokens.push(Token { text: "::".to_owned(), line });
        } else {
            at += 1;
            if !c.is_whitespace() {
                tokens.push(Token { text: c.to_string(), line });
            }
        }
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn text_end(chars: &[char], mut at: usize) -> usize {
    at += 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// `r"..."`, `r#"..."#`, also with `b` or `c` before.
fn raw_text_end(chars: &[char], start: usize) -> Option<usize> {
    if start > 0 && (chars[start - 1].is_alphanumeric() || chars[start - 1] == '_') {
        return None;
    }
    let mut at = start + usize::from(matches!(chars[start], 'b' | 'c'));
    if chars.get(at) != Some(&'r') {
        return None;
    }
    at += 1;
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    at += hashes;
    if chars.get(at) != Some(&'"') {
        return None;
    }
    at += 1;
    while at < chars.len() {
        if chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(at)
}

/// A character ends with a quote; a lifetime does not have one.
fn quote_end(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') {
        let mut end = at + 3;
        while end < chars.len() && chars[end] != '\'' {
            end += 1;
        }
        end + 1
    } else if chars.get(at + 2) == Some(&'\'') {
        at + 3
    } else {
        at + 1
    }
}
