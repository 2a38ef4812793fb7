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
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    debug_assert!(key.len() <= 64, "a longer key would have to be hashed first");
    // HMAC itself fills a short key up with zeros; doing it here leaves nothing that could fail.
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new((&*block).into())
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

    /// A word of 32 letters and digits for a source that wants one which does not change from run to run, and which
    /// nobody knows who has not the dedup key. No part of the format: it tells nothing about the other keys.
    pub fn word(&self, usage: &str, repository: &RepositoryId, policy: &Name, source: &Name) -> String {
        let (salt, lineage) = (repository.to_string(), format!("/{policy}.{source}"));
        let key = hkdf(&self.0, salt.as_bytes(), &[b"lifeboat/1/", usage.as_bytes(), lineage.as_bytes()]);
        hex::encode(&key[..16])
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

    /// The same, to be fed piece by piece.
    pub(super) fn chunk_mac(&self) -> Hmac<Sha256> {
        keyed(&*self.id)
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

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use crate::model::sha256;

    use super::*;

    fn dedup_key() -> DedupKey {
        DedupKey::parse(&(0..32).map(|byte| format!("{byte:02x}")).collect::<String>()).unwrap()
    }

    /// The lineage of the golden vectors.
    pub(in crate::repository) fn lineage() -> LineageKeys {
        let repository = "01JD7Z9T3Q5R6S7T8V9W0X1Y2Z".parse().unwrap();
        dedup_key().lineage(&repository, &"shop".parse().unwrap(), &"postgres".parse().unwrap())
    }

    // The constants come from tests/testdata/format1/oracle.py: Python's hmac, and HKDF written out.
    #[test]
    fn derivations_are_the_golden_ones() {
        assert_eq!(dedup_key().check().to_string(), "3a9cd1cd91063d92a9c93bd0d60709db8c405dc3e5837245ea7da42773033de4");
        let keys = lineage();
        assert_eq!(hex::encode(*keys.id), "1b3b730c8a06b988d70bf5bdc476ce6541608806d201b72cba62506079c163c9");
        assert_eq!(hex::encode(*keys.mac), "f2bdd7f891d07e8fa16ae279f9ad1fa47245f7d7489ac61459906216f04e8929");
        assert_eq!(hex::encode(*keys.gear), "ca5f8b7022ab33aa09e840fad0e8ee3e179ac89a10e2a346d503ae732d60071b");
        assert_eq!(
            keys.chunk_id(b"hello").to_string(),
            "28726adde4ef1b493335e8388a373e3cd58d5a675ee330b5e315569129496bd6"
        );
        assert_eq!(
            keys.stream_mac(&sha256(b"hello")).to_string(),
            "hmac-sha256:088e041c4a95ddf7554f38fded655364d00e86d64faa65d8e606d21043b29d02"
        );
    }

    #[test]
    fn another_source_policy_or_repository_has_other_keys() {
        let id = |repository: &str, policy: &str, source: &str| {
            let repository = repository.parse().unwrap();
            dedup_key().lineage(&repository, &policy.parse().unwrap(), &source.parse().unwrap()).chunk_id(b"same bytes")
        };
        let ids = std::collections::BTreeSet::from([
            id("01JD7Z9T3Q5R6S7T8V9W0X1Y2Z", "shop", "postgres"),
            id("01JD7Z9T3Q5R6S7T8V9W0X1Y30", "shop", "postgres"),
            id("01JD7Z9T3Q5R6S7T8V9W0X1Y2Z", "shop2", "postgres"),
            id("01JD7Z9T3Q5R6S7T8V9W0X1Y2Z", "shop", "postgres2"),
        ]);
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn words_differ_by_usage_and_lineage_and_stay() {
        let word = |usage: &str, source: &str| {
            let repository = "01JD7Z9T3Q5R6S7T8V9W0X1Y2Z".parse().unwrap();
            dedup_key().word(usage, &repository, &"shop".parse().unwrap(), &source.parse().unwrap())
        };
        let restrict = word("restrict", "postgres");
        assert_eq!(restrict, word("restrict", "postgres"));
        assert!(restrict.len() == 32 && restrict.chars().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(restrict, word("restrict", "postgres2"));
        assert_ne!(word("id", "postgres"), restrict);
    }

    #[test]
    fn a_dedup_key_reads_its_own_file_and_says_what_is_wrong_with_another() {
        let key = DedupKey::generate().unwrap();
        let text = key.to_text();
        assert_eq!(text.expose().len(), 65);
        assert_eq!(DedupKey::parse(text.expose()).unwrap().check(), key.check());
        assert_ne!(DedupKey::generate().unwrap().check(), key.check(), "the keys are random");
        assert!(!format!("{key:?} {:?}", lineage()).contains(text.expose().trim()));

        let error = |text: &str| DedupKey::parse(text).unwrap_err().to_string();
        assert_eq!(error(""), "a dedup key is one line of 64 hexadecimal digits; found 0 characters");
        assert_eq!(error(&"a".repeat(66)), "a dedup key is one line of 64 hexadecimal digits; found 66 characters");
        assert_eq!(error("ab\ncd"), "a dedup key is one line of 64 hexadecimal digits; character 3 is none");
    }

    proptest! {
        #[test]
        fn hmac_and_hkdf_agree_with_the_crates(
            key in any::<[u8; 32]>(), salt in prop::collection::vec(any::<u8>(), 0..=64), info in ".{0,100}",
        ) {
            let mut expected = [0; 32];
            hkdf::Hkdf::<Sha256>::new(Some(&salt), &key).expand(info.as_bytes(), &mut expected).unwrap();
            prop_assert_eq!(*super::hkdf(&key, &salt, &[info.as_bytes()]), expected);
        }

        #[test]
        fn any_text_is_a_key_or_an_error(text in "\\PC{0,80}|[0-9a-fA-F]{60,68}") {
            let is_key = text.trim().len() == 64 && text.trim().bytes().all(|c| c.is_ascii_hexdigit());
            prop_assert_eq!(DedupKey::parse(&text).is_ok(), is_key);
        }
    }
}
