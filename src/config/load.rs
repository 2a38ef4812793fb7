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

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = include_str!("../../policies/minimal.yaml");

    fn named(name: &str) -> String {
        POLICY.replace("{name: shop}", &format!("{{name: {name}}}"))
    }

    #[test]
    fn a_file_may_hold_several_documents_and_each_keeps_its_own_text_and_lines() {
        let mut loaded = Loaded::default();
        let text = format!("# first\n{}---\n# nothing\n---\n{}", named("one"), named("two"));
        loaded.parse(Path::new("p.yaml"), &text, Recipients::AtLeastTwo).unwrap();
        let names: Vec<String> = loaded.policies.iter().map(|policy| policy.name.to_string()).collect();
        assert_eq!(names, ["one", "two"]);
        assert!(loaded.policies[0].text.starts_with("# first\napiVersion") && !loaded.policies[0].text.contains("two"));
        let wrong = text.replace("name: two", "nome: two");
        let error = Loaded::default().parse(Path::new("p.yaml"), &wrong, Recipients::AtLeastTwo).unwrap_err();
        // 1 comment, 15 lines, `---`, comment, `---`, then the third line of the second policy.
        assert!(error.to_string().starts_with("p.yaml:22:12: metadata: unknown field `nome`"), "{error}");
    }

    #[test]
    fn three_hyphens_inside_a_text_do_not_end_a_document() {
        let mut loaded = Loaded::default();
        let text = POLICY.replace("host: localhost", "host: '/a---b'");
        loaded.parse(Path::new("p.yaml"), &text, Recipients::AtLeastTwo).unwrap();
        assert_eq!(loaded.policies.len(), 1);
    }

    #[test]
    fn a_folder_is_read_without_hidden_and_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("notes.txt", "not YAML: [");
        write(".hidden.yaml", "not YAML: [");
        assert!(matches!(load_policy(folder.path(), Recipients::AtLeastTwo), Err(ConfigError::NoPolicy { .. })));
        write("a.yml", &named("one"));
        let (policy, trust) = load_policy(folder.path(), Recipients::AtLeastTwo).unwrap();
        assert_eq!((policy.name.to_string().as_str(), trust), ("one", None));
        write("b.yaml", &named("two"));
        let error = load_policy(folder.path(), Recipients::AtLeastTwo).unwrap_err();
        assert!(error.to_string().contains("one (") && error.to_string().contains("two ("), "{error}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = load(Path::new("/nowhere/p.yaml"), Recipients::AtLeastOne).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nowhere/p.yaml");
        assert!(matches!(load_trust(Path::new("policies/minimal.yaml")), Err(ConfigError::NoTrust { .. })));
    }
}
