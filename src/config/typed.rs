//! The files as they are typed. Comments here are what an editor shows (docs/schema/).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::cluster::ClusterField;
use crate::config::fields::{DatabasesField, Recipient, SecretField};
use crate::config::outside::OutsideField;
use crate::config::period::Period;
use crate::config::quiesce::QuiesceField;
use crate::model::{Digest, Name, PublicKey, RepositoryId, StoreUrl};

/// The version of these files.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum ApiVersion {
    #[serde(rename = "lifeboat.dev/v1")]
    V1,
}

/// What to back up, where to, under which keys, and how well it is proved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "lifeboat Policy")]
pub struct PolicyFile {
    /// Always `lifeboat.dev/v1`.
    #[expect(dead_code, reason = "checked by being read")]
    pub api_version: ApiVersion,
    /// Always `Policy`.
    #[expect(dead_code, reason = "checked by being read")]
    pub kind: PolicyKind,
    /// How the policy is called.
    pub metadata: Metadata,
    /// What it says.
    pub spec: PolicySpec,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum PolicyKind {
    Policy,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Part of every object's name in the repository: lower-case letters, digits and inner hyphens.
    #[schemars(with = "String", example = &"shop", regex(pattern = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub name: Name,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySpec {
    /// Where backups go: the first is written, the others receive verified copies.
    #[schemars(with = "Vec<RepositoryField>", length(min = 1))]
    pub repositories: Spanned<Vec<RepositoryField>>,
    /// To whom backups are encrypted, how they are signed, and whom to believe.
    pub keys: KeysField,
    /// What is captured; names are unique.
    #[schemars(with = "Vec<SourceField>", length(min = 1))]
    pub sources: Spanned<Vec<SourceField>>,
    /// What is set to zero replicas while the sources are captured. Left out: nothing is.
    #[serde(default)]
    pub quiesce: Option<QuiesceField>,
    /// How long backups are kept. Left out: for ever.
    #[serde(default)]
    #[schemars(with = "Option<RetentionField>")]
    pub retention: Option<Spanned<RetentionField>>,
    /// What is proved without being asked.
    #[serde(default)]
    pub verify: VerifyField,
    /// How much may be lost, and how long coming back may take.
    #[serde(default)]
    pub objectives: ObjectivesField,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositoryField {
    /// A directory: file:///absolute/path. A bucket: s3://bucket/prefix?region=eu-west-1, gs://bucket/prefix,
    /// minio+https://host/bucket/prefix.
    #[schemars(with = "String", example = &"s3://backups/shop?region=eu-west-1")]
    pub url: Spanned<StoreUrl>,
    /// Pins the repository: another one at that address is refused. `lifeboat init` prints it.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"01KAQ7Z5T5W8W0C0MZJ0ZQ1R2V")]
    pub id: Option<RepositoryId>,
    /// With whose keys each role asks the store. Left out: what the environment says, as the ecosystem's own tools do.
    #[serde(default)]
    pub credentials: RoleCredentialsField,
    /// Object Lock: nothing stored can be deleted before its time, whoever asks.
    #[serde(default)]
    #[schemars(with = "Option<LockField>")]
    pub lock: Option<Spanned<LockField>>,
    /// How the store's certificate is checked.
    #[serde(default)]
    #[schemars(with = "Option<StoreTlsField>")]
    pub tls: Option<Spanned<StoreTlsField>>,
}

/// By role; each holds no more than the role needs (`lifeboat init --print-access`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleCredentialsField {
    /// Backs up.
    #[serde(default)]
    #[schemars(with = "Option<CredentialsField>")]
    pub writer: Option<Spanned<CredentialsField>>,
    /// Lists, shows and restores.
    #[serde(default)]
    #[schemars(with = "Option<CredentialsField>")]
    pub restorer: Option<Spanned<CredentialsField>>,
    /// Verifies, and stores proofs.
    #[serde(default)]
    #[schemars(with = "Option<CredentialsField>")]
    pub prover: Option<Spanned<CredentialsField>>,
    /// Expires and deletes.
    #[serde(default)]
    #[schemars(with = "Option<CredentialsField>")]
    pub collector: Option<Spanned<CredentialsField>>,
}

/// One way: a profile, or two keys (with a session's token), or a service account.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialsField {
    /// S3: a profile of ~/.aws/config or ~/.aws/credentials.
    #[serde(default)]
    pub profile: Option<String>,
    /// S3 and MinIO: the access key's id.
    #[serde(default)]
    pub access_key: Option<SecretField>,
    /// S3 and MinIO: the secret that belongs to it.
    #[serde(default)]
    pub secret_key: Option<SecretField>,
    /// S3 and MinIO: for keys that end with a session.
    #[serde(default)]
    pub session_token: Option<SecretField>,
    /// GCS: the JSON file of a service account's key.
    #[serde(default)]
    pub service_account: Option<SecretField>,
}

