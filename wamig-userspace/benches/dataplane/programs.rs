//! The object of the programs that wamig is measured against (`wamig-ebpf/src/bench.rs`).

use std::net::Ipv4Addr;
use std::path::Path;

use aya::maps::{Array, DevMap, HashMap, PerCpuArray};
use aya::programs::{SchedClassifier, Xdp};
use aya::{Ebpf, Pod};

use super::rules::{NEW_MACS, address_new, address_old};

/// See `wamig-ebpf/src/bench.rs`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Rewrite {
    address: u32,
    delta: u32,
    macs: [u32; 3],
    port: u32,
    ifindex: u32,
    reserved: u32,
}

/// See `wamig-ebpf/src/bench.rs`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Template {
    headers: [u64; 6],
    ip_sum: u32,
    udp_sum: u32,
    flows: u32,
    ifindex: u32,
    random: u32,
    reserved: u32,
    sent: u64,
}

// SAFETY: plain numbers without padding.
unsafe impl Pod for Rewrite {}
// SAFETY: plain numbers without padding.
unsafe impl Pod for Template {}

/// The loaded object.
pub struct Programs(pub Ebpf);

fn sum(words: &[u8]) -> u32 {
    words.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0))).sum()
}

/// The difference that a checksum takes when `from` becomes `to`, folded, in frame order.
fn delta(from: Ipv4Addr, to: Ipv4Addr) -> u32 {
    let half = |a: Ipv4Addr, i: usize| u32::from(u16::from_ne_bytes([a.octets()[i], a.octets()[i + 1]]));
    let not = |n: u32| !n & 0xffff;
    let sum = not(half(from, 0)) + not(half(from, 2)) + half(to, 0) + half(to, 2);
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

impl Programs {
    /// Loads it.
    pub fn load(object: &Path) -> Self {
        let bytes = std::fs::read(object).unwrap_or_else(|e| panic!("{}: {e}", object.display()));
        let mut object = Ebpf::load(&bytes).unwrap_or_else(|e| panic!("{e}"));
        for name in ["limit", "redirect", "pass", "generate", "sink"] {
            let program: &mut Xdp = object.program_mut(name).unwrap().try_into().unwrap();
            program.load().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        let program: &mut SchedClassifier = object.program_mut("tc_limit").unwrap().try_into().unwrap();
        program.load().unwrap_or_else(|e| panic!("tc_limit: {e}"));
        Self(object)
    }

    /// An XDP program.
    pub fn xdp(&mut self, name: &str) -> &mut Xdp {
        self.0.program_mut(name).unwrap().try_into().unwrap()
    }

    /// Rewrites `from` to `to` and sends out of `OUT`'s port 0, which is `ifindex`.
    pub fn rewrite(&mut self, pairs: &[(Ipv4Addr, Ipv4Addr)], ifindex: u32) {
        let mut out: DevMap<_> = self.0.map_mut("OUT").unwrap().try_into().unwrap();
        out.set(0, ifindex, None, 0).unwrap();
        let mut rewrites: HashMap<_, u32, Rewrite> = self.0.map_mut("REWRITES").unwrap().try_into().unwrap();
        let word = |i: usize| u32::from_ne_bytes([NEW_MACS[i], NEW_MACS[i + 1], NEW_MACS[i + 2], NEW_MACS[i + 3]]);
        for (from, to) in pairs {
            let address = u32::from(*to).to_be();
            let macs = [word(0), word(4), word(8)];
            let entry = Rewrite { address, delta: delta(*from, *to), macs, port: 0, ifindex, reserved: 0 };
            rewrites.insert(u32::from(*from).to_be(), entry, 0).unwrap();
        }
    }

    /// Prepares `generate` to make this frame, to `flows` destinations in turn.
    pub fn prepare(&mut self, frame: &[u8], flows: u32, ifindex: u32) {
        let mut headers = frame[..48].to_vec();
        for zeroed in [24..26, 30..34, 40..42] {
            headers[zeroed].fill(0);
        }
        let words = |i: usize| u64::from_ne_bytes(headers[i * 8..i * 8 + 8].try_into().unwrap());
        let mut rest = frame.to_vec();
        rest[..48].copy_from_slice(&headers);
        let udp_len = u32::from(rest[38]) << 8 | u32::from(rest[39]);
        let template = Template {
            headers: std::array::from_fn(words),
            ip_sum: sum(&rest[14..34]),
            udp_sum: sum(&rest[26..30]) + 17 + udp_len + sum(&rest[34..]),
            flows: flows - 1,
            ifindex,
            random: 1,
            ..Template::default()
        };
        let mut map: Array<_, Template> = self.0.map_mut("TEMPLATE").unwrap().try_into().unwrap();
        map.set(0, template, 0).unwrap();
    }

    /// Frames that arrived, that were rewritten, whose checksum is wrong, that are not ours.
    pub fn arrived(&self) -> [u64; 4] {
        let map: PerCpuArray<_, [u64; 4]> = self.0.map("ARRIVED").unwrap().try_into().unwrap();
        let values = map.get(&0, 0).unwrap();
        values.iter().fold([0; 4], |sum, one| std::array::from_fn(|i| sum[i] + one[i]))
    }
}

/// Old and new addresses of `n` servers.
pub fn pairs(n: u32) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    (0..n).map(|i| (address_old(i), address_new(i))).collect()
}
