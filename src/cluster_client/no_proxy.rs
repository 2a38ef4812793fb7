//! `NO_PROXY`, held against the API server's own address.
//!
//! The crate `kube` holds it against the proxy's, so that nobody is ever spared.

use std::net::IpAddr;

/// Whether an address is among those that are reached without a proxy.
pub(super) fn covers(no_proxy: &str, host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    no_proxy.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| matches(entry, &host))
}

fn matches(entry: &str, host: &str) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return match entry.split_once('/') {
            Some((network, bits)) => in_network(address, network, bits),
            None => without_port(entry).parse() == Ok(address),
        };
    }
    let name = without_port(entry).trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
    !name.is_empty() && (host == name || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.')))
}

/// `host:port`, but not the colons of an IPv6 address.
fn without_port(entry: &str) -> &str {
    match entry.split_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => entry.trim_start_matches('[').trim_end_matches(']'),
    }
}

fn in_network(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_networks_are_spared() {
        let list = "localhost, .internal.example.com,api.example.org:6443,10.0.0.0/8,192.0.2.7,2001:db8::/32,*.svc";
        for host in [
            "localhost",
            "a.internal.example.com",
            "internal.example.com",
            "api.example.org",
            "x.api.example.org",
            "10.1.2.3",
            "192.0.2.7",
            "[2001:db8::1]",
            "kubernetes.default.svc",
        ] {
            assert!(covers(list, host), "{host}");
        }
        for host in ["example.com", "notlocalhost", "11.0.0.1", "192.0.2.70", "2001:db9::1", "myapi.example.org"] {
            assert!(!covers(list, host), "{host}");
        }
        assert!(covers("*", "anything") && !covers("", "anything") && !covers("10.0.0.0/99", "10.0.0.1"));
        assert!(covers("0.0.0.0/0", "1.2.3.4"));
    }
}
