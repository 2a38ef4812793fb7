//! Signed documents: one DSSE envelope with exactly one signature in one object.
//!
//! DSSE is github.com/secure-systems-lab/dsse (protocol.md, envelope.md). What is signed is the payload as it is
//! stored, so there is nothing to canonicalise, and no signature can be missing or belong to another object.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{
    BucketConfig, Digest, FORMAT, Manifest, Part, Progress, PublicKey, RepositoryId, Role, Statement, Tombstone, sha256,
};

use super::signing::{SigningKey, key_id, verify};

/// What can be signed: its type says which role may.
pub trait Document: Serialize + DeserializeOwned {
    const PAYLOAD_TYPE: &'static str;
    const ROLE: Role;
    /// JSON pointer to the format number.
    const FORMAT_AT: &'static str = "/format";

    fn repository(&self) -> &RepositoryId;
}

macro_rules! document {
    ($type:ty, $payload_type:literal, $role:ident) => {
        impl Document for $type {
            const PAYLOAD_TYPE: &'static str = $payload_type;
            const ROLE: Role = Role::$role;

            fn repository(&self) -> &RepositoryId {
                &self.repository
            }
        }
    };
}

document!(BucketConfig, "application/vnd.lifeboat.config.v1+json", Operator);
document!(Part, "application/vnd.lifeboat.part.v1+json", Writer);
document!(Progress, "application/vnd.lifeboat.progress.v1+json", Writer);
document!(Manifest, "application/vnd.lifeboat.manifest.v1+json", Writer);
document!(Tombstone, "application/vnd.lifeboat.tombstone.v1+json", Collector);

impl Document for Statement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.in-toto+json";
    const ROLE: Role = Role::Prover;
    const FORMAT_AT: &'static str = "/predicate/format";

    fn repository(&self) -> &RepositoryId {
        &self.predicate.repository
    }
}

/// Why an object is not the signed document that it should be.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    #[error("cannot write the payload as JSON")]
    Encode(#[source] serde_json::Error),
    #[error("is not a DSSE envelope")]
    NotAnEnvelope(#[source] serde_json::Error),
    #[error("is not a DSSE envelope: its {0} is not standard base64 of the right length")]
    Base64(&'static str),
    #[error("is of type `{found}`, not `{expected}`")]
    WrongType { expected: &'static str, found: String },
    #[error("has {0} signatures, not one")]
    SignatureCount(usize),
    #[error("is signed by key {keyid}, which is not trusted as {role}")]
    UnknownSigner { keyid: String, role: Role },
    #[error("has a bad signature: it is not what {role} key {keyid} signed")]
    BadSignature { keyid: String, role: Role },
    #[error("is of format {0}; this program knows format {FORMAT} and must be newer to read it")]
    NewerFormat(u64),
    #[error("does not hold what its type says")]
    Payload(#[source] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
struct WireSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// The parts of a well-formed envelope, nothing of it checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    pub payload_type: String,
    pub payload: Vec<u8>,
    /// Who is said to have signed.
    pub keyid: String,
    pub signature: [u8; 64],
}

impl Envelope {
    /// Takes any payload type; the caller bounds the size.
    pub fn parse(object: &[u8]) -> Result<Self, EnvelopeError> {
        let wire: Wire = serde_json::from_slice(object).map_err(EnvelopeError::NotAnEnvelope)?;
        let [signature] = &wire.signatures[..] else {
            return Err(EnvelopeError::SignatureCount(wire.signatures.len()));
        };
        let payload = BASE64_STANDARD.decode(&wire.payload).map_err(|_| EnvelopeError::Base64("payload"))?;
        let bytes = BASE64_STANDARD.decode(&signature.sig).ok().and_then(|bytes| bytes.try_into().ok());
        let signature_bytes = bytes.ok_or(EnvelopeError::Base64("signature"))?;
        Ok(Self {
            payload_type: wire.payload_type,
            payload,
            keyid: signature.keyid.clone(),
            signature: signature_bytes,
        })
    }

    fn expect<T: Document>(object: &[u8]) -> Result<Self, EnvelopeError> {
        let envelope = Self::parse(object)?;
        if envelope.payload_type == T::PAYLOAD_TYPE {
            Ok(envelope)
        } else {
            Err(EnvelopeError::WrongType { expected: T::PAYLOAD_TYPE, found: envelope.payload_type })
        }
    }

    fn document<T: Document>(&self) -> Result<T, EnvelopeError> {
        // Before the fields: those of a later format may be others.
        let value: serde_json::Value = serde_json::from_slice(&self.payload).map_err(EnvelopeError::Payload)?;
        match value.pointer(T::FORMAT_AT).and_then(serde_json::Value::as_u64) {
            Some(format) if format > u64::from(FORMAT) => Err(EnvelopeError::NewerFormat(format)),
            _ => serde_json::from_slice(&self.payload).map_err(EnvelopeError::Payload),
        }
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({}, {} bytes, key {})", self.payload_type, self.payload.len(), self.keyid)
    }
}

/// DSSE's pre-authentication encoding: what the signature covers.
pub(super) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// The whole object: a JSON object with payload type, payload and one signature.
pub fn sign<T: Document>(document: &T, key: &SigningKey) -> Result<Bytes, EnvelopeError> {
    let payload = serde_json::to_vec(document).map_err(EnvelopeError::Encode)?;
    let signature = key.sign(&pae(T::PAYLOAD_TYPE, &payload));
    let wire = Wire {
        payload_type: T::PAYLOAD_TYPE.to_owned(),
        payload: BASE64_STANDARD.encode(&payload),
        signatures: vec![WireSignature {
            keyid: key_id(&key.public()).to_string(),
            sig: BASE64_STANDARD.encode(signature),
        }],
    };
    serde_json::to_vec(&wire).map(Bytes::from).map_err(EnvelopeError::Encode)
}

/// A document whose signature was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed<T> {
    pub document: T,
    pub signer: PublicKey,
    /// SHA-256 of the whole stored object: how other documents name this one.
    pub sha256: Digest,
}

/// Checks the signature against `keys`, which the caller takes from its pins for `T::ROLE`, and only then looks at
/// the payload. Which repository, policy and run the document speaks of is the caller's to check.
pub fn open<T: Document>(object: &[u8], keys: &[PublicKey]) -> Result<Signed<T>, EnvelopeError> {
    let envelope = Envelope::expect::<T>(object)?;
    let role = T::ROLE;
    let Some(&signer) = keys.iter().find(|key| key_id(key).to_string() == envelope.keyid) else {
        return Err(EnvelopeError::UnknownSigner { keyid: envelope.keyid, role });
    };
    if !verify(&signer, &pae(T::PAYLOAD_TYPE, &envelope.payload), &envelope.signature) {
        return Err(EnvelopeError::BadSignature { keyid: envelope.keyid, role });
    }
    Ok(Signed { document: envelope.document()?, signer, sha256: sha256(object) })
}

/// A document that anybody may have written.
#[derive(Debug, Clone, PartialEq)]
pub struct Peeked<T> {
    pub document: T,
    /// Who is said to have signed.
    pub keyid: String,
    pub sha256: Digest,
}

/// Reads without checking: for what is shown as `unpinned`, and to say what is wrong with a refused document.
pub fn peek<T: Document>(object: &[u8]) -> Result<Peeked<T>, EnvelopeError> {
    let envelope = Envelope::expect::<T>(object)?;
    Ok(Peeked { document: envelope.document()?, keyid: envelope.keyid, sha256: sha256(object) })
}
