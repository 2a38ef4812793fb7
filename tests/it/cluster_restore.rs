//! Objects of a Kubernetes cluster: from a backup back into a real API server. Needs the control plane of tests/bench.

mod added;
mod aim;
mod asked;
mod at_the_source;
mod bed;
mod blocked;
mod compare;
mod edits;
mod fault;
mod hostile;
mod immutable;
mod logins;
mod options;
mod own_server;
mod platform;
mod program;
mod rarer;
mod server_says;
mod trouble;
mod update;
mod volumes;
mod whole;
mod world;
