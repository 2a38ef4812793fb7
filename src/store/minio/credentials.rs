//! Whose keys sign the requests.

use crate::secret::{Secret, SecretError, SecretRef};
use crate::store::driver::{DriverError, ErrorKind};
use crate::store::settings::Credentials;

/// Access key, secret key and perhaps the token of a session.
#[derive(Debug)]
pub(super) struct Keys {
    pub access: Secret<String>,
    pub secret: Secret<String>,
    pub token: Option<Secret<String>>,
}

/// Pairs of variables, in the order in which they are looked for: MinIO's own client's, its server's, everyone's.
const PAIRS: [(&str, &str); 3] = [
    ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"),
    ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
];

/// Goes with the last pair only.
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// What of the policy's or the environment's keys may be missing.
#[derive(Debug, thiserror::Error)]
enum KeysError {
    #[error(
        "no keys: set MINIO_ACCESS_KEY and MINIO_SECRET_KEY (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), \
         or name them in repositories[].credentials of the policy"
    )]
    None,
    #[error("{set} is set, but {missing} is not: both are needed")]
    Half { set: &'static str, missing: &'static str },
    #[error("this kind of credentials is for another kind of store: MinIO wants `accessKey` and `secretKey`")]
    Kind,
    #[error("{0} is empty or holds what no HTTP header may hold")]
    Malformed(&'static str),
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The keys that the settings name.
pub(super) fn find(credentials: &Credentials) -> Result<Keys, DriverError> {
    let found = match credentials {
        Credentials::Keys { access_key, secret_key, session_token } => {
            Ok(Keys { access: access_key.clone(), secret: secret_key.clone(), token: session_token.clone() })
        }
        Credentials::Chain => from_environment(&variable),
        Credentials::Profile(_) | Credentials::ServiceAccount(_) => Err(KeysError::Kind),
    };
    found.and_then(checked).map_err(|error| DriverError::new(ErrorKind::Other, error))
}

/// An empty variable counts as none, as in every other tool.
fn variable(name: &'static str) -> Result<Option<Secret<String>>, KeysError> {
    match SecretRef::Env(name.into()).resolve() {
        Ok(value) => Ok(Some(value).filter(|value| !value.expose().is_empty())),
        Err(SecretError::NotSet(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn from_environment(
    variable: &dyn Fn(&'static str) -> Result<Option<Secret<String>>, KeysError>,
) -> Result<Keys, KeysError> {
    for pair in PAIRS {
        match (variable(pair.0)?, variable(pair.1)?) {
            (Some(access), Some(secret)) => {
                let token = if pair == PAIRS[2] { variable(SESSION_TOKEN)? } else { None };
                return Ok(Keys { access, secret, token });
            }
            (None, None) => {}
            (Some(_), None) => return Err(KeysError::Half { set: pair.0, missing: pair.1 }),
            (None, Some(_)) => return Err(KeysError::Half { set: pair.1, missing: pair.0 }),
        }
    }
    Err(KeysError::None)
}

/// A line break at the end of a key's file would otherwise be told as a broken request.
fn checked(keys: Keys) -> Result<Keys, KeysError> {
    let fit = |secret: &Secret<String>| {
        let text = secret.expose();
        !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic())
    };
    match &keys {
        keys if !fit(&keys.access) => Err(KeysError::Malformed("the access key")),
        keys if !fit(&keys.secret) => Err(KeysError::Malformed("the secret key")),
        keys if keys.token.as_ref().is_some_and(|token| !fit(token)) => Err(KeysError::Malformed("the session token")),
        _ => Ok(keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<(String, Option<String>), String> {
        let find = |name: &'static str| {
            let found = variables.iter().find(|(other, _)| *other == name);
            Ok(found.map(|(_, value)| Secret::new((*value).to_owned())))
        };
        let keys = from_environment(&find).map_err(|error| error.to_string())?;
        let pair = format!("{} {}", keys.access.expose(), keys.secret.expose());
        Ok((pair, keys.token.map(|token| token.expose().clone())))
    }

    #[test]
    fn the_environment_is_read_in_order() {
        let aws = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_SESSION_TOKEN", "t")];
        assert_eq!(from(&aws).unwrap(), ("a b".into(), Some("t".into())));
        let root = [&aws[..], &[("MINIO_ROOT_USER", "c"), ("MINIO_ROOT_PASSWORD", "d")]].concat();
        assert_eq!(from(&root).unwrap(), ("c d".into(), None), "a token belongs to its own keys");
        let own = [&root[..], &[("MINIO_ACCESS_KEY", "e"), ("MINIO_SECRET_KEY", "f")]].concat();
        assert_eq!(from(&own).unwrap(), ("e f".into(), None));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(from(&[]).unwrap_err().contains("set MINIO_ACCESS_KEY and MINIO_SECRET_KEY"));
        let error = from(&[("MINIO_SECRET_KEY", "f"), ("AWS_ACCESS_KEY_ID", "a")]).unwrap_err();
        assert_eq!(error, "MINIO_SECRET_KEY is set, but MINIO_ACCESS_KEY is not: both are needed");
    }

    #[test]
    fn keys_that_no_header_can_hold_are_refused() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let keys = |access, key, token: Option<&str>| Credentials::Keys {
            access_key: secret(access),
            secret_key: secret(key),
            session_token: token.map(secret),
        };
        assert!(find(&keys("a", "b", Some("t"))).is_ok());
        for wrong in [keys("", "b", None), keys("a", "canary\n", None), keys("a", "b", Some("ü"))] {
            let error = find(&wrong).unwrap_err();
            let text = format!("{} {error:?}", error.source);
            assert!(text.contains("header") && !text.contains("canary"), "{text}");
        }
        assert!(find(&Credentials::Profile("x".into())).is_err());
    }
}
