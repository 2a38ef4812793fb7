//! Sealed objects back into plain bytes. What is opened may be hostile: every size is known before memory is taken.

use std::fmt;
use std::io::Read as _;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use memchr::memmem;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::secret::Secret;

use super::seal::SealError;

/// The longest age header that is looked at. The parser behind it takes time that grows with the square of it.
const MAX_HEADER: usize = 16 << 10;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// age identities: what opens sealed objects.
#[derive(Clone)]
pub struct Identities(Vec<Identity>);

impl Identities {
    /// Reads an age identity file: one key to a line, comments and empty lines between them.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        if text.starts_with("age-encryption.org/") || text.contains("BEGIN AGE ENCRYPTED FILE") {
            return Err(SealError::EncryptedIdentity);
        }
        let mut identities = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            // Only the number of the line is said: the line itself may be a key with one wrong letter.
            identities.push(text.parse().map_err(|_| SealError::Identity { line })?);
        }
        if identities.is_empty() { Err(SealError::NoIdentity) } else { Ok(Self(identities)) }
    }

    /// The recipients that these identities open for.
    pub fn recipients(&self) -> Vec<String> {
        self.0.iter().map(|identity| identity.to_public().to_string()).collect()
    }

    /// The content of one age file, refused if it is longer than `max_plain`.
    pub fn open(&self, sealed: &[u8], max_plain: u64) -> Result<Vec<u8>, SealError> {
        let head = &sealed[..sealed.len().min(MAX_HEADER)];
        if memmem::find(head, b"\n---").is_none() {
            return Err(SealError::Damaged("no age header"));
        }
        let identities = self.0.iter().map(|identity| identity as &dyn age::Identity);
        let reader = age::Decryptor::new_buffered(sealed).and_then(|decryptor| decryptor.decrypt(identities)).map_err(
            |error| match error {
                age::DecryptError::NoMatchingKeys => SealError::NoMatchingIdentity,
                _ => SealError::Damaged("the age header is not whole"),
            },
        )?;
        // The content is shorter than the file, so this takes no more memory than the caller already holds.
        let room = u64::try_from(sealed.len()).unwrap_or(u64::MAX).min(max_plain);
        let mut plain = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
        match reader.take(max_plain.saturating_add(1)).read_to_end(&mut plain) {
            Ok(read) if u64::try_from(read).is_ok_and(|read| read <= max_plain) => Ok(plain),
            Ok(_) => Err(SealError::TooLarge { max: max_plain }),
            Err(_) => Err(SealError::Damaged("the encrypted bytes are not whole")),
        }
    }

    /// The plain bytes of one chunk, which must be exactly `plain_len`.
    ///
    /// Accepts one zstd frame that states that length; skippable frames behind it are padding.
    pub fn open_chunk(&self, sealed: &[u8], plain_len: u32) -> Result<Vec<u8>, SealError> {
        let frame = self.open(sealed, u64::MAX)?;
        decompress(&frame, plain_len)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({:?}, [secret])", self.recipients())
    }
}

/// Decompresses into one buffer of the stated length. That buffer is the window too, so a frame that asks for a
/// larger one gets no memory for it.
fn decompress(bytes: &[u8], plain_len: u32) -> Result<Vec<u8>, SealError> {
    if !bytes.starts_with(&ZSTD_MAGIC) {
        return Err(SealError::Damaged("no zstd frame"));
    }
    let whole = || SealError::Damaged("the zstd frame is not whole");
    let length = find_frame_compressed_size(bytes).map_err(|_| whole())?;
    let (frame, padding) = bytes.split_at_checked(length).ok_or_else(whole)?;
    check_padding(padding)?;
    if !matches!(get_frame_content_size(frame), Ok(Some(size)) if size == u64::from(plain_len)) {
        return Err(SealError::Damaged("the zstd frame states another length"));
    }
    let mut plain = Vec::with_capacity(plain_len as usize);
    let written = Decompressor::new()
        .and_then(|mut decompressor| decompressor.decompress_to_buffer(frame, &mut plain))
        .map_err(|_| whole())?;
    if written == plain_len as usize { Ok(plain) } else { Err(SealError::Damaged("the zstd frame has another length")) }
}

/// Only skippable frames may follow: a second frame of data would be decoded by `zstd -d`, but not by us.
fn check_padding(mut bytes: &[u8]) -> Result<(), SealError> {
    while !bytes.is_empty() {
        let rest = match bytes {
            [magic, 0x2a, 0x4d, 0x18, a, b, c, d, rest @ ..] if *magic & 0xf0 == 0x50 => {
                let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                rest.get(length..)
            }
            _ => None,
        };
        bytes = rest.ok_or(SealError::Damaged("what follows the zstd frame is no padding"))?;
    }
    Ok(())
}

/// A new age identity.
#[derive(Debug)]
pub struct GeneratedIdentity {
    /// Content of the identity file.
    pub file: Secret<String>,
    pub recipient: String,
}

pub fn generate_identity() -> GeneratedIdentity {
    let identity = Identity::generate();
    let recipient = identity.to_public().to_string();
    let file = format!("# public key: {recipient}\n{}\n", identity.to_string().expose_secret());
    GeneratedIdentity { file: Secret::new(file), recipient }
}
