//! What `ethtool` tells of an interface: its driver, and its speeds and media as OpenFlow
//! counts them (OpenFlow 1.3.5 §7.2.1).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use wamig_openflow::message::PortFeatures;

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_SGRO: u32 = 0x2c;
const ETHTOOL_GLINKSETTINGS: u32 = 0x4c;
/// Words of one mask of link modes: as many as the kernel may ever ask for.
const WORDS: usize = 127;

/// `struct ethtool_drvinfo`
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

/// `struct ethtool_link_settings`
#[repr(C)]
#[derive(Clone)]
struct LinkSettings {
    command: u32,
    /// Mbit/s; all ones = unknown.
    speed: u32,
    duplex: u8,
    port: u8,
    phy_address: u8,
    autoneg: u8,
    mdio_support: u8,
    eth_tp_mdix: u8,
    eth_tp_mdix_ctrl: u8,
    /// Words of each of the masks; negative = so many are needed.
    words: i8,
    rest: [u32; 8],
    /// Supported, advertised and the partner's, one behind the other.
    masks: [u32; 3 * WORDS],
}

/// Carries out a command.
///
/// # Errors
/// The operating system's.
fn call<T>(interface: &str, argument: &mut T) -> io::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: zeroes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    if interface.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut *argument).cast();
    // SAFETY: the request points to the argument, which is of the command's type and so as
    // large as the kernel fills it.
    if unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The driver's name; `None` when the interface does not say.
pub fn driver(interface: &str) -> Option<String> {
    let mut info = DriverInfo { command: ETHTOOL_GDRVINFO, driver: [0; 32], rest: [0; 160] };
    call(interface, &mut info).ok()?;
    let end = info.driver.iter().position(|b| *b == 0)?;
    String::from_utf8(info.driver[..end].to_vec()).ok()
}

/// `struct ethtool_value`
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Makes the far end of a veth pair do what XDP at the near end needs: it sends frames with
/// their checksums finished, and has a queue (which GRO brings) for frames that are redirected
/// to it. `ethtool -K INTERFACE tx off gro on`
///
/// # Errors
/// The operating system's.
pub fn finish_frames(interface: &str) -> io::Result<()> {
    call(interface, &mut Value { command: ETHTOOL_STXCSUM, data: 0 })?;
    call(interface, &mut Value { command: ETHTOOL_SGRO, data: 1 })
}

/// Speeds and media; nothing of an interface that does not say.
pub fn features(interface: &str) -> PortFeatures {
    settings(interface).map(|s| describe(&s)).unwrap_or_default()
}

fn settings(interface: &str) -> io::Result<LinkSettings> {
    // SAFETY: zeroes are valid settings.
    let mut settings: LinkSettings = unsafe { MaybeUninit::zeroed().assume_init() };
    settings.command = ETHTOOL_GLINKSETTINGS;
    // The first answer tells how long a mask is, in a negative number.
    call(interface, &mut settings)?;
    let words = settings.words.checked_neg().filter(|w| (1..=WORDS as i8).contains(w));
    settings.words = words.ok_or(io::ErrorKind::InvalidData)?;
    settings.command = ETHTOOL_GLINKSETTINGS;
    call(interface, &mut settings)?;
    Ok(settings)
}

/// Bits of `ofp_port_features`.
mod bit {
    pub const COPPER: u32 = 1 << 11;
    pub const FIBER: u32 = 1 << 12;
    pub const AUTONEG: u32 = 1 << 13;
    pub const PAUSE: u32 = 1 << 14;
    pub const PAUSE_ASYM: u32 = 1 << 15;
}

/// What has a bit of its own, by speed in Mbit/s, at half and at full duplex; 10 = another.
const fn rate(speed: u32, half: bool) -> u32 {
    1 << match (speed, half) {
        (10, true) => 0,
        (10, false) => 1,
        (100, true) => 2,
        (100, false) => 3,
        (1000, true) => 4,
        (1000, false) => 5,
        (10_000, _) => 6,
        (40_000, _) => 7,
        (100_000, _) => 8,
        (1_000_000, _) => 9,
        _ => 10,
    }
}

/// `enum ethtool_link_mode_bit_indices`: from and to, speed in Mbit/s, half duplex.
const MODES: [(usize, usize, u32, bool); 35] = [
    (0, 0, 10, true),
    (1, 1, 10, false),
    (2, 2, 100, true),
    (3, 3, 100, false),
    (4, 4, 1000, true),
    (5, 5, 1000, false),
    (12, 12, 10_000, false),
    (15, 15, 2500, false),
    (17, 17, 1000, false),
    (18, 20, 10_000, false),
    (21, 22, 20_000, false),
    (23, 26, 40_000, false),
    (27, 30, 56_000, false),
    (31, 33, 25_000, false),
    (34, 35, 50_000, false),
    (36, 39, 100_000, false),
    (40, 40, 50_000, false),
    (41, 41, 1000, false),
    (42, 46, 10_000, false),
    (47, 47, 2500, false),
    (48, 48, 5000, false),
    (52, 56, 50_000, false),
    (57, 61, 100_000, false),
    (62, 66, 200_000, false),
    (67, 67, 100, false),
    (68, 68, 1000, false),
    (69, 73, 400_000, false),
    (75, 79, 100_000, false),
    (80, 84, 200_000, false),
    (85, 89, 400_000, false),
    (90, 90, 100, true),
    (91, 91, 100, false),
    (92, 92, 10, false),
    (93, 98, 800_000, false),
    (99, 99, 10, false),
];

