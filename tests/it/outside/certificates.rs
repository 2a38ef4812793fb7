//! Certificates as real servers show them, and in files. Needs openssl.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use lifeboat::context::Context;
use lifeboat::secret::SecretRef;
use lifeboat::source::outside::certificates::{Certificate, CertificateAt, Certificates};
use lifeboat::source::outside::{Look as _, Seen};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use serde_json::{Value, json};

use super::local;
use crate::support::authority::Authority;

/// A server that shakes hands with one certificate, for as long as the test's process lives.
fn serve(
    chain: &str,
    key: &str,
    asks: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = match asks {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(
                CertificateDer::pem_slice_iter(authority.ca().as_bytes()).map(Result::unwrap),
            );
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            )
        }
        None => builder.with_no_client_auth(),
    };
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap();
    let (listener, config) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(config));
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            let _ = connection.complete_io(&mut stream);
        }
    });
    address
}

/// Signed by the authority: from `days` ago for `days` and so many more.
fn signed(authority: &Authority, folder: &Path, name: &str, after: &str) -> (String, String) {
    let ca = authority.ca_file();
    let run = |line: String| {
        let made = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
        assert!(made.status.success(), "{line}: {}", String::from_utf8_lossy(&made.stderr));
    };
    std::fs::write(folder.join("names"), format!("subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n")).unwrap();
    run(format!(
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout key.pem -out csr.pem"
    ));
    std::fs::write(folder.join("index.txt"), "").unwrap();
    std::fs::write(
        folder.join("ca.conf"),
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n",
    )
    .unwrap();
    run(format!(
        "ca -batch -config ca.conf -cert {ca} -keyfile {key} -in csr.pem -out cert.pem -extfile names -startdate 20200101000000Z -enddate {after} -notext",
        ca = ca.display(),
        key = ca.with_file_name("ca.key").display(),
    ));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    (read("cert.pem"), read("key.pem"))
}

async fn look(certificates: Vec<Certificate>) -> Result<Seen, lifeboat::model::SourceFailure> {
    Certificates { certificates }.look(&Context::silent()).await
}

