//! The bpf(2) calls that aya 0.14 does not offer, or not without a fallback that would
//! replace somebody else's program: devmaps, maps in maps, XDP links.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use zerocopy::{FromZeros, IntoBytes};

const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_MAP_DELETE_ELEM: libc::c_long = 3;
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
const BPF_MAP_UPDATE_BATCH: libc::c_long = 26;
const BPF_MAP_DELETE_BATCH: libc::c_long = 27;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_LINK_UPDATE: libc::c_long = 29;
const BPF_XDP: u32 = 37;
const BPF_MAP_TYPE_DEVMAP: u32 = 14;
/// sizeof(struct `bpf_devmap_val`): ifindex and program
const DEVMAP_VALUE_SIZE: u32 = 8;

/// Head of `union bpf_attr` for map creation.
#[repr(C)]
#[derive(Default)]
struct Create {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    rest: [u32; 13],
}

/// `union bpf_attr` for element operations.
#[repr(C)]
#[derive(Default)]
struct Element {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `union bpf_attr` for operations on many elements (Linux 5.6).
#[repr(C)]
#[derive(Default)]
struct Elements {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    element_flags: u64,
    flags: u64,
}

fn bpf<T>(command: libc::c_long, attr: &T) -> io::Result<i32> {
    // SAFETY: attr is a live value of the size told, and the pointers in it are to live values.
    let r = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(r as i32) }
}

