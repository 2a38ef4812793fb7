//! Reads `pg_dump -Fc -Z0` output in passing: which tables it holds, how many rows, and what `COPY` would have sent.
//!
//! Archive versions 1.14 (PostgreSQL 12 to 15), 1.15 (16) and 1.16 (17, 18), written with `-Fc -Z0`. The layout is
//! that of PostgreSQL's `pg_backup_archiver.c` and `pg_backup_custom.c`. The bytes may be hostile: every length is
//! bounded, and nothing is allocated on the word of the archive.

mod toc;

pub use toc::{Section, Toc, TocEntry};
