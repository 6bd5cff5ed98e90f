//! This site's certificate and private key: made by [`keygen`], read by [`Identity::load`].
//!
//! Certificates are self-signed. A peer accepts one by its fingerprint alone: the site's name
//! in it is for people, and its dates bind nobody. To withdraw a certificate, remove its
//! fingerprint from the peers' configurations.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::cbor::MAX_SITE_NAME;
use super::fingerprint::Fingerprint;

/// Why an identity could not be made or read. Each says which file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The name cannot be a site's.
    #[error("site name {0:?}: use 1 to {MAX_SITE_NAME} letters, digits, '-', '_' or '.'")]
    SiteName(String),
    /// Keys are never overwritten: the peers have pinned them.
    #[error("{0} exists and is not overwritten; move it away first or choose another directory")]
    Exists(PathBuf),
    /// A file could not be written.
    #[error("cannot write {path}: {source}; check that the directory exists and may be written")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}; `wamig keygen --site NAME --out DIR` makes certificate and key")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file has no certificate, or no private key, in PEM form.
    #[error("{path} holds no {wanted} in PEM form ({source}); give the file that `wamig keygen` wrote")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// Others than owner and group may read the private key.
    #[error("{path} is a private key that everybody may read (mode {mode:03o}); run: chmod 600 {path}")]
    Readable {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Certificate and key do not belong together, or are of no use to TLS 1.3.
    #[error("{certificate} and {private_key} cannot be used together ({reason}); give the pair one keygen wrote")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        private_key: PathBuf,
        /// What TLS said.
        reason: String,
    },
    /// The key or certificate could not be generated.
    #[error("cannot generate a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

/// A certificate with its private key, ready for TLS.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Reads a PEM certificate and a PEM private key.
    pub fn load(certificate: &Path, private_key: &Path) -> Result<Self, IdentityError> {
        let pem = read(certificate)?;
        let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let chain = chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
        let no_pem = |path: &Path, wanted, source| IdentityError::Pem { path: path.to_owned(), wanted, source };
        let chain = chain.map_err(|source| no_pem(certificate, "certificate", source))?;
        let pem = read(private_key)?;
        let mode = fs::metadata(private_key).map_or(0, |meta| meta.permissions().mode() & 0o777);
        if mode & 0o007 != 0 {
            return Err(IdentityError::Readable { path: private_key.to_owned(), mode });
        }
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|source| no_pem(private_key, "private key", source))?;
        let fingerprint = chain.first().map(|der| Fingerprint::of_der(der));
        let fingerprint = fingerprint.ok_or_else(|| no_pem(certificate, "certificate", pem::Error::NoItemsFound))?;
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| IdentityError::Mismatch {
            certificate: certificate.to_owned(),
            private_key: private_key.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { key: Arc::new(key), fingerprint })
    }

    /// What the peers must have configured for this site.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// The fingerprint of the first certificate in a PEM text.
pub fn fingerprint_of(pem: &[u8]) -> Result<Fingerprint, pem::Error> {
    CertificateDer::from_pem_slice(pem).map(|der| Fingerprint::of_der(&der))
}

/// True for what may name a site: it is in file names, in logs and in certificates.
pub fn is_site_name(name: &str) -> bool {
    (1..=MAX_SITE_NAME).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet))
}

/// Makes a key and a self-signed certificate for `site`: `DIR/SITE.key` (mode 0600) and
/// `DIR/SITE.pem`. The directory is created if it is missing; files are never overwritten.
/// Returns what the peers have to configure.
pub fn keygen(site: &str, dir: &Path) -> Result<Fingerprint, IdentityError> {
    if !is_site_name(site) {
        return Err(IdentityError::SiteName(site.to_owned()));
    }
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::DnsName(site.try_into()?)];
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, site);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;

    fs::create_dir_all(dir).map_err(|source| IdentityError::Write { path: dir.to_owned(), source })?;
    let (pem_path, key_path) = (dir.join(format!("{site}.pem")), dir.join(format!("{site}.key")));
    // A key without its certificate would block the next attempt, so look for both first.
    if pem_path.exists() {
        return Err(IdentityError::Exists(pem_path));
    }
    create(&key_path, 0o600, key.serialize_pem().as_bytes())?;
    if let Err(error) = create(&pem_path, 0o644, certificate.pem().as_bytes()) {
        // Best effort: what matters is the first error.
        let _ = fs::remove_file(&key_path);
        return Err(error);
    }
    Ok(Fingerprint::of_der(certificate.der()))
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|source| IdentityError::Read { path: path.to_owned(), source })
}

