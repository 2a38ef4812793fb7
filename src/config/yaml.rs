//! From text to typed values, with the place of every mistake.
//!
//! A document is read three times: as a tree of positions (finds syntax errors, and gives each position its path),
//! for its kind, and as what that kind is.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Spanned};

use crate::config::hints;
use crate::config::problem::Problem;

/// One YAML document of a file.
pub struct Document<'a> {
    pub file: &'a Path,
    /// As it was read, without the lines before and after it.
    pub text: &'a str,
    /// The same, after as many empty lines as stand before it in the file: so that line numbers are the file's.
    padded: String,
    tree: Node,
}

/// Positions only: values are never kept, they could be secrets.
struct Node {
    at: Place,
    kind: Kind,
}

enum Kind {
    Scalar,
    Sequence(Vec<Node>),
    Mapping(Vec<(String, Place, Node)>),
}

/// Line and column, from 1.
pub type Place = (u64, u64);

pub fn place(location: &Location) -> Place {
    (location.line(), location.column())
}

/// Splits a file into its documents; empty ones (comments only) are left out.
///
/// YAML 1.2 forbids a line that begins with `---` and a space or line end inside of any document (rule c-forbidden),
/// so cutting at such lines is exact.
pub fn documents<'a>(file: &'a Path, text: &'a str) -> Result<Vec<Document<'a>>, Problem> {
    let mut cuts = vec![(0, 0)];
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            cuts.push((number, offset));
        }
        offset += line.len();
    }
    let ends = cuts.iter().skip(1).map(|(_, offset)| *offset).chain([text.len()]);
    let mut documents = Vec::new();
    for ((line, start), end) in cuts.iter().zip(ends) {
        let part = text.get(*start..end).unwrap_or_default();
        let meaningful = |line: &str| !line.is_empty() && !line.starts_with('#') && line != "---";
        if part.lines().map(str::trim).any(meaningful) {
            documents.push(Document::read(file, part, *line)?);
        }
    }
    Ok(documents)
}

impl<'a> Document<'a> {
    fn read(file: &'a Path, text: &'a str, lines_before: usize) -> Result<Self, Problem> {
        let padded = "\n".repeat(lines_before) + text;
        let nowhere = Node { at: (0, 0), kind: Kind::Scalar };
        let mut document = Document { file, text, padded, tree: nowhere };
        document.tree = placed(document.parse::<Spanned<Node>>()?);
        Ok(document)
    }

    /// Reads the document as `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(&self.padded, options).map_err(|error| self.explain(&error))
    }

    /// A mistake in the value that begins at `at`.
    pub fn problem(&self, at: Place, message: impl Into<String>) -> Problem {
        let path = self.tree.value_at(at).unwrap_or_default();
        let (line, column) = at;
        Problem { file: self.file.to_owned(), line, column, path, message: message.into(), cure: None }
    }

    fn explain(&self, error: &Error) -> Problem {
        let error = error.without_snippet();
        let at = error.location().map_or((0, 0), |location| place(&location));
        let key = self.tree.key_at(at);
        let inside = |message: String, cure: Option<String>, moved: bool| {
            let (path, start) = key.clone().unwrap_or_default();
            let (line, column) = if moved && start != (0, 0) { start } else { at };
            Problem { file: self.file.to_owned(), line, column, path, message, cure }
        };
        match error {
            Error::SerdeUnknownField { field, expected, .. } => {
                let (message, cure) = hints::unknown("field", field, expected);
                inside(message, Some(cure), false)
            }
            Error::SerdeMissingField { field, .. } => inside(format!("field `{field}` is missing"), None, true),
            Error::DuplicateMappingKey { key: Some(key), .. } => inside(format!("`{key}` is there twice"), None, false),
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                let (message, cure) = hints::unknown("value", variant, expected);
                Problem { cure: Some(cure), ..self.problem(at, message) }
            }
            other => {
                // What is wrong with a value, not with its shape: where a list and its first item begin at one place,
                // the item is meant.
                let inner = matches!(other, Error::Message { .. } | Error::InvalidScalar { .. });
                let path = if inner { self.tree.innermost_at(at) } else { self.tree.value_at(at) };
                let problem = Problem { path: path.unwrap_or_default(), ..self.problem(at, hints::plain(other)) };
                // A secret typed into the file: the cure needs the field's own name.
                let field = problem.path.rsplit('.').next().unwrap_or_default();
                let cure = hints::inline_secret(&problem.message, field);
                Problem { cure, ..problem }
            }
        }
    }
}

