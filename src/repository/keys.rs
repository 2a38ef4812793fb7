//! The dedup key, and the keys that are derived from it for each source.
//!
//! The dedup key decrypts nothing. Who holds it can only confirm a guess of what a chunk contains.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::{Digest, Mac, Name, RepositoryId};
use crate::secret::Secret;

use super::chunker::Gear;

/// HMAC-SHA-256 of the parts, one after the other, under a key of at most 64 bytes.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    debug_assert!(key.len() <= 64, "a longer key would have to be hashed first");
    // HMAC itself fills a short key up with zeros; doing it here leaves nothing that could fail.
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HKDF-SHA-256 (RFC 5869) with an output of one block: extract, then the first round of expand.
fn hkdf(ikm: &[u8; 32], salt: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let prk = Zeroizing::new(hmac(salt, &[ikm]));
    let mut parts = info.to_vec();
    parts.push(&[1]);
    Zeroizing::new(hmac(&*prk, &parts))
}

#[derive(Debug, thiserror::Error)]
pub enum DedupKeyError {
    #[error("a dedup key is one line of 64 hexadecimal digits; found {found} characters")]
    Length { found: usize },
    #[error("a dedup key is one line of 64 hexadecimal digits; character {position} is none")]
    Digit { position: usize },
    #[error("the operating system gives no random bytes")]
    Random(#[source] getrandom::Error),
}

/// 32 random bytes, one key for all sources of a repository.
#[derive(Clone)]
pub struct DedupKey(Zeroizing<[u8; 32]>);

impl DedupKey {
    pub fn generate() -> Result<Self, DedupKeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(DedupKeyError::Random)?;
        Ok(Self(bytes))
    }

    /// Reads the file form: one line of 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, DedupKeyError> {
        let line = text.trim();
        if let Some(position) = line.chars().position(|c| !c.is_ascii_hexdigit()) {
            return Err(DedupKeyError::Digit { position: position + 1 });
        }
        let mut bytes = Zeroizing::new([0; 32]);
        match hex::decode_to_slice(line, &mut *bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(DedupKeyError::Length { found: line.len() }),
        }
    }

    /// The file form, with its line break.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(hex::encode(*self.0) + "\n")
    }

    /// Tells two dedup keys apart without saying either: it is pinned, and repeated in the bucket's configuration.
    pub fn check(&self) -> Digest {
        Digest(hmac(&*self.0, &[b"lifeboat/1/check"]))
    }

    /// The keys of one source of one policy in one repository.
    ///
    /// For a copy, `repository` is the one that the chunks were first written to.
    pub fn lineage(&self, repository: &RepositoryId, policy: &Name, source: &Name) -> LineageKeys {
        let salt = repository.to_string();
        let lineage = format!("/{policy}.{source}");
        let derive =
            |usage: &str| hkdf(&self.0, salt.as_bytes(), &[b"lifeboat/1/", usage.as_bytes(), lineage.as_bytes()]);
        LineageKeys { id: derive("id"), mac: derive("mac"), gear: derive("gear") }
    }
}

impl fmt::Debug for DedupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DedupKey([secret])")
    }
}

/// K(id), K(mac) and K(gear) of one source: two sources share no chunk, and cut the same bytes differently.
#[derive(Clone)]
pub struct LineageKeys {
    id: Zeroizing<[u8; 32]>,
    mac: Zeroizing<[u8; 32]>,
    gear: Zeroizing<[u8; 32]>,
}

impl LineageKeys {
    /// The name of a chunk: HMAC-SHA-256 under K(id) of its plain bytes.
    pub fn chunk_id(&self, plain: &[u8]) -> Digest {
        Digest(hmac(&*self.id, &[plain]))
    }

    /// HMAC-SHA-256 under K(mac) of the 32 bytes of a stream's SHA-256: safe to show, where the hash itself is not.
    pub fn stream_mac(&self, sha256: &Digest) -> Mac {
        Mac(Digest(hmac(&*self.mac, &[&sha256.0])))
    }

    /// The table that decides where this source's streams are cut.
    pub fn gear(&self) -> Gear {
        Gear::new(&self.gear)
    }
}

impl fmt::Debug for LineageKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineageKeys([secret])")
    }
}
