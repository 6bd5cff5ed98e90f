//! The test networks: namespaces, links and the servers that are moved between them.

use anyhow::Result;

/// Remove everything an earlier run may have left behind.
pub fn clean() -> Result<()> {
    Ok(())
}
