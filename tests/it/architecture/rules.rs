//! Who may use whom. This table is the architecture; `docs/architecture.md` says it in words.

/// Anyone may use these. They use only `model` and each other.
pub const LEAVES: [&str; 8] = ["clock", "cluster_client", "context", "event", "exec", "mutation", "secret", "work"];

/// Rooms, and which others each may use (besides `model` and the leaves).
pub const ROOMS: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("config", &[]),
    ("plan", &["config"]),
    ("store", &[]),
    ("repository", &["store"]),
    ("source", &[]),
    ("sandbox", &["repository", "source", "config"]),
    // `store` only for its kinds of errors: a missing object is damage, an unreachable store is not.
    ("verify", &["repository", "source", "sandbox", "store"]),
    ("job", &["config", "plan", "store", "repository", "source", "sandbox", "verify"]),
    ("cli", &["job", "plan", "config"]),
    // Tests only: everybody at once on the real code.
    ("simulation", &["config", "plan", "store", "repository"]),
];

/// Leaves that a room must not use: pure rooms are told the time and start nothing.
pub const NOT_LEAVES: [(&str, &[&str]); 4] = [
    ("model", &["clock", "cluster_client", "context", "event", "exec", "mutation", "secret", "work"]),
    ("config", &["clock", "cluster_client", "context", "exec", "mutation", "work"]),
    ("plan", &["clock", "cluster_client", "context", "exec", "work"]),
    ("store", &["cluster_client", "exec"]),
];

/// Crates of the language and of data: anyone may use them.
pub const FREE: [&str; 15] = [
    "std",
    "async_trait",
    "base64",
    "bytes",
    "futures",
    "futures_core",
    "hex",
    "jiff",
    "serde",
    "serde_json",
    "thiserror",
    "tokio_util",
    "tracing",
    "ulid",
    "zeroize",
];

/// Every other crate, and the files (by the beginning of their path below `src/`) that may use it.
/// A dependency that is in neither list is refused: say here who needs it.
pub const CRATES: [(&str, &[&str]); 44] = [
    // In `sealed.rs`: Secrets wait on disk only sealed.
    ("age", &["config/fields.rs", "repository/", "job/", "source/cluster/sealed.rs"]),
    ("aws_config", &["store/s3/"]),
    ("aws_credential_types", &["store/s3/"]),
    ("aws_sdk_s3", &["store/s3/"]),
    ("aws_smithy_http_client", &["store/s3/"]),
    ("aws_smithy_runtime_api", &["store/s3/"]),
    ("aws_smithy_types", &["store/s3/"]),
    ("clap", &["cli/"]),
    ("clap_complete", &["cli/"]),
    ("crc32c", &["store/gcs/"]),
    ("ed25519_dalek", &["repository/", "job/"]),
    ("getrandom", &["clock.rs", "repository/", "job/"]),
    ("google_cloud_auth", &["store/gcs/"]),
    // Messages of DNS; the questions and whom to believe are ours.
    ("hickory_proto", &["source/outside/dns/"]),
    ("hmac", &["repository/", "store/minio/"]),
    // In `store/` the word is a module of ours.
    ("http", &["cluster_client/", "store/"]),
    ("http_body_util", &["cluster_client/"]),
    ("indicatif", &["cli/"]),
    ("json_patch", &["source/cluster/"]),
    ("k8s_openapi", &[]),
    ("kube", &["cluster_client/"]),
    // S3 wants it of one call's body; it protects nothing here.
    ("md5", &["store/minio/"]),
    ("memchr", &["repository/", "source/"]),
    ("percent_encoding", &["source/"]),
    ("quick_xml", &["store/minio/"]),
    // In `load/spool.rs`: free space, and whose a left folder is.
    ("rustix", &["store/", "exec/", "sandbox/", "job/", "secret.rs", "source/postgres/load/spool.rs"]),
    ("reqwest", &["store/http.rs", "store/minio/", "store/gcs/", "source/outside/nomad/"]),
    ("rustls", &["source/", "cluster_client/", "store/http.rs", "store/silence.rs", "store/s3/"]),
    // The crate `rust-s3` calls itself `s3`.
    ("rust_s3", &[]),
    ("s3", &["store/minio/"]),
    ("schemars", &["config/", "model/", "secret.rs"]),
    ("serde_saphyr", &["config/"]),
    ("sha2", &["model/", "repository/", "source/", "store/minio/", "verify/"]),
    ("strsim", &["config/"]),
    // `store` only for its tests: the program makes its temporary files in the repository itself.
    ("tempfile", &["source/", "sandbox/", "job/", "store/local/tests.rs"]),
    (
        "tokio",
        &[
            "store/",
            "repository/",
            "source/",
            "verify/",
            "sandbox/",
            "exec/",
            "job/",
            "cli/",
            "clock.rs",
            "work.rs",
            "cluster_client/",
        ],
    ),
    ("tokio_postgres", &["source/postgres/", "sandbox/"]),
    ("tokio_postgres_rustls", &["source/postgres/"]),
    ("tokio_rustls", &["source/outside/certificates/served.rs"]),
    ("tracing_subscriber", &["cli/"]),
    ("url", &["source/"]),
    // What is in a certificate; whether to believe it is rustls' word.
    ("x509_cert", &["source/outside/certificates/parse.rs"]),
    ("zstd", &["repository/", "verify/"]),
    ("lifeboat", &["main.rs"]),
];

/// What only one place may do, and what to do instead.
pub struct Right {
    pub paths: &'static [&'static [&'static str]],
    pub only: &'static [&'static str],
    pub instead: &'static str,
}

pub const RIGHTS: [Right; 6] = [
    Right {
        paths: &[&["process", "Command"], &["process", "Stdio"]],
        only: &["exec/"],
        instead: "child processes start in exec: own process group, deadline, no secret in argv",
    },
    Right {
        paths: &[
            &["SystemTime", "now"],
            &["Timestamp", "now"],
            &["Zoned", "now"],
            &["time", "sleep"],
            &["thread", "sleep"],
        ],
        only: &["clock.rs"],
        instead: "time comes from clock, so that a test can say what time it is",
    },
    Right {
        paths: &[&["io", "stdout"], &["println!"], &["print!"]],
        only: &["cli/"],
        instead: "stdout is data, and belongs to cli",
    },
    Right {
        paths: &[&["io", "stderr"], &["eprintln!"], &["eprint!"]],
        only: &["cli/", "clock.rs"],
        instead: "tell it as an event; cli writes to the terminal",
    },
    Right {
        paths: &[&["process", "exit"], &["process", "abort"]],
        only: &["cli/", "clock.rs"],
        instead: "return an error; only cli ends the program",
    },
    Right {
        paths: &[&["std", "fs"], &["std", "net"], &["tokio", "fs"], &["tokio", "net"]],
        only: &[
            "cluster_client/",
            "config/load.rs",
            // Addresses as values: nothing is opened.
            "config/outside/dns.rs",
            "store/",
            "repository/",
            "source/",
            "sandbox/",
            "verify/",
            "exec/",
            "job/",
            "cli/",
            "secret.rs",
        ],
        instead: "pure rooms do no I/O",
    },
];

/// Lines, tests in the file included.
pub const MAX_LINES: usize = 600;
