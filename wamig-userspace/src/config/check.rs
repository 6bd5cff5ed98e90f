//! From the file's keys to a [`Config`]: the switch, the LAN, numbers and paths. The parts
//! about other sites are in [`super::check_sites`].

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use wamig_openflow::{DatapathId, MacAddr};

use super::address::{self, BadPrefix};
use super::error::{ConfigError, Mistakes};
use super::file::{self, File, Number, Text};
use super::limits::SwitchLimits;
use super::{
    Config, Control, DEFAULT_PIN_PATH, DEFAULT_SOCKET, DEFAULT_STATE_DIR, Lan, Learning, NAME_MAX, Switch, switch_end,
};
use crate::fastpath::xdp::XdpMode;
use crate::migration::config::{Family, Hosting, Prefix, Subnet};
use crate::migration::prefix::is_link_local;
use crate::peer::identity::is_site_name;

/// Most ports that a switch may have.
pub(super) const MAX_PORTS: usize = wamig_common::limits::MAX_PORTS as usize;
/// Longest interface name that Linux takes, in bytes.
pub(super) const IFNAMSIZ: usize = 15;
/// Longest path of a unix socket that Linux takes, in bytes.
const SOCKET_PATH_MAX: usize = 107;

pub(super) fn check(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let mut mistakes = Mistakes::new(text);
    let config = match toml::from_str::<File>(text) {
        Ok(file) => Check { mistakes: &mut mistakes, dir: path.parent().unwrap_or(Path::new("")) }.whole(path, &file),
        Err(e) => {
            mistakes.add_toml(&e);
            None
        }
    };
    match (mistakes.finish(), config) {
        (None, Some(config)) => Ok(config),
        (mistakes, _) => Err(ConfigError::Mistakes { path: path.to_owned(), mistakes: mistakes.unwrap_or_default() }),
    }
}

pub(super) fn control_socket(path: &Path, text: &str) -> Result<PathBuf, ConfigError> {
    let mut mistakes = Mistakes::new(text);
    let socket = match toml::from_str::<file::SocketOnly>(text) {
        Ok(file) => Check { mistakes: &mut mistakes, dir: path.parent().unwrap_or(Path::new("")) }
            .socket(file.control_socket.as_ref()),
        Err(e) => {
            mistakes.add_toml(&e);
            None
        }
    };
    socket
        .ok_or_else(|| ConfigError::Mistakes { path: path.to_owned(), mistakes: mistakes.finish().unwrap_or_default() })
}

/// A check in progress. Methods return `None` exactly when they noted a mistake.
pub(super) struct Check<'m, 't> {
    pub(super) mistakes: &'m mut Mistakes<'t>,
    /// Directory of the file.
    dir: &'m Path,
}

