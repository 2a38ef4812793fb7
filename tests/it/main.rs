mod postgres_archive;
mod postgres_capture;
mod postgres_connect;
mod postgres_failures;
mod support;
