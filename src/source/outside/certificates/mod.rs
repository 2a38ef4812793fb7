//! The stream `certificates`: the whole chain as a server or a file has it, and whether a visitor would believe it.

mod parse;
mod served;
mod trust;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};

use crate::context::Context;
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::secret::SecretRef;
use crate::source::outside::{Failures, Look, Record, Seen};

use parse::Parsed;
use trust::{Trust, roots};

/// Servers that are asked at a time.
const AT_A_TIME: usize = 8;
/// A bundle of all the authorities of the world has a quarter of it.
const MAX_FILE: u64 = 1 << 20;
/// Seconds that are left when it is said.
const SOON: i64 = 30 * 86400;

/// Where one chain is found, and who is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub at: CertificateAt,
    /// A PEM file of authorities. None: the system's.
    pub ca: Option<SecretRef>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateAt {
    Served {
        host: String,
        port: u16,
        /// The name that is asked for and must be in it. None: the host.
        name: Option<String>,
    },
    /// PEM.
    File(PathBuf),
}

pub struct Certificates {
    pub certificates: Vec<Certificate>,
}

#[async_trait]
impl Look for Certificates {
    fn stream(&self) -> &'static str {
        "certificates"
    }

    async fn look(&self, cx: &Context) -> Result<Seen, SourceFailure> {
        let (mut seen, mut failures) = (Seen::default(), Failures::default());
        let each: Vec<_> = self.certificates.iter().map(|certificate| one(certificate, cx)).collect();
        for found in stream::iter(each).buffered(AT_A_TIME).collect::<Vec<_>>().await {
            if let Some((record, findings)) = failures.note(found) {
                seen.records.push(record);
                seen.findings.extend(findings);
            }
        }
        failures.finish()?;
        Ok(seen)
    }
}

impl CertificateAt {
    /// What tells it from all others.
    fn name(&self) -> String {
        match self {
            CertificateAt::Served { host, port, name } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                match name {
                    Some(name) => format!("{host}:{port} as {name}"),
                    None => format!("{host}:{port}"),
                }
            }
            CertificateAt::File(path) => path.display().to_string(),
        }
    }
}

async fn one(certificate: &Certificate, cx: &Context) -> Result<(Record, Vec<Finding>), SourceFailure> {
    let subject = format!("certificate {}", certificate.at.name());
    let roots = roots(certificate.ca.as_ref(), &subject)?;
    let (kind, name, chain) = match &certificate.at {
        CertificateAt::Served { host, port, name } => {
            let asked = name.as_deref().unwrap_or(host);
            let server = ServerName::try_from(asked.to_owned()).map_err(|_| {
                SourceFailure::new(FailureClass::Configuration, &subject, format!("`{asked}` is no name of a server"))
                    .cure("write `serverName` as it is in the certificate")
            })?;
            let chain = served::chain(host, *port, server.clone(), &subject, cx).await?;
            ("served", Some(server), chain)
        }
        CertificateAt::File(path) => ("file", None, in_file(path, &subject)?),
    };
    let now = cx.clock.now().as_second();
    let parsed: Vec<Parsed> = chain.iter().map(|der| parse::parse(der)).collect();
    let trust = Trust { roots: &roots, name: name.as_ref(), now };
    let refused = trust.refuses(&chain);
    let mut findings = expiry(&subject, &parsed, now);
    if let Some(why) = &refused {
        findings.push(Finding::warning(&subject, format!("visitors would not believe it: it {why}")));
    }
    let mut record = Record::new(kind, certificate.at.name())
        .with("chain", parsed.iter().map(Parsed::json).collect::<Vec<Value>>())
        .with("verifies", refused.is_none());
    if let Some(why) = refused {
        record = record.with("why", format!("it {why}"));
    }
    if let Some(name) = name {
        record = record.with("serverName", json!(name.to_str()));
    }
    Ok((record, findings))
}

/// All certificates of the file, in its order. A private key beside them is passed over.
fn in_file(path: &Path, subject: &str) -> Result<Vec<CertificateDer<'static>>, SourceFailure> {
    let failed = |message: String| {
        SourceFailure::new(FailureClass::Configuration, subject, message)
            .cure("see that it is there, is PEM (BEGIN CERTIFICATE), and that this account may read it")
    };
    let length = std::fs::metadata(path).map_err(|error| failed(format!("cannot be read: {error}")))?.len();
    if length > MAX_FILE {
        return Err(failed("is larger than 1 MiB".into()));
    }
    let text = std::fs::read(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(chain) if chain.is_empty() => Err(failed("holds no certificate".into())),
        Ok(chain) => Ok(chain),
        // What the parser says may quote the file, which may hold a private key.
        Err(_) => Err(failed("is no PEM file".into())),
    }
}

fn expiry(subject: &str, chain: &[Parsed], now: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for parsed in chain {
        let left = parsed.not_after.saturating_sub(now);
        let whose = parsed.subject.as_deref().unwrap_or("a certificate of it that cannot be read");
        let message = match left {
            // What cannot be read has no end.
            _ if parsed.subject.is_none() => format!("{whose} ({})", parsed.sha256),
            left if left < 0 => format!("{whose} expired {} days ago", -left / 86400),
            left if left <= SOON => format!("{whose} expires in {} days", left / 86400),
            _ => continue,
        };
        findings
            .push(Finding::warning(subject, message).cure("renew it, and see that whoever serves it took the new one"));
    }
    findings
}
