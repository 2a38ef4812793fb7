//! Finds known addresses in a text, as whole words only.

use std::collections::{BTreeSet, HashSet};

/// Addresses and host names that are looked for.
#[derive(Debug, Default)]
pub(super) struct Words {
    names: HashSet<String>,
    /// Addresses with colons, which otherwise end a word: `host:port`.
    v6: HashSet<String>,
}

impl Words {
    pub fn add(&mut self, word: &str) {
        let word = word.trim_end_matches('.').to_ascii_lowercase();
        if word.is_empty() {
            return;
        }
        let set = if word.contains(':') { &mut self.v6 } else { &mut self.names };
        set.insert(word);
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.v6.is_empty()
    }

    /// Those that the text holds.
    pub fn find(&self, text: &str, found: &mut BTreeSet<String>) {
        look(&self.names, text, is_name, found);
        if !self.v6.is_empty() {
            look(&self.v6, text, |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'), found);
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'*')
}

fn look(known: &HashSet<String>, text: &str, is_word: impl Fn(u8) -> bool, found: &mut BTreeSet<String>) {
    if known.is_empty() {
        return;
    }
    for word in text.as_bytes().split(|byte| !is_word(*byte)) {
        // The end of a sentence, and the root of the domain names.
        let word = word.strip_suffix(b".").unwrap_or(word);
        if word.is_empty() || word.len() > 253 {
            continue;
        }
        let Ok(word) = std::str::from_utf8(word) else { continue };
        if word.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let lower = word.to_ascii_lowercase();
            if known.contains(&lower) {
                found.insert(lower);
            }
        } else if known.contains(word) {
            found.insert(word.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str], text: &str) -> Vec<String> {
        let mut known = Words::default();
        words.iter().for_each(|word| known.add(word));
        let mut found = BTreeSet::new();
        known.find(text, &mut found);
        found.into_iter().collect()
    }

    #[test]
    fn whole_words_only() {
        let words = ["10.0.0.1", "lb.example.com", "2001:db8::1"];
        assert_eq!(found(&words, "http://10.0.0.1:4647/v1, 'LB.example.com.'"), ["10.0.0.1", "lb.example.com"]);
        assert_eq!(found(&words, "nomad = [\"[2001:db8::1]:4647\"]"), ["2001:db8::1"]);
        let others =
            "10.0.0.10 110.0.0.1 10.0.0.1.5 a.lb.example.com my-lb.example.com lb.example.community 2001:db8::12";
        assert!(found(&words, others).is_empty());
        assert_eq!(found(&["*.example.com"], "hosts: '*.example.com'"), ["*.example.com"]);
    }
}
