//! A source of kind `outside`: as it is typed, and checked. One file for each sort of thing.

mod certificates;
mod dns;
mod keysets;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::check::Checker;
use crate::model::Name;

pub use certificates::{Certificate, CertificateAt};
pub use dns::DnsZone;
pub use keysets::{Keyset, KeysetAt};

/// What the platform hangs on and does not own. Recorded and compared, never copied or restored.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutsideField {
    /// For what is looked up in a cluster: a context of the kubeconfig. Left out: its current one.
    #[serde(default)]
    pub context: Option<String>,
    /// For what is looked up in a cluster. Left out: KUBECONFIG, else ~/.kube/config, else the account of the pod that
    /// lifeboat runs in. A relative path counts from the folder of this file.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// Names of DNS, as the servers of their zones have them: records, TTL, and where aliases lead.
    #[serde(default)]
    pub dns: Vec<dns::ZoneField>,
    /// Certificates with their chains, of servers and in files; warned of 30 days before they expire.
    #[serde(default)]
    #[schemars(with = "Vec<certificates::CertificateField>")]
    pub certificates: Vec<Spanned<certificates::CertificateField>>,
    /// Values that data is encrypted or signed with: SHA-256 and length of each, never the value.
    #[serde(default)]
    #[schemars(with = "Vec<keysets::KeysetField>")]
    pub keysets: Vec<Spanned<keysets::KeysetField>>,
}

/// What is outside, checked. At least one of the lists holds something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// None: the kubeconfig's current one.
    pub context: Option<String>,
    /// None: as kubectl finds it, else the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    pub dns: Vec<DnsZone>,
    pub certificates: Vec<Certificate>,
    pub keysets: Vec<Keyset>,
}

impl Checker<'_> {
    pub(in crate::config) fn outside(&mut self, source: &Spanned<Name>, field: OutsideField) -> Outside {
        let outside = Outside {
            context: field.context,
            kubeconfig: field.kubeconfig.map(|path| self.absolute(&path)),
            dns: self.dns(field.dns),
            certificates: self.certificates(field.certificates),
            keysets: self.keysets(field.keysets),
        };
        let Outside { context: _, kubeconfig: _, dns, certificates, keysets } = &outside;
        if dns.is_empty() && certificates.is_empty() && keysets.is_empty() {
            let message = format!("source `{}` names nothing outside that would be recorded", source.value);
            self.wrong(source, message, Some("name at least one of `dns`, `certificates`, `keysets`"));
        }
        outside
    }
}
