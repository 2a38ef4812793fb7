//! A keyed hash as it is written in documents.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Digest;

/// Written `hmac-sha256:<64 hex>`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub Digest);

impl TryFrom<String> for Mac {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.strip_prefix("hmac-sha256:")
            .and_then(|hex| hex.parse().ok())
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not `hmac-sha256:` and 64 hexadecimal digits"))
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hmac-sha256:{}", self.0)
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
