//! `wamig check-config`.

use std::path::PathBuf;

use crate::config::Config;

/// Check a configuration file
///
/// Reads the file as `wamig run` does and tells every mistake with its place:
/// FILE:LINE:COLUMN: what is wrong; what is allowed. The certificate files must be there; the
/// machine's interfaces are not looked at, so a file can be checked anywhere.
///
/// Example: wamig check-config /etc/wamig/wamig.toml
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(value_name = "FILE", default_value = super::DEFAULT_CONFIG)]
    file: PathBuf,
    /// The same, as the other verbs spell it
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let file = arguments.config.as_ref().unwrap_or(&arguments.file);
    let config = Config::load(file)?;
    super::print(&format!("{}: ok: {}\n", file.display(), summary(&config)))
}

/// What the file says, in one line.
fn summary(config: &Config) -> String {
    let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let mut parts = vec![
        format!("site {}", config.site),
        count(config.switch.ports.len(), "port"),
        count(config.peers.len(), "peer"),
        count(config.servers.len(), "server"),
    ];
    match config.hosting.pool.iter().map(|range| range.iter().count()).sum() {
        0 => {}
        1 => parts.push("1 transfer address".to_owned()),
        n => parts.push(format!("{n} transfer addresses")),
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_samples_are_good_files() {
        let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist");
        let dir = tempfile::tempdir().unwrap();
        for (site, expected) in [
            ("dc1", "site dc1, 3 ports, 1 peer, 1 server"),
            ("dc2", "site dc2, 3 ports, 1 peer, 0 servers, 10 transfer addresses"),
            ("openflow", "site edge1, 3 ports, 0 peers, 0 servers"),
            ("fabric", "site dc1, 3 ports, 1 peer, 1 server"),
        ] {
            let name = format!("wamig-{site}.toml");
            let copy = dir.path().join(&name);
            std::fs::copy(dist.join(&name), &copy).unwrap();
            for file in ["dc1", "dc2", "openflow"].into_iter().flat_map(|s| [format!("{s}.pem"), format!("{s}.key")]) {
                std::fs::write(dir.path().join(file), "").unwrap();
            }
            let config = Config::load(&copy).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(summary(&config), expected);
        }
    }
}