fn served(at: SocketAddr, name: Option<&str>, ca: Option<&Authority>) -> Certificate {
    let at = CertificateAt::Served { host: at.ip().to_string(), port: at.port(), name: name.map(str::to_owned) };
    Certificate { at, ca: ca.map(|authority| SecretRef::File(authority.ca_file())) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_chain_is_recorded_and_judged() {
    let authority = Authority::new();
    let chain = format!("{}{}", authority.certificate(), authority.ca());
    let at = serve(&chain, &authority.key(), None, rustls::ALL_VERSIONS);
    let seen = look(vec![served(at, None, Some(&authority))]).await.unwrap();
    let record = &seen.records[0];
    assert_eq!((record.kind, record.name.as_str()), ("served", at.to_string().as_str()));
    assert_eq!(record.fields["verifies"], true, "{:?}", record.fields);
    let chain = record.fields["chain"].as_array().unwrap();
    assert_eq!((&chain[0]["subject"], &chain[0]["issuer"]), (&json!("CN=server"), &json!("CN=test-ca")));
    assert_eq!((&chain[0]["names"], &chain[0]["authority"]), (&json!(["127.0.0.1"]), &json!(false)));
    assert_eq!((&chain[1]["subject"], &chain[1]["authority"]), (&json!("CN=test-ca"), &json!(true)));
    assert_eq!(chain[0]["publicKey"], "RSA 2048");
    // What another program says of the same certificate.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), authority.certificate()).unwrap();
    let said = Command::new("openssl")
        .args([
            "x509",
            "-in",
            "cert.pem",
            "-noout",
            "-serial",
            "-fingerprint",
            "-sha256",
            "-enddate",
            "-dateopt",
            "iso_8601",
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let bare = |text: &Value| text.as_str().unwrap().replace(':', "").to_uppercase();
    for word in [bare(&chain[0]["serial"]), bare(&chain[0]["sha256"])] {
        assert!(said.replace(':', "").contains(&word), "{word} in {said}");
    }
    let until = chain[0]["notAfter"].as_str().unwrap().replace('T', " ");
    assert!(said.contains(&format!("notAfter={until}")), "{until} in {said}");
    // It is good for 30 days, so that it is said on this first one; the authority's as well.
    assert!(seen.findings.iter().all(|finding| finding.message.contains("expires in ")), "{:?}", seen.findings);
    assert_eq!(seen.findings.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_visitors_would_not_believe_is_recorded_with_the_reason() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (old, old_key) = signed(&authority, folder.path(), "old.test", "20240101000000Z");
    let (good, key) = signed(&authority, folder.path(), "shop.test", "20990101000000Z");
    let old = serve(&old, &old_key, None, rustls::ALL_VERSIONS);
    let strict = serve(&good, &key, Some(&authority), &[&rustls::version::TLS12]);
    let at = serve(&good, &key, Some(&authority), rustls::ALL_VERSIONS);
    let other = Authority::new();
    for (certificate, verifies, why, finding) in [
        (served(at, Some("shop.test"), Some(&authority)), true, Value::Null, None),
        // It wants a certificate of ours, and gets none.
        (served(strict, Some("shop.test"), Some(&authority)), true, Value::Null, None),
        (
            served(at, Some("web.test"), Some(&authority)),
            false,
            json!("it is not for web.test"),
            Some("is not for web.test"),
        ),
        (served(at, None, Some(&authority)), false, json!("it is not for 127.0.0.1"), Some("is not for")),
        (
            served(at, Some("shop.test"), Some(&other)),
            false,
            json!("it is not signed by the authority of that name that is believed here"),
            Some("of that name"),
        ),
        (
            served(at, Some("shop.test"), None),
            false,
            json!("it is signed by nobody who is believed here"),
            Some("nobody"),
        ),
        (
            served(old, Some("old.test"), Some(&authority)),
            false,
            json!("it has expired, or one of its chain"),
            Some("expired"),
        ),
    ] {
        let seen = look(vec![certificate.clone()]).await.unwrap();
        let fields = &seen.records[0].fields;
        assert_eq!(fields["verifies"], verifies, "{certificate:?}: {fields:?}");
        assert_eq!(fields.get("why").unwrap_or(&Value::Null), &why);
        assert_eq!(seen.findings.is_empty(), finding.is_none(), "{:?}", seen.findings);
        assert!(finding.is_none_or(|words| seen.findings.iter().any(|found| found.message.contains(words))));
        assert_eq!(fields["chain"][0]["publicKey"], "EC P-256");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_show_nothing_and_files_that_hold_nothing_are_named_at_once() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        Certificate {
            at: CertificateAt::File(folder.path().join(name)),
            ca: Some(SecretRef::File(authority.ca_file())),
        }
    };
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = plain.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in plain.incoming().map_while(Result::ok) {
            let _ = std::io::Write::write_all(&mut stream, b"220 mail.example.com ready\r\n");
        }
    });
    let gone = SocketAddr::from(([127, 0, 0, 1], crate::support::servers::process::free_port(0)));
    let key = authority.key();
    let failure = look(vec![
        served(at, None, None),
        served(gone, None, None),
        file("none.pem", &key),
        Certificate { at: CertificateAt::File("/no/such/file".into()), ca: None },
        Certificate { ca: Some(SecretRef::File("/no/such/ca".into())), ..served(gone, Some("x"), None) },
    ])
    .await
    .unwrap_err();
    let said = failure.to_string();
    for words in
        ["5 things", &at.to_string(), &gone.to_string(), "holds no certificate", "/no/such/file", "/no/such/ca"]
    {
        assert!(said.contains(words), "`{words}`: {said}");
    }
    assert!(!said.contains(&key[60..120]));

    // A bundle with its private key: only certificates are taken.
    let bundle = file("all.pem", &format!("{key}{}{}", authority.certificate(), authority.ca()));
    let seen = look(vec![bundle]).await.unwrap();
    let fields = &seen.records[0].fields;
    assert_eq!((seen.records[0].kind, fields["chain"].as_array().unwrap().len()), ("file", 2));
    assert_eq!(fields["verifies"], true);
    assert!(!serde_json::to_string(fields).unwrap().contains("PRIVATE"));
}

#[test]
fn the_program_records_warns_and_tells_a_renewed_certificate() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let local = local("      certificates: [{file: chain.pem, ca: {file: ca.pem}}]\n");
    std::fs::write(local.path("keys/ca.pem"), authority.ca()).unwrap();
    std::fs::write(local.path("keys/chain.pem"), authority.certificate()).unwrap();
    local.run(&["check"]).exits(0).says("expires in ");
    local.backup_on(&local.repo());
    local.run(&["verify", "latest", "--level", "opened"]).exits(0);
    local.run(&["diff", "latest", "live"]).exits(0).says("1 the same");
    let (renewed, _) = signed(&authority, folder.path(), "shop.test", "20990101000000Z");
    std::fs::write(local.path("keys/chain.pem"), renewed).unwrap();
    local.run(&["diff", "latest", "live"]).exits(0).says("1 changed").says("/chain/0/notAfter").says("2099-01-01");
    for (text, words) in [
        ("{connect: shop.test}", "is not a host and a port"),
        ("{connect: 'https://shop.test:443'}", "is not a host and a port"),
        ("{}", "in exactly one place"),
        ("{file: a, connect: 'b:1'}", "in exactly one place"),
        ("{file: a, serverName: b}", "is for `connect`"),
        ("{file: a}, {file: a}", "is there twice"),
    ] {
        super::local(&format!("      certificates: [{text}]\n")).run(&["check"]).exits(2).says(words);
    }
}
