//! DNS at its authorities: real zones on real servers. Needs BIND.

use serde_json::{Value, json};

use super::local;
use crate::support::servers::dns::{NameServer, look, names, place, well_known, zone};
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
    local.run(&["check"]).exits(0).says("gone.shop.test").says("does not exist").says("recorded, not copied");
    local.run(&["plan", "backup"]).exits(0).says("streams: dns");
    let run = local.backup_on(&local.repo());
    local.run(&["list"]).exits(0).says(&run[..10]);
    local.run(&["show", "latest"]).exits(0).says("dns").says("name").says("zone");
    local.run(&["verify", "latest", "--level", "opened"]).exits(0);
    let records = local.run(&["cat", "latest", "outside", "dns"]).exits(0).out;
    assert!(records.starts_with("{\"kind\":\"name\",\"name\":\"*.apps.shop.test\","), "{records}");
    assert_eq!(records.lines().count(), 11);
    local.run(&["diff", "latest", "live"]).exits(0).says("outside (outside): the same").says("11 the same");

    // One TTL, one address, one name more.
    let changed = shop_zone.replace("www 60 CNAME", "www 3600 CNAME").replace("A 192.0.2.25", "A 192.0.2.26");
    server.set("shop.test", &zone_with_serial_2(&format!("{changed}gone A 192.0.2.9\n"))).await;
    let said = local.run(&["diff", "latest", "live"]).exits(0);
    said.says("0 added, 0 removed, 3 changed, 8 the same")
        .says("~ dns: name www.shop.test")
        .says("/records/CNAME/ttl: 60 -> 3600")
        .says("~ dns: name mail.shop.test")
        .says("/records/A/data/0: \"192.0.2.25\" -> \"192.0.2.26\"")
        .says("/exists: false -> true");
    local.backup_on(&local.repo());
    local.run(&["diff", &run, "latest"]).exits(0).says("/records/CNAME/ttl: 60 -> 3600");

    // Two days without a change are the same bytes.
    let report: Value = serde_json::from_str(&local.run(&["backup", "--json"]).exits(0).out).unwrap();
    let source = &report["sources"][0];
    assert_eq!(source["chunks"], source["reused_chunks"], "{report}");

    // Nobody answers any more: nothing is recorded, and everything that is missing is said.
    drop(server);
    let said = local.run(&["backup"]).exits(1);
    said.says("zone shop.test: none of its servers answers for it").says(&shop.to_string());
    local.run(&["check"]).exits(5).says("zone shop.test");
}

