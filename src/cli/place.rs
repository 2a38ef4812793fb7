//! From the global options to a place: files are read and held against each other.

use std::path::{Component, Path, PathBuf};

use crate::cli::args::Global;
use crate::config::{self, ConfigError, Policy, Recipients, TrustDiffers};
use crate::job::JobError;
use crate::job::types::Place;
use crate::model::{StoreUrl, Trust};

/// What `-f` and `--trust` say. Whether they agree depends on which repository is meant.
pub struct Files {
    pub policy: Option<Box<Policy>>,
    pub trust: Option<Trust>,
}

impl Files {
    /// What is believed of the repository at that address.
    pub fn trust_at(&self, url: &StoreUrl) -> Result<Option<Trust>, TrustDiffers> {
        config::agreed_trust(self.policy.as_deref(), self.trust.clone(), url)
    }
}

impl Global {
    pub fn files(&self, recipients: Recipients) -> Result<Files, JobError> {
        let mut policy = None;
        let mut trust = None;
        if let Some(path) = &self.policy {
            let (found, beside) = config::load_policy(path, recipients)?;
            policy = Some(Box::new(found));
            trust = beside;
        }
        // A file named on the command line is meant more than one that happens to lie beside the policy.
        if let Some(path) = &self.trust {
            trust = Some(config::load_trust(path)?);
        }
        Ok(Files { policy, trust })
    }

    /// For verbs that read.
    pub fn place(&self) -> Result<Place, JobError> {
        self.place_of(self.files(Recipients::AtLeastOne)?, None)
    }

    /// For verbs that read one backup, wherever it lies: the policy's first repository and its others. `--repository`
    /// means that one and no other.
    pub fn places(&self) -> Result<(Place, Vec<Place>), JobError> {
        let files = self.files(Recipients::AtLeastOne)?;
        let copies = self.further(&files);
        Ok((self.place_of(files, None)?, copies))
    }

    /// The policy's other repositories. One that the trust file does not name is refused when it is opened: that is no
    /// reason to do without the others.
    pub fn further(&self, files: &Files) -> Vec<Place> {
        let Some(policy) = files.policy.as_ref().filter(|_| self.repository.is_none()) else { return Vec::new() };
        let none_of_them = || files.trust.clone().map(|trust| Trust { repositories: Vec::new(), ..trust });
        let place = |url: &StoreUrl| Place {
            url: url.clone(),
            policy: files.policy.clone(),
            trust: files.trust_at(url).unwrap_or_else(|_| none_of_them()),
            identities: self.identity.clone(),
            signing_key: None,
        };
        policy.copies.iter().map(|repository| place(&repository.url)).collect()
    }

    /// All of the policy's repositories as places of their own, the first one first.
    pub fn policy_places(&self, files: &Files, signing_key: Option<&PathBuf>) -> Result<Vec<Place>, JobError> {
        let mut places = Vec::new();
        for repository in files.policy.iter().flat_map(|policy| policy.repositories()) {
            places.push(Place {
                url: repository.url.clone(),
                policy: files.policy.clone(),
                trust: files.trust_at(&repository.url)?,
                identities: self.identity.clone(),
                signing_key: signing_key.cloned(),
            });
        }
        Ok(places)
    }

    /// For verbs that sign.
    pub fn signing_place(&self, signing_key: Option<PathBuf>) -> Result<Place, JobError> {
        self.place_of(self.files(Recipients::AtLeastOne)?, signing_key)
    }

    /// For verbs that do what a policy says.
    pub fn policy_place(&self, single: bool, signing_key: Option<PathBuf>) -> Result<Place, JobError> {
        self.place_of(self.policy_files(single)?, signing_key)
    }

    /// The same with the policy's other repositories.
    pub fn policy_and_copies(&self, single: bool) -> Result<(Place, Vec<Place>), JobError> {
        let files = self.policy_files(single)?;
        let copies = self.further(&files);
        Ok((self.place_of(files, None)?, copies))
    }

    fn policy_files(&self, single: bool) -> Result<Files, JobError> {
        if self.policy.is_none() {
            let hint = "give -f POLICY (or set LIFEBOAT_POLICY)";
            return Err(JobError::usage("this verb needs a policy").hint(hint));
        }
        self.files(if single { Recipients::AtLeastOne } else { Recipients::AtLeastTwo })
    }

    pub fn place_of(&self, files: Files, signing_key: Option<PathBuf>) -> Result<Place, JobError> {
        let url = match (&self.repository, &files.policy) {
            (Some(text), _) => repository(text)?,
            (None, Some(policy)) => policy.repository.url.clone(),
            (None, None) => {
                let hint = "give -f POLICY or --repository URL (or set LIFEBOAT_POLICY, LIFEBOAT_REPOSITORY)";
                return Err(JobError::usage("which repository?").hint(hint));
            }
        };
        let trust = files.trust_at(&url)?;
        let policy = files.policy;
        Ok(Place { url, policy, trust, identities: self.identity.clone(), signing_key })
    }
}

/// A repository as typed: an address, or a path, which is taken from the current folder.
pub fn repository(text: &str) -> Result<StoreUrl, JobError> {
    let first = text.split('/').next().unwrap_or_default();
    if text.contains("://") {
        return text.parse().map_err(|error| JobError::usage("not a repository").because(error));
    }
    if first.contains(':') {
        let hint = format!("a directory is written file:///dir, or ./{text} if its name really begins like that");
        return Err(JobError::usage(format!("`{text}` is neither an address nor a path")).hint(hint));
    }
    let failed = |error| JobError::usage(format!("cannot find `{text}`")).because(error);
    let path = std::path::absolute(text).map_err(failed)?;
    let path =
        if path.components().any(|part| part == Component::ParentDir) { resolve(&path).map_err(failed)? } else { path };
    StoreUrl::local(&path).map_err(|error| JobError::usage("not a repository").because(error))
}

/// Where `..` leads is for the file system to say; the last part may not exist yet.
fn resolve(path: &Path) -> std::io::Result<PathBuf> {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(found), _, _) => Ok(found),
        (Err(_), Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
        (Err(error), _, _) => Err(error),
    }
}

impl From<ConfigError> for JobError {
    fn from(error: ConfigError) -> Self {
        let hint = error.cure();
        let mut shown = JobError::usage(error.to_string());
        shown.hint = hint;
        match error {
            ConfigError::Read { source, .. } => shown.because(source),
            _ => shown,
        }
    }
}

impl From<TrustDiffers> for JobError {
    fn from(error: TrustDiffers) -> Self {
        let hint = "find out which of the two is right before you go on: one of them was changed";
        JobError::refused(error.to_string()).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_an_address() {
        let here = std::env::current_dir().unwrap();
        let url = |text: &str| repository(text).map(|url| url.to_string()).map_err(|error| error.exit_code());
        assert_eq!(url("repo"), Ok(format!("file://{}/repo", here.display())));
        assert_eq!(url("./repo/"), Ok(format!("file://{}/repo", here.display())));
        assert_eq!(url("/srv/lifeboat"), Ok("file:///srv/lifeboat".to_owned()));
        assert_eq!(url("src/../new"), Ok(format!("file://{}/new", here.canonicalize().unwrap().display())));
        assert_eq!(url("file:///srv"), Ok("file:///srv".to_owned()));
        for wrong in ["s3:bucket", "ftp://bucket", "file://srv", "nowhere/../x"] {
            assert_eq!(url(wrong), Err(2), "{wrong}");
        }
    }
}