fn create(path: &Path, mode: u32, text: &[u8]) -> Result<(), IdentityError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => IdentityError::Exists(path.to_owned()),
        _ => IdentityError::Write { path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).expect("is there").permissions().mode() & 0o777
    }

    #[test]
    fn keygen_writes_what_load_reads() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let out = dir.path().join("new/dir");
        let fingerprint = keygen("dc1", &out).expect("keygen");
        let (pem, key) = (out.join("dc1.pem"), out.join("dc1.key"));
        assert_eq!(mode_of(&key), 0o600);
        assert_eq!(mode_of(&pem) & 0o044, 0o044);
        assert_eq!(Identity::load(&pem, &key).expect("loads").fingerprint(), fingerprint);
        assert_eq!(fingerprint_of(&fs::read(&pem).expect("reads")).expect("a certificate"), fingerprint);
        let text = fingerprint.to_string();
        assert!(text.starts_with("sha256:") && text.len() == 7 + 64, "{text}");
    }

    #[test]
    fn keygen_overwrites_neither_file() {
        let dir = tempfile::tempdir().expect("temporary directory");
        keygen("dc1", dir.path()).expect("keygen");
        let (pem, key) = (dir.path().join("dc1.pem"), dir.path().join("dc1.key"));
        let before = fs::read(&key).expect("reads");
        assert!(matches!(keygen("dc1", dir.path()), Err(IdentityError::Exists(path)) if path == pem));
        fs::remove_file(&pem).expect("removes");
        assert!(matches!(keygen("dc1", dir.path()), Err(IdentityError::Exists(path)) if path == key));
        assert_eq!(fs::read(&key).expect("reads"), before);
        assert!(!pem.exists());
    }

    #[test]
    fn keygen_refuses_names_that_are_paths() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for bad in ["", "..", "../dc1", "a/b", "dc 1", ".hidden", "dc\u{e9}", &"x".repeat(64)] {
            assert!(matches!(keygen(bad, dir.path()), Err(IdentityError::SiteName(_))), "{bad:?}");
        }
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 0);
    }

    #[test]
    fn load_says_which_file_and_what_to_do() {
        let dir = tempfile::tempdir().expect("temporary directory");
        keygen("dc1", dir.path()).expect("keygen");
        keygen("dc2", dir.path()).expect("keygen");
        let path = |name: &str| dir.path().join(name);
        let said = |certificate: &str, key: &str| {
            Identity::load(&path(certificate), &path(key)).expect_err("refused").to_string()
        };
        let text = said("none.pem", "dc1.key");
        assert!(text.contains("none.pem") && text.contains("wamig keygen"), "{text}");
        let text = said("dc1.key", "dc1.key");
        assert!(text.contains("dc1.key holds no certificate"), "{text}");
        let text = said("dc1.pem", "dc1.pem");
        assert!(text.contains("everybody may read") || text.contains("holds no private key"), "{text}");
        let text = said("dc1.pem", "dc2.key");
        assert!(text.contains("dc1.pem and ") && text.contains("dc2.key cannot be used together"), "{text}");
        fs::set_permissions(path("dc1.key"), fs::Permissions::from_mode(0o644)).expect("chmod");
        let text = said("dc1.pem", "dc1.key");
        assert!(text.contains("chmod 600 ") && text.contains("mode 644"), "{text}");
        fs::write(path("cut.pem"), "-----BEGIN CERTIFICATE-----\nAAAA").expect("writes");
        let text = said("cut.pem", "dc1.key");
        assert!(text.contains("cut.pem holds no certificate"), "{text}");
    }
}