impl Node {
    /// Path of the outermost value that begins there.
    fn value_at(&self, at: Place) -> Option<String> {
        if self.at == at {
            return Some(String::new());
        }
        match &self.kind {
            Kind::Scalar => None,
            Kind::Sequence(items) => {
                items.iter().enumerate().find_map(|(n, item)| Some(format!("[{n}]{}", glue(item.value_at(at)?))))
            }
            Kind::Mapping(entries) => {
                entries.iter().find_map(|(key, _, value)| Some(format!("{key}{}", glue(value.value_at(at)?))))
            }
        }
    }

    /// Path of the innermost value that begins there.
    fn innermost_at(&self, at: Place) -> Option<String> {
        let below = match &self.kind {
            Kind::Scalar => None,
            Kind::Sequence(items) => {
                items.iter().enumerate().find_map(|(n, item)| Some(format!("[{n}]{}", glue(item.innermost_at(at)?))))
            }
            Kind::Mapping(entries) => {
                entries.iter().find_map(|(key, _, value)| Some(format!("{key}{}", glue(value.innermost_at(at)?))))
            }
        };
        below.or_else(|| (self.at == at).then(String::new))
    }

    /// Path and beginning of the mapping that has a key there.
    fn key_at(&self, at: Place) -> Option<(String, Place)> {
        let below =
            |step: String, node: &Node| node.key_at(at).map(|(path, start)| (format!("{step}{}", glue(path)), start));
        match &self.kind {
            Kind::Scalar => None,
            Kind::Sequence(items) => items.iter().enumerate().find_map(|(n, item)| below(format!("[{n}]"), item)),
            Kind::Mapping(entries) if entries.iter().any(|(_, key, _)| *key == at) => Some((String::new(), self.at)),
            Kind::Mapping(entries) => entries.iter().find_map(|(key, _, value)| below(key.clone(), value)),
        }
    }
}

/// A dot before a name, none before `[`.
fn glue(rest: String) -> String {
    if rest.is_empty() || rest.starts_with('[') { rest } else { format!(".{rest}") }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl NodeVisitor {
    const SCALAR: Node = Node { at: (0, 0), kind: Kind::Scalar };
}

fn placed(spanned: Spanned<Node>) -> Node {
    Node { at: place(&spanned.referenced), ..spanned.value }
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Self::SCALAR)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Self::SCALAR)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Self::SCALAR)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Self::SCALAR)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Self::SCALAR)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Self::SCALAR)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Self::SCALAR)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Node, E> {
        Ok(Self::SCALAR)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Self::SCALAR)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Self::SCALAR)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Spanned<Node>>()? {
            items.push(placed(item));
        }
        Ok(Node { at: (0, 0), kind: Kind::Sequence(items) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let value = placed(access.next_value::<Spanned<Node>>()?);
            entries.push((key.value, place(&key.referenced), value));
        }
        Ok(Node { at: (0, 0), kind: Kind::Mapping(entries) })
    }
}

/// What every document begins with; everything else is looked at later.
#[derive(Default)]
pub struct Head {
    pub api_version: Option<Spanned<String>>,
    pub kind: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document with apiVersion, kind, metadata and spec")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Head, A::Error> {
        let mut head = Head::default();
        while let Some(key) = access.next_key::<String>()? {
            match key.as_str() {
                "apiVersion" => head.api_version = access.next_value()?,
                "kind" => head.kind = access.next_value()?,
                _ => {
                    access.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(head)
    }
}
