//! A temporary file for objects that must wait: it has no name, so that it is gone when the process is, however it ends,
//! and it is sealed to a key that exists in this process alone, because Secrets are among them.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, SeekFrom, Write};

use age::stream::{StreamReader, StreamWriter};
use age::x25519::Identity;

/// Bytes that are sealed before the disk is asked to take them.
const BUFFER: usize = 1 << 20;

/// What was sealed, from any place on.
pub type Opened = StreamReader<BufReader<File>>;

/// The file while it is written.
pub struct Sealing {
    identity: Identity,
    writer: StreamWriter<BufWriter<File>>,
}

/// Why it cannot be used.
#[derive(Debug)]
pub enum Trouble {
    /// The folder for temporary files does not take or give it.
    Disk(io::Error),
    /// What was sealed does not open: not what any disk does by itself.
    Seal(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Disk(error)
    }
}

impl Sealing {
    pub fn begin() -> Result<Self, Trouble> {
        let identity = Identity::generate();
        let recipient = identity.to_public();
        let file = BufWriter::with_capacity(BUFFER, tempfile::tempfile()?);
        let sealed = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient));
        let writer = sealed.map_err(|error| Trouble::Seal(error.to_string()))?.wrap_output(file)?;
        Ok(Self { identity, writer })
    }

    /// The raw file, from its first byte on.
    fn close(writer: StreamWriter<BufWriter<File>>) -> io::Result<File> {
        let mut file = writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    /// Nothing more is written; reading begins.
    pub fn finish(self) -> Result<Opened, Trouble> {
        let file = BufReader::new(Self::close(self.writer)?);
        let identity = std::iter::once(&self.identity as &dyn age::Identity);
        let opened = age::Decryptor::new(file).and_then(|file| file.decrypt(identity));
        opened.map_err(|error| Trouble::Seal(error.to_string()))
    }
}

impl Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_lies_in_the_file_is_not_the_text() {
        let text = "canary-of-a-secret ".repeat(20_000);
        let mut sealing = Sealing::begin().unwrap();
        sealing.write_all(text.as_bytes()).unwrap();
        let mut sealed = Vec::new();
        Sealing::close(sealing.writer).unwrap().read_to_end(&mut sealed).unwrap();
        assert!(sealed.len() > 300_000 && !sealed.windows(6).any(|window| window == b"canary"));
    }
}
