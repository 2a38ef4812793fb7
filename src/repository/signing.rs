//! Ed25519 keys in the files that openssl reads and writes.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use zeroize::Zeroizing;

use crate::model::{Digest, PublicKey, sha256};
use crate::secret::Secret;
use crate::work;

/// What stands before the 32 secret bytes in the DER of PKCS#8 version 1 (RFC 8410, section 7).
///
/// Version 2, which ends in the public key, is what the crate writes and what openssl 3.0 cannot read.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// What stands before the 32 public bytes in the DER of a SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    #[error("a signing key is an Ed25519 private key in PKCS#8 PEM (`-----BEGIN PRIVATE KEY-----`)")]
    Parse(#[source] ed25519_dalek::pkcs8::Error),
    #[error("the operating system gives no random bytes")]
    Random(#[source] getrandom::Error),
}

/// The private key of one role.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    pub fn generate() -> Result<Self, SigningKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(SigningKeyError::Random)?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&seed)))
    }

    /// Reads what `openssl genpkey -algorithm ed25519` writes.
    pub fn from_pem(text: &str) -> Result<Self, SigningKeyError> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(text.trim()).map(Self).map_err(SigningKeyError::Parse)
    }

    pub fn to_pem(&self) -> Secret<String> {
        let der: Zeroizing<Vec<u8>> = Zeroizing::new([&PKCS8_PREFIX[..], self.0.as_bytes()].concat());
        Secret::new(pem("PRIVATE KEY", &der))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        if work::simulated() {
            return simulated(&self.public(), message);
        }
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, [secret])", self.public())
    }
}

/// The file form of a public key, for `openssl pkeyutl -verify -pubin`.
pub fn public_key_pem(key: &PublicKey) -> String {
    pem("PUBLIC KEY", &[&SPKI_PREFIX[..], &key.0].concat())
}

/// How an envelope names its signer: SHA-256 of the raw public key.
pub fn key_id(key: &PublicKey) -> Digest {
    sha256(&key.0)
}

/// Strict: neither a key nor a signature of small order passes, so that nobody can find a second document or key
/// that fits the same signature.
pub(super) fn verify(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
    if work::simulated() {
        return simulated(key, message) == *signature;
    }
    VerifyingKey::from_bytes(&key.0)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// What stands for a signature in a simulation, where nobody forges one: half a millisecond each would be most of it.
fn simulated(key: &PublicKey, message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    let hash = sha256(message);
    signature.iter_mut().zip(key.0.iter().chain(&hash.0)).for_each(|(to, from)| *to = *from);
    signature
}

/// Both DER forms here are short enough for one line of base64.
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl genpkey -algorithm ed25519`, and `openssl pkey -pubout` of it.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIKoamHXT91ZrDpdDHb2tiOkqFgBAa14rPy8cB8Oz3DGJ\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAFRFI8Hg8v5Hfb4AfNoq+lXfp4/259L3gJDU1jBTLl1c=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn keys_of_openssl_are_read_and_written_back_to_the_byte() {
        let key = SigningKey::from_pem(PRIVATE).unwrap();
        assert_eq!(key.to_pem().expose(), PRIVATE);
        assert_eq!(public_key_pem(&key.public()), PUBLIC);
        assert!(!format!("{key:?}").contains(&PRIVATE[40..80]));
    }

    #[test]
    fn a_fresh_key_signs_what_its_public_half_verifies() {
        let key = SigningKey::generate().unwrap();
        assert_ne!(key.public(), SigningKey::generate().unwrap().public());
        let signature = key.sign(b"yes");
        assert!(verify(&key.public(), b"yes", &signature));
        assert!(!verify(&key.public(), b"no", &signature));
        assert!(!verify(&SigningKey::generate().unwrap().public(), b"yes", &signature));
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        // The neutral element as key and as R, with S = 0, satisfies the plain equation for every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!verify(&PublicKey(neutral), b"anything", &signature));
    }

    #[test]
    fn other_files_are_refused() {
        for text in ["", "AGE-SECRET-KEY-1", PUBLIC, &PRIVATE[..PRIVATE.len() / 2], &PRIVATE.replace("MC4", "MC5")] {
            assert!(matches!(SigningKey::from_pem(text), Err(SigningKeyError::Parse(_))), "{text}");
        }
    }
}
