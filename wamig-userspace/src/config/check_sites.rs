//! The parts of the configuration that are about other sites: peers, servers, hosting.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::address::{self, BadRange};
use super::check::Check;
use super::file::{self, File, Text};
use super::{Lan, Peering};
use crate::migration::config::{AddressRange, Family, GuestPolicy, Hosting, Server};
use crate::migration::cookie;
use crate::peer::{Fingerprint, PeerConfig};

/// Most transfer addresses that a site may set aside.
const MAX_POOL: u64 = 4096;

impl Check<'_, '_> {
    pub(super) fn peering(&mut self, peering: &file::Peering) -> Option<Peering> {
        let listen = self.listen(&peering.listen);
        let certificate = self.existing(&peering.certificate);
        let private_key = self.existing(&peering.private_key);
        Some(Peering { listen: listen?, certificate: certificate?, private_key: private_key? })
    }

    /// Without `[peering]` there must be no peer.
    pub(super) fn no_peer(&mut self, peers: &[Spanned<file::Peer>]) -> Option<()> {
        match peers.first() {
            None => Some(()),
            Some(peer) => self.wrong(
                peer.span(),
                "there is a peer but no [peering]",
                "needed: [peering] with listen, certificate and private_key",
            ),
        }
    }

    pub(super) fn listen(&mut self, text: &Text) -> Option<SocketAddr> {
        let allowed = "allowed: address:port, as in \"192.0.2.1:7946\" or \"[2001:db8::1]:7946\"";
        let address: SocketAddr = self.read(text, "an address with a TCP port", allowed)?;
        if address.port() == 0 {
            return self.wrong(text.span(), "port 0 cannot be reached", "allowed: 1 to 65535; wamig's own is 7946");
        }
        Some(address)
    }

    /// `HOST:PORT`; the host may be a name, which is looked up when it is dialled.
    fn endpoint(&mut self, text: &Text) -> Option<String> {
        let s = text.get_ref();
        let is_name = |host: &str| {
            (1..=253).contains(&host.len()) && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let good = match s.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok_and(|p| p != 0) => {
                s.parse::<SocketAddr>().is_ok()
                    || is_name(host) && !host.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            }
            _ => false,
        };
        if good {
            return Some(s.clone());
        }
        self.wrong(
            text.span(),
            format!("{s:?} is not a host with a TCP port"),
            "allowed: host:port, as in \"192.0.2.1:7946\", \"[2001:db8::1]:7946\" or \"gw.dc1.example:7946\"",
        )
    }

    pub(super) fn existing(&mut self, text: &Text) -> Option<PathBuf> {
        let path = self.relative(text.get_ref());
        match std::fs::File::open(&path).and_then(|f| f.metadata()) {
            Ok(meta) if meta.is_file() => Some(path),
            Ok(_) => self.wrong(
                text.span(),
                format!("{} is not a file", path.display()),
                "needed: a PEM file; `wamig keygen` makes certificate and key",
            ),
            Err(e) => self.wrong(
                text.span(),
                format!("{} cannot be read: {e}", path.display()),
                "needed: a PEM file; `wamig keygen` makes certificate and key",
            ),
        }
    }

    pub(super) fn peers(&mut self, peers: &[Spanned<file::Peer>], own: Option<&str>) -> Option<Vec<PeerConfig>> {
        let mut good = Some(());
        let mut checked: Vec<PeerConfig> = Vec::new();
        for peer in peers.iter().map(Spanned::get_ref) {
            let name = self.site_name(&peer.name);
            let endpoint = self.endpoint(&peer.endpoint);
            let fingerprint = self.fingerprint(&peer.fingerprint);
            let (Some(name), Some(endpoint), Some(fingerprint)) = (name, endpoint, fingerprint) else {
                good = None;
                continue;
            };
            if own == Some(name.as_str()) {
                good = self.wrong(peer.name.span(), "this is the site itself", "allowed: names of other sites");
            } else if checked.iter().any(|p| p.name == name) {
                good = self.wrong(peer.name.span(), format!("peer {name:?} is named twice"), "allowed: each peer once");
            } else if let Some(other) = checked.iter().find(|p| p.fingerprint == fingerprint) {
                good = self.wrong(
                    peer.fingerprint.span(),
                    format!("peer {:?} has this certificate already", other.name),
                    "needed: each site's own, made by `wamig keygen` there",
                );
            } else {
                checked.push(PeerConfig { name, endpoint, fingerprint });
            }
        }
        good.map(|()| checked)
    }

    pub(super) fn fingerprint(&mut self, text: &Text) -> Option<Fingerprint> {
        self.read(
            text,
            "a certificate's fingerprint",
            "allowed: \"sha256:\" and 64 hexadecimal digits, as `wamig keygen` prints them at the peer's site",
        )
    }

