//! The LOCAL port (OpenFlow 1.3.5 §4.5): the host's own connection to the switch, as the
//! internal port of an Open vSwitch bridge.
//!
//! ```text
//!   host stack ── NAME ═══ veth pair ═══ NAME-sw ── XDP: port LOCAL
//! ```
//! The pair is made unless it is there, and outlives the daemon as the data path does; what
//! takes that down removes the pair ([`remove`]). An interface NAME that is there by itself is
//! no end of such a pair: it becomes the port as any other interface does.

use rtnetlink::Handle;

use super::links::{self, Link};
use super::start_error::StartError;
use crate::config::switch_end;
use crate::fastpath::xdp::ethtool;

/// The alias of the switch's end of a pair that wamig has made.
const ALIAS: &str = "wamig: the switch's end of its LOCAL port";

/// Makes sure that there is an interface for the port.
///
/// # Errors
/// [`StartError::Local`], with its remedy.
pub async fn ensure(handle: &Handle, name: &str) -> Result<(), StartError> {
    let refused = |source| StartError::Local { name: name.to_owned(), source };
    let end = switch_end(name);
    let there = |links: &[Link], name: &str| links.iter().find(|l| l.name == name).map(|l| l.index);
    let mut links = links::links(handle).await.map_err(refused)?;
    if there(&links, &end).is_none() {
        if there(&links, name).is_some() {
            return Ok(());
        }
        links::add_pair(handle, &end, name).await.map_err(refused)?;
        links = links::links(handle).await.map_err(refused)?;
        if let Some(index) = there(&links, &end) {
            links::set_alias(handle, index, ALIAS).await.map_err(refused)?;
        }
        tracing::info!("interface {name} is made: the host's end of port LOCAL; the switch's is {end}");
    }
    // Before the switch's end is up: the kernel looks then whether frames can be redirected to it.
    if let Err(error) = ethtool::finish_frames(name) {
        tracing::warn!(
            "frames of {name} may carry unfinished checksums, which get lost: {error}; \
             run `ethtool -K {name} tx off gro on` where the interface is"
        );
    }
    if let Some(index) = there(&links, &end) {
        // The switch's end has no use for addresses, and their protocols would only chatter.
        // Where that cannot be said, they do.
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1");
        links::set_up(handle, index).await.map_err(refused)?;
    }
    Ok(())
}

/// Removes the pair, if it is one that wamig has made; true if it was there.
///
/// # Errors
/// rtnetlink's.
pub async fn remove(handle: &Handle, name: &str) -> Result<bool, rtnetlink::Error> {
    let end = switch_end(name);
    let links = links::links(handle).await?;
    let Some(link) = links.iter().find(|l| l.name == end && l.alias == ALIAS) else { return Ok(false) };
    links::remove(handle, link.index).await?;
    Ok(true)
}
