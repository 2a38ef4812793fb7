//! From what a policy says to a source that can be captured.

use crate::cluster_client::Settings;
use crate::config;
use crate::source::Source;
use crate::source::cluster::{ClusterScoped, ClusterSource, Scope};
use crate::source::postgres::{ConnectSettings, Credential, Databases, Host, PostgresSource, TlsMode, TlsSettings};

/// How the word is derived that fences the globals, see [`PostgresSource::restrict_key`].
pub(in crate::job) const RESTRICT: &str = "restrict";

/// `restrict_key` is for a capture; whoever only looks needs none.
pub(in crate::job) fn source(source: &config::Source, restrict_key: Option<String>) -> Box<dyn Source> {
    match &source.kind {
        config::SourceKind::Postgres(postgres) => {
            let mut source = PostgresSource::new(settings(postgres));
            source.databases = match &postgres.databases {
                config::Databases::All => Databases::All,
                config::Databases::Named(names) => Databases::List(names.clone()),
            };
            source.tools.clone_from(&postgres.tools);
            source.restrict_key = restrict_key;
            if let Some(period) = postgres.stall_timeout {
                source.stall_timeout = period.duration();
            }
            Box::new(source)
        }
        config::SourceKind::Cluster(cluster) => Box::new(self::cluster(cluster)),
        config::SourceKind::Outside(outside) => Box::new(crate::job::outside::source(outside)),
    }
}

pub(in crate::job) fn cluster(cluster: &config::Cluster) -> ClusterSource {
    let settings = Settings { kubeconfig: cluster.kubeconfig.clone(), context: cluster.context.clone() };
    let scope = Scope {
        namespaces: cluster.namespaces.clone(),
        selector: cluster.selector.clone(),
        include: cluster.include.clone(),
        exclude: cluster.exclude.clone(),
        cluster_scoped: match cluster.cluster_scoped {
            config::ClusterScoped::All => ClusterScoped::All,
            config::ClusterScoped::Referenced => ClusterScoped::Referenced,
            config::ClusterScoped::None => ClusterScoped::None,
        },
    };
    ClusterSource::new(settings, scope)
}

fn settings(postgres: &config::Postgres) -> ConnectSettings {
    let host = Host::parse(&postgres.host);
    let mode = match postgres.tls.mode {
        None => TlsMode::default_for(&host),
        Some(config::TlsMode::Disable) => TlsMode::Disable,
        Some(config::TlsMode::Require) => TlsMode::Require,
        Some(config::TlsMode::VerifyCa) => TlsMode::VerifyCa,
        Some(config::TlsMode::VerifyFull) => TlsMode::VerifyFull,
    };
    let credential = |reference: &Option<crate::secret::SecretRef>| reference.clone().map(Credential::from);
    ConnectSettings {
        port: postgres.port,
        password: credential(&postgres.password),
        tls: TlsSettings {
            mode,
            ca: credential(&postgres.tls.ca),
            cert: credential(&postgres.tls.cert),
            key: credential(&postgres.tls.key),
        },
        ..ConnectSettings::new(host, postgres.user.clone())
    }
}
