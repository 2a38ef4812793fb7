//! Plain bytes into sealed objects: zstd, then age to every recipient. Needs public keys only.

use std::io::Write as _;
use std::sync::Arc;

use age::x25519::Recipient;
use bytes::{BufMut as _, Bytes, BytesMut};
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use crate::repository::buffers::Buffers;
use crate::work;

/// More would not fit into the largest header that a reader takes.
pub const MAX_RECIPIENTS: usize = 100;

/// On dumps, level 1 is as small as level 3 and twice as fast.
const LEVEL: i32 = 1;

/// Why bytes could not be sealed, or not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("no recipient is given")]
    NoRecipient,
    #[error("{0} recipients are given; at most {MAX_RECIPIENTS} are possible")]
    TooManyRecipients(usize),
    #[error("`{0}` is not an age recipient (`age1` and 58 lower-case letters and digits)")]
    Recipient(String),
    #[error("recipient {0} is given twice")]
    SameRecipient(String),
    #[error("cannot compress")]
    Compress(#[source] std::io::Error),
    #[error("cannot encrypt")]
    Encrypt(#[source] age::EncryptError),
    #[error("line {line} of the identity file is no age identity (`AGE-SECRET-KEY-1...`)")]
    Identity { line: usize },
    #[error("the identity file is itself encrypted; open it first with `age -d`")]
    EncryptedIdentity,
    #[error("the identity file holds no identity")]
    NoIdentity,
    /// Also what one damaged byte in the header's recipient lines looks like; only the object's hash tells them apart.
    #[error("none of the identities opens it")]
    NoMatchingIdentity,
    #[error("damaged: {0}")]
    Damaged(&'static str),
    #[error("more than the {max} bytes that it may hold")]
    TooLarge { max: u64 },
}

/// Seals to a fixed set of recipients.
#[derive(Debug, Clone)]
pub struct Sealer {
    names: Arc<[String]>,
    recipients: Arc<[Recipient]>,
}

impl Sealer {
    /// Takes X25519 recipients as `age-keygen` prints them.
    pub fn new(recipients: &[String]) -> Result<Self, SealError> {
        if recipients.is_empty() {
            return Err(SealError::NoRecipient);
        }
        if recipients.len() > MAX_RECIPIENTS {
            return Err(SealError::TooManyRecipients(recipients.len()));
        }
        let mut parsed: Vec<Recipient> = Vec::with_capacity(recipients.len());
        for text in recipients {
            match text.parse::<Recipient>() {
                // Pins are compared as text, so only one spelling is taken.
                Ok(recipient) if recipient.to_string() == *text => {
                    if parsed.contains(&recipient) {
                        return Err(SealError::SameRecipient(text.clone()));
                    }
                    parsed.push(recipient);
                }
                _ => return Err(SealError::Recipient(text.clone())),
            }
        }
        Ok(Self { names: recipients.into(), recipients: parsed.into() })
    }

    pub fn recipients(&self) -> &[String] {
        &self.names
    }

    /// One age file of `plain` as it is.
    pub fn seal(&self, plain: &[u8]) -> Result<Bytes, SealError> {
        self.seal_into(plain, BytesMut::with_capacity(self.sealed_bound(plain.len())))
    }

    fn seal_into(&self, plain: &[u8], sealed: BytesMut) -> Result<Bytes, SealError> {
        if work::simulated() {
            return Ok(Bytes::copy_from_slice(plain));
        }
        let recipients = self.recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(SealError::Encrypt)?;
        let in_memory = |error| SealError::Encrypt(age::EncryptError::Io(error));
        let mut writer = encryptor.wrap_output(sealed.writer()).map_err(in_memory)?;
        writer.write_all(plain).map_err(in_memory)?;
        writer.finish().map(|sealed| sealed.into_inner().freeze()).map_err(in_memory)
    }

    /// At least the length of the age file of so many bytes: version, MAC and a stanza of random length that the crate
    /// adds; two lines for each recipient; nonce; and a tag per 64 KiB.
    fn sealed_bound(&self, plain: usize) -> usize {
        384 + 112 * self.recipients.len() + 16 + plain + 16 * (plain / (64 << 10) + 1)
    }

    /// A worker's own sealer for chunks.
    pub fn chunk_sealer(&self) -> Result<ChunkSealer, SealError> {
        let mut compressor = Compressor::new(LEVEL).map_err(SealError::Compress)?;
        compressor.include_contentsize(true).map_err(SealError::Compress)?;
        compressor.include_checksum(true).map_err(SealError::Compress)?;
        Ok(ChunkSealer { sealer: self.clone(), compressor, frame: Vec::new() })
    }
}

/// Seals chunks, with one compressor and one buffer for all of them: one for each worker.
pub struct ChunkSealer {
    sealer: Sealer,
    compressor: Compressor<'static>,
    frame: Vec<u8>,
}

impl ChunkSealer {
    /// One zstd frame, with content size and checksum, in one age file.
    pub fn seal_chunk(&mut self, plain: &[u8]) -> Result<Bytes, SealError> {
        self.seal_chunk_into(plain, &Buffers::default())
    }

    /// The same, in a buffer that somebody gives back.
    pub(in crate::repository) fn seal_chunk_into(
        &mut self,
        plain: &[u8],
        buffers: &Buffers,
    ) -> Result<Bytes, SealError> {
        if work::simulated() {
            return Ok(Bytes::copy_from_slice(plain));
        }
        self.frame.clear();
        self.frame.reserve(compress_bound(plain.len()));
        self.compressor.compress_to_buffer(plain, &mut self.frame).map_err(SealError::Compress)?;
        let sealed = buffers.take(self.sealer.sealed_bound(self.frame.len()));
        self.sealer.seal_into(&self.frame, sealed)
    }
}

#[cfg(test)]
mod tests {
    use crate::repository::generate_identity;

    use super::*;

    #[test]
    fn recipients_are_checked_one_by_one() {
        let good = generate_identity().recipient;
        let refused = |recipients: &[&str]| {
            let recipients: Vec<String> = recipients.iter().map(|text| (*text).to_owned()).collect();
            Sealer::new(&recipients).unwrap_err()
        };
        assert!(matches!(refused(&[]), SealError::NoRecipient));
        assert!(matches!(refused(&[&good, &good]), SealError::SameRecipient(name) if name == good));
        let broken = good.replace("age1", "age1q");
        for bad in ["", "age1", &broken, &good.to_uppercase(), &format!(" {good}"), "ssh-ed25519 AAAA"] {
            assert!(matches!(refused(&[&good, bad]), SealError::Recipient(name) if name == *bad));
        }
        let many: Vec<String> = (0..101).map(|_| generate_identity().recipient).collect();
        assert!(matches!(Sealer::new(&many), Err(SealError::TooManyRecipients(101))));
        assert_eq!(Sealer::new(&many[..100]).unwrap().recipients(), &many[..100]);
    }

    #[test]
    fn the_estimate_of_a_sealed_length_is_never_too_small() {
        let many: Vec<String> = (0..100).map(|_| generate_identity().recipient).collect();
        for recipients in [1, 2, 100] {
            let sealer = Sealer::new(&many[..recipients]).unwrap();
            for length in [0, 1, 65535, 65536, 65537, 200_000] {
                let sealed = sealer.seal(&vec![7; length]).unwrap().len();
                let bound = sealer.sealed_bound(length);
                assert!((sealed..sealed + 2000).contains(&bound), "{bound} for {sealed}");
            }
        }
    }
}
