//! Databases, known by the name of their image or by their usual port. A guess, and said as one.

use std::fmt;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    Postgres,
    Mongo,
    Vault,
    Mysql,
    Redis,
    Rabbitmq,
    Elasticsearch,
    Etcd,
    Minio,
}

/// What an image's last word begins with, and the port that its clients use.
const KNOWN: [(Engine, &[&str], u64); 9] = [
    (Engine::Postgres, &["postgres", "postgresql", "postgis", "timescaledb", "spilo", "pgvector"], 5432),
    (Engine::Mongo, &["mongo", "mongodb", "percona-server-mongodb"], 27017),
    (Engine::Vault, &["vault", "openbao"], 8200),
    (Engine::Mysql, &["mysql", "mariadb", "percona-xtradb-cluster"], 3306),
    (Engine::Redis, &["redis", "valkey", "keydb"], 6379),
    (Engine::Rabbitmq, &["rabbitmq"], 5672),
    (Engine::Elasticsearch, &["elasticsearch", "opensearch"], 9200),
    (Engine::Etcd, &["etcd"], 2379),
    (Engine::Minio, &["minio"], 9000),
];

/// Programs that stand beside a database, and are named after it.
const BESIDE: [&str; 9] =
    ["exporter", "operator", "backup", "bouncer", "injector", "dashboard", "express", "sentinel", "client"];

impl Engine {
    /// From `docker.io/bitnami/postgresql:15.4@sha256:...`.
    pub fn of_image(image: &str) -> Option<Self> {
        let path = image.split('@').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let name = last.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if BESIDE.iter().any(|word| name.contains(word)) {
            return None;
        }
        let begins = |word: &&str| {
            name.strip_prefix(*word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
        };
        KNOWN.iter().find(|(_, words, _)| words.iter().any(&begins)).map(|(engine, ..)| *engine)
    }

    pub fn of_port(port: u64) -> Option<Self> {
        KNOWN.iter().find(|(_, _, usual)| *usual == port).map(|(engine, ..)| *engine)
    }

    /// The kind of source that captures it, if there is one.
    pub fn source_kind(self) -> Option<&'static str> {
        (self == Engine::Postgres).then_some("postgres")
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Postgres => "Postgres",
            Engine::Mongo => "MongoDB",
            Engine::Vault => "Vault",
            Engine::Mysql => "MySQL",
            Engine::Redis => "Redis",
            Engine::Rabbitmq => "RabbitMQ",
            Engine::Elasticsearch => "Elasticsearch",
            Engine::Etcd => "etcd",
            Engine::Minio => "MinIO",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_last_word() {
        for (image, engine) in [
            ("postgres", Some(Engine::Postgres)),
            ("registry:5000/bitnami/postgresql:15.4@sha256:00", Some(Engine::Postgres)),
            ("postgres14", Some(Engine::Postgres)),
            ("mongo:4.4", Some(Engine::Mongo)),
            ("quay.io/openbao/openbao:2", Some(Engine::Vault)),
            ("prometheuscommunity/postgres-exporter", None),
            ("percona/percona-postgresql-operator:2", None),
            ("mongosh:1", None),
            ("vaultwarden/server", None),
            ("vaultwarden", None),
            ("", None),
        ] {
            assert_eq!(Engine::of_image(image), engine, "{image}");
        }
    }
}
