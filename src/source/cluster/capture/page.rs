//! One page of a list, cut into its objects. Their JSON passes through as it came: nothing is read into types.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::source::cluster::Gvk;
use crate::source::cluster::line::{MAX_DEPTH, MAX_LINE, shape};

/// What a list says beside its objects, and they as lines.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub resource_version: String,
    /// To ask for the next page with; empty on the last one.
    pub token: String,
    /// How many more there are, where the server says so.
    pub remaining: Option<u64>,
    pub items: Vec<Item>,
    /// Objects that no backup can hold, and why.
    pub left_out: Vec<(String, &'static str)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Empty for a kind of the whole cluster.
    pub namespace: String,
    pub name: String,
    /// With a line feed at its end.
    pub line: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error("the list is not JSON as an API server sends it: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the list of {wanted} holds a {found}")]
    OtherKind { wanted: Gvk, found: String },
}

pub(super) fn parse(body: &[u8], gvk: &Gvk) -> Result<Page, PageError> {
    let list: List = serde_json::from_slice(body)?;
    let mut page = Page {
        resource_version: list.metadata.resource_version.into_owned(),
        token: list.metadata.token.map(Cow::into_owned).unwrap_or_default(),
        remaining: list.metadata.remaining,
        ..Page::default()
    };
    for raw in list.items.unwrap_or_default() {
        let fields: Fields = serde_json::from_str(raw.get())?;
        let meta: Meta = match fields.get("metadata") {
            Some(metadata) => serde_json::from_str(metadata.get())?,
            None => Meta::default(),
        };
        check_kind(&fields, gvk)?;
        let (namespace, name) = (meta.namespace.unwrap_or_default().into_owned(), meta.name.into_owned());
        match line(raw, &fields, gvk) {
            Ok(line) => page.items.push(Item { namespace, name, line }),
            Err(why) => {
                let named = if namespace.is_empty() { name } else { format!("{namespace}/{name}") };
                page.left_out.push((named, why));
            }
        }
    }
    Ok(page)
}

/// Objects of a list mostly leave out what they are; where they say it, it must be what was asked for.
fn check_kind(fields: &Fields, gvk: &Gvk) -> Result<(), PageError> {
    let text = |name| fields.get(name).and_then(|raw| serde_json::from_str::<Cow<str>>(raw.get()).ok());
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let same = api_version.as_ref().is_none_or(|said| *said == gvk.api_version())
        && kind.as_ref().is_none_or(|said| *said == gvk.kind);
    if same {
        return Ok(());
    }
    let found = format!("{} of {}", kind.unwrap_or_default(), api_version.unwrap_or_default());
    Err(PageError::OtherKind { wanted: gvk.clone(), found })
}

/// The object on one line, with what it is at its front.
fn line(raw: &RawValue, fields: &Fields, gvk: &Gvk) -> Result<Vec<u8>, &'static str> {
    let shape = shape(raw.get().as_bytes());
    if shape.depth > MAX_DEPTH {
        return Err("is nested deeper than 120 levels");
    }
    let mut line = Vec::with_capacity(raw.get().len() + 96);
    line.extend_from_slice(b"{\"apiVersion\":");
    text(&mut line, &gvk.api_version());
    line.extend_from_slice(b",\"kind\":");
    text(&mut line, &gvk.kind);
    for (name, value) in &fields.0 {
        if name == "apiVersion" || name == "kind" {
            continue;
        }
        line.push(b',');
        text(&mut line, name);
        line.push(b':');
        if shape.has_breaks { compact(&mut line, value.get()) } else { line.extend_from_slice(value.get().as_bytes()) }
    }
    line.extend_from_slice(b"}\n");
    if line.len() > MAX_LINE { Err("is larger than 8 MiB") } else { Ok(line) }
}

fn text(line: &mut Vec<u8>, value: &str) {
    line.extend_from_slice(serde_json::Value::from(value).to_string().as_bytes());
}