/// A devmap of `entries` places.
pub fn create_devmap(entries: u32) -> io::Result<OwnedFd> {
    let attr = Create {
        map_type: BPF_MAP_TYPE_DEVMAP,
        key_size: 4,
        value_size: DEVMAP_VALUE_SIZE,
        max_entries: entries,
        ..Create::default()
    };
    let fd = bpf(BPF_MAP_CREATE, &attr)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Puts an interface into a devmap.
pub fn set_device(map: BorrowedFd<'_>, key: u32, ifindex: u32) -> io::Result<()> {
    // no program behind the device: its descriptor is -1
    update(map, key, &[ifindex, u32::MAX])
}

/// Puts a map into a map of maps. The kernel then waits until no program that began before
/// is running any more.
pub fn set_inner(outer: BorrowedFd<'_>, key: u32, inner: BorrowedFd<'_>) -> io::Result<()> {
    update(outer, key, &[inner.as_raw_fd() as u32])
}

fn update<const N: usize>(map: BorrowedFd<'_>, key: u32, value: &[u32; N]) -> io::Result<()> {
    let attr = Element {
        map_fd: map.as_raw_fd() as u32,
        key: (&raw const key) as u64,
        value: value.as_ptr() as u64,
        ..Element::default()
    };
    bpf(BPF_MAP_UPDATE_ELEM, &attr).map(drop)
}

/// Puts elements into a hash map; none of the keys may be there.
pub fn add_all<V>(map: BorrowedFd<'_>, keys: &[u64], values: &[V]) -> io::Result<()> {
    let mut attr = Elements {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: keys.len().min(values.len()) as u32,
        map_fd: map.as_raw_fd() as u32,
        ..Elements::default()
    };
    if attr.count == 0 {
        return Ok(());
    }
    elements(BPF_MAP_UPDATE_BATCH, &mut attr)
}

/// Deletes elements of a hash map.
///
/// # Errors
/// How many are gone, and what the kernel says about the next.
pub fn delete_all(map: BorrowedFd<'_>, keys: &[u64]) -> Result<(), (usize, io::Error)> {
    let mut attr = Elements {
        keys: keys.as_ptr() as u64,
        count: keys.len() as u32,
        map_fd: map.as_raw_fd() as u32,
        ..Elements::default()
    };
    if keys.is_empty() {
        return Ok(());
    }
    elements(BPF_MAP_DELETE_BATCH, &mut attr).map_err(|e| ((attr.count as usize).min(keys.len()), e))
}

/// Reads the elements of an array from place `first` on, which is not its first: as many as
/// `values` has room for. `V` is what the kernel writes for one place: of an array that has
/// values for each CPU, `cpus` of them.
pub fn read_all<V: FromZeros + IntoBytes>(
    map: BorrowedFd<'_>,
    first: u32,
    cpus: usize,
    values: &mut [V],
) -> io::Result<()> {
    let count = values.len() / cpus.max(1);
    let (before, mut last, mut keys) = (first.saturating_sub(1), 0u32, vec![0u32; count]);
    let mut attr = Elements {
        in_batch: (&raw const before) as u64,
        out_batch: (&raw mut last) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: count as u32,
        map_fd: map.as_raw_fd() as u32,
        ..Elements::default()
    };
    elements(BPF_MAP_LOOKUP_BATCH, &mut attr)?;
    let whole = attr.count as usize == count && keys.first() == Some(&first);
    if whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn elements(command: libc::c_long, attr: &mut Elements) -> io::Result<()> {
    // SAFETY: attr is a live value of the size told, which the kernel also writes to, and the
    // arrays in it have as many elements as it tells.
    let r = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<Elements>()) };
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `union bpf_attr` for link creation and update.
#[repr(C)]
#[derive(Default)]
struct Link {
    /// Program, or link to be updated.
    fd: u32,
    /// Interface, or new program.
    target: u32,
    /// `BPF_XDP`, or flags of the update.
    kind: u32,
    /// `XDP_FLAGS_*`
    flags: u32,
    rest: [u64; 4],
}

/// `union bpf_attr` for pins.
#[repr(C)]
#[derive(Default)]
struct Pin {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Attaches an XDP program to an interface in the mode that `flags` (`XDP_FLAGS_*`) names.
pub fn create_xdp_link(program: BorrowedFd<'_>, ifindex: u32, flags: u32) -> io::Result<OwnedFd> {
    let attr = Link { fd: program.as_raw_fd() as u32, target: ifindex, kind: BPF_XDP, flags, ..Link::default() };
    let fd = bpf(BPF_LINK_CREATE, &attr)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Replaces the program of a link: every frame runs the one or the other.
pub fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let attr = Link { fd: link.as_raw_fd() as u32, target: program.as_raw_fd() as u32, ..Link::default() };
    bpf(BPF_LINK_UPDATE, &attr).map(drop)
}

/// Head of `struct bpf_link_info` for an XDP link.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    pad: u32,
    ifindex: u32,
    rest: [u32; 11],
}

/// `union bpf_attr` for object information.
#[repr(C)]
#[derive(Default)]
struct Info {
    fd: u32,
    len: u32,
    to: u64,
}

/// The interface of an XDP link; 0 when it has gone.
pub fn link_ifindex(link: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = LinkInfo::default();
    let attr = Info { fd: link.as_raw_fd() as u32, len: size_of::<LinkInfo>() as u32, to: (&raw mut info) as u64 };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &attr)?;
    Ok(info.ifindex)
}

/// Pins an object under a path in bpffs.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attr = Pin { path: path.as_ptr() as u64, fd: object.as_raw_fd() as u32, flags: 0 };
    bpf(BPF_OBJ_PIN, &attr).map(drop)
}

/// Opens a pinned object.
pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attr = Pin { path: path.as_ptr() as u64, ..Pin::default() };
    let fd = bpf(BPF_OBJ_GET, &attr)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Removes an entry; it is no error if there is none.
pub fn delete(map: BorrowedFd<'_>, key: u32) -> io::Result<()> {
    let attr = Element { map_fd: map.as_raw_fd() as u32, key: (&raw const key) as u64, ..Element::default() };
    match bpf(BPF_MAP_DELETE_ELEM, &attr) {
        Err(e) if e.raw_os_error() != Some(libc::ENOENT) => Err(e),
        _ => Ok(()),
    }
}
