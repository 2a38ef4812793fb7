//! Header and table of contents.

use serde::Serialize;

use super::cursor::{Cursor, Stop};
use super::error::ArchiveError;

/// Entries that one archive may have; 100 times what a very large schema needs.
const MAX_ENTRIES: i64 = 20_000_000;

/// When `pg_restore` treats an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Section {
    None,
    PreData,
    Data,
    PostData,
}

/// One object of the archive, as far as it matters to us. Bytes that are not UTF-8 are shown as `U+FFFD`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TocEntry {
    pub dump_id: i32,
    /// Whether a data block belongs to it.
    pub has_data: bool,
    /// `TABLE`, `TABLE DATA`, `BLOBS`, `MATERIALIZED VIEW`, ...
    pub desc: String,
    pub section: Section,
    /// Empty where there is none.
    pub namespace: String,
    /// Name of the object.
    pub tag: String,
    pub owner: String,
    /// The SQL that makes it.
    pub defn: String,
    /// `COPY schema.table (columns) FROM stdin;` for table data.
    pub copy_stmt: String,
    /// Name of the part that its data block is: `"public"."orders"`, `BLOBS`.
    pub part: String,
}

/// Table of contents of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Toc {
    /// `1.14`
    pub version: (u8, u8),
    /// The database that was dumped.
    pub database: String,
    /// `15.18 (Debian ...)`: of the server, of pg_dump.
    pub server_version: String,
    pub dump_version: String,
    /// In the order of the archive.
    pub entries: Vec<TocEntry>,
}

/// What stands before the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    version: (u8, u8),
    offset_size: usize,
    database: String,
    server_version: String,
    dump_version: String,
    pub entries: u64,
}

impl Header {
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        if cursor.take(5)? != b"PGDMP" {
            return Err(ArchiveError::NotAnArchive.into());
        }
        let (major, minor, _revision) = (cursor.byte()?, cursor.byte()?, cursor.byte()?);
        if major != 1 || !(14..=16).contains(&minor) {
            return Err(ArchiveError::UnknownVersion(major, minor).into());
        }
        let (int_size, offset_size, format) = (cursor.byte()?, cursor.byte()?, cursor.byte()?);
        if int_size != 4 || !matches!(offset_size, 4 | 8) {
            return Err(ArchiveError::Layout(int_size, offset_size).into());
        }
        // 1 is the custom format; directories and tar files have other numbers.
        if format != 1 {
            return Err(ArchiveError::NotAnArchive.into());
        }
        let compression = if minor >= 15 { i64::from(cursor.byte()?) } else { cursor.int()? };
        if compression != 0 {
            return Err(ArchiveError::Compressed.into());
        }
        // Second, minute, hour, day, month, year, daylight saving: of pg_dump's own clock.
        for _ in 0..7 {
            cursor.int()?;
        }
        let [database, server_version, dump_version] = [text(cursor)?, text(cursor)?, text(cursor)?];
        let entries = cursor.int()?;
        if !(0..=MAX_ENTRIES).contains(&entries) {
            return Err(ArchiveError::Toc("an impossible number of entries").into());
        }
        Ok(Header {
            version: (major, minor),
            offset_size: usize::from(offset_size),
            database,
            server_version,
            dump_version,
            entries: entries.unsigned_abs(),
        })
    }

    pub fn into_toc(self, entries: Vec<TocEntry>) -> Toc {
        Toc {
            version: self.version,
            database: self.database,
            server_version: self.server_version,
            dump_version: self.dump_version,
            entries,
        }
    }

    /// One entry. With `sql` false the statements are skipped, not kept.
    pub fn read_entry(&self, cursor: &mut Cursor<'_>, sql: bool) -> Result<TocEntry, Stop> {
        let dump_id = i32::try_from(cursor.int()?).ok().filter(|id| *id > 0);
        let dump_id = dump_id.ok_or(ArchiveError::Toc("a number that is none"))?;
        let has_data = cursor.int()? != 0;
        cursor.string()?; // catalog
        cursor.string()?; // OID in it
        let tag = cursor.string()?.unwrap_or_default();
        let desc = text(cursor)?;
        let section = match cursor.int()? {
            1 => Section::None,
            2 => Section::PreData,
            3 => Section::Data,
            4 => Section::PostData,
            _ => return Err(ArchiveError::Toc("an unknown section").into()),
        };
        let defn = cursor.string()?.unwrap_or_default();
        cursor.string()?; // how to drop it
        let copy_stmt = cursor.string()?.unwrap_or_default();
        let namespace = cursor.string()?.unwrap_or_default();
        cursor.string()?; // tablespace
        cursor.string()?; // table access method
        if self.version.1 >= 16 {
            cursor.int()?; // relkind
        }
        let owner = text(cursor)?;
        cursor.string()?; // WITH OIDS, long gone
        while cursor.string()?.is_some() {} // dependencies
        cursor.byte()?; // whether the offset is known: never on a pipe
        cursor.take(self.offset_size)?;
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let sql = |bytes: &[u8]| if sql { lossy(bytes) } else { String::new() };
        Ok(TocEntry {
            dump_id,
            has_data,
            part: if has_data { part_name(&desc, namespace, tag) } else { String::new() },
            section,
            namespace: lossy(namespace),
            tag: lossy(tag),
            owner,
            defn: sql(defn),
            copy_stmt: sql(copy_stmt),
            desc,
        })
    }
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, Stop> {
    Ok(String::from_utf8_lossy(cursor.string()?.unwrap_or_default()).into_owned())
}

/// Large objects come under `BLOBS` (before 17) or in batches under `BLOBS 16400..16402`.
fn part_name(desc: &str, namespace: &[u8], tag: &[u8]) -> String {
    match desc {
        "BLOBS" if tag == b"BLOBS" => "BLOBS".to_owned(),
        "TABLE DATA" => table_part(namespace, tag),
        other => format!("{other} {}", quoted(tag)),
    }
}

/// Name of the part that holds a table's rows, from the bytes of its names.
pub fn table_part(namespace: &[u8], tag: &[u8]) -> String {
    format!("{}.{}", quoted(namespace), quoted(tag))
}

/// A name as SQL quotes it. Two names are never written alike, whatever their bytes.
fn quoted(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(name) => format!("\"{}\"", name.replace('"', "\"\"")),
        Err(_) => format!("b\"{}\"", name.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_names_differ_whatever_the_bytes() {
        assert_eq!(part_name("TABLE DATA", b"a b", b"x\"y.z"), r#""a b"."x""y.z""#);
        assert_eq!(part_name("TABLE DATA", b"s", b"caf\xe9"), r#""s".b"caf\xe9""#);
        assert_ne!(part_name("TABLE DATA", b"a\".\"b", b"c"), part_name("TABLE DATA", b"a", b"b\".\"c"));
        assert_eq!(part_name("BLOBS", b"", b"BLOBS"), "BLOBS");
        assert_eq!(part_name("BLOBS", b"", b"16400..16402"), r#"BLOBS "16400..16402""#);
    }
}
