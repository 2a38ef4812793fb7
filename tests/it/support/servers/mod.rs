//! Real object stores on loopback ports. Each is ready when it stores an object, and vanishes with the tests.

pub mod gcs;
pub mod minio;
pub mod moto;
pub mod place;
pub mod process;
pub mod s3;
pub mod seaweed;
