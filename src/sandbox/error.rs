use std::path::PathBuf;

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("this machine offers no isolation for a throw-away server: {reason}")]
    Impossible { reason: String },
    #[error("there is no user `{name}` for the throw-away server to run as")]
    NoUser { name: String },
    #[error("user `{name}` is root, and a throw-away server must not be")]
    RootUser { name: String },
    #[error("{name} is missing, which starts the throw-away server")]
    ToolMissing { name: &'static str },
    #[error("cannot use {} for a throw-away server", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("{} is too long a path for a Unix socket", path.display())]
    PathTooLong { path: PathBuf },
    #[error("stopped while the sandbox was made")]
    Cancelled,
}

impl SandboxError {
    /// What to do next.
    pub fn cure(&self) -> Option<String> {
        Some(match self {
            SandboxError::Impossible { .. } => {
                "verify on a machine where lifeboat is root or may make user namespaces; or --weak-sandbox, which lets code in the backup reach this machine, and which the proof will say".into()
            }
            SandboxError::NoUser { name } => {
                format!("useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {name}; or --sandbox-user NAME")
            }
            SandboxError::RootUser { .. } => "--sandbox-user with a user that owns nothing".into(),
            SandboxError::ToolMissing { .. } => "install util-linux and coreutils".into(),
            SandboxError::Folder { .. } | SandboxError::PathTooLong { .. } => {
                "set TMPDIR to a folder with a short path on a disk with room for the restored databases".into()
            }
            SandboxError::Cancelled => return None,
        })
    }
}
