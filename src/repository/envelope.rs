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
    BucketConfig, Digest, FORMAT, Hold, Manifest, Part, Progress, PublicKey, RepositoryId, Role, Statement, SweepNote,
    Tombstone, sha256,
};

use super::plausible::{MAX_VALUES, has_few_values};
use super::signing::{SigningKey, key_id, verify};

/// What can be signed: its type says which role may.
pub trait Document: Serialize + DeserializeOwned {
    const PAYLOAD_TYPE: &'static str;
    const ROLE: Role;
    /// Whether the format number stands in the predicate, and not at the top.
    const FORMAT_IN_PREDICATE: bool = false;

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
document!(Hold, "application/vnd.lifeboat.hold.v1+json", Collector);
document!(SweepNote, "application/vnd.lifeboat.sweep.v1+json", Collector);

impl Document for Statement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.in-toto+json";
    const ROLE: Role = Role::Prover;
    const FORMAT_IN_PREDICATE: bool = true;

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
    #[error("holds more values than any document")]
    TooManyValues,
    #[error("does not hold what its type says")]
    Payload(#[source] serde_json::Error),
}

/// As much of a payload as says which version wrote it.
#[derive(Deserialize)]
struct Version {
    format: Option<u64>,
    predicate: Option<Predicate>,
}

#[derive(Deserialize)]
struct Predicate {
    format: Option<u64>,
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
        if !has_few_values(&self.payload, MAX_VALUES) {
            return Err(EnvelopeError::TooManyValues);
        }
        // Before the fields: those of a later format may be others.
        let version: Version = serde_json::from_slice(&self.payload).map_err(EnvelopeError::Payload)?;
        let format = if T::FORMAT_IN_PREDICATE { version.predicate.and_then(|p| p.format) } else { version.format };
        match format {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From tests/testdata/format1/oracle.py: Python's base64 and openssl's Ed25519, with the bytes 0 to 31 as seed.
    const GOLDEN: &str = concat!(
        r#"{"payloadType":"application/vnd.lifeboat.tombstone.v1+json","payload":"eyJmb3JtYXQiOjEsInJlcG9zaXRvcnkiO"#,
        r#"iIwMUpEN1o5VDNRNVI2UzdUOFY5VzBYMVkyWiIsInBvbGljeSI6InNob3AiLCJydW4iOiIwMUpEN1o5VDNRNVI2UzdUOFY5VzBYMVkzM"#,
        r#"CIsIm1hbmlmZXN0X3NoYTI1NiI6ImFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiY"#,
        r#"WJhYmFiYWIiLCJydWxlIjoibm90IGFtb25nIHRoZSBsYXN0IDMiLCJzaWduZWQiOiIyMDI2LTExLTIzVDAyOjAwOjA0WiJ9","signat"#,
        r#"ures":[{"keyid":"56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c","sig":"eRTDjTY5ePBxwz"#,
        r#"1XMMN5bWPEpa3tAEAaAtRrSKsoEY1Af64DTnKO2NzE9ShPrLXVrtVtLrgDE5vm56Nox4AGAQ=="}]}"#,
    );

    fn key() -> SigningKey {
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
                   -----END PRIVATE KEY-----\n";
        SigningKey::from_pem(pem).unwrap()
    }

    fn tombstone() -> Tombstone {
        Tombstone {
            format: 1,
            repository: "01JD7Z9T3Q5R6S7T8V9W0X1Y2Z".parse().unwrap(),
            policy: "shop".parse().unwrap(),
            run: "01JD7Z9T3Q5R6S7T8V9W0X1Y30".parse().unwrap(),
            manifest_sha256: Digest([0xab; 32]),
            rule: "not among the last 3".to_owned(),
            signed: "2026-11-23T02:00:04Z".parse().unwrap(),
        }
    }

    fn payload_of(json: &str) -> Vec<u8> {
        envelope(Tombstone::PAYLOAD_TYPE, json.as_bytes())
    }

    fn envelope(payload_type: &str, payload: &[u8]) -> Vec<u8> {
        let wire = Wire {
            payload_type: payload_type.to_owned(),
            payload: BASE64_STANDARD.encode(payload),
            signatures: vec![WireSignature {
                keyid: key_id(&key().public()).to_string(),
                sig: BASE64_STANDARD.encode(key().sign(&pae(payload_type, payload))),
            }],
        };
        serde_json::to_vec(&wire).unwrap()
    }

    fn refusal(object: &[u8]) -> EnvelopeError {
        open::<Tombstone>(object, &[key().public()]).unwrap_err()
    }

    #[test]
    fn the_bytes_are_the_golden_ones_and_open_again() {
        assert_eq!(std::str::from_utf8(&sign(&tombstone(), &key()).unwrap()).unwrap(), GOLDEN);
        let other = SigningKey::generate().unwrap().public();
        let signed = open::<Tombstone>(GOLDEN.as_bytes(), &[other, key().public()]).unwrap();
        assert_eq!(signed.document, tombstone());
        assert_eq!(signed.signer, key().public());
        assert_eq!(signed.sha256, sha256(GOLDEN.as_bytes()));
        assert_eq!(signed.document.repository(), &tombstone().repository);
        assert_eq!(peek::<Tombstone>(GOLDEN.as_bytes()).unwrap().document, tombstone());
    }

    #[test]
    fn the_pre_authentication_encoding_is_that_of_the_dsse_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn each_way_to_be_wrong_has_its_own_error() {
        let other = SigningKey::generate().unwrap();
        let foreign = sign(&tombstone(), &other).unwrap();
        assert!(matches!(refusal(&foreign), EnvelopeError::UnknownSigner { role: Role::Collector, .. }));
        assert!(refusal(&foreign).to_string().contains(&key_id(&other.public()).to_string()));
        assert!(matches!(open::<Tombstone>(GOLDEN.as_bytes(), &[]), Err(EnvelopeError::UnknownSigner { .. })));
        assert!(peek::<Tombstone>(&foreign).is_ok(), "unchecked");

        // Somebody else's signature under a trusted key's id.
        let ids = [key_id(&other.public()).to_string(), key_id(&key().public()).to_string()];
        let posing = String::from_utf8(foreign.to_vec()).unwrap().replace(&ids[0], &ids[1]);
        assert!(matches!(refusal(posing.as_bytes()), EnvelopeError::BadSignature { .. }));

        let typed = envelope("application/vnd.lifeboat.hold.v1+json", b"{}");
        assert!(matches!(refusal(&typed), EnvelopeError::WrongType { found, .. } if found.contains("hold")));
        // The type is signed too: saying another one does not help.
        let retyped = String::from_utf8(typed).unwrap().replace("hold", "tombstone");
        assert!(matches!(refusal(retyped.as_bytes()), EnvelopeError::BadSignature { .. }));

        assert!(matches!(refusal(b"{\"format\":1}"), EnvelopeError::NotAnEnvelope(_)));
        let (head, tail) = GOLDEN.split_once('[').unwrap();
        let signature = tail.strip_suffix("]}").unwrap();
        for (signatures, count) in [(String::new(), 0), (format!("{signature},{signature}"), 2)] {
            let object = format!("{head}[{signatures}]}}");
            assert!(matches!(refusal(object.as_bytes()), EnvelopeError::SignatureCount(found) if found == count));
        }
        assert!(matches!(refusal(GOLDEN.replace("==\"", "\"").as_bytes()), EnvelopeError::Base64("signature")));
        assert!(matches!(refusal(GOLDEN.replace("eyJm", "eyJ-").as_bytes()), EnvelopeError::Base64("payload")));

        assert!(matches!(refusal(&payload_of("{\"format\":2,\"new\":[]}")), EnvelopeError::NewerFormat(2)));
        assert!(matches!(refusal(&payload_of("{\"format\":1}")), EnvelopeError::Payload(_)));
        assert!(matches!(refusal(&payload_of("no json")), EnvelopeError::Payload(_)));
        assert!(matches!(refusal(&payload_of(&"[".repeat(1 << 19))), EnvelopeError::Payload(_)));
        assert!(matches!(refusal(&payload_of(&"[".repeat(1 << 20))), EnvelopeError::TooManyValues));
    }

    #[test]
    fn unknown_fields_of_a_payload_are_ignored() {
        let json = serde_json::to_string(&tombstone()).unwrap().replacen('{', "{\"later\":{\"x\":1},", 1);
        assert_eq!(open::<Tombstone>(&payload_of(&json), &[key().public()]).unwrap().document, tombstone());
    }

    #[test]
    fn no_flipped_bit_and_no_missing_byte_goes_unnoticed() {
        for end in 0..GOLDEN.len() {
            refusal(&GOLDEN.as_bytes()[..end]);
        }
        for bit in 0..GOLDEN.len() * 8 {
            let mut object = GOLDEN.as_bytes().to_vec();
            object[bit / 8] ^= 1 << (bit % 8);
            refusal(&object);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_envelope_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..GOLDEN.len(), with in "\\PC{0,20}",
        ) {
            refusal(&bytes);
            let mut text = GOLDEN.to_owned();
            text.insert_str(at, &with);
            // What is inserted may be white space between tokens.
            if let Ok(signed) = open::<Tombstone>(text.as_bytes(), &[key().public()]) {
                prop_assert_eq!(signed.document, tombstone());
                prop_assert!(with.trim().is_empty());
            }
        }
    }
}