/// How new objects are locked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockField {
    /// governance: a right of its own can lift it; compliance: nobody can, ever.
    pub mode: LockModeField,
    /// How long from when an object is stored or used again.
    #[serde(rename = "for")]
    pub period: Period,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LockModeField {
    Governance,
    Compliance,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreTlsField {
    /// The authority that signed the store's certificate (PEM), believed beside the system's own.
    pub ca: SecretField,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeysField {
    /// Public age keys that every backup is encrypted to: at least two, one of them kept offline.
    #[schemars(with = "Vec<Recipient>", length(min = 1))]
    pub recipients: Spanned<Vec<Spanned<Recipient>>>,
    /// The key that names chunks: 64 hexadecimal digits. It decrypts nothing.
    pub dedup: SecretField,
    /// Private signing keys of the roles that act with this file.
    #[serde(default)]
    pub signing: SigningField,
    /// The public keys to believe, whatever the repository says. With `id` above, this pins the repository.
    #[serde(default)]
    pub trusted: Option<TrustedField>,
}

/// Private signing keys (PKCS#8 PEM), only of roles that act with this file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningField {
    /// Signs backups.
    #[serde(default)]
    pub writer: Option<SecretField>,
    /// Signs proofs.
    #[serde(default)]
    pub prover: Option<SecretField>,
    /// Signs what retention expires.
    #[serde(default)]
    pub collector: Option<SecretField>,
    /// Signs the repository's configuration. Belongs to a person, and nowhere else.
    #[serde(default)]
    pub operator: Option<SecretField>,
}

/// Public signing keys by role, each `ed25519:<base64>`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedField {
    /// Signs the repository's configuration: the root of trust.
    #[schemars(with = "String", example = &"ed25519:VyBXJDtiy7LZ/BSZ9nUft0Q7Oyhv0k7NQc2NTvgxf+I=")]
    pub operator: PublicKey,
    /// Whose backups are believed; more than one while a key is rotated.
    #[schemars(with = "Vec<String>")]
    pub writer: Vec<PublicKey>,
    /// Whose proofs are believed.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub prover: Vec<PublicKey>,
    /// Whose tombstones are believed.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub collector: Vec<PublicKey>,
}

/// A name, and one kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 2, "maxProperties" = 2))]
pub struct SourceField {
    /// Part of every object's name in the repository; unique in the policy.
    #[schemars(with = "String", example = &"postgres", regex(pattern = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub name: Spanned<Name>,
    /// A Postgres server, 12 or newer, or some of its databases.
    #[serde(default)]
    #[schemars(with = "PostgresField")]
    pub postgres: Option<PostgresField>,
    /// The objects of a Kubernetes cluster, or of some of its namespaces.
    #[serde(default)]
    #[schemars(with = "ClusterField")]
    pub cluster: Option<ClusterField>,
    /// What the platform hangs on and does not own: recorded, not copied.
    #[serde(default)]
    #[schemars(with = "OutsideField")]
    pub outside: Option<OutsideField>,
}

/// A Postgres server, 12 or newer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostgresField {
    /// A host name, an address, or the folder of a Unix socket (begins with `/`).
    #[schemars(with = "String", example = &"db.example.com", example = &"/var/run/postgresql")]
    pub host: Spanned<String>,
    /// Default 5432.
    #[serde(default = "default_port")]
    #[schemars(with = "u16", range(min = 1))]
    pub port: Spanned<u16>,
    /// A superuser sees everything; `lifeboat check` says what another one misses.
    #[schemars(example = &"postgres")]
    pub user: String,
    /// Left out: the server lets this user in without one (Unix socket, client certificate).
    #[serde(default)]
    pub password: Option<SecretField>,
    /// Which databases; default all.
    #[serde(default)]
    pub databases: DatabasesField,
    /// Encryption of the connection.
    #[serde(default)]
    #[schemars(with = "TlsField")]
    pub tls: Option<Spanned<TlsField>>,
    /// Folders to look for pg_dump and its kin in, before all others.
    #[serde(default)]
    #[schemars(example = ["/usr/lib/postgresql/15/bin"])]
    pub tools: Vec<PathBuf>,
    /// A dump that moves no byte for this long is stopped and counts as failed.
    #[serde(default)]
    pub stall_timeout: Option<Period>,
}

