//! Takes the data path down: links and maps of every port.

use std::fs;
use std::io;
use std::path::Path;

use super::attach::interface_of_pin;

/// What was taken down.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Detached {
    /// Interfaces that forward no more.
    pub ports: Vec<String>,
    /// Whether maps were removed.
    pub maps: usize,
}

/// Removes every pin under `pin_path`; with its last reference gone, the kernel detaches a
/// link. A daemon that still runs keeps its own references: stop it first.
///
/// # Errors
/// Naming the path that could not be removed.
pub fn detach(pin_path: &Path) -> io::Result<Detached> {
    let mut done = Detached::default();
    let at = |path: &Path, e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    if !pin_path.exists() {
        return Ok(done);
    }
    for entry in fs::read_dir(pin_path).map_err(|e| at(pin_path, e))? {
        let path = entry.map_err(|e| at(pin_path, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "links" && !name.starts_with("maps-") {
            continue;
        }
        for pin in fs::read_dir(&path).map_err(|e| at(&path, e))? {
            let pin = pin.map_err(|e| at(&path, e))?.path();
            fs::remove_file(&pin).map_err(|e| at(&pin, e))?;
            if name == "links" {
                let name = pin.file_name().unwrap_or_default().to_string_lossy();
                done.ports.push(interface_of_pin(&name));
            } else {
                done.maps += 1;
            }
        }
        fs::remove_dir(&path).map_err(|e| at(&path, e))?;
    }
    done.ports.sort();
    // Only if nothing of somebody else's is in it.
    let _ = fs::remove_dir(pin_path);
    Ok(done)
}