/// Modes beside the speeds: twisted pair, fibre, autonegotiation, pause.
const OTHERS: [(usize, u32); 5] =
    [(6, bit::AUTONEG), (7, bit::COPPER), (10, bit::FIBER), (13, bit::PAUSE), (14, bit::PAUSE_ASYM)];

/// A mask of link modes in OpenFlow's bits, and its highest speed in Mbit/s.
fn modes(mask: &[u32]) -> (u32, u32) {
    let has = |mode: usize| mask.get(mode / 32).is_some_and(|word| word >> (mode % 32) & 1 != 0);
    let (mut bits, mut most) = (0, 0);
    for (first, last, speed, half) in MODES {
        if (first..=last).any(has) {
            bits |= rate(speed, half);
            most = most.max(speed);
        }
    }
    for (mode, bit) in OTHERS {
        bits |= if has(mode) { bit } else { 0 };
    }
    (bits, most)
}

fn describe(settings: &LinkSettings) -> PortFeatures {
    const HALF: u8 = 0;
    const TWISTED_PAIR: u8 = 0;
    const FIBRE: u8 = 3;
    const DIRECT_ATTACH: u8 = 5;
    let words = usize::try_from(settings.words).unwrap_or_default();
    let mask = |n: usize| modes(settings.masks.get(n * words..(n + 1) * words).unwrap_or_default());
    let (supported, most) = mask(0);
    let speed = if settings.speed == u32::MAX { 0 } else { settings.speed };
    let medium = match settings.port {
        TWISTED_PAIR | DIRECT_ATTACH => bit::COPPER,
        FIBRE => bit::FIBER,
        _ => 0,
    };
    let autoneg = if settings.autoneg == 1 { bit::AUTONEG } else { 0 };
    let current = if speed == 0 { 0 } else { rate(speed, settings.duplex == HALF) | medium | autoneg };
    PortFeatures {
        current,
        advertised: mask(1).0,
        supported,
        peer: mask(2).0,
        current_speed: speed.saturating_mul(1000),
        max_speed: most.saturating_mul(1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings with these modes supported, advertised and told by the partner.
    fn with(speed: u32, duplex: u8, port: u8, modes: [&[usize]; 3]) -> LinkSettings {
        let mut masks = [0; 3 * WORDS];
        for (n, modes) in modes.iter().enumerate() {
            for mode in *modes {
                masks[n * 4 + mode / 32] |= 1 << (mode % 32);
            }
        }
        let rest = [0; 8];
        LinkSettings {
            command: 0,
            speed,
            duplex,
            port,
            phy_address: 0,
            autoneg: 1,
            mdio_support: 0,
            eth_tp_mdix: 0,
            eth_tp_mdix_ctrl: 0,
            words: 4,
            rest,
            masks,
        }
    }

    #[test]
    fn the_kernels_structure_has_its_size() {
        assert_eq!(std::mem::offset_of!(LinkSettings, masks), 48);
        assert_eq!(size_of::<DriverInfo>(), 196);
    }

    #[test]
    fn a_gigabit_card_is_described() {
        let all = [0, 1, 2, 3, 5, 6, 7, 13];
        let f = describe(&with(1000, 1, 0, [&all, &[5, 6, 7], &[3, 5, 6]]));
        assert_eq!(f.current, 1 << 5 | 1 << 11 | 1 << 13);
        assert_eq!(f.supported, 0b10_1111 | 1 << 11 | 1 << 13 | 1 << 14);
        assert_eq!((f.advertised, f.peer), (1 << 5 | 1 << 11 | 1 << 13, 1 << 3 | 1 << 5 | 1 << 13));
        assert_eq!((f.current_speed, f.max_speed), (1_000_000, 1_000_000));
    }

    #[test]
    fn fast_and_odd_rates_have_their_bits() {
        let f = describe(&with(100_000, 1, 3, [&[36, 93, 10], &[], &[]]));
        assert_eq!((f.current & 0x7ff, f.supported), (1 << 8, 1 << 8 | 1 << 10 | 1 << 12));
        assert_eq!((f.current_speed, f.max_speed), (100_000_000, 800_000_000));
        assert_eq!(describe(&with(2500, 1, 0, [&[47], &[], &[]])).supported, 1 << 10, "no bit of its own");
        assert_eq!(describe(&with(10, 0, 0, [&[], &[], &[]])).current & 0x7ff, 1, "half duplex");
    }

    #[test]
    fn a_link_that_is_down_has_no_current_rate() {
        let f = describe(&with(u32::MAX, 0xff, 0, [&[5], &[5], &[]]));
        assert_eq!((f.current, f.current_speed, f.max_speed), (0, 0, 1_000_000));
    }

    #[test]
    fn an_interface_that_says_nothing_has_no_features() {
        assert_eq!(features("no-such-if"), PortFeatures::default());
        assert_eq!(features("a-name-that-is-too-long"), PortFeatures::default());
        assert_eq!(driver("no-such-if"), None);
    }
}
