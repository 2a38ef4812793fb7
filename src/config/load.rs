//! Reads a file, or every YAML file of a folder.

use std::path::{Path, PathBuf};

use crate::config::check;
use crate::config::hints::unknown;
use crate::config::policy::Policy;
use crate::config::problem::{ConfigError, Problem};
use crate::config::yaml::{self, Document, Head, place};
use crate::model::Trust;

/// How many recipients a policy must have: those that write ask for two (unless told otherwise), readers do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipients {
    AtLeastOne,
    AtLeastTwo,
}

/// What was found in a file or folder.
#[derive(Debug, Default)]
pub struct Loaded {
    pub policies: Vec<Policy>,
    pub trusts: Vec<Trust>,
}

const MAX_FILE_BYTES: u64 = 1 << 20;
const API_VERSION: &str = "lifeboat.dev/v1";

/// Reads `path`; of a folder all `*.yaml` and `*.yml`, not below.
pub fn load(path: &Path, recipients: Recipients) -> Result<Loaded, ConfigError> {
    let mut loaded = Loaded::default();
    for file in files(path)? {
        let text = read(&file)?;
        loaded.parse(&file, &text, recipients)?;
    }
    Ok(loaded)
}

/// The one policy of a file or folder, and the trust document beside it, if there is one.
pub fn load_policy(path: &Path, recipients: Recipients) -> Result<(Policy, Option<Trust>), ConfigError> {
    let Loaded { mut policies, mut trusts } = load(path, recipients)?;
    if policies.len() > 1 {
        let names: Vec<String> = policies.iter().map(|p| format!("{} ({})", p.name, p.file.display())).collect();
        return Err(ConfigError::Several { path: path.to_owned(), kind: "policy", names: names.join(", ") });
    }
    if trusts.len() > 1 {
        return Err(several_trusts(path));
    }
    match policies.pop() {
        Some(policy) => Ok((policy, trusts.pop())),
        None => Err(ConfigError::NoPolicy { path: path.to_owned() }),
    }
}

/// The one trust document of a file.
pub fn load_trust(path: &Path) -> Result<Trust, ConfigError> {
    let mut trusts = load(path, Recipients::AtLeastOne)?.trusts;
    if trusts.len() > 1 {
        return Err(several_trusts(path));
    }
    trusts.pop().ok_or_else(|| ConfigError::NoTrust { path: path.to_owned() })
}

fn several_trusts(path: &Path) -> ConfigError {
    ConfigError::Several { path: path.to_owned(), kind: "trust document", names: "one is enough".to_owned() }
}

impl Loaded {
    /// Adds every document of one file.
    pub fn parse(&mut self, file: &Path, text: &str, recipients: Recipients) -> Result<(), ConfigError> {
        let invalid = |problems| ConfigError::Invalid { problems };
        for document in yaml::documents(file, text).map_err(|problem| invalid(vec![problem]))? {
            match kind(&document).map_err(|problem| invalid(vec![problem]))? {
                FileKind::Policy => self.policies.push(check::policy(&document, recipients).map_err(invalid)?),
                FileKind::Trust => self.trusts.push(check::trust(&document).map_err(invalid)?),
            }
        }
        Ok(())
    }
}

enum FileKind {
    Policy,
    Trust,
}

fn kind(document: &Document) -> Result<FileKind, Problem> {
    let head: Head = document.parse()?;
    let start = |message: &str| document.problem((0, 0), message);
    let Some(version) = head.api_version else {
        return Err(start(&format!("`apiVersion: {API_VERSION}` is missing")));
    };
    let Some(kind) = head.kind else { return Err(start("`kind: Policy` or `kind: Trust` is missing")) };
    if version.value != API_VERSION {
        let problem = document.problem(place(&version.referenced), format!("unknown version `{}`", version.value));
        return Err(Problem { cure: Some(format!("write `apiVersion: {API_VERSION}`")), ..problem });
    }
    match kind.value.as_str() {
        "Policy" => Ok(FileKind::Policy),
        "Trust" => Ok(FileKind::Trust),
        other => {
            let (message, cure) = unknown("kind", other, &["Policy", "Trust"]);
            Err(Problem { cure: Some(cure), ..document.problem(place(&kind.referenced), message) })
        }
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let yaml = file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        // Kubernetes mounts hold hidden copies beside the files.
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if yaml && !hidden && file.is_file() {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    std::fs::read_to_string(path).map_err(failed)
}
