//! What a certificate says of itself.

use std::net::{Ipv4Addr, Ipv6Addr};

use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value, json};
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, Reader as _, SliceReader};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::model::{Timestamp, sha256};

/// One certificate of a chain.
pub struct Parsed {
    pub sha256: String,
    /// None: it cannot be read.
    pub subject: Option<String>,
    /// Seconds since 1970.
    pub not_after: i64,
    fields: Map<String, Value>,
}

impl Parsed {
    pub fn json(&self) -> Value {
        Value::Object(self.fields.clone())
    }
}

pub fn parse(der: &CertificateDer<'_>) -> Parsed {
    let sha256 = sha256(der).to_string();
    let mut fields = Map::from_iter([("sha256".to_owned(), json!(sha256)), ("bytes".to_owned(), json!(der.len()))]);
    let Ok(certificate) = Certificate::from_der(der) else {
        fields.insert("unreadable".into(), json!(true));
        return Parsed { sha256, subject: None, not_after: i64::MAX, fields };
    };
    let certificate = certificate.tbs_certificate;
    let seconds = |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    let moment = |seconds: i64| Timestamp::from_second(seconds).map(|at| at.to_string()).unwrap_or_default();
    let (not_before, not_after) = (seconds(&certificate.validity.not_before), seconds(&certificate.validity.not_after));
    let subject = certificate.subject.to_string();
    // An extension that cannot be read is as good as none: visitors would refuse the certificate.
    let names = certificate.get::<SubjectAltName>().ok().flatten().map(|(_, names)| names.0).unwrap_or_default();
    let is_authority = certificate.get::<BasicConstraints>().ok().flatten().is_some_and(|(_, basic)| basic.ca);
    for (field, value) in [
        ("subject", json!(subject)),
        ("issuer", json!(certificate.issuer.to_string())),
        ("serial", json!(certificate.serial_number.to_string())),
        ("notBefore", json!(moment(not_before))),
        ("notAfter", json!(moment(not_after))),
        ("names", names.iter().map(general).collect()),
        ("authority", json!(is_authority)),
        ("publicKey", json!(key(&certificate.subject_public_key_info))),
    ] {
        fields.insert(field.to_owned(), value);
    }
    Parsed { sha256, subject: Some(subject), not_after, fields }
}

fn general(name: &GeneralName) -> Value {
    match name {
        GeneralName::DnsName(name) => json!(name.as_str()),
        GeneralName::Rfc822Name(name) => json!(format!("mail:{name}")),
        GeneralName::UniformResourceIdentifier(uri) => json!(format!("uri:{uri}")),
        GeneralName::DirectoryName(name) => json!(format!("directory:{name}")),
        GeneralName::IpAddress(address) => {
            let bytes = address.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
            let v6 = || <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).to_string());
            json!(v4.or_else(|_| v6()).unwrap_or_else(|_| "an address of odd length".into()))
        }
        GeneralName::OtherName(_) | GeneralName::EdiPartyName(_) | GeneralName::RegisteredId(_) => {
            json!("another kind")
        }
    }
}

/// `RSA 2048`, `EC P-256`, `Ed25519`; of others the number of the algorithm.
fn key(key: &SubjectPublicKeyInfoOwned) -> String {
    match key.algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.1" => match modulus_bits(key.subject_public_key.raw_bytes()) {
            Some(bits) => format!("RSA {bits}"),
            None => "RSA".to_owned(),
        },
        "1.2.840.10045.2.1" => {
            let parameters = key.algorithm.parameters.as_ref();
            let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok()).map(|oid| oid.to_string());
            match curve.as_deref() {
                Some("1.2.840.10045.3.1.7") => "EC P-256".to_owned(),
                Some("1.3.132.0.34") => "EC P-384".to_owned(),
                Some("1.3.132.0.35") => "EC P-521".to_owned(),
                Some(other) => format!("EC {other}"),
                None => "EC".to_owned(),
            }
        }
        "1.3.101.112" => "Ed25519".to_owned(),
        other => other.to_owned(),
    }
}

/// `SEQUENCE { modulus INTEGER, exponent INTEGER }`
fn modulus_bits(key: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(key).ok()?;
    let modulus = reader.sequence(|inner| {
        let modulus = UintRef::decode(inner)?;
        UintRef::decode(inner)?;
        let first = modulus.as_bytes().first().map_or(0, |byte| byte.leading_zeros() as usize);
        Ok::<_, x509_cert::der::Error>(modulus.as_bytes().len() * 8 - first)
    });
    modulus.ok()
}
