//! Sealed objects back into plain bytes. What is opened may be hostile: every size is known before memory is taken.

use std::fmt;
use std::io::Read as _;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use memchr::memmem;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::secret::Secret;
use crate::work;

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
        if work::simulated() {
            return Ok(sealed.to_vec());
        }
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
        if work::simulated() {
            return Ok(frame);
        }
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use crate::repository::Sealer;

    use super::*;

    fn pair() -> (Identities, Sealer) {
        let (ours, escrow) = (generate_identity(), generate_identity());
        let sealer = Sealer::new(&[escrow.recipient, ours.recipient]).unwrap();
        (Identities::parse(ours.file.expose()).unwrap(), sealer)
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(plain, 1).unwrap()
    }

    fn reason<T: fmt::Debug>(result: Result<T, SealError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_chunk_comes_back_from_the_same_sealer_each_time() {
        let (identities, sealer) = pair();
        let mut chunks = sealer.chunk_sealer().unwrap();
        for length in [0, 1, 100_000, 5, 300_000] {
            let plain: Vec<u8> = (0..length).map(|n| (n / 7) as u8).collect();
            let sealed = chunks.seal_chunk(&plain).unwrap();
            assert_eq!(identities.open_chunk(&sealed, length).unwrap(), plain);
            let frame = identities.open(&sealed, 1 << 20).unwrap();
            assert_eq!(zstd::zstd_safe::get_frame_content_size(&frame).ok(), Some(Some(u64::from(length))));
            assert_eq!(frame[4] & 0b100, 0b100, "the checksum flag");
        }
    }

    #[test]
    fn an_identity_file_may_hold_comments_and_several_keys() {
        let keys = [generate_identity(), generate_identity()];
        let text = format!("# created: today\r\n\n{}\r\n\n{}", keys[0].file.expose(), keys[1].file.expose());
        let identities = Identities::parse(&text).unwrap();
        assert_eq!(identities.recipients(), [keys[0].recipient.clone(), keys[1].recipient.clone()]);
        assert!(!format!("{identities:?} {:?}", keys[0]).contains("SECRET-KEY"));
        for key in &keys {
            let sealed = Sealer::new(std::slice::from_ref(&key.recipient)).unwrap().seal(b"x").unwrap();
            assert_eq!(identities.open(&sealed, 1).unwrap(), b"x");
        }

        assert_eq!(reason(Identities::parse("# nothing\n")), "the identity file holds no identity");
        let secret = keys[0].file.expose().lines().last().unwrap().replace("SECRET-KEY-1", "SECRET-KEY-1Q");
        let message = reason(Identities::parse(&format!("# one\n{secret}")));
        assert_eq!(message, "line 2 of the identity file is no age identity (`AGE-SECRET-KEY-1...`)");
        let sealed = Sealer::new(&[keys[0].recipient.clone()]).unwrap().seal(b"x").unwrap();
        let as_text = String::from_utf8_lossy(&sealed);
        assert!(matches!(Identities::parse(&as_text), Err(SealError::EncryptedIdentity)));
    }

    #[test]
    fn a_stranger_is_told_apart_from_damage() {
        let (identities, sealer) = pair();
        let sealed = sealer.seal(b"secret").unwrap();
        let stranger = Identities::parse(generate_identity().file.expose()).unwrap();
        assert!(matches!(stranger.open(&sealed, 100), Err(SealError::NoMatchingIdentity)));
        let mut damaged = sealed.to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(matches!(identities.open(&damaged, 100), Err(SealError::Damaged(_))));
        assert!(matches!(identities.open(&sealed, 5), Err(SealError::TooLarge { max: 5 })));
        assert_eq!(identities.open(&sealed, 6).unwrap(), b"secret");
    }

    #[test]
    fn no_flipped_bit_and_no_missing_byte_goes_unnoticed() {
        let (identities, sealer) = pair();
        let sealed = sealer.chunk_sealer().unwrap().seal_chunk(b"some rows").unwrap();
        for end in 0..sealed.len() {
            identities.open_chunk(&sealed[..end], 9).unwrap_err();
        }
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            identities.open_chunk(&damaged, 9).unwrap_err();
        }
        let longer = [&sealed[..], b"\n"].concat();
        identities.open_chunk(&longer, 9).unwrap_err();
    }

    #[test]
    fn only_one_frame_of_the_stated_length_is_taken() {
        let (identities, sealer) = pair();
        let open = |content: &[u8], length| identities.open_chunk(&sealer.seal(content).unwrap(), length);
        let plain = b"row\n".repeat(1000);
        let frame = zstd(&plain);
        let padding = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        assert_eq!(open(&frame, 4000).unwrap(), plain);
        assert_eq!(open(&[&frame[..], &padding, &padding].concat(), 4000).unwrap(), plain);

        for length in [0, 3999, 4001, u32::MAX] {
            assert_eq!(reason(open(&frame, length)), "damaged: the zstd frame states another length");
        }
        let behind = "damaged: what follows the zstd frame is no padding";
        assert_eq!(reason(open(&[&frame[..], &frame].concat(), 8000)), behind);
        assert_eq!(reason(open(&[&frame[..], &padding[..10]].concat(), 4000)), behind);
        assert_eq!(reason(open(&[&frame[..], &[0]].concat(), 4000)), behind);
        let none = "damaged: no zstd frame";
        assert_eq!(reason(open(&[&padding[..], &frame].concat(), 4000)), none);
        assert_eq!(reason(open(&plain, 4000)), none);
        assert_eq!(reason(open(b"", 0)), none);
        assert_eq!(reason(open(&frame[..frame.len() - 1], 4000)), "damaged: the zstd frame is not whole");
        let mut writer = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        writer.write_all(&plain).unwrap();
        writer.flush().unwrap();
        let unsized_frame = writer.finish().unwrap();
        assert_eq!(reason(open(&unsized_frame, 4000)), "damaged: the zstd frame states another length");
    }

    #[test]
    fn a_bomb_is_refused_before_it_unfolds() {
        let (identities, sealer) = pair();
        let bomb = sealer.seal(&zstd(&vec![0; 256 << 20])).unwrap();
        assert!(bomb.len() < 100_000);
        assert_eq!(reason(identities.open_chunk(&bomb, 4 << 20)), "damaged: the zstd frame states another length");
        // A frame that states a small length and holds more.
        let mut liar = zstd(&vec![0; 65_536 + 256]);
        assert_eq!(liar[4] >> 5, 0b101, "a length of four bytes, no window");
        liar[5..9].copy_from_slice(&256u32.to_le_bytes());
        assert_eq!(
            reason(identities.open_chunk(&sealer.seal(&liar).unwrap(), 256)),
            "damaged: the zstd frame is not whole"
        );
        // A header of many recipients would keep the parser busy for minutes.
        let stanza = format!("-> X25519 {}\n{}\n", "A".repeat(43), "A".repeat(43));
        let endless = format!("age-encryption.org/v1\n{}--- {}\n", stanza.repeat(80_000), "A".repeat(43));
        assert_eq!(reason(identities.open(endless.as_bytes(), 1)), "damaged: no age header");
    }

    proptest! {
        #[test]
        fn any_bytes_are_opened_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400), length in 0u32..500) {
            let (identities, sealer) = pair();
            prop_assert!(identities.open(&bytes, 1000).is_err());
            let header = [b"age-encryption.org/v1\n-> X25519 ", &bytes[..], b"\n--- "].concat();
            prop_assert!(identities.open(&header, 1000).is_err());
            let frame = [&ZSTD_MAGIC, &bytes[..]].concat();
            if let Ok(plain) = identities.open_chunk(&sealer.seal(&frame).unwrap(), length) {
                prop_assert_eq!(plain.len(), length as usize);
            }
        }

        #[test]
        fn any_text_is_an_identity_file_or_an_error(text in "(#?[A-Z0-9-]{0,80}\r?\n){0,5}\\PC{0,40}") {
            if let Ok(identities) = Identities::parse(&text) {
                prop_assert!(!identities.recipients().is_empty());
            }
        }
    }
}