impl Check<'_, '_> {
    fn whole(mut self, path: &Path, file: &File) -> Option<Config> {
        let site = self.site_name(&file.site);
        let state_dir = self.absolute(file.state_dir.as_ref(), DEFAULT_STATE_DIR);
        let control_socket = self.socket(file.control_socket.as_ref());
        let metrics = file.metrics.as_ref().map(|m| self.metrics(&m.listen));
        let switch = self.switch(&file.switch);
        // Ports are looked up among the well-formed ones, so that one bad name does not
        // make every mention of the others a mistake.
        let names: Vec<&str> = file.switch.ports.get_ref().iter().map(|p| p.get_ref().as_str()).collect();
        let control = self.control(file.switch.control.as_ref());
        let openflow = self.openflow(file.openflow.as_ref(), control);
        let lan = match (&file.lan, control) {
            (Some(lan), Some(Control::Embedded)) => self.lan(lan, &names).map(Some),
            (None, Some(Control::Embedded)) => {
                self.wrong(0..0, "missing key `lan`", "needed: [lan], as control is \"embedded\"")
            }
            _ => Some(None),
        };
        if control == Some(Control::OpenFlow) {
            self.only_embedded(file)?;
        }
        if file.switch.remote.is_some() || !file.switch.member.is_empty() {
            self.only_local(file)?;
        }
        let peers = self.peers(&file.peer, site.as_deref());
        let peering = file.peering.as_ref().map(|p| self.peering(p.get_ref()));
        if peering.is_none() {
            self.no_peer(&file.peer)?;
        }
        let hosting = file
            .hosting
            .as_ref()
            .map(|h| self.hosting(h.get_ref(), file, &names, lan.as_ref().and_then(Option::as_ref)));
        let hosting = hosting.unwrap_or_else(|| Some(Hosting::default()));
        let servers = self.servers(file, lan.as_ref().and_then(Option::as_ref), hosting.as_ref());
        if let (Some(hosting), Some(Some(peering)), Some(span)) =
            (&hosting, &peering, file.peering.as_ref().map(|p| p.get_ref().listen.span()))
        {
            self.listen_outside_pool(peering, hosting, span);
        }
        let learning = self.learning(&file.learning);
        let damping = self.damping(&file.damping);
        let timers = self.timers(&file.timers);
        let peer_timers = self.peer_timers(&file.timers);
        Some(Config {
            path: path.to_owned(),
            site: site?,
            state_dir: state_dir?,
            control_socket: control_socket?,
            metrics: match metrics {
                None => None,
                Some(checked) => Some(checked?),
            },
            switch: switch?,
            lan: lan?,
            openflow: openflow?,
            peering: match peering {
                None => None,
                Some(checked) => Some(checked?),
            },
            peers: peers?,
            servers: servers?,
            hosting: hosting?,
            learning: learning?,
            damping: damping?,
            timers: timers?,
            peer_timers: peer_timers?,
        })
    }

    /// `/metrics` asks nobody who he is.
    fn metrics(&mut self, text: &Text) -> Option<SocketAddr> {
        let address = self.listen(text)?;
        if address.ip().is_loopback() {
            return Some(address);
        }
        let what = format!("{} is not a loopback address", address.ip());
        self.wrong(text.span(), what, "allowed: 127.0.0.1 or [::1] with a port, since /metrics knows no passwords")
    }

