//! From what a policy names outside to what is looked at, and the records that a backup holds of it.

use std::collections::BTreeMap;

use crate::cluster_client::Settings;
use crate::config;
use crate::job::buckets::buckets;
use crate::repository::CaptureReader;
use crate::secret::SecretRef;
use crate::source::outside::certificates::{Certificate, CertificateAt, Certificates};
use crate::source::outside::dns::{Dns, ZoneNames};
use crate::source::outside::keysets::{Keyset, KeysetAt, Keysets};
use crate::source::outside::nomad::{Nomad, NomadSettings};
use crate::source::outside::{Items, Look, MEDIA_RECORDS, OutsideSource, split};

/// One look for each sort of thing that is named.
pub(in crate::job) fn source(outside: &config::Outside) -> OutsideSource {
    let cluster = Settings { kubeconfig: outside.kubeconfig.clone(), context: outside.context.clone() };
    let mut looks: Vec<Box<dyn Look>> = Vec::new();
    if !outside.dns.is_empty() {
        looks.push(Box::new(Dns { zones: outside.dns.iter().map(zone).collect() }));
    }
    if !outside.certificates.is_empty() {
        looks.push(Box::new(Certificates { certificates: outside.certificates.iter().map(certificate).collect() }));
    }
    if !outside.keysets.is_empty() {
        looks.push(Box::new(Keysets { cluster, keysets: outside.keysets.iter().map(keyset).collect() }));
    }
    looks.extend(outside.nomad.iter().map(|cluster| Box::new(nomad(cluster)) as Box<dyn Look>));
    if !outside.buckets.is_empty() {
        looks.push(Box::new(buckets(outside)));
    }
    OutsideSource { looks }
}

fn zone(zone: &config::DnsZone) -> ZoneNames {
    let config::DnsZone { zone, names, types, servers, resolver } = zone.clone();
    ZoneNames { zone, names, types, servers, resolver }
}

fn certificate(certificate: &config::Certificate) -> Certificate {
    let at = match certificate.at.clone() {
        config::CertificateAt::Served { host, port, name } => CertificateAt::Served { host, port, name },
        config::CertificateAt::File(path) => CertificateAt::File(path),
    };
    Certificate { at, ca: certificate.ca.clone() }
}

/// What the policy leaves out, the variables say that Nomad's own tools read.
fn nomad(cluster: &config::NomadCluster) -> Nomad {
    let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let file =
        |given: &Option<SecretRef>, name: &str| given.clone().or_else(|| Some(SecretRef::File(said(name)?.into())));
    // A certificate of the policy goes with the key of the policy.
    let given = cluster.cert.is_some();
    Nomad(NomadSettings {
        address: cluster.address.clone().or_else(|| said("NOMAD_ADDR")),
        token: cluster.token.clone().or_else(|| said("NOMAD_TOKEN").map(|_| SecretRef::Env("NOMAD_TOKEN".into()))),
        region: cluster.region.clone().or_else(|| said("NOMAD_REGION")),
        namespaces: cluster.namespaces.clone(),
        ca: file(&cluster.ca, "NOMAD_CACERT"),
        cert: if given { cluster.cert.clone() } else { file(&None, "NOMAD_CLIENT_CERT") },
        key: if given { cluster.key.clone() } else { file(&None, "NOMAD_CLIENT_KEY") },
        server_name: cluster.server_name.clone().or_else(|| said("NOMAD_TLS_SERVER_NAME")),
        ask_clients: cluster.ask_clients,
        clients: cluster.clients.clone(),
    })
}

fn keyset(keyset: &config::Keyset) -> Keyset {
    let at = match keyset.at.clone() {
        config::KeysetAt::Here(reference) => KeysetAt::Here(reference),
        config::KeysetAt::Secret { namespace, name, key } => KeysetAt::Secret { namespace, name, key },
        config::KeysetAt::Deployment { namespace, name, container, env } => {
            KeysetAt::Deployment { namespace, name, container, env }
        }
    };
    Keyset { name: keyset.name.clone(), at }
}

/// By stream. None: the capture is of something else.
pub(in crate::job) fn stored(reader: &CaptureReader) -> Option<BTreeMap<String, Items>> {
    let streams = &reader.detail().streams;
    let of_records = streams.iter().filter(|stream| stream.media == MEDIA_RECORDS);
    let items = of_records.map(|stream| (stream.name.clone(), split(stream.name.clone(), reader.read(stream.n))));
    let stored: BTreeMap<String, Items> = items.collect();
    (!stored.is_empty()).then_some(stored)
}
