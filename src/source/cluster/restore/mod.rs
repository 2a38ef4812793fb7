//! The way back: from the objects of a backup to the objects of a cluster.

pub mod rules;