fn default_port() -> Spanned<u16> {
    let nowhere = serde_saphyr::Location::UNKNOWN;
    Spanned::new(5432, nowhere, nowhere)
}

/// Encryption of the connection.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsField {
    /// Default: verify-full; disable for loopback and Unix sockets.
    #[serde(default)]
    pub mode: Option<TlsModeField>,
    /// The authority that signed the server's certificate (PEM).
    #[serde(default)]
    pub ca: Option<SecretField>,
    /// The client's certificate (PEM), with `key`.
    #[serde(default)]
    pub cert: Option<SecretField>,
    /// The client's private key (PEM), with `cert`.
    #[serde(default)]
    pub key: Option<SecretField>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsModeField {
    Disable,
    Require,
    VerifyCa,
    VerifyFull,
}

/// How long backups are kept, judged for each source on its own. The rules add up: what any of them keeps is kept.
/// A backup stays while any capture in it is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetentionField {
    /// The newest so many.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub last: Option<Spanned<u32>>,
    /// The newest of each of the newest so many hours that have one.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub hourly: Option<Spanned<u32>>,
    /// The newest of each of the newest so many days that have one.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub daily: Option<Spanned<u32>>,
    /// The newest of each of the newest so many ISO weeks that have one; they begin on Monday.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub weekly: Option<Spanned<u32>>,
    /// The newest of each of the newest so many months that have one.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub monthly: Option<Spanned<u32>>,
    /// The newest of each of the newest so many years that have one.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub yearly: Option<Spanned<u32>>,
    /// Everything less than so much older than the source's newest.
    #[serde(default)]
    pub within: Option<Period>,
    /// Everything with one of these tags: `name`, or `name=value`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub tags: Vec<Spanned<String>>,
    /// So many captures of each source that are proved at least `hashed` are always kept; a source with fewer loses
    /// nothing. Default 3.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub never_below: Option<Spanned<u32>>,
    /// Where days begin: a name of the tz database. Default UTC.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"Europe/Berlin")]
    pub time_zone: Option<Spanned<String>>,
}

/// What is proved, and when.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyField {
    /// The level that each new backup is proved to, right after it was made.
    #[serde(default)]
    pub after_backup: Option<AfterBackup>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AfterBackup {
    Present,
    Hashed,
}

/// What is promised: shown beside what was measured.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectivesField {
    /// How much may be lost: the age that the newest backup may reach.
    #[serde(default)]
    pub rpo: Option<Period>,
    /// How long coming back may take.
    #[serde(default)]
    pub rto: Option<Period>,
}

/// The roots of trust of one or more repositories. Keep it outside of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "lifeboat Trust")]
pub struct TrustFile {
    /// Always `lifeboat.dev/v1`.
    #[expect(dead_code, reason = "checked by being read")]
    pub api_version: ApiVersion,
    /// Always `Trust`.
    #[expect(dead_code, reason = "checked by being read")]
    pub kind: TrustKind,
    /// For people.
    #[expect(dead_code, reason = "for people")]
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// What is believed.
    pub spec: TrustSpec,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum TrustKind {
    Trust,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustSpec {
    /// Repository ids.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub repositories: Spanned<Vec<RepositoryId>>,
    /// Signs configurations: `ed25519:<base64>`.
    #[schemars(with = "String")]
    pub operator: PublicKey,
    /// Whose backups are believed.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub writer: Spanned<Vec<PublicKey>>,
    /// Whose proofs are believed.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub prover: Vec<PublicKey>,
    /// Whose tombstones are believed.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub collector: Vec<PublicKey>,
    /// Public age keys that backups are encrypted to.
    #[schemars(with = "Vec<Recipient>", length(min = 1))]
    pub recipients: Spanned<Vec<Recipient>>,
    /// The dedup key in force.
    #[serde(default)]
    pub dedup: Option<DedupField>,
}

/// The dedup key in force, without saying the key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DedupField {
    /// Its name in the repository, such as `k1`.
    pub id: String,
    /// HMAC-SHA-256 under the dedup key of "lifeboat/1/check", in hexadecimal.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{64}$"))]
    pub check: Digest,
}