    /// A peer named outside `[[peer]]`.
    fn known_peer(&mut self, name: &Text, peers: &[Spanned<file::Peer>]) -> Option<String> {
        let known: Vec<&str> = peers.iter().map(|p| p.get_ref().name.get_ref().as_str()).collect();
        if known.contains(&name.get_ref().as_str()) {
            return Some(name.get_ref().clone());
        }
        let allowed = if known.is_empty() {
            "needed: a [[peer]] of this name; there is none at all".to_owned()
        } else {
            format!("allowed ([[peer]]): {}", known.join(", "))
        };
        self.wrong(name.span(), format!("{:?} is not a configured peer", name.get_ref()), allowed)
    }

    pub(super) fn servers(&mut self, file: &File, lan: Option<&Lan>, hosting: Option<&Hosting>) -> Option<Vec<Server>> {
        let mut good = Some(());
        let mut checked: Vec<Server> = Vec::new();
        for server in file.server.iter().map(Spanned::get_ref) {
            let address = self.server_address(&server.address, lan, hosting);
            let mac = self.mac(&server.mac);
            let hosts = self.hosts(&server.hosts, &file.peer);
            let (Some(address), Some(mac), Some(hosts)) = (address, mac, hosts) else {
                good = None;
                continue;
            };
            let tag = cookie::tag(address);
            if checked.iter().any(|s| s.address == address) {
                let what = format!("server {address} is named twice");
                good = self.wrong(server.address.span(), what, "allowed: each server once");
            } else if let Some(other) = checked.iter().find(|s| cookie::tag(s.address) == tag) {
                let what = format!("the flows of {address} and {} would have the same cookies", other.address);
                good = self.wrong(server.address.span(), what, "needed: another address for one of the two");
            } else {
                checked.push(Server { address, mac, hosts });
            }
        }
        good.map(|()| checked)
    }

    fn server_address(&mut self, text: &Text, lan: Option<&Lan>, hosting: Option<&Hosting>) -> Option<IpAddr> {
        let address: IpAddr = self.read(text, "an IP address", "allowed: the server's address on this LAN")?;
        if let Some(lan) = lan {
            if !lan.subnets.iter().any(|s| address::is_host(s.prefix, address)) {
                return self.wrong(
                    text.span(),
                    format!("server {address} is not a host's address in {}", prefixes(lan)),
                    "allowed: servers whose home is this LAN; a server that comes from elsewhere is its home's to list",
                );
            }
            if lan.subnets.iter().any(|s| s.gateway == address) {
                return self.wrong(text.span(), "this is the gateway's address", "allowed: a server's own");
            }
        }
        if let Some(span) = hosting.and_then(|h| h.pool.iter().find(|s| s.contains(address))) {
            return self.wrong(
                text.span(),
                format!("server {address} is inside the pool of transfer addresses {span}"),
                "needed: a pool of addresses that no host uses",
            );
        }
        Some(address)
    }

    fn hosts(&mut self, hosts: &Spanned<Vec<Text>>, peers: &[Spanned<file::Peer>]) -> Option<Vec<String>> {
        let mut good = self.not_empty(hosts, "the peers that may host this server");
        let mut names: Vec<String> = Vec::new();
        for host in hosts.get_ref() {
            match self.known_peer(host, peers) {
                None => good = None,
                Some(name) if names.contains(&name) => {
                    good = self.wrong(host.span(), format!("{name:?} is named twice"), "allowed: each peer once");
                }
                Some(name) => names.push(name),
            }
        }
        good.map(|()| names)
    }

    pub(super) fn hosting(
        &mut self,
        hosting: &file::Hosting,
        file: &File,
        ports: &[&str],
        lan: Option<&Lan>,
    ) -> Option<Hosting> {
        let hosting_ports = self.hosting_ports(&hosting.ports, ports, lan);
        let pool = self.pool(&hosting.pool, lan);
        let rest = Hosting::default().quarantine.as_secs();
        let quarantine = self.number(hosting.quarantine_s.as_ref(), rest, 0, 86_400, "seconds");
        let mut guests = Some(Vec::new());
        for guest in &hosting.guest {
            match (self.guest(guest, file, lan), &mut guests) {
                (Some(g), Some(list)) if list.iter().any(|o: &GuestPolicy| o.peer == g.peer) => {
                    let what = format!("{:?} is a guest twice", g.peer);
                    guests = self.wrong(guest.peer.span(), what, "allowed: each peer once, with all its prefixes");
                }
                (Some(g), Some(list)) => list.push(g),
                _ => guests = None,
            }
        }
        let (pool, size) = pool?;
        let ready =
            self.number(hosting.ready.as_ref(), (Hosting::default().ready as u64).min(size), 1, size, "addresses");
        Some(Hosting {
            ports: hosting_ports?,
            pool,
            quarantine: Duration::from_secs(quarantine?),
            ready: ready? as usize,
            guests: guests?,
        })
    }

