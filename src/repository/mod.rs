//! The repository format: names, keys, chunks, sealing, signed documents, and what is built on them.
//!
//! `docs/format.md` is the published specification; the golden vectors in the tests hold the code to it.

mod chunker;
mod envelope;
mod keys;
pub mod layout;
mod restore_text;
mod seal;
mod signing;
mod unseal;

pub use chunker::{Chunker, Gear};
pub use envelope::{Document, Envelope, EnvelopeError, Peeked, Signed, open, peek, sign};
pub use keys::{DedupKey, DedupKeyError, LineageKeys};
pub use restore_text::restore_text;
pub use seal::{ChunkSealer, MAX_RECIPIENTS, SealError, Sealer};
pub use signing::{SigningKey, SigningKeyError, key_id, public_key_pem};
pub use unseal::{GeneratedIdentity, Identities, generate_identity};
