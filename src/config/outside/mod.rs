//! A source of kind `outside`: as it is typed, and checked. One file for each sort of thing.

mod buckets;
mod certificates;
mod dns;
mod keysets;
mod nomad;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::check::Checker;
use crate::model::Name;

pub use buckets::WatchedBucket;
pub use certificates::{Certificate, CertificateAt};
pub use dns::DnsZone;
pub use keysets::{Keyset, KeysetAt};
pub use nomad::NomadCluster;

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
    /// A Nomad cluster: servers, nodes, jobs, and the servers that its clients know.
    #[serde(default)]
    #[schemars(with = "Option<nomad::NomadField>")]
    pub nomad: Option<Spanned<nomad::NomadField>>,
    /// Buckets that the platform keeps something in.
    #[serde(default)]
    pub buckets: Vec<buckets::BucketField>,
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
    pub nomad: Option<NomadCluster>,
    pub buckets: Vec<WatchedBucket>,
}

impl Checker<'_> {
    pub(in crate::config) fn outside(&mut self, source: &Spanned<Name>, field: OutsideField) -> Outside {
        let outside = Outside {
            context: field.context,
            kubeconfig: field.kubeconfig.map(|path| self.absolute(&path)),
            dns: self.dns(field.dns),
            certificates: self.certificates(field.certificates),
            keysets: self.keysets(field.keysets),
            nomad: field.nomad.map(|nomad| self.nomad(nomad)),
            buckets: self.buckets(field.buckets),
        };
        let Outside { context: _, kubeconfig: _, dns, certificates, keysets, nomad, buckets } = &outside;
        let lists = [dns.is_empty(), certificates.is_empty(), keysets.is_empty(), nomad.is_none(), buckets.is_empty()];
        if lists.iter().all(|is_empty| *is_empty) {
            let message = format!("source `{}` names nothing outside that would be recorded", source.value);
            let cure = "name at least one of `dns`, `certificates`, `keysets`, `nomad`, `buckets`";
            self.wrong(source, message, Some(cure));
        }
        outside
    }
}
