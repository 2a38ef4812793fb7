/// Why bytes are not a whole archive of `pg_dump -Fc -Z0`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    #[error("these bytes are not a custom-format archive of pg_dump")]
    NotAnArchive,
    #[error("archive format {0}.{1} is not known: 1.14 to 1.16 are")]
    UnknownVersion(u8, u8),
    #[error("the archive is compressed inside; only `pg_dump -Z0` output can be looked into")]
    Compressed,
    #[error("the archive was written by a machine with integers of {0} and offsets of {1} bytes")]
    Layout(u8, u8),
    #[error("the table of contents is damaged: {0}")]
    Toc(&'static str),
    #[error("one entry of the table of contents is larger than {} MiB", super::cursor::MAX_ENTRY >> 20)]
    EntryTooLarge,
    #[error("a data block is damaged at byte {offset}: {what}")]
    Block { offset: u64, what: &'static str },
    #[error("the data of {0} comes twice")]
    Twice(String),
    #[error("the data of {0} does not end as COPY data ends")]
    NoTerminator(String),
    #[error("the archive ends in the middle of its {0}")]
    Truncated(&'static str),
    #[error("the archive ends before the data of {0}")]
    Missing(String),
}
