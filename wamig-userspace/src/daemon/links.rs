//! The machine's interfaces, routes and addresses, by rtnetlink.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteType};
use rtnetlink::{Handle, LinkUnspec, LinkVeth, MulticastGroup, RouteMessageBuilder};
use wamig_openflow::MacAddr;

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its index: stays when it is renamed, changes when it is removed and made anew.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Hardware address; zeros when it has none of six octets.
    pub mac: MacAddr,
    /// Largest payload in bytes.
    pub mtu: u32,
    /// Administratively up.
    pub enabled: bool,
    /// That, and the link carries frames.
    pub up: bool,
    /// Takes in frames for every address.
    pub promiscuous: bool,
    /// `veth`, `tun`, … ; empty for a device of hardware.
    pub kind: String,
    /// Index of the bridge or bond it is a port of.
    pub master: Option<u32>,
    /// What somebody wrote on it; empty = nothing.
    pub alias: String,
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            mac: MacAddr::ZERO,
            mtu: 0,
            enabled: message.header.flags.contains(LinkFlags::Up),
            up: message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
            promiscuous: message.header.flags.contains(LinkFlags::Promisc),
            kind: String::new(),
            master: None,
            alias: String::new(),
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::IfAlias(alias) => link.alias = alias,
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Address(bytes) => {
                    link.mac = <[u8; 6]>::try_from(&bytes[..]).map_or(MacAddr::ZERO, MacAddr);
                }
                LinkAttribute::Controller(index) if index != 0 => link.master = Some(index),
                LinkAttribute::LinkInfo(info) => {
                    let kind = info.into_iter().find_map(|i| if let LinkInfo::Kind(k) = i { Some(k) } else { None });
                    link.kind = kind.map_or_else(String::new, |k| k.to_string());
                }
                _ => {}
            }
        }
        link
    }
}

/// What the daemon knows of the machine when it starts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Machine {
    /// Interfaces.
    pub links: Vec<Link>,
    /// Indices of interfaces that carry a default route.
    pub default_routes: Vec<u32>,
    /// IP addresses with their interfaces' indices.
    pub addresses: Vec<(u32, IpAddr)>,
}

impl Machine {
    /// The interface of this name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|l| l.name == name)
    }
}

/// Reads all of it.
///
/// # Errors
/// rtnetlink's.
pub async fn machine(handle: &Handle) -> Result<Machine, rtnetlink::Error> {
    let mut default_routes = Vec::new();
    let v4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let v6 = RouteMessageBuilder::<Ipv6Addr>::new().build();
    for request in [v4, v6] {
        let mut routes = handle.route().get(request).execute();
        while let Some(route) = routes.try_next().await? {
            default_routes.extend(default_route(&route));
        }
    }
    let mut addresses = Vec::new();
    let mut found = handle.address().get().execute();
    while let Some(message) = found.try_next().await? {
        for attribute in message.attributes {
            // An IPv6 address has no other attribute than the one that says the peer's of an IPv4 one.
            if let AddressAttribute::Local(address) | AddressAttribute::Address(address @ IpAddr::V6(_)) = attribute {
                addresses.push((message.header.index, address));
            }
        }
    }
    Ok(Machine { links: links(handle).await?, default_routes, addresses })
}

/// The interfaces.
///
/// # Errors
/// rtnetlink's.
pub async fn links(handle: &Handle) -> Result<Vec<Link>, rtnetlink::Error> {
    handle.link().get().execute().map_ok(Link::from).try_collect().await
}

/// Makes an interface take in frames for every address, as a port of a switch has to, or for
/// its own only. Its state survives the daemon, as the data path does.
///
/// # Errors
/// rtnetlink's.
pub async fn set_promiscuous(handle: &Handle, index: u32, on: bool) -> Result<(), rtnetlink::Error> {
    let wanted = LinkUnspec::new_with_index(index).promiscuous(on).build();
    handle.link().set(wanted).execute().await
}

/// Makes a veth pair: one end and the other, both down.
///
/// # Errors
/// rtnetlink's.
pub async fn add_pair(handle: &Handle, one: &str, other: &str) -> Result<(), rtnetlink::Error> {
    handle.link().add(LinkVeth::new(one, other).build()).execute().await
}

/// Writes on an interface what it is for.
///
/// # Errors
/// rtnetlink's.
pub async fn set_alias(handle: &Handle, index: u32, alias: &str) -> Result<(), rtnetlink::Error> {
    handle.link().set(LinkUnspec::new_with_index(index).alias(alias).build()).execute().await
}

/// Sets an interface up.
///
/// # Errors
/// rtnetlink's.
pub async fn set_up(handle: &Handle, index: u32) -> Result<(), rtnetlink::Error> {
    handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await
}

/// Removes an interface; of a veth pair both ends go.
///
/// # Errors
/// rtnetlink's.
pub async fn remove(handle: &Handle, index: u32) -> Result<(), rtnetlink::Error> {
    handle.link().del(index).execute().await
}

/// Interfaces of a default route of the main table; none for any other route.
fn default_route(route: &RouteMessage) -> Vec<u32> {
    let header = &route.header;
    let main = header.table == RouteHeader::RT_TABLE_MAIN;
    if header.destination_prefix_length != 0 || header.kind != RouteType::Unicast || !main {
        return Vec::new();
    }
    let mut out = Vec::new();
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => out.push(*index),
            RouteAttribute::MultiPath(hops) => out.extend(hops.iter().map(|h| h.interface_index)),
            _ => {}
        }
    }
    out
}

/// A netlink socket that hears of interfaces.
pub struct Monitor {
    /// For requests.
    pub handle: Handle,
    /// Any message means that some interface has changed.
    pub changes: futures_util::stream::BoxStream<'static, ()>,
    /// The socket's work; must run for the rest to work.
    pub connection: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Monitor {
    /// Opens the socket in the network namespace of this thread.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open() -> std::io::Result<Self> {
        use futures_util::StreamExt;
        let (connection, handle, messages) = rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
        let changes = messages.map(|(message, _): (rtnetlink::packet_core::NetlinkMessage<RouteNetlinkMessage>, _)| {
            tracing::trace!(?message, "rtnetlink");
        });
        Ok(Self { handle, changes: changes.boxed(), connection: Box::pin(connection) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_machine_has_a_loopback_with_its_address() {
        let monitor = Monitor::open().unwrap();
        tokio::spawn(monitor.connection);
        let machine = machine(&monitor.handle).await.unwrap();
        let lo = machine.link("lo").expect("a loopback").clone();
        assert_eq!((lo.index, lo.kind.as_str(), lo.master), (1, "", None));
        assert!(!lo.up || machine.addresses.contains(&(1, IpAddr::V4(Ipv4Addr::LOCALHOST))));
    }

    #[test]
    fn a_default_route_is_one_to_everywhere_in_the_main_table() {
        let route = |len, table| {
            let mut r = RouteMessage::default();
            r.header.destination_prefix_length = len;
            r.header.table = table;
            r.header.kind = RouteType::Unicast;
            r.attributes.push(RouteAttribute::Oif(7));
            default_route(&r)
        };
        assert_eq!(route(0, RouteHeader::RT_TABLE_MAIN), [7]);
        assert_eq!(route(24, RouteHeader::RT_TABLE_MAIN), [] as [u32; 0]);
        assert_eq!(route(0, 100), [] as [u32; 0]);
    }
}
