//! Objects of a Kubernetes cluster: from a backup back into a real API server. Needs the control plane of tests/bench.

mod bed;
mod compare;
mod platform;
mod program;
mod fault;
mod world;
mod trouble;
mod update;
mod asked;
mod blocked;
mod hostile;
mod whole;
