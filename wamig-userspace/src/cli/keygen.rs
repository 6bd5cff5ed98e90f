//! `wamig keygen`.

use std::path::PathBuf;

use crate::peer::identity;

/// Make this site's certificate and key
///
/// Writes NAME.pem and NAME.key (mode 0600) into a directory and prints the certificate's
/// fingerprint, which the operators of the other sites put into their configuration, as the
/// fingerprint of this peer. Files that are there are not overwritten.
///
/// Example: wamig keygen --site dc1 --out /etc/wamig
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The site's name, as in `site` of its configuration
    #[arg(long, value_name = "NAME")]
    site: String,
    /// The directory, made if it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let fingerprint = identity::keygen(&arguments.site, &arguments.out)?;
    super::print(&format!("{fingerprint}\n"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_pair_is_usable_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let arguments = Arguments { site: "dc1".to_owned(), out: dir.path().to_owned() };
        run(&arguments).unwrap();
        let [pem, key] = ["dc1.pem", "dc1.key"].map(|name| dir.path().join(name));
        identity::Identity::load(&pem, &key).unwrap();
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(run(&arguments).unwrap_err().to_string().contains("is not overwritten"));
    }
}
