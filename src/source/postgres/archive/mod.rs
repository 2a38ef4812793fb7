//! Reads `pg_dump -Fc -Z0` output in passing: which tables it holds, how many rows, and what `COPY` would have sent.
//!
//! Archive versions 1.14 (PostgreSQL 12 to 15), 1.15 (16) and 1.16 (17, 18), written with `-Fc -Z0`. The layout is
//! that of PostgreSQL's `pg_backup_archiver.c` and `pg_backup_custom.c`:
//!
//! ```text
//! header:  "PGDMP" major minor revision intSize offsetSize format compression  7 integers of time  3 strings
//! entries: count, then for each: ids, names, statements, dependencies, offset of its data
//! blocks:  type 1 (table) id  { length bytes }* 0        type 3 (large objects) id  { oid { length bytes }* 0 }* 0
//! ```
//! The bytes may be hostile: every length is bounded, and nothing is allocated on the word of the archive.

mod content;
mod cursor;
mod digests;
mod error;
mod reader;
mod rows;
mod split;
#[cfg(test)]
mod tests;
mod toc;

pub use digests::{PartDigest, digests};
pub use error::ArchiveError;
pub use rows::RowKey;
pub use split::{read_toc, split, walk_toc};
pub use toc::{Section, Toc, TocEntry, table_part};
