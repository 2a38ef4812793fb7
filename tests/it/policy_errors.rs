//! What is said of mistakes in a policy: file, line, column, path, and what to write instead. Never a secret.

use std::path::{Path, PathBuf};

use lifeboat::config::{ConfigError, Loaded, Policy, Recipients};

fn production() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/production.yaml")).unwrap()
}

fn parse(text: &str) -> Result<Policy, ConfigError> {
    let mut loaded = Loaded::default();
    loaded.parse(&PathBuf::from("policy.yaml"), text, Recipients::AtLeastTwo)?;
    Ok(loaded.policies.remove(0))
}

/// The production policy with one text replaced, and what is said of it.
#[track_caller]
fn said(from: &str, to: &str) -> String {
    let text = production();
    assert!(text.contains(from), "the policy has no `{from}`");
    match parse(&text.replacen(from, to, 1)) {
        Ok(_) => panic!("`{to}` was accepted"),
        Err(error) => format!("{error}\n{}", error.cure().unwrap_or_default()).trim_end().to_owned(),
    }
}

#[test]
fn an_unknown_field() {
    insta::assert_snapshot!(said("host: postgresql", "hots: postgresql"), @r#"
    policy.yaml:74:7: spec.sources[0].postgres: unknown field `hots`
    did you mean `host`?
    "#);
}

#[test]
fn an_unknown_field_at_the_top() {
    insta::assert_snapshot!(said("metadata:", "metdata:"), @r#"
    policy.yaml:6:1: unknown field `metdata`
    did you mean `metadata`?
    "#);
}

#[test]
fn a_field_of_a_later_version() {
    insta::assert_snapshot!(said("verify:\n", "velero: {}\n  verify:\n"), @r#"
    policy.yaml:183:3: spec: this version does not know field `velero` yet
    known here: repositories, keys, sources, quiesce, retention, verify, objectives
    "#);
}

#[test]
fn a_kind_of_a_later_version() {
    insta::assert_snapshot!(said("kind: Policy", "kind: Schedule"), @r#"
    policy.yaml:5:7: kind: this version does not know kind `Schedule` yet
    known here: Policy, Trust
    "#);
}

#[test]
fn a_misspelt_kind() {
    insta::assert_snapshot!(said("kind: Policy", "kind: Polizy"), @r#"
    policy.yaml:5:7: kind: unknown kind `Polizy`
    did you mean `Policy`?
    "#);
}

#[test]
fn another_version() {
    insta::assert_snapshot!(said("lifeboat.dev/v1", "lifeboat.dev/v2"), @r#"
    policy.yaml:4:13: apiVersion: unknown version `lifeboat.dev/v2`
    write `apiVersion: lifeboat.dev/v1`
    "#);
}

#[test]
fn a_password_in_the_file() {
    insta::assert_snapshot!(said("password: {env: PGPASSWORD}", "password: hunter2"), @r#"
    policy.yaml:80:17: spec.sources[0].postgres.password: a secret must not stand in the file itself
    write `password: {env: NAME}` (an environment variable) or `password: {file: PATH}`, and put the secret there
    "#);
}

#[test]
fn a_numeric_password_in_the_file() {
    insta::assert_snapshot!(said("password: {env: PGPASSWORD}", "password: 123456"), @r#"
    policy.yaml:80:17: spec.sources[0].postgres.password: a secret must not stand in the file itself
    write `password: {env: NAME}` (an environment variable) or `password: {file: PATH}`, and put the secret there
    "#);
}

#[test]
fn a_private_key_in_the_file() {
    insta::assert_snapshot!(said("dedup: {file: /etc/lifeboat/dedup.key}", "dedup: c2VjcmV0c2VjcmV0"), @r#"
    policy.yaml:52:12: spec.keys.dedup: a secret must not stand in the file itself
    write `dedup: {env: NAME}` (an environment variable) or `dedup: {file: PATH}`, and put the secret there
    "#);
}

#[test]
fn a_misspelt_kind_of_secret() {
    insta::assert_snapshot!(said("{env: PGPASSWORD}", "{enf: PGPASSWORD}"), @"policy.yaml:80:17: spec.sources[0].postgres.password: unknown kind of secret `enf`; did you mean `env`?");
}

#[test]
fn two_places_for_one_secret() {
    insta::assert_snapshot!(said("{env: PGPASSWORD}", "{env: PGPASSWORD, file: /x}"), @"policy.yaml:80:17: spec.sources[0].postgres.password: a secret comes from one place: `env` or `file`, not both");
}

#[test]
fn a_dollar_in_an_environment_variable() {
    insta::assert_snapshot!(said("{env: PGPASSWORD}", "{env: $PGPASSWORD}"), @"policy.yaml:80:17: spec.sources[0].postgres.password: `env` wants the bare name of an environment variable, such as PGPASSWORD");
}

#[test]
fn a_wrong_type() {
    insta::assert_snapshot!(said("port: 5432", "port: many"), @"policy.yaml:76:13: spec.sources[0].postgres.port: this is not a whole number from 0 to 65535");
}

#[test]
fn a_list_instead_of_a_value() {
    insta::assert_snapshot!(said("user: postgres", "user: [postgres]"), @"policy.yaml:78:13: spec.sources[0].postgres.user: expected one value, not a list or mapping");
}

#[test]
fn a_mapping_instead_of_a_value() {
    insta::assert_snapshot!(said("user: postgres", "user:\n        name: postgres"), @"policy.yaml:79:9: spec.sources[0].postgres.user: expected one value, not a list or mapping");
}

#[test]
fn a_value_instead_of_a_list() {
    insta::assert_snapshot!(said("tools: [/usr/lib/postgresql/15/bin]", "tools: /usr/lib/postgresql/15/bin"), @"policy.yaml:92:14: spec.sources[0].postgres.tools: expected a list: `[a, b]`, or one `- item` per line");
}

#[test]
fn one_database_without_brackets() {
    insta::assert_snapshot!(said("databases: all", "databases: shop"), @"policy.yaml:82:18: spec.sources[0].postgres.databases: expected `all` or a list of names; for one database write `[shop]`");
}

#[test]
fn no_database() {
    insta::assert_snapshot!(said("databases: all", "databases: []"), @"policy.yaml:82:18: spec.sources[0].postgres.databases: the list is empty; every database is `all`");
}

#[test]
fn a_duplicate_source() {
    insta::assert_snapshot!(said("  verify:\n", "  - {name: postgres, postgres: {host: other, user: me}}\n\n  verify:\n"), @"policy.yaml:183:12: spec.sources[3].name: source `postgres` is there twice");
}

#[test]
fn a_bad_recipient() {
    insta::assert_snapshot!(said("age1vegljuxs4us", "age1vegljuxs4ut"), @"policy.yaml:45:7: spec.keys.recipients[0]: `age1vegljuxs4ut4tl2jp6vryh5jgph2pntkevuysjgl4cmpzx8chdaq6uxt40` is not an age recipient (age1 and 58 characters): invalid Bech32 encoding");
}

#[test]
fn a_private_age_key_as_recipient() {
    insta::assert_snapshot!(said("- age1vegljuxs4us4tl2jp6vryh5jgph2pntkevuysjgl4cmpzx8chdaq6uxt40", "- AGE-SECRET-KEY-1QQQQQQ"), @"policy.yaml:45:7: spec.keys.recipients[0]: this is a private age key; here belongs its public half (age-keygen -y FILE shows it)");
}

#[test]
fn one_recipient() {
    insta::assert_snapshot!(said("    - age1vegljuxs4us4tl2jp6vryh5jgph2pntkevuysjgl4cmpzx8chdaq6uxt40 # operations\n", ""), @r#"
    policy.yaml:45:7: spec.keys.recipients: one recipient only: whoever loses its identity loses every backup
    add the public key of an identity that is kept offline, or give --allow-single-recipient
    "#);
}

#[test]
fn the_same_recipient_twice() {
    insta::assert_snapshot!(said("age10hqy8n97mmscyze2f9u4xm39y8zqyxq958kvkcn5ztgdqjlpxp4s0xsx0y", "age1vegljuxs4us4tl2jp6vryh5jgph2pntkevuysjgl4cmpzx8chdaq6uxt40"), @r#"
    policy.yaml:46:7: spec.keys.recipients[1]: recipient `age1vegljuxs4us4tl2jp6vryh5jgph2pntkevuysjgl4cmpzx8chdaq6uxt40` is there twice
    policy.yaml:45:7: spec.keys.recipients: one recipient only: whoever loses its identity loses every backup
    add the public key of an identity that is kept offline, or give --allow-single-recipient
    "#);
}

#[test]
fn a_bad_public_key() {
    insta::assert_snapshot!(said("operator: ed25519:VyB", "operator: ed25519:Vy"), @"policy.yaml:64:17: spec.keys.trusted.operator: `ed25519:VyXJDtiy7LZ/BSZ9nUft0Q7Oyhv0k7NQc2NTvgxf+I=` is not a public key: `ed25519:` and 44 characters of base64");
}

#[test]
fn a_missing_field() {
    insta::assert_snapshot!(said("      user: postgres\n", ""), @"policy.yaml:74:7: spec.sources[0].postgres: field `user` is missing");
}

#[test]
fn a_missing_section() {
    insta::assert_snapshot!(said("  keys:", "  verify: {}\n  objectives: {}\n---\n  keys:"), @"policy.yaml:12:3: spec: field `keys` is missing");
}

#[test]
fn a_source_without_a_kind() {
    insta::assert_snapshot!(said("    postgres:\n      # A host", "    mongo:\n      # A host"), @r#"
    policy.yaml:72:5: spec.sources[0]: this version does not know field `mongo` yet
    known here: name, postgres, cluster, outside
    "#);
}

#[test]
fn a_repository_twice() {
    let again = "  - url: file:///srv/lifeboat/circleci-server\n\n  keys:\n";
    insta::assert_snapshot!(said("  keys:\n", again), @"policy.yaml:41:10: spec.repositories[2].url: repository file:///srv/lifeboat/circleci-server is there twice");
}

#[test]
fn keys_of_another_kind_of_store() {
    insta::assert_snapshot!(said("writer: {profile: lifeboat-writer}", "writer: {serviceAccount: {env: X}}"), @"policy.yaml:26:15: spec.repositories[1].credentials.writer: for s3://circleci-dr/prod?region=eu-west-1 credentials are `profile`, or `accessKey` and `secretKey`");
    insta::assert_snapshot!(said("url: s3://circleci-dr/prod?region=eu-west-1", "url: gs://circleci-dr/prod"), @r"
    policy.yaml:26:15: spec.repositories[1].credentials.writer: for gs://circleci-dr/prod credentials are `serviceAccount`
    policy.yaml:28:9: spec.repositories[1].credentials.restorer: for gs://circleci-dr/prod credentials are `serviceAccount`
    ");
    insta::assert_snapshot!(said("url: s3://circleci-dr/prod?region=eu-west-1", "url: file:///srv/copy"), @r"
    policy.yaml:39:7: spec.repositories[1].tls: a directory is reached without TLS
    policy.yaml:26:15: spec.repositories[1].credentials.writer: for file:///srv/copy credentials are not asked for: leave `credentials` out
    policy.yaml:28:9: spec.repositories[1].credentials.restorer: for file:///srv/copy credentials are not asked for: leave `credentials` out
    policy.yaml:36:11: spec.repositories[1].lock: a directory knows no locks
    leave `tls` out
    leave `lock` out, and keep a copy where this machine cannot delete
    ");
}

#[test]
fn a_relative_repository() {
    insta::assert_snapshot!(said("url: file:///srv", "url: ../srv"), @"policy.yaml:17:10: spec.repositories[0].url: `../srv/lifeboat/circleci-server` has no scheme; a directory is written file:///absolute/path");
}

#[test]
fn a_repository_in_a_bucket() {
    insta::assert_snapshot!(said("url: file:///srv", "url: ftp://srv"), @"policy.yaml:17:10: spec.repositories[0].url: `ftp://srv/lifeboat/circleci-server`: an address begins with file:///absolute/path, s3://bucket, minio+https://host/bucket or gs://bucket");
    insta::assert_snapshot!(said("url: file:///srv", "url: s3://S"), @"policy.yaml:17:10: spec.repositories[0].url: the address of a bucket: `S` is no name of a bucket: 3 to 63 lower-case letters, digits, dots, hyphens");
}

#[test]
fn a_name_with_capitals() {
    insta::assert_snapshot!(said("name: circleci-server", "name: CircleCI"), @"policy.yaml:8:9: metadata.name: `CircleCI` is not a name: lower-case letters, digits and inner hyphens, at most 63 characters");
}

#[test]
fn a_host_with_a_port() {
    insta::assert_snapshot!(said("host: postgresql.circleci-server.svc", "host: db:5433"), @r#"
    policy.yaml:74:13: spec.sources[0].postgres.host: `db:5433` is not a host name or address
    write `host: NAME` and `port: NUMBER` apart, or the folder of a Unix socket
    "#);
}

#[test]
fn a_certificate_without_its_key() {
    insta::assert_snapshot!(said("        key: {file: /etc/lifeboat/postgres-client.key}\n", ""), @"policy.yaml:85:9: spec.sources[0].postgres.tls: `cert` and `key` belong together: one of them is missing");
}

#[test]
fn an_unknown_tls_mode() {
    insta::assert_snapshot!(said("mode: verify-full", "mode: verifyfull"), @r#"
    policy.yaml:85:15: spec.sources[0].postgres.tls.mode: unknown value `verifyfull`
    did you mean `verify-full`?
    "#);
}

#[test]
fn a_length_of_time() {
    insta::assert_snapshot!(said("rpo: 24h", "rpo: 1 day"), @"policy.yaml:190:10: spec.objectives.rpo: `1 day` is not a length of time: write 90s, 15m, 24h, 7d or 1h30m");
}

#[test]
fn a_proof_level_that_needs_a_key() {
    insta::assert_snapshot!(said("afterBackup: hashed", "afterBackup: opened"), @r#"
    policy.yaml:185:18: spec.verify.afterBackup: unknown value `opened`
    known here: present, hashed
    "#);
}

#[test]
fn a_tab() {
    insta::assert_snapshot!(said("  keys:\n", "\tkeys:\n"), @"policy.yaml:41:2: tabs disallowed within this context (block indentation)");
}

#[test]
fn an_unclosed_bracket() {
    insta::assert_snapshot!(said("tools: [/usr/lib/postgresql/15/bin]", "tools: [/usr/lib/postgresql/15/bin"), @"policy.yaml:94:7: while parsing a flow sequence, expected ',' or ']'");
}

#[test]
fn a_field_twice() {
    insta::assert_snapshot!(said("port: 5432", "port: 5432\n      port: 5433"), @"policy.yaml:77:7: `port` is there twice");
}

#[test]
fn an_empty_section() {
    insta::assert_snapshot!(said("metadata:\n", "metadata: {}\nmetadate:\n"), @"policy.yaml:6:11: field `name` is missing");
}

#[test]
fn a_number_as_name_of_a_secret_file() {
    insta::assert_snapshot!(said("{file: /etc/lifeboat/postgres-ca.pem}", "{file: }"), @"policy.yaml:87:18: spec.sources[0].postgres.tls.ca.file: a text is missing here");
}

#[test]
fn a_time_without_unit() {
    insta::assert_snapshot!(said("stallTimeout: 10m", "stallTimeout: 10"), @"policy.yaml:94:21: spec.sources[0].postgres.stallTimeout: `10` is not a length of time: write 90s, 15m, 24h, 7d or 1h30m");
}

#[test]
fn a_retention_that_keeps_nothing() {
    let whole = production();
    let from = whole.find("  retention:\n").unwrap();
    let with = |rules: &str| match parse(&format!("{}  retention: {rules}\n", &whole[..from])) {
        Ok(policy) => panic!("`{rules}` was accepted: {:?}", policy.retention),
        Err(error) => format!("{error}\n{}", error.cure().unwrap_or_default()),
    };
    let said =
        ["{}", "{tags: [release]}", "{daily: 0}", "{last: 1, neverBelow: 0}", "{last: 1, tags: ['=x']}"].map(with);
    insta::assert_snapshot!(said.join("\n\n"), @r"
    policy.yaml:196:14: spec.retention: no rule here keeps any backup
    add a rule such as `daily: 30`, or leave `retention` out: then everything is kept

    policy.yaml:196:14: spec.retention: no rule here keeps a backup without a tag
    add a rule such as `daily: 30`, or leave `retention` out: then everything is kept

    policy.yaml:196:22: spec.retention.daily: `daily: 0` keeps nothing
    leave it out

    policy.yaml:196:36: spec.retention.neverBelow: with 0 the last backup that is known to be good could expire
    write at least 1, or leave it out: 3

    policy.yaml:196:31: spec.retention.tags[0]: `=x` is no tag
    write `name` or `name=value`
    ");
}

#[test]
fn an_unknown_rule_of_retention() {
    insta::assert_snapshot!(said("    daily: 30", "    dayly: 30"), @r"
    policy.yaml:201:5: spec.retention: unknown field `dayly`
    did you mean `daily`?
    ");
    insta::assert_snapshot!(said("    daily: 30", "    fortnightly: 30"), @r"
    policy.yaml:201:5: spec.retention: unknown field `fortnightly`
    known here: last, hourly, daily, weekly, monthly, yearly, within, tags, neverBelow, timeZone
    ");
    insta::assert_snapshot!(said("    daily: 30", "    daily: -1"), @"policy.yaml:201:12: spec.retention.daily: this is not a whole number, 0 or more");
}

#[test]
fn an_unknown_time_zone() {
    insta::assert_snapshot!(said("timeZone: Europe/Berlin", "timeZone: Europe/Berln"), @r"
    policy.yaml:213:15: spec.retention.timeZone: unknown time zone `Europe/Berln`
    did you mean `Europe/Berlin`?
    ");
    insta::assert_snapshot!(said("timeZone: Europe/Berlin", "timeZone: Here"), @r"
    policy.yaml:213:15: spec.retention.timeZone: unknown time zone `Here`
    write a name of the tz database, such as Europe/Berlin, or UTC
    ");
}

#[test]
fn a_whole_retention() {
    let retention = parse(&production()).unwrap().retention.unwrap();
    let counts =
        [retention.last, retention.hourly, retention.daily, retention.weekly, retention.monthly, retention.yearly];
    assert_eq!(counts, [Some(3), Some(24), Some(30), Some(8), Some(12), Some(10)]);
    assert_eq!(retention.within.unwrap().to_string(), "2d");
    let tags: Vec<String> = retention.tags.iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["release", "reason=audit"]);
    assert_eq!((retention.never_below, retention.time_zone.iana_name()), (3, Some("Europe/Berlin")));
    let minimal = parse(include_str!("../../policies/minimal.yaml")).unwrap();
    assert_eq!(minimal.retention, None, "left out: everything is kept");
}
