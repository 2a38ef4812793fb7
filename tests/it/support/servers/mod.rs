//! Real servers on loopback ports. Each is ready when it does what it is there for, and vanishes with the tests.

pub mod dns;
pub mod gcs;
pub mod kubernetes;
pub mod minio;
pub mod moto;
pub mod nomad;
pub mod place;
pub mod process;
pub mod s3;
pub mod seaweed;
