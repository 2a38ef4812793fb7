//! The two files that `init --generate-keys` writes: what it pinned, and a policy to start from.

use std::fmt::{Display, Write as _};

use crate::model::{Name, StoreUrl, Trust};

/// What a policy to start from is made of. Its keys lie in the same folder, under the names of `init`.
#[derive(Debug, Clone)]
pub struct Starter<'a> {
    pub name: &'a Name,
    pub url: &'a StoreUrl,
    /// Of one repository.
    pub trust: &'a Trust,
}

/// `kind: Trust`, as `--trust` reads it.
pub fn trust_file(name: &Name, trust: &Trust) -> String {
    let mut text = format!(
        "# What is believed of this repository, whatever the repository itself says. Keep a copy outside of it.\n\
         apiVersion: lifeboat.dev/v1\n\
         kind: Trust\n\
         metadata: {{name: {name}}}\n\
         spec:\n"
    );
    list(&mut text, "repositories", &trust.repositories);
    let _ = writeln!(text, "  operator: {}", trust.operator);
    list(&mut text, "writer", &trust.writer);
    list(&mut text, "prover", &trust.prover);
    list(&mut text, "collector", &trust.collector);
    list(&mut text, "recipients", &trust.recipients);
    if let Some(dedup) = &trust.dedup {
        let _ = writeln!(text, "  dedup: {{id: {}, check: {}}}", quoted(&dedup.id), quoted(dedup.check));
    }
    text
}

/// `kind: Policy`, with one Postgres source whose address a person fills in.
pub fn starter_policy(starter: &Starter) -> String {
    let Starter { name, url, trust } = starter;
    let mut text = format!(
        "# A policy to start from. Every field: policies/production.yaml. Then: lifeboat check -f THIS_FILE\n\
         apiVersion: lifeboat.dev/v1\n\
         kind: Policy\n\
         metadata: {{name: {name}}}\n\
         spec:\n\
         \x20 repositories:\n\
         \x20 - url: {}\n",
        quoted(url)
    );
    if let [id] = trust.repositories.as_slice() {
        let _ = writeln!(text, "    id: {id}");
    }
    text.push_str("  keys:\n    recipients:\n");
    for recipient in &trust.recipients {
        let _ = writeln!(text, "    - {recipient}");
    }
    text.push_str(
        "    # Relative paths count from this file's folder. Where backups run, only dedup.key and writer.key are needed;\n    \
         # prover.key signs proofs; identity.txt, escrow.txt, operator.key and collector.key belong elsewhere.\n    \
         dedup: {file: dedup.key}\n    \
         signing:\n      \
           writer: {file: writer.key}\n      \
           prover: {file: prover.key}\n    \
         trusted:\n",
    );
    let _ = writeln!(text, "      operator: {}", trust.operator);
    for (role, keys) in [("writer", &trust.writer), ("prover", &trust.prover), ("collector", &trust.collector)] {
        let keys: Vec<String> = keys.iter().map(quoted).collect();
        let _ = writeln!(text, "      {role}: [{}]", keys.join(", "));
    }
    text.push_str(
        "  sources:\n  \
         - name: postgres\n    \
           postgres:\n      \
             host: localhost            # or the folder of a Unix socket\n      \
             user: postgres\n      \
             password: {env: PGPASSWORD}\n      \
             databases: all\n  \
         verify: {afterBackup: hashed}\n  \
         objectives: {rpo: 24h, rto: 1h}\n",
    );
    text
}

fn list<T: Display>(text: &mut String, field: &str, items: &[T]) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "  {field}:");
    for item in items {
        let _ = writeln!(text, "  - {item}");
    }
}

/// A YAML double-quoted text: JSON's is one.
fn quoted(value: impl Display) -> String {
    serde_json::Value::String(value.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Loaded, Recipients, agreed_trust};
    use crate::model::{DedupPin, Digest, PublicKey};

    /// What `init` writes must be read back as what it pinned, by the reader that people use.
    #[test]
    fn what_is_written_reads_back() {
        let name: Name = "shop".parse().unwrap();
        let recipients = [
            "age1vegljuxs4us4tl2jp6vryh5jgph2pntkevuysjgl4cmpzx8chdaq6uxt40",
            "age10hqy8n97mmscyze2f9u4xm39y8zqyxq958kvkcn5ztgdqjlpxp4s0xsx0y",
        ];
        let trust = Trust {
            repositories: vec![ulid::Ulid::from_parts(5, 6).into()],
            operator: PublicKey([1; 32]),
            writer: vec![PublicKey([2; 32]), PublicKey([3; 32])],
            prover: vec![PublicKey([4; 32])],
            collector: Vec::new(),
            recipients: recipients.map(str::to_owned).to_vec(),
            dedup: Some(DedupPin { id: "k1".into(), check: Digest([9; 32]) }),
        };
        let url: StoreUrl = "file:///srv/a: \"b\" #c".parse().unwrap();
        let mut loaded = Loaded::default();
        let starter = starter_policy(&Starter { name: &name, url: &url, trust: &trust });
        loaded.parse(Path::new("keys/policy.yaml"), &starter, Recipients::AtLeastTwo).unwrap();
        loaded.parse(Path::new("keys/trust.yaml"), &trust_file(&name, &trust), Recipients::AtLeastTwo).unwrap();
        assert_eq!(loaded.trusts, std::slice::from_ref(&trust));
        let policy = loaded.policies.remove(0);
        assert_eq!((&policy.name, &policy.repository.url), (&name, &url));
        assert_eq!(policy.trust_at(&policy.repository.url), Some(Trust { dedup: None, ..trust.clone() }));
        assert_eq!(agreed_trust(Some(&policy), Some(trust.clone()), &policy.repository.url), Ok(Some(trust)));
        assert_eq!(policy.keys.dedup.to_string(), "file keys/dedup.key");
    }
}
