//! Configuration by controllers: of ports (OpenFlow 1.3.5 §7.3.4.3), of the switch (§7.3.2) and
//! of tables (§7.3.3). It holds until the daemon ends.

use wamig_openflow::message::{Fragments, PortConfig, PortMod, PortStatus, SwitchConfig, TableMod};
use wamig_openflow::{ErrorKind, OfpError, PortReason, TableId};

use super::Switch;
use super::effect::Event;
use super::modification::Modification;
use super::port::Ports;
use super::table_features::DEPRECATED_CONFIG;
use crate::fastpath::{FastPath, PortSettings};

/// Bytes of a frame in a packet-in that no action asked for, unless told otherwise
/// (`OFP_DEFAULT_MISS_SEND_LEN`).
const MISS_SEND_LEN: u16 = 128;

/// The configuration of a switch that nobody has configured.
pub const DEFAULT: SwitchConfig = SwitchConfig { fragments: Fragments::Normal, miss_send_len: MISS_SEND_LEN };

/// Checks a port-mod.
///
/// # Errors
/// `OFPPMFC_BAD_PORT`, `OFPPMFC_BAD_HW_ADDR`; `OFPPMFC_BAD_ADVERTISE` for features other than
/// those that the port advertises already.
pub fn check_port(m: &PortMod, ports: &Ports) -> Result<(), OfpError> {
    let Some(desc) = ports.get(m.port) else {
        let detail = format!("port {}: there are {}", m.port, ports.listed());
        return Err(OfpError::new(ErrorKind::PortModBadPort, detail));
    };
    if m.mac != desc.mac {
        let detail = format!("port {} has the hardware address {}, not {}", m.port, desc.mac, m.mac);
        return Err(OfpError::new(ErrorKind::PortModBadHwAddr, detail));
    }
    if m.advertise != 0 && m.advertise != desc.features.advertised {
        let detail = format!(
            "port {}: what it advertises is {:#x} and is set by ethtool, not by the switch",
            m.port, desc.features.advertised
        );
        return Err(OfpError::new(ErrorKind::PortModBadAdvertise, detail));
    }
    Ok(())
}

/// Checks a table-mod: the tables exist, and 1.3 has no configuration of them left but bits
/// that it deprecates, which change nothing.
///
/// # Errors
/// `OFPTMFC_BAD_TABLE`, `OFPTMFC_BAD_CONFIG`.
pub fn check_table(m: TableMod, tables: u8) -> Result<(), OfpError> {
    if m.table != TableId::ALL && m.table.0 >= tables {
        let detail = format!("table {}: tables are 0 to {}, and ALL", m.table, tables - 1);
        return Err(OfpError::new(ErrorKind::TableModBadTable, detail));
    }
    if m.config & !DEPRECATED_CONFIG != 0 {
        let detail = format!("config {:#x}: OpenFlow 1.3 defines none", m.config);
        return Err(OfpError::new(ErrorKind::TableModBadConfig, detail));
    }
    Ok(())
}

/// The port-mods of a batch, with their places in it.
pub(super) fn port_mods(batch: &[Modification]) -> Vec<(usize, PortMod)> {
    let port_mod = |(index, m): (usize, &Modification)| match m {
        Modification::Port(m) => Some((index, *m)),
        _ => None,
    };
    batch.iter().enumerate().filter_map(port_mod).collect()
}

/// The flags of `old` with those of `m` that its mask names.
fn configured(old: PortConfig, m: &PortMod) -> PortConfig {
    let (old, new, mask) = (old.to_bits(), m.config.to_bits(), m.mask.to_bits());
    PortConfig::from_bits(old & !mask | new & mask)
}

