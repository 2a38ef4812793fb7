//! One test binary: each extra one would link every dependency again.

#![expect(clippy::disallowed_methods, reason = "tests start the program and the servers as a person would")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::panic,
    reason = "a test says what went wrong by panicking; clippy.toml exempts test functions, not their helpers"
)]

mod access;
mod architecture;
mod bad_input;
mod canary;
mod cli;
mod cli_json;
mod cli_refusals;
mod cli_signals;
mod cluster_capture;
mod cluster_changes;
mod cluster_hostile;
mod cluster_restore;
mod collect;
mod collect_buckets;
mod collect_thief;
mod copy;
mod crash;
mod damage;
mod diff;
mod forger;
mod formats;
mod gcs_stub;
mod hostile_backup;
mod keys;
mod lock;
mod loop_format;
mod many_backups;
mod minio_tls;
mod models;
mod old_repository;
mod outside;
mod outside_buckets;
mod outside_nomad;
mod policy_errors;
mod postgres_archive;
mod postgres_backup_errors;
mod postgres_capture;
mod postgres_connect;
mod postgres_failures;
mod postgres_hostile;
mod postgres_loop;
mod postgres_majors;
mod postgres_provided;
mod postgres_races;
mod postgres_races_server;
mod postgres_restore_errors;
mod postgres_restore_killed;
mod postgres_restore_place;
mod postgres_restore_plan;
mod postgres_restore_spool;
mod postgres_restore_undone;
mod postgres_restorer;
mod postgres_sandbox;
mod prune;
mod prune_apply;
mod quiesce;
mod roles;
mod s3_credentials;
mod s3_errors;
mod shipped_cronjob;
mod shipped_files;
mod signals;
mod store_conformance;
mod store_faults;
mod store_features;
mod support;
mod thief_stores;
mod tls_and_proxy;
mod verify_sources;