/// Without line breaks and other space between values: only a server that prints for people puts any.
fn compact(line: &mut Vec<u8>, json: &str) {
    let (mut inside, mut escaped) = (false, false);
    for byte in json.bytes() {
        if inside {
            (inside, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
        } else if byte == b'"' {
            inside = true;
        } else if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            continue;
        }
        line.push(byte);
    }
}

#[derive(serde::Deserialize)]
struct List<'a> {
    metadata: ListMeta<'a>,
    /// Some servers say null for none.
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(serde::Deserialize)]
struct ListMeta<'a> {
    #[serde(borrow, default, rename = "resourceVersion")]
    resource_version: Cow<'a, str>,
    #[serde(borrow, default, rename = "continue")]
    token: Option<Cow<'a, str>>,
    #[serde(default, rename = "remainingItemCount")]
    remaining: Option<u64>,
}

#[derive(Default, serde::Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
}

/// The fields of an object in their order, values untouched.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(access.size_hint().unwrap_or(6));
                while let Some(Text(name)) = access.next_key()? {
                    fields.push((name, access.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// Borrowed where the JSON has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(body: &str, api_version: &str, kind: &str) -> Vec<String> {
        let page = parse(body.as_bytes(), &Gvk::new(api_version, kind)).unwrap();
        page.items.into_iter().map(|item| String::from_utf8(item.line).unwrap()).collect()
    }

    #[test]
    fn nothing_but_the_front_is_changed() {
        let item = r#"{"metadata":{"name":"a","namespace":"n","z":1},"b":[1e3,0.10,12345678901234567890,-0.0,1E+2],"a":"\u003c\ud83d\ude00","":null}"#;
        let body =
            format!(r#"{{"kind":"XList","apiVersion":"x/v1","metadata":{{"resourceVersion":"7"}},"items":[{item}]}}"#);
        assert_eq!(lines(&body, "x/v1", "X"), [format!("{{\"apiVersion\":\"x/v1\",\"kind\":\"X\",{}\n", &item[1..])]);
    }

    #[test]
    fn what_an_object_says_of_itself_goes_to_the_front_wherever_it_stood() {
        let body = r#"{"metadata":{},"items":[{"spec":{},"kind":"X","metadata":{"name":"a"},"apiVersion":"x/v1"}]}"#;
        assert_eq!(
            lines(body, "x/v1", "X"),
            ["{\"apiVersion\":\"x/v1\",\"kind\":\"X\",\"spec\":{},\"metadata\":{\"name\":\"a\"}}\n"]
        );
        let other = parse(body.as_bytes(), &Gvk::new("x/v1", "Y"));
        assert!(matches!(other, Err(PageError::OtherKind { .. })), "{other:?}");
    }

    #[test]
    fn a_printed_object_becomes_one_line_and_its_texts_stay() {
        let body = "{\n \"metadata\": {},\n \"items\": [ {\n \"metadata\": {\n \"name\": \"a\" },\n \"t\": \"x  \\\" : \\n y\"\n} ] }";
        assert_eq!(
            lines(body, "v1", "X"),
            ["{\"apiVersion\":\"v1\",\"kind\":\"X\",\"metadata\":{\"name\":\"a\"},\"t\":\"x  \\\" : \\n y\"}\n"]
        );
    }

    #[test]
    fn no_items_is_none_and_an_object_that_no_reader_takes_is_named() {
        assert!(lines(r#"{"metadata":{},"items":null}"#, "v1", "X").is_empty());
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let body = format!(r#"{{"metadata":{{}},"items":[{{"metadata":{{"name":"d","namespace":"n"}},"x":{deep}}}]}}"#);
        let page = parse(body.as_bytes(), &Gvk::new("v1", "X")).unwrap();
        assert!(page.items.is_empty());
        assert_eq!(page.left_out, [("n/d".to_owned(), "is nested deeper than 120 levels")]);
    }
}
