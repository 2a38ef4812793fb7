//! Why there was no answer: what the clients of HTTP say in their chains of causes.

use std::error::Error;
use std::io;

use rustls::{CertificateError, InvalidMessage};

use crate::store::driver::ErrorKind;
use crate::store::trouble::Trouble;

/// Why no server answered, as far as the causes say, and whether trying again may help.
pub(in crate::store) fn silence(error: &(dyn Error + 'static)) -> Option<(Trouble, ErrorKind)> {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
            return Some((Trouble::NobodyListens, ErrorKind::Unavailable));
        }
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                return Some((Trouble::UnknownAuthority, ErrorKind::Other));
            }
            Some(rustls::Error::InvalidCertificate(_)) => return Some((Trouble::Certificate, ErrorKind::Other)),
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                return Some((Trouble::PlainHttp, ErrorKind::Other));
            }
            _ => {}
        }
        // The client's types for these are private.
        let text = error.to_string();
        if text.starts_with("tunnel error") || text.starts_with("proxy") {
            return Some((Trouble::Proxy, ErrorKind::Unavailable));
        }
        if text.starts_with("dns error") {
            return Some((Trouble::UnknownName, ErrorKind::Unavailable));
        }
        // As its source, an I/O error gives not what it holds, but the source of that.
        next = match io.and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}
