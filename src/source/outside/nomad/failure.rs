//! What it means that an agent did not answer, or said no.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

use crate::model::{FailureClass, SourceFailure};

/// What a token needs for all that is recorded.
pub(super) fn policy_cure() -> String {
    "a token with the policy: node { policy = \"read\" } agent { policy = \"read\" } \
     namespace \"*\" { capabilities = [\"list-jobs\", \"read-job\"] }"
        .into()
}

pub(super) fn no_leader(subject: &str) -> SourceFailure {
    SourceFailure::new(
        FailureClass::Unreachable,
        subject,
        "the servers have no leader, so nothing that they say is certain",
    )
    .cure("nomad server members, nomad operator raft list-peers: most of the servers must be up and know each other")
}

/// An answer that is none to what was asked.
pub(super) fn refused(subject: &str, path: &str, status: u16, said: &str, busy: bool) -> SourceFailure {
    let failed = |class, message: String| SourceFailure::new(class, subject, message);
    let low = said.to_ascii_lowercase();
    match status {
        403 if low.contains("token not found") || low.contains("token expired") || low.contains("token is expired") => {
            failed(FailureClass::Authentication, format!("does not know the token ({said})"))
                .cure("take a token that has not expired and was not deleted: nomad acl token self")
        }
        401 | 403 => failed(FailureClass::Permission, format!("does not allow {path} to this token ({said})"))
            .cure(policy_cure()),
        400 if low.contains("http request to an https server") => {
            failed(FailureClass::Configuration, "speaks TLS, and the address says http://".into())
                .cure("write https://")
        }
        500 if low.contains("no cluster leader") => no_leader(subject),
        500 if low.contains("no path to region") => {
            failed(FailureClass::Configuration, format!("knows no such region ({said})"))
                .cure("see `region`, and: nomad server members")
        }
        429 | 500 | 502..=504 => failed(FailureClass::Unreachable, format!("failed at {path}: {said} ({status})")),
        _ if busy => failed(FailureClass::Unreachable, format!("is busy: {said} ({status})")),
        _ => failed(FailureClass::ToolFailed, format!("answers {path} with: {said} ({status})"))
            .cure("is it Nomad that listens there?"),
    }
}

/// No answer came, or half of one.
pub(super) fn no_answer(subject: &str, error: reqwest::Error) -> SourceFailure {
    let slow = error.is_timeout();
    let error = error.without_url();
    let failed = |class, message: &str, cure: &str| SourceFailure::new(class, subject, message).cure(cure);
    match cause(&error) {
        Some(Cause::Refused) => failed(
            FailureClass::Unreachable,
            "nobody listens at that address",
            "look at host and port (4646 unless configured otherwise), and whether the agent runs",
        ),
        Some(Cause::UnknownName) => failed(
            FailureClass::Unreachable,
            "the host's name leads nowhere (DNS)",
            "look at the spelling of the address, and whether names are resolved here",
        ),
        Some(Cause::Authority) => failed(
            FailureClass::Unreachable,
            "its certificate comes from an authority that is not believed",
            "name it: `ca`, or NOMAD_CACERT (NOMAD_SKIP_VERIFY is not followed)",
        ),
        Some(Cause::Name) => failed(
            FailureClass::Unreachable,
            "its certificate is for another name",
            "`serverName: server.REGION.nomad` (NOMAD_TLS_SERVER_NAME), as the certificate says",
        ),
        Some(Cause::Certificate(why)) => {
            SourceFailure::new(FailureClass::Unreachable, subject, format!("its certificate is not good: {why}"))
                .cure("renew it; look at this machine's clock too")
        }
        Some(Cause::PlainHttp) => {
            failed(FailureClass::Configuration, "speaks plain HTTP, and the address says https://", "write http://")
        }
        Some(Cause::WantsCertificate) => failed(
            FailureClass::Authentication,
            "wants to see a client certificate, and refuses what it was shown",
            "`cert` and `key` (NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY), signed by its authority",
        ),
        None if slow => failed(
            FailureClass::Unreachable,
            "did not answer in time",
            "look at the network between here and there, and whether the agent is well",
        ),
        None => SourceFailure::new(FailureClass::Unreachable, subject, format!("did not answer: {}", chain(&error))),
    }
}

enum Cause {
    Refused,
    UnknownName,
    Authority,
    Name,
    Certificate(String),
    PlainHttp,
    WantsCertificate,
}

fn cause(error: &(dyn Error + 'static)) -> Option<Cause> {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
            return Some(Cause::Refused);
        }
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return tls(error);
        }
        // The client's type for it is private.
        if error.to_string().starts_with("dns error") {
            return Some(Cause::UnknownName);
        }
        // As its source, an I/O error gives not what it holds, but the source of that.
        next = match io.and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

fn tls(error: &rustls::Error) -> Option<Cause> {
    use rustls::Error as Tls;
    Some(match error {
        Tls::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => Cause::Authority,
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Cause::Name,
        Tls::InvalidCertificate(why) => Cause::Certificate(why.to_string()),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => Cause::PlainHttp,
        Tls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown,
        ) => Cause::WantsCertificate,
        _ => return None,
    })
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_a_class_and_a_cure() {
        for (status, said, class) in [
            (403, "Permission denied", FailureClass::Permission),
            (403, "ACL token not found", FailureClass::Authentication),
            (500, "No cluster leader", FailureClass::Unreachable),
            (500, "No path to region", FailureClass::Configuration),
            (400, "Client sent an HTTP request to an HTTPS server.", FailureClass::Configuration),
            (404, "404 page not found", FailureClass::ToolFailed),
        ] {
            let failure = refused("nomad x", "/v1/nodes", status, said, false);
            assert_eq!(failure.class, class, "{said}");
            assert!(failure.cure.is_some(), "{said}");
        }
    }
}
