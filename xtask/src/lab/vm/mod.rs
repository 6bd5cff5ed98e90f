//! A real virtual machine as the server that moves: QEMU (emulated, no KVM), Debian's kernel, busybox.
//!
//! | module | what |
//! |---|---|
//! | [`image`] | the guest's first and only file system |
//! | [`guest`] | a QEMU process in a site's slot, behind a bridge as a hypervisor has it |
//! | [`qmp`] | what QEMU is told and says: live migration |
//! | [`talk`] | the client's one TCP connection to it |

pub mod guest;
pub mod image;
pub mod qmp;
pub mod talk;
