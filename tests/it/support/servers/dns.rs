//! BIND, as an authority of zones or as somebody's resolver, on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;

use lifeboat::source::outside::Look as _;
use lifeboat::source::outside::dns::{Dns, ZoneNames};

use super::process::{Process, free_port, program};

pub struct NameServer {
    pub address: SocketAddr,
    process: Process,
}

/// What a zone's file begins with.
pub fn zone(serial: u32, records: &str) -> String {
    format!("$TTL 300\n@ IN SOA ns1 hostmaster {serial} 3600 600 86400 60\n{records}\n")
}

impl NameServer {
    /// An authority of these zones (name, file); it answers nothing else.
    pub async fn authority(address: SocketAddr, zones: &[(&str, &str)]) -> Self {
        Self::start(address, "recursion no;", zones, "").await
    }

    /// The same on port 53 of an address that the machine has only in so far as all of 127.0.0.0/8 is loopback. BIND
    /// listens on none of them, so that packets are handed on.
    pub async fn behind(door: SocketAddr, zones: &[(&str, &str)]) -> Self {
        let server = Self::authority(place(), zones).await;
        let (outer, address) = (UdpSocket::bind(door).unwrap(), server.address);
        // Ends with the test's process: it holds nothing but sockets.
        std::thread::spawn(move || {
            let mut packet = [0; 4096];
            while let Ok((length, from)) = outer.recv_from(&mut packet) {
                let inner = UdpSocket::bind("127.0.0.1:0").unwrap();
                inner.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
                inner.send_to(&packet[..length], address).unwrap();
                if let Ok(length) = inner.recv(&mut packet) {
                    let _ = outer.send_to(&packet[..length], from);
                }
            }
        });
        server
    }

    /// Answers for every name: asks the server of each zone, and knows of no other name that it is anything.
    pub async fn resolver(address: SocketAddr, zones: &[(&str, IpAddr)]) -> Self {
        let stub = |(name, server): &(&str, IpAddr)| {
            format!("zone \"{name}\" {{ type static-stub; server-addresses {{ {server}; }}; }};\n")
        };
        let stubs: String = zones.iter().map(stub).collect();
        let root = zone(1, "@ NS ns1\nns1 A 127.0.0.1");
        Self::start(address, "recursion yes; allow-recursion { any; };", &[(".", &root)], &stubs).await
    }

    async fn start(address: SocketAddr, options: &str, zones: &[(&str, &str)], further: &str) -> Self {
        let process = Process::start("named", |dir| {
            let own: String = zones
                .iter()
                .map(|(name, text)| {
                    std::fs::write(dir.join(file(name)), text).unwrap();
                    format!("zone \"{name}\" {{ type primary; file \"{}\"; }};\n", file(name))
                })
                .collect();
            let (ip, port, folder) = (address.ip(), address.port(), dir.display());
            let config = format!(
                "options {{ directory \"{folder}\"; pid-file none; session-keyfile \"{folder}/session.key\"; \
                 listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; query-source address 127.0.0.1; \
                 dnssec-validation no; empty-zones-enable no; notify no; minimal-responses no; {options} }};\n\
                 controls {{ }};\n{own}{further}"
            );
            std::fs::write(dir.join("named.conf"), config).unwrap();
            let mut command = Command::new(program("LIFEBOAT_TEST_NAMED"));
            command.args(["-g", "-n", "1", "-c"]).arg(dir.join("named.conf"));
            command
        });
        let server = Self { address, process };
        server.process.until(|| async { server.process.log().contains(" running\n").then_some(()) }).await;
        server
    }

    /// Another text of that zone, with a higher serial.
    pub async fn set(&self, name: &str, text: &str) {
        std::fs::write(self.process.dir.join(file(name)), text).unwrap();
        let loaded = || self.process.log().matches("all zones loaded").count();
        let before = loaded();
        let pid = std::fs::read_to_string(self.process.dir.join("pid")).unwrap();
        assert!(Command::new("kill").args(["-HUP", pid.trim()]).status().unwrap().success());
        self.process.until(|| async { (loaded() > before).then_some(()) }).await;
    }
}

fn file(zone: &str) -> String {
    format!("zone{zone}.db")
}

/// A loopback address and a port that nobody listens on.
pub fn place() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(0)))
}

/// A loopback address on which port 53 is free, where this process may take it.
pub fn well_known(n: u8) -> Option<SocketAddr> {
    let id = std::process::id();
    let free = |m: u8| {
        let [.., high, low] = (id.wrapping_mul(7).wrapping_add(u32::from(m) * 11)).to_be_bytes();
        let address = SocketAddr::from((Ipv4Addr::new(127, 100 + n, high, low.clamp(1, 254)), 53));
        UdpSocket::bind(address).is_ok().then_some(address)
    };
    let found = (0..50).find_map(free);
    if found.is_none() {
        eprintln!(
            "LEFT OUT: port 53 of a loopback address cannot be taken; run as root to have authorities found by NS"
        );
    }
    found
}

pub fn names(zone: &str, names: &[&str], servers: &[SocketAddr]) -> ZoneNames {
    let types = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"].map(str::to_owned).to_vec();
    let whole = |name: &&str| if *name == "@" { zone.to_owned() } else { format!("{name}.{zone}") };
    ZoneNames {
        zone: zone.into(),
        names: names.iter().map(whole).collect(),
        types,
        servers: servers.to_vec(),
        resolver: None,
    }
}

pub async fn look(zones: Vec<ZoneNames>) -> Result<lifeboat::source::outside::Seen, lifeboat::model::SourceFailure> {
    Dns { zones }.look(&lifeboat::context::Context::silent()).await
}