    fn hosting_ports(
        &mut self,
        list: &Spanned<Vec<Text>>,
        ports: &[&str],
        lan: Option<&Lan>,
    ) -> Option<Vec<wamig_openflow::PortNo>> {
        let mut good = self.not_empty(list, "the ports that guests may appear on");
        let mut numbers = Vec::new();
        for name in list.get_ref() {
            match self.port(name, ports) {
                None => good = None,
                Some(port) if numbers.contains(&port) => {
                    let what = format!("port {:?} is named twice", name.get_ref());
                    good = self.wrong(name.span(), what, "allowed: each port once");
                }
                Some(port) if lan.is_some_and(|l| l.uplink == port) => {
                    good = self.wrong(
                        name.span(),
                        format!("{:?} is the uplink", name.get_ref()),
                        "allowed: ports that lead to guests and to nothing else",
                    );
                }
                Some(port) => numbers.push(port),
            }
        }
        good.map(|()| numbers)
    }

    /// The pool, and how many addresses of one family it has at most.
    fn pool(&mut self, pool: &Spanned<Vec<Text>>, lan: Option<&Lan>) -> Option<(Vec<AddressRange>, u64)> {
        let mut good =
            self.not_empty(pool, "addresses of this LAN that no host uses, as in [\"192.0.2.200-192.0.2.209\"]");
        let mut spans: Vec<AddressRange> = Vec::new();
        for text in pool.get_ref() {
            match self.pool_span(text, lan, &spans) {
                Some(span) => spans.push(span),
                None => good = None,
            }
        }
        let of = |family| spans.iter().filter(move |s| s.family() == family).map(|s| s.size());
        let sizes = Family::ALL.map(|family| of(family).fold(0u128, u128::saturating_add));
        let size = sizes[0].saturating_add(sizes[1]);
        if size > u128::from(MAX_POOL) {
            return self.wrong(
                pool.span(),
                format!("{size} transfer addresses are too many"),
                format!("allowed: {MAX_POOL}"),
            );
        }
        let most = sizes[0].max(sizes[1]) as u64;
        good.map(|()| (spans, most))
    }

    fn pool_span(&mut self, text: &Text, lan: Option<&Lan>, before: &[AddressRange]) -> Option<AddressRange> {
        let at = text.span();
        let span = match address::range(text.get_ref()) {
            Ok(span) => span,
            Err(e) => {
                let what = match e {
                    BadRange::Form => format!("{:?} is not a range of IP addresses", text.get_ref()),
                    BadRange::Backwards => format!("{:?} ends before it begins", text.get_ref()),
                };
                return self.wrong(at, what, "allowed: first-last or one address, as in \"192.0.2.200-192.0.2.209\"");
            }
        };
        if let Some(other) = before.iter().find(|s| s.overlaps(span)) {
            let what = format!("{span} overlaps {other}");
            return self.wrong(at, what, "allowed: each address once");
        }
        let Some(lan) = lan else { return Some(span) };
        let holds = |p| address::is_host(p, span.first()) && address::is_host(p, span.last());
        if !lan.subnets.iter().any(|s| holds(s.prefix)) {
            let not: Vec<_> = lan.subnets.iter().flat_map(|s| address::reserved(s.prefix)).collect();
            let not = not.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
            return self.wrong(
                at,
                format!("{span} is not inside the LAN {}", prefixes(lan)),
                format!("allowed: addresses of the LAN, not {not}"),
            );
        }
        if let Some(subnet) = lan.subnets.iter().find(|s| span.contains(s.gateway)) {
            return self.wrong(
                at,
                format!("{span} contains the gateway {}", subnet.gateway),
                "allowed: addresses that no host uses",
            );
        }
        Some(span)
    }

    pub(super) fn listen_outside_pool(&mut self, peering: &Peering, hosting: &Hosting, listen: Range<usize>) {
        let own = peering.listen;
        if let Some(span) = hosting.pool.iter().find(|s| s.contains(own.ip())) {
            self.mistakes.add(
                listen,
                format!("wamig's own address {} is inside the pool of transfer addresses {span}", own.ip()),
                "needed: a pool of addresses that no host uses",
            );
        }
    }

    fn guest(&mut self, guest: &file::Guest, file: &File, lan: Option<&Lan>) -> Option<GuestPolicy> {
        let peer = self.known_peer(&guest.peer, &file.peer);
        let mut good = self.not_empty(&guest.prefixes, "the prefixes that this peer's servers have at their home");
        let mut prefixes = Vec::new();
        for text in guest.prefixes.get_ref() {
            let Some(prefix) = self.prefix(text) else {
                good = None;
                continue;
            };
            match lan.and_then(|l| l.subnets.iter().find(|s| address::overlap(prefix, s.prefix))) {
                Some(own) => {
                    good = self.wrong(
                        text.span(),
                        format!("{prefix} overlaps this LAN, {}", own.prefix),
                        "allowed: prefixes of the peer's own LAN",
                    );
                }
                None => prefixes.push(prefix),
            }
        }
        let max = self.number(guest.max.as_ref(), 16, 1, MAX_POOL, "servers");
        good?;
        Some(GuestPolicy { peer: peer?, prefixes, max: max? as usize })
    }
}

/// The LAN's prefixes, as a person writes them.
fn prefixes(lan: &Lan) -> String {
    lan.subnets.iter().map(|s| s.prefix.to_string()).collect::<Vec<_>>().join(" and ")
}
