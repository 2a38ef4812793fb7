//! The API server of a Kubernetes cluster, spoken to in raw JSON: no field is lost on a type that we do not know.

mod api;

pub use api::{Answer, Api, Call, ClusterError, Method};
