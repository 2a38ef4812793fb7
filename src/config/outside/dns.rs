//! Names of DNS whose records are recorded.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::check::Checker;

/// What is asked of a name unless the policy says otherwise.
const DEFAULT_TYPES: [&str; 8] = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"];
const TYPES: [&str; 14] =
    ["A", "AAAA", "CAA", "CNAME", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SRV", "SSHFP", "SVCB", "TLSA", "TXT"];
const PORT: u16 = 53;

/// Some names of one zone, as its own servers have them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ZoneField {
    /// Its servers and SOA are recorded, too.
    #[schemars(with = "String", example = &"example.com")]
    pub zone: Spanned<String>,
    /// Relative to the zone: `@` is the zone itself, `*` its wildcard.
    #[schemars(with = "Vec<String>", length(min = 1), example = ["@", "circleci", "app.circleci"])]
    pub names: Spanned<Vec<Spanned<String>>>,
    /// Types of records that are asked for. Default: A AAAA CAA CNAME MX NS SRV TXT. Aliases are followed in any case.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", length(min = 1), example = ["A", "AAAA"])]
    pub types: Option<Spanned<Vec<Spanned<String>>>>,
    /// Servers to ask, address and perhaps port. Left out: those that the zone has, found through the resolver.
    #[serde(default)]
    #[schemars(with = "Vec<String>", example = ["192.0.2.53", "127.0.0.1:5353"])]
    pub servers: Vec<Spanned<String>>,
    /// Who is asked where the servers of zones are, address and perhaps port. Left out: the resolver of the system.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"192.0.2.1")]
    pub resolver: Option<Spanned<String>>,
}

/// Some names of one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsZone {
    /// In lower case, without the dot of the root.
    pub zone: String,
    /// Whole names, in lower case, without the dot of the root; at least one, none twice.
    pub names: Vec<String>,
    pub types: Vec<String>,
    /// Empty: those that the resolver knows.
    pub servers: Vec<SocketAddr>,
    /// None: the system's.
    pub resolver: Option<SocketAddr>,
}

impl Checker<'_> {
    pub(super) fn dns(&mut self, list: Vec<ZoneField>) -> Vec<DnsZone> {
        let mut zones: Vec<DnsZone> = Vec::new();
        for field in list {
            let zone = plain(&field.zone.value);
            if let Some(wrong) = not_a_name(&zone) {
                self.wrong(&field.zone, format!("`{}` is no zone: {wrong}", field.zone.value), Some("example.com"));
            } else if zones.iter().any(|known| known.zone == zone) {
                let cure = "name all of its names in one entry";
                self.wrong(&field.zone, format!("zone `{zone}` is there twice"), Some(cure));
            }
            let names = self.names(&zone, &field.names);
            let types = match &field.types {
                Some(types) => self.types(types),
                None => DEFAULT_TYPES.map(str::to_owned).to_vec(),
            };
            let servers = field.servers.iter().filter_map(|server| self.server(server)).collect();
            let resolver = field.resolver.as_ref().and_then(|server| self.server(server));
            zones.push(DnsZone { zone, names, types, servers, resolver });
        }
        zones
    }

    fn names(&mut self, zone: &str, list: &Spanned<Vec<Spanned<String>>>) -> Vec<String> {
        self.not_empty(list, "name at least one, `@` is the zone itself");
        let mut names: Vec<String> = Vec::new();
        for typed in &list.value {
            let name = match typed.value.as_str() {
                "@" => zone.to_owned(),
                // A whole name would otherwise silently mean one below the zone.
                text if text.ends_with('.') || format!(".{}", plain(text)).ends_with(&format!(".{zone}")) => {
                    let cure = "write names without the zone: `app`, not `app.example.com`; `@` is the zone itself";
                    self.wrong(typed, format!("`{text}` is not relative to zone `{zone}`"), Some(cure));
                    continue;
                }
                text => format!("{}.{zone}", plain(text)),
            };
            if let Some(wrong) = not_a_name(&name) {
                self.wrong(typed, format!("`{}` is no name: {wrong}", typed.value), None);
            } else if names.contains(&name) {
                self.wrong(typed, format!("name `{}` is there twice", typed.value), None);
            }
            names.push(name);
        }
        names
    }

    fn types(&mut self, list: &Spanned<Vec<Spanned<String>>>) -> Vec<String> {
        self.not_empty(list, "the usual ones are to leave `types` out");
        for kind in &list.value {
            if !TYPES.contains(&kind.value.as_str()) {
                let cure = format!("known here: {} (the SOA is part of the zone's own record)", TYPES.join(" "));
                self.wrong(kind, format!("`{}` is no type of records that is recorded", kind.value), Some(&cure));
            }
        }
        list.value.iter().map(|kind| kind.value.clone()).collect()
    }

    /// An address, with or without a port.
    fn server(&mut self, typed: &Spanned<String>) -> Option<SocketAddr> {
        let text = &typed.value;
        let plain = || text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT));
        let address = text.parse::<SocketAddr>().ok().or_else(plain);
        if address.is_none() {
            let cure = "192.0.2.53, 127.0.0.1:5353, 2001:db8::53, [2001:db8::53]:5353";
            self.wrong(typed, format!("`{text}` is no address of a server"), Some(cure));
        }
        address
    }
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// What is wrong with a whole name.
fn not_a_name(name: &str) -> Option<&'static str> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    let is_label = |(n, label): (usize, &str)| {
        (1..=63).contains(&label.len()) && (label.bytes().all(inner) || n == 0 && label == "*")
    };
    if name.len() > 253 {
        Some("it is longer than 253 bytes")
    } else if !name.is_ascii() {
        Some("write other alphabets as DNS has them (xn--...)")
    } else if !name.split('.').enumerate().all(is_label) {
        Some("its labels are 1 to 63 letters, digits, hyphens and underscores; `*` only comes first")
    } else {
        None
    }
}