    /// Notes a mistake.
    pub(super) fn wrong<T>(
        &mut self,
        span: Range<usize>,
        what: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Option<T> {
        self.mistakes.add(span, what, allowed);
        None
    }

    /// A site's name: it travels in certificates and messages.
    pub(super) fn site_name(&mut self, name: &Text) -> Option<String> {
        let s = name.get_ref();
        if is_site_name(s) {
            return Some(s.clone());
        }
        self.wrong(
            name.span(),
            format!("{s:?} is not a site's name"),
            "allowed: 1 to 63 letters, digits, '-', '_' or '.', not beginning with '.'",
        )
    }

    /// A text that `T` can read.
    pub(super) fn read<T: std::str::FromStr>(&mut self, text: &Text, what: &str, allowed: &str) -> Option<T> {
        match text.get_ref().parse() {
            Ok(value) => Some(value),
            Err(_) => self.wrong(text.span(), format!("{:?} is not {what}", text.get_ref()), allowed),
        }
    }

    /// A unicast MAC address.
    pub(super) fn mac(&mut self, text: &Text) -> Option<MacAddr> {
        let allowed = "allowed: six hexadecimal octets separated by colons, as in \"02:00:00:00:00:01\"";
        let mac: MacAddr = self.read(text, "a MAC address", allowed)?;
        if mac.is_multicast() || mac == MacAddr::ZERO {
            return self.wrong(
                text.span(),
                format!("{mac} cannot be a host's MAC address"),
                "allowed: a unicast address, i.e. its first octet is even, and not all zeros",
            );
        }
        Some(mac)
    }

    /// A prefix of either family.
    pub(super) fn prefix(&mut self, text: &Text) -> Option<Prefix> {
        match address::prefix(text.get_ref()) {
            Ok(prefix) => {
                let (widest, narrowest) = (widest(prefix.family()), prefix.family().bits());
                if prefix.len() >= widest {
                    return Some(prefix);
                }
                self.wrong(
                    text.span(),
                    format!("a prefix of {} bits is too wide", prefix.len()),
                    format!("allowed: {widest} to {narrowest} bits"),
                )
            }
            Err(BadPrefix::Form) => self.wrong(
                text.span(),
                format!("{:?} is not an IP prefix", text.get_ref()),
                "allowed: network/length, as in \"192.0.2.0/24\" or \"2001:db8:1::/64\"",
            ),
            Err(BadPrefix::HostBits(network)) => self.wrong(
                text.span(),
                format!("{:?} has host bits set", text.get_ref()),
                format!("allowed: the network, here \"{network}\""),
            ),
        }
    }

    /// A number within bounds, or the default.
    pub(super) fn number(&mut self, n: Option<&Number>, default: u64, min: u64, max: u64, unit: &str) -> Option<u64> {
        let Some(n) = n else { return Some(default) };
        match u64::try_from(*n.get_ref()) {
            Ok(v) if (min..=max).contains(&v) => Some(v),
            _ => self.wrong(
                n.span(),
                format!("{} is out of range", n.get_ref()),
                format!("allowed: {min} to {max} {unit}, default {default}"),
            ),
        }
    }

    /// A list that must not be empty.
    pub(super) fn not_empty<T>(&mut self, list: &Spanned<Vec<T>>, needs: impl Display) -> Option<()> {
        if list.get_ref().is_empty() {
            return self.wrong(list.span(), "the list is empty", format!("needed: {needs}"));
        }
        Some(())
    }

    /// The number of a port named in `ports`.
    pub(super) fn port(&mut self, name: &Text, ports: &[&str]) -> Option<wamig_openflow::PortNo> {
        match ports.iter().position(|p| p == name.get_ref()) {
            Some(i) => Some(wamig_openflow::PortNo(i as u32 + 1)),
            None => self.wrong(
                name.span(),
                format!("{:?} is not a port of this switch", name.get_ref()),
                format!("allowed (switch.ports): {}", ports.join(", ")),
            ),
        }
    }

    /// A path from the file's directory.
    pub(super) fn relative(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    fn absolute(&mut self, text: Option<&Text>, default: &str) -> Option<PathBuf> {
        match text {
            None => Some(PathBuf::from(default)),
            Some(t) if t.get_ref().is_empty() => {
                self.wrong(t.span(), "the path is empty", format!("allowed: a path, default {default:?}"))
            }
            Some(t) => Some(self.relative(t.get_ref())),
        }
    }

    fn socket(&mut self, text: Option<&Text>) -> Option<PathBuf> {
        let path = self.absolute(text, DEFAULT_SOCKET)?;
        match text {
            Some(t) if path.as_os_str().len() > SOCKET_PATH_MAX => self.wrong(
                t.span(),
                format!("the path of the control socket is {} bytes long", path.as_os_str().len()),
                format!("allowed: at most {SOCKET_PATH_MAX}, the directory of this file included"),
            ),
            _ => Some(path),
        }
    }

    fn switch(&mut self, switch: &file::Switch) -> Option<Switch> {
        let datapath_id = match &switch.datapath_id {
            None => Some(None),
            Some(text) => self.datapath_id(text).map(Some),
        };
        let fabric = self.fabric(switch);
        let ports = if switch.member.is_empty() {
            self.ports(&switch.ports)
        } else {
            Some(switch.ports.get_ref().iter().map(|p| p.get_ref().clone()).collect())
        };
        let local = match &switch.local {
            None => Some(None),
            Some(name) => self.local(name, &switch.ports).map(Some),
        };
        let pin_path = match &switch.pin_path {
            Some(t) if !t.get_ref().starts_with('/') => self.wrong(
                t.span(),
                format!("{:?} is not an absolute path", t.get_ref()),
                format!("allowed: a directory in a BPF file system, default {DEFAULT_PIN_PATH:?}"),
            ),
            Some(t) => Some(PathBuf::from(t.get_ref())),
            None => Some(PathBuf::from(DEFAULT_PIN_PATH)),
        };
        let xdp_mode = match switch.xdp_mode.as_ref() {
            None => Some(XdpMode::Auto),
            Some(t) => match t.get_ref().as_str() {
                "auto" => Some(XdpMode::Auto),
                "native" => Some(XdpMode::Native),
                "generic" => Some(XdpMode::Generic),
                other => self.wrong(
                    t.span(),
                    format!("{other:?} is not an XDP mode"),
                    "allowed: \"auto\", \"native\", \"generic\"",
                ),
            },
        };
        let limits = match &switch.limits {
            None => Some(SwitchLimits::default()),
            Some(limits) => self.limits(limits.get_ref()),
        };
        let remote = match &switch.remote {
            None => Some(None),
            Some(remote) => self.remote(remote, switch).map(Some),
        };
        Some(Switch {
            datapath_id: datapath_id?,
            ports: ports?,
            local: local?,
            pin_path: pin_path?,
            xdp_mode: xdp_mode?,
            in_band: switch.in_band,
            limits: limits?,
            control: self.control(switch.control.as_ref())?,
            remote: remote?,
            fabric: fabric?,
        })
    }

    pub(super) fn datapath_id(&mut self, text: &Text) -> Option<DatapathId> {
        let s = text.get_ref();
        let digits = s.len() == 16 && s.bytes().all(|b| b.is_ascii_hexdigit());
        match u64::from_str_radix(s, 16) {
            Ok(id) if digits && id != 0 => Some(DatapathId(id)),
            _ => self.wrong(
                text.span(),
                format!("{s:?} is not a datapath id"),
                "allowed: 16 hexadecimal digits, not all zeros, as in \"0000000000000001\"",
            ),
        }
    }

    fn ports(&mut self, ports: &Spanned<Vec<Text>>) -> Option<Vec<String>> {
        let mut good = self.not_empty(ports, "the interfaces that are the switch's ports, as in [\"up\", \"lan1\"]");
        if ports.get_ref().len() > MAX_PORTS {
            let count = ports.get_ref().len();
            good = self.wrong(ports.span(), format!("{count} ports are too many"), format!("allowed: {MAX_PORTS}"));
        }
        let mut names: Vec<String> = Vec::new();
        for port in ports.get_ref() {
            let s = port.get_ref();
            if !is_interface_name(s, IFNAMSIZ) {
                good = self.wrong(
                    port.span(),
                    format!("{s:?} cannot be an interface's name"),
                    format!("allowed: 1 to {IFNAMSIZ} bytes without '/', ':' and blanks"),
                );
            } else if names.contains(s) {
                good = self.wrong(port.span(), format!("port {s:?} is named twice"), "allowed: each interface once");
            } else {
                names.push(s.clone());
            }
        }
        good.map(|()| names)
    }

    /// The host's interface at port LOCAL.
    fn local(&mut self, name: &Text, ports: &Spanned<Vec<Text>>) -> Option<String> {
        let s = name.get_ref();
        if !is_interface_name(s, NAME_MAX) {
            return self.wrong(
                name.span(),
                format!("{s:?} cannot be the name of the host's interface at port LOCAL"),
                format!("allowed: 1 to {NAME_MAX} bytes without '/', ':' and blanks"),
            );
        }
        let end = switch_end(s);
        if let Some(port) = ports.get_ref().iter().find(|p| p.get_ref() == s || *p.get_ref() == end) {
            return self.wrong(
                port.span(),
                format!("{:?} belongs to port LOCAL, as local is {s:?}", port.get_ref()),
                "allowed: each interface once; take it out of ports, or take out local",
            );
        }
        Some(s.clone())
    }

    fn lan(&mut self, lan: &Spanned<file::Lan>, ports: &[&str]) -> Option<Lan> {
        let (span, lan) = (lan.span(), lan.get_ref());
        let uplink = self.port(&lan.uplink, ports);
        let of = [
            (Family::V4, [("prefix", &lan.prefix), ("gateway", &lan.gateway)]),
            (Family::V6, [("prefix6", &lan.prefix6), ("gateway6", &lan.gateway6)]),
        ];
        let mut subnets = Some(Vec::new());
        for (family, keys) in of {
            match keys {
                [(_, None), (_, None)] => {}
                [(_, Some(prefix)), (_, Some(gateway))] => {
                    let subnet = self.subnet(family, prefix, gateway);
                    subnets = subnets.zip(subnet).map(|(all, one)| [all, vec![one]].concat());
                }
                [(has, Some(text)), (lacks, None)] | [(lacks, None), (has, Some(text))] => {
                    subnets = self.wrong(
                        text.span(),
                        format!("there is {has} but no {lacks}"),
                        format!("needed: both, or neither where the LAN has no {family}"),
                    );
                }
            }
        }
        if subnets.as_ref().is_some_and(Vec::is_empty) {
            subnets = self.wrong(
                span,
                "the LAN has neither IPv4 nor IPv6",
                "needed: prefix and gateway, prefix6 and gateway6, or all four",
            );
        }
        let mac = match &lan.mac {
            None => Some(None),
            Some(text) => self.mac(text).map(Some),
        };
        Some(Lan { uplink: uplink?, subnets: subnets?, mac: mac? })
    }

    fn subnet(&mut self, family: Family, prefix: &Text, gateway: &Text) -> Option<Subnet> {
        let (widest, narrowest) = (widest(family), family.bits() - 2);
        let network = self.prefix(prefix).and_then(|p| {
            if p.family() != family {
                return self.wrong(
                    prefix.span(),
                    format!("{p} is not {family}"),
                    "allowed: IPv4 in prefix, IPv6 in prefix6",
                );
            }
            if p.len() <= narrowest {
                return Some(p);
            }
            let allowed = format!("allowed: {widest} to {narrowest} bits");
            self.wrong(prefix.span(), format!("a LAN of {} bits has no room", p.len()), allowed)
        });
        let what = format!("an {family} address");
        let router: Option<IpAddr> = self.read(gateway, &what, "allowed: the router's address on this LAN");
        let router = router.and_then(|g| {
            if Family::of(g) == family {
                return Some(g);
            }
            self.wrong(gateway.span(), format!("{g} is not {family}"), "allowed: IPv4 in gateway, IPv6 in gateway6")
        });
        let (prefix, router) = (network?, router?);
        if address::is_host(prefix, router) || family == Family::V6 && is_link_local(router) {
            return Some(Subnet { prefix, gateway: router });
        }
        let not = address::reserved(prefix).iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        let or = if family == Family::V6 { ", or its link-local one" } else { "" };
        self.wrong(
            gateway.span(),
            format!("the gateway {router} is not a host's address in {prefix}"),
            format!("allowed: an address inside {prefix}, not {not}{or}"),
        )
    }

    fn learning(&mut self, learning: &file::Learning) -> Option<Learning> {
        let default = Learning::default();
        let idle = self.number(learning.idle_s.as_ref(), default.idle_s.into(), 1, 65535, "seconds");
        let max = self.number(learning.max_addresses.as_ref(), default.max_addresses as u64, 1, 16384, "addresses");
        Some(Learning { idle_s: idle? as u16, max_addresses: max? as usize })
    }
}

/// Fewest bits of a prefix that is no mistake.
fn widest(family: Family) -> u8 {
    match family {
        Family::V4 => 8,
        Family::V6 => 16,
    }
}

/// Whether Linux takes it for the name of an interface, at most so many bytes long.
pub(super) fn is_interface_name(s: &str, longest: usize) -> bool {
    let fits = (1..=longest).contains(&s.len()) && s != "." && s != "..";
    fits && !s.bytes().any(|b| b == b'/' || b == b':' || b.is_ascii_whitespace())
}