fn zone_with_serial_2(text: &str) -> String {
    text.replacen("hostmaster 1 ", "hostmaster 2 ", 1)
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

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_answer_as_an_authority_is_named_with_the_cure() {
    let (own, dumb) = (place(), place());
    let loops = "@ NS ns1\nns1 A 127.0.0.1\na CNAME b\nb CNAME c\nc CNAME a\n";
    let long: String = (0..15).map(|n| format!("n{n} CNAME n{}\n", n + 1)).collect();
    let (loops, other) = (zone(1, &format!("{loops}{long}")), zone(1, OTHER));
    let _own = NameServer::authority(own, &[("loop.test", &loops), ("other.test", &other)]).await;
    let _lame = NameServer::resolver(dumb, &[("other.test", "127.0.0.1".parse().unwrap())]).await;
    let gone = place();
    for (asked, words, cure) in [
        (names("other.test", &["lb"], &[gone]), "cannot be reached", "see that it runs"),
        (names("unknown.test", &["lb"], &[own]), "answers REFUSED", "allow-query"),
        (names("lb.other.test", &["@"], &[own]), "it belongs to other.test.", "write `zone: other.test`"),
        (
            names("loop.test", &["a"], &[own]),
            "a.loop.test -> b.loop.test -> c.loop.test -> a.loop.test",
            "mend the CNAME",
        ),
        (names("loop.test", &["n0"], &[own]), "over more than 10 steps", "mend the CNAME"),
    ] {
        let failure = look(vec![asked]).await.unwrap_err();
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(failure.cure.as_deref().unwrap().contains(cure), "{:?}", failure.cure);
    }
    // A resolver's word is nobody's own, and of zones that fail all are named.
    let lame = names("other.test", &["lb"], &[dumb]);
    let failure = look(vec![lame, names("unknown.test", &["x"], &[own]), names("loop.test", &["a"], &[own])]).await;
    let failure = failure.unwrap_err().to_string();
    for words in ["3 things", "zone other.test", "zone unknown.test", "name a.loop.test"] {
        assert!(failure.contains(words), "{failure}");
    }
    // One of two servers is enough, and the other one is said.
    let seen = look(vec![names("other.test", &["lb"], &[gone, own])]).await.unwrap();
    assert_eq!(seen.records.len(), 2);
    assert!(seen.findings[0].message.contains(&gone.to_string()), "{:?}", seen.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_disagree_are_recorded_and_said() {
    let (one, two) = (place(), place());
    let text = |address: &str| zone(1, &format!("@ NS ns1\nns1 A 127.0.0.1\nwww A {address}\n"));
    let _one = NameServer::authority(one, &[("shop.test", &text("192.0.2.1"))]).await;
    let _two = NameServer::authority(two, &[("shop.test", &text("192.0.2.2"))]).await;
    let seen = look(vec![names("shop.test", &["www"], &[one, two])]).await.unwrap();
    let www = record(&seen, "www.shop.test");
    let (first, second) = if one.to_string() < two.to_string() { ("1", "2") } else { ("2", "1") };
    assert_eq!(www["records"]["A"]["data"], json!([format!("192.0.2.{first}")]));
    let other = www["otherwise"].as_object().unwrap().values().next().unwrap();
    assert_eq!(other["A"]["data"], json!([format!("192.0.2.{second}")]));
    assert!(seen.findings.iter().any(|finding| finding.message.contains("disagree")), "{:?}", seen.findings);
}

/// Three authorities on port 53, found as the world finds them.
#[tokio::test(flavor = "multi_thread")]
async fn authorities_are_found_by_their_ns_records() {
    let (Some(shop), Some(other), Some(sub)) = (well_known(1), well_known(2), well_known(3)) else { return };
    let dead = well_known(4).unwrap();
    let text = format!(
        "@ NS ns1\n@ NS ns2\nns1 A {}\nns2 A {}\nwww 60 CNAME lb.other.test.\nfar CNAME x.unreachable.test.\n\
         sub NS ns1.sub\nns1.sub A {}\n",
        shop.ip(),
        dead.ip(),
        sub.ip()
    );
    let of = |server: std::net::SocketAddr, more: &str| zone(1, &format!("@ NS ns1\nns1 A {}\n{more}", server.ip()));
    let _shop = NameServer::behind(shop, &[("shop.test", &zone(1, &text))]).await;
    let _other = NameServer::behind(other, &[("other.test", &of(other, "lb 30 A 198.51.100.1\n"))]).await;
    let _sub = NameServer::behind(sub, &[("sub.shop.test", &of(sub, "app 40 A 198.51.100.7\n"))]).await;
    let address = place();
    // Its one server is nowhere, but the resolver has it from somewhere else.
    let hidden = place_of_hidden(&of(dead, "x 50 A 198.51.100.9\n")).await;
    let zones = [("shop.test", shop.ip()), ("other.test", other.ip()), ("sub.shop.test", sub.ip())];
    let zones: Vec<_> = zones.into_iter().chain(hidden.as_ref().map(|(_, at)| ("unreachable.test", at.ip()))).collect();
    let _resolver = NameServer::resolver(address, &zones).await;
    let mut asked = names("shop.test", &["www", "app.sub", "far"], &[]);
    asked.types = vec!["A".into()];
    asked.resolver = Some(address);
    let seen = look(vec![asked]).await.unwrap();

    assert_eq!(record(&seen, "www.shop.test")["chain"][0]["zone"], "other.test.");
    assert_eq!(record(&seen, "www.shop.test")["chain"][0]["records"]["A"]["ttl"], 30);
    let app = record(&seen, "app.sub.shop.test");
    assert_eq!((&app["zone"], &app["records"]["A"]["ttl"]), (&json!("sub.shop.test."), &json!(40)));
    let far = &record(&seen, "far.shop.test")["chain"][0];
    assert_eq!(far["authoritative"], false);
    assert_eq!(far["records"]["A"], json!({"data": ["198.51.100.9"]}), "a resolver's TTL is nobody's");
    let said: Vec<String> = seen.findings.iter().map(|f| format!("{}: {}", f.subject, f.message)).collect();
    assert!(said.iter().any(|line| line.contains("ns2.shop.test") && line.contains("cannot be reached")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("as the resolver says")), "{said:?}");
}

/// An authority that its own NS records do not name.
async fn place_of_hidden(text: &str) -> Option<(NameServer, std::net::SocketAddr)> {
    let address = well_known(5)?;
    Some((NameServer::behind(address, &[("unreachable.test", text)]).await, address))
}

/// Somebody who answers faster than the server, with another number or to another question, is not heard; whoever says
/// nothing is waited for, and not for ever.
#[tokio::test(flavor = "multi_thread")]
async fn forged_and_missing_answers_are_no_answers() {
    let server = place();
    let _server = NameServer::authority(server, &[("other.test", &zone(1, OTHER))]).await;
    let forger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = forger.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 2048];
        while let Ok((length, from)) = forger.recv_from(&mut packet) {
            let own = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            own.send_to(&packet[..length], server).unwrap();
            let mut answer = [0; 2048];
            let length = own.recv(&mut answer).unwrap();
            let mut forged = answer;
            forged[1] ^= 1;
            let _ = forger.send_to(&forged[..length], from);
            let mut forged = answer;
            forged[13] ^= 1;
            let _ = forger.send_to(&forged[..length], from);
            let _ = forger.send_to(b"x", from);
            let _ = forger.send_to(&answer[..length], from);
        }
    });
    let honest = look(vec![names("other.test", &["lb"], &[server])]).await.unwrap();
    let seen = look(vec![names("other.test", &["lb"], &[at])]).await.unwrap();
    assert_eq!(record(&seen, "lb.other.test"), record(&honest, "lb.other.test"));

    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let failure = look(vec![names("other.test", &["lb"], &[silent.local_addr().unwrap()])]).await.unwrap_err();
    assert!(failure.to_string().contains("does not answer within 6 s"), "{failure}");
}

#[test]
fn what_is_no_zone_or_name_is_refused() {
    for (text, words) in [
        ("{zone: 'shop..test', names: ['@']}", "is no zone"),
        ("{zone: sh\u{f6}p.test, names: ['@']}", "xn--"),
        ("{zone: shop.test, names: []}", "the list is empty"),
        ("{zone: shop.test, names: [app.shop.test]}", "is not relative to zone"),
        ("{zone: shop.test, names: [a, A]}", "is there twice"),
        ("{zone: shop.test, names: ['a.*']}", "is no name"),
        ("{zone: shop.test, names: [a], types: [SOA]}", "is no type of records"),
        ("{zone: shop.test, names: [a], servers: [ns1.shop.test]}", "is no address of a server"),
        ("{zone: shop.test, names: [a]}, {zone: shop.test., names: [b]}", "is there twice"),
        ("{zone: shop.test}", "field `names` is missing"),
    ] {
        local(&format!("      dns: [{text}]\n")).run(&["check"]).exits(2).says(words);
    }
}
