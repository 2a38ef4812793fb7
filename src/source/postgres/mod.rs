//! Postgres 12 and later, by the `archive` method.