impl<F: FastPath> Switch<F> {
    /// Changes the configuration of a port; when this returns, the next frame follows it.
    ///
    /// # Errors
    /// Those of [`check_port`]; `OFPPMFC_EPERM` when the operating system refuses, and nothing
    /// has changed then.
    pub fn port_mod(&mut self, m: &PortMod) -> Result<Vec<Event>, OfpError> {
        check_port(m, &self.ports)?;
        let Some(before) = self.ports.get(m.port).cloned() else { return Ok(Vec::new()) };
        let config = configured(before.config, m);
        if config == before.config {
            return Ok(Vec::new());
        }
        self.ports.configure(m.port, config);
        let done = self.write_port_settings().and_then(|()| {
            if config.down == before.config.down { Ok(()) } else { self.fast.set_link(m.port, !config.down) }
        });
        if let Err(error) = done {
            self.ports.configure(m.port, before.config);
            let _ = self.write_port_settings();
            return Err(OfpError::new(ErrorKind::PortModEperm, format!("port {}: {error}", m.port)));
        }
        let desc = self.ports.get(m.port).cloned().unwrap_or(before);
        Ok(vec![Event::PortStatus(PortStatus { reason: PortReason::Modify, desc })])
    }

    /// Puts the ports' configuration back, after a batch that was refused.
    pub(super) fn restore_ports(&mut self, before: Ports) {
        if before == self.ports {
            return;
        }
        let now = std::mem::replace(&mut self.ports, before);
        let restored = self.write_port_settings();
        let down = |ports: &Ports, port| ports.get(port).is_some_and(|p| p.config.down);
        let links = now.numbers().filter(|p| down(&now, *p) != down(&self.ports, *p));
        let restored = links.fold(restored, |r, port| r.and(self.fast.set_link(port, !down(&self.ports, port))));
        if let Err(error) = restored {
            tracing::error!(%error, "the fast path does not take back the ports' configuration");
        }
    }

    /// Changes the configuration of a table, which changes nothing.
    ///
    /// # Errors
    /// Those of [`check_table`].
    pub fn table_mod(&self, m: TableMod) -> Result<(), OfpError> {
        check_table(m, self.tables.tables())
    }

    /// The configuration of the switch.
    pub fn config(&self) -> SwitchConfig {
        self.config
    }

    /// Configures the switch.
    ///
    /// # Errors
    /// `OFPSCFC_BAD_FLAGS` for reassembly of fragments, which this switch does not do;
    /// `OFPSCFC_EPERM` when the operating system refuses.
    pub fn set_config(&mut self, config: SwitchConfig) -> Result<(), OfpError> {
        if config.fragments == Fragments::Reassemble {
            let detail = "fragments are not reassembled; OFPC_FRAG_NORMAL and OFPC_FRAG_DROP are possible";
            return Err(OfpError::new(ErrorKind::SwitchConfigBadFlags, detail));
        }
        let before = std::mem::replace(&mut self.config, config);
        if config.fragments == before.fragments {
            return Ok(());
        }
        self.write_port_settings().map_err(|error| {
            self.config = before;
            OfpError::new(ErrorKind::SwitchConfigEperm, format!("the fast path refused: {error}"))
        })
    }

    /// Whether a table miss without a miss flow is a packet-in, as OpenFlow 1.0 wants it, from
    /// the next frame on.
    ///
    /// # Errors
    /// The operating system's; nothing has changed then.
    pub fn set_miss_packet_in(&mut self, on: bool) -> std::io::Result<()> {
        if self.misses_go_up == on {
            return Ok(());
        }
        self.misses_go_up = on;
        self.write_port_settings().inspect_err(|_| self.misses_go_up = !on)
    }

    /// Tells the fast path how frames are treated at the ports.
    pub(super) fn write_port_settings(&mut self) -> std::io::Result<()> {
        let settings = PortSettings {
            ports: self.ports.iter().map(|p| (p.port, p.config)).collect(),
            drop_fragments: self.config.fragments == Fragments::Drop,
            misses_go_up: self.misses_go_up,
        };
        self.fast.set_port_settings(&settings)
    }
}
