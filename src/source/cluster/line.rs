//! Bounds on one line of the stream `objects`, held by who writes it and by who reads it.

/// Bytes of one object, its line feed included. etcd refuses more than 1.5 MiB; API servers of others may not.
pub const MAX_LINE: usize = 8 << 20;
/// Objects and lists within each other. Parsers give up at about this depth.
pub const MAX_DEPTH: usize = 120;

/// What one look at every byte tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub depth: usize,
    /// A line feed or carriage return, which JSON allows only between values.
    pub has_breaks: bool,
}

/// Of well-formed JSON. Of anything else the depth is an upper bound of what a parser would meet.
pub fn shape(json: &[u8]) -> Shape {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut inside, mut escaped, mut has_breaks) = (false, false, false);
    for byte in json {
        if inside {
            (inside, escaped) = (escaped || *byte != b'"', !escaped && *byte == b'\\');
            continue;
        }
        match byte {
            b'"' => inside = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'\n' | b'\r' => has_breaks = true,
            _ => {}
        }
    }
    Shape { depth: deepest, has_breaks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_texts_do_not_count() {
        let shape = |json: &str| shape(json.as_bytes());
        assert_eq!(shape(r#"{"a":"[[[\"[[","b":[{}]}"#), Shape { depth: 3, has_breaks: false });
        assert_eq!(shape("{\"a\":\n1}"), Shape { depth: 1, has_breaks: true });
        assert_eq!(shape(r#"{"a":"\\"}"#).depth, 1);
    }
}
