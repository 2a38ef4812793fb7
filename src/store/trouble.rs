//! What stands between the program and a bucket, whichever driver meets it, and what to do about it.

use std::error::Error;
use std::fmt;

use crate::store::driver::{Cause, DriverError, ErrorKind};

/// A trouble that a person can mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    NoCredentials,
    UnknownKey,
    WrongSecret,
    Expired,
    /// This machine's clock is too far from the store's for a signature to count.
    Clock,
    Denied,
    BucketMissing,
    /// The bucket lies elsewhere; the region, if the store named it.
    WrongRegion(Option<String>),
    NoRegion,
    UnknownName,
    NobodyListens,
    Slow,
    Proxy,
    UnknownAuthority,
    /// Expired, not yet valid, or of another host.
    Certificate,
    PlainHttp,
    /// The bucket's encryption key may not be used.
    EncryptionKey,
    Archived,
    NoLocks,
    /// A lock that has not ended keeps the object.
    Locked,
    /// The store refuses to create an object only if it is new.
    NoCreateOnly,
    Full,
    /// What arrived is not what was sent.
    BodyDiffers,
}

impl Trouble {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Trouble::NoCredentials => {
                "repositories[].credentials in the policy, or the variables and files that the store's own tools read \
                 (docs/stores.md)"
            }
            Trouble::UnknownKey => "is it the key of another account or server? name the right one in the policy",
            Trouble::WrongSecret => "the secret key is not that of this access key: copy both again",
            Trouble::Expired => "sign in again, or renew the session token; a role renews by itself",
            Trouble::Clock => "set this machine's clock (NTP): the store refuses signatures of another time",
            Trouble::Denied => {
                "give this role's key the right to it; `lifeboat init URL --print-access aws|gcp|minio` prints what each may do"
            }
            Trouble::BucketMissing => "look at the spelling; buckets are made by a person, not by lifeboat",
            Trouble::WrongRegion(_) => "name the bucket's region in the address: ?region=REGION",
            Trouble::NoRegion => "name it in the address, s3://BUCKET/PREFIX?region=REGION, or set AWS_REGION",
            Trouble::UnknownName => "look at the spelling of the host, and whether names are resolved here (DNS)",
            Trouble::NobodyListens => "look at host and port of the address, and whether the store is up",
            Trouble::Slow => "it was tried several times: look at the network, and whether the store is up",
            Trouble::Proxy => "look at HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY",
            Trouble::UnknownAuthority => "repositories[].tls.ca in the policy, or SSL_CERT_FILE, names that authority",
            Trouble::Certificate => "renew it, or use the host name that it is for; look at this machine's clock too",
            Trouble::PlainHttp => "the address wants http://, or the server TLS",
            Trouble::EncryptionKey => "give this role's key the right to the bucket's KMS key (Encrypt and Decrypt)",
            Trouble::Archived => "bring it back from the archive tier first; keep repositories out of such rules",
            Trouble::NoLocks => "use a bucket that was made with Object Lock, or leave `lock` out of the policy",
            Trouble::Locked => "nothing to do: it goes when the lock has ended, with the next prune",
            Trouble::NoCreateOnly => "use a newer version of this store: every write needs If-None-Match",
            Trouble::BodyDiffers => {
                "it was tried several times: something between here and the store changes what passes (a proxy, bad memory)"
            }
            Trouble::Full => {
                "the store or its quota is full: free some space and run it again; what was stored stays good"
            }
        }
    }

    /// Whether it is about who asks: keys that are missing, wrong, or not allowed to.
    pub fn is_about_credentials(&self) -> bool {
        use Trouble::{Clock, Denied, EncryptionKey, Expired, NoCredentials, UnknownKey, WrongSecret};
        matches!(self, NoCredentials | UnknownKey | WrongSecret | Expired | Clock | Denied | EncryptionKey)
    }

    /// The first one in a chain of causes.
    pub(in crate::store) fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Trouble> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(told) = error.downcast_ref::<Told>() {
                return Some(&told.trouble);
            }
            next = error.source();
        }
        None
    }

    /// The error of a driver, with what the store itself said as its cause.
    pub(in crate::store) fn because(self, kind: ErrorKind, source: impl Into<Cause>) -> DriverError {
        DriverError::new(kind, Told { trouble: self, source: Some(source.into()) })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trouble::WrongRegion(Some(region)) => return write!(f, "the bucket lies in the region {region}"),
            Trouble::WrongRegion(None) => "the bucket lies in another region",
            Trouble::NoCredentials => "no credentials were found for the store",
            Trouble::UnknownKey => "the store does not know this access key",
            Trouble::WrongSecret => "the secret key is wrong",
            Trouble::Expired => "the credentials have expired",
            Trouble::Clock => "this machine's clock is too far from the store's",
            Trouble::Denied => "the store does not allow it to this key",
            Trouble::BucketMissing => "there is no such bucket",
            Trouble::NoRegion => "nothing says in which region the bucket lies",
            Trouble::UnknownName => "the host's name leads nowhere (DNS)",
            Trouble::NobodyListens => "nobody listens at that address",
            Trouble::Slow => "the store did not answer in time",
            Trouble::Proxy => "the proxy does not lead to the store",
            Trouble::UnknownAuthority => "the store's certificate comes from an authority that nobody here knows",
            Trouble::Certificate => "the store's certificate is not good",
            Trouble::PlainHttp => "the store speaks plain HTTP",
            Trouble::EncryptionKey => "the bucket's encryption key may not be used",
            Trouble::Archived => "the object was moved to an archive tier",
            Trouble::NoLocks => "the bucket has no Object Lock",
            Trouble::Locked => "a lock that has not ended keeps it",
            Trouble::NoCreateOnly => "the store cannot create an object only if it is new",
            Trouble::Full => "the store is full",
            Trouble::BodyDiffers => "the store received other bytes than were sent",
        })
    }
}

/// An error and its causes in one line.
pub(in crate::store) fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// A trouble as the cause of a failed call.
#[derive(Debug)]
struct Told {
    trouble: Trouble,
    source: Option<Cause>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trouble.fmt(f)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl From<Trouble> for Cause {
    fn from(trouble: Trouble) -> Self {
        Box::new(Told { trouble, source: None })
    }
}
