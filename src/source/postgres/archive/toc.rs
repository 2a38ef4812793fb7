use serde::Serialize;

/// When `pg_restore` treats an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Section {
    None,
    PreData,
    Data,
    PostData,
}

/// One object of the archive, as far as it matters to us.
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
