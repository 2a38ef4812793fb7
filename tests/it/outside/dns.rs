//! DNS at its authorities: real zones on real servers. Needs BIND.

use serde_json::{Value, json};

use super::local;
use crate::support::servers::dns::{NameServer, look, names, place, zone};
use lifeboat::source::outside::Seen;

const SHOP: &str = "@ NS ns1\nns1 A 127.0.0.1\n@ A 192.0.2.1\n@ MX 10 Mail\nmail A 192.0.2.25\n@ TXT \"v=spf1 -all\"\n\
    @ CAA 0 issue \"ca.example\"\nwww 60 CNAME lb.other.test.\n_sip._tcp SRV 1 2 5060 www\n*.apps A 192.0.2.7\n\
    slow 86400 A 192.0.2.8\nsub NS ns1.sub\nns1.sub A 127.0.0.1\n";
const OTHER: &str =
    "@ NS ns1\nns1 A 127.0.0.1\nlb 30 A 198.51.100.2\nlb 30 A 198.51.100.1\nback CNAME front.shop.test.\n";

/// A text that fits in no packet.
fn long() -> String {
    let pieces: Vec<String> = (0..12).map(|n| format!("\"{}\"", format!("{n:02}").repeat(100))).collect();
    format!("long TXT {}\n", pieces.join(" "))
}

fn record<'a>(seen: &'a Seen, name: &str) -> &'a serde_json::Map<String, Value> {
    let found = seen.records.iter().find(|record| record.kind == "name" && record.name == name);
    &found.unwrap_or_else(|| panic!("no {name} in {:?}", seen.records)).fields
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_recorded_as_their_authorities_have_them_and_a_changed_ttl_is_told() {
    let (shop, other) = (place(), place());
    let shop_zone = zone(1, &format!("{SHOP}{}", long()));
    let server = NameServer::authority(shop, &[("shop.test", &shop_zone)]).await;
    let _other = NameServer::authority(other, &[("other.test", &zone(1, OTHER))]).await;
    let local = local(&format!(
        "      dns:\n      - {{zone: shop.test, servers: ['{shop}'],\n         names: ['@', www, _sip._tcp, '*.apps', x.apps, long, gone, mail]}}\n\
         \x20     - {{zone: other.test, servers: ['{other}'], names: [lb], types: [A]}}\n"
    ));
    local.run(&["check"]).exits(0).says("gone.shop.test").says("does not exist").says("2 streams").exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_zones_say_is_recorded_name_by_name() {
    let (shop, other) = (place(), place());
    let shop_zone = zone(1, &format!("{SHOP}{}", long()));
    let _shop = NameServer::authority(shop, &[("shop.test", &shop_zone)]).await;
    let _other = NameServer::authority(other, &[("other.test", &zone(1, OTHER))]).await;
    let asked = ["@", "www", "_sip._tcp", "*.apps", "x.apps", "long", "gone", "slow"];
    let zones = vec![names("shop.test", &asked, &[shop]), names("other.test", &["lb"], &[other])];
    let seen = look(zones.clone()).await.unwrap();
    assert_eq!(seen.records.len(), 11);

    let apex = record(&seen, "shop.test");
    assert_eq!(apex["zone"], "shop.test.");
    let data = |kind: &str| &apex["records"][kind]["data"];
    assert_eq!(data("A"), &json!(["192.0.2.1"]));
    assert_eq!(data("MX"), &json!(["10 mail.shop.test."]));
    assert_eq!(data("TXT"), &json!([r#""v=spf1 -all""#]));
    assert_eq!(data("CAA"), &json!([r#"0 issue "ca.example""#]));
    assert_eq!(data("NS"), &json!(["ns1.shop.test."]));
    assert_eq!(apex["records"]["A"]["ttl"], 300);
    assert_eq!(record(&seen, "_sip._tcp.shop.test")["records"]["SRV"]["data"], json!(["1 2 5060 www.shop.test."]));
    assert_eq!(record(&seen, "*.apps.shop.test")["records"]["A"]["data"], json!(["192.0.2.7"]));
    assert_eq!(record(&seen, "x.apps.shop.test")["records"]["A"]["data"], json!(["192.0.2.7"]));

    // An alias: each step at the step's own authority, with the TTL that it gives.
    let www = record(&seen, "www.shop.test");
    assert_eq!(www["records"]["CNAME"], json!({"ttl": 60, "data": ["lb.other.test."]}));
    let chain = json!([{"name": "lb.other.test.", "zone": "other.test.", "authoritative": true, "exists": true,
        "records": {"A": {"ttl": 30, "data": ["198.51.100.1", "198.51.100.2"]}}}]);
    assert_eq!(www["chain"], chain);

    let long = &record(&seen, "long.shop.test")["records"]["TXT"]["data"][0];
    assert!(long.as_str().unwrap().len() > 2400, "over TCP, whole: {long}");

    assert_eq!(record(&seen, "gone.shop.test")["exists"], false);
    let zone_record = seen.records.iter().find(|record| record.kind == "zone" && record.name == "shop.test").unwrap();
    let soa = &zone_record.fields["records"]["SOA"];
    assert_eq!(soa["data"], json!(["ns1.shop.test. hostmaster.shop.test. 3600 600 86400 60"]), "without the serial");

    let said: Vec<String> = seen.findings.iter().map(|f| format!("{}: {}", f.subject, f.message)).collect();
    assert!(said.iter().any(|line| line.contains("gone.shop.test: does not exist")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("slow.shop.test") && line.contains("86400 s")), "{said:?}");
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(look(zones).await.unwrap(), seen, "the same again, to the last field");
}
