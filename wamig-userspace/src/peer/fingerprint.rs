//! The SHA-256 of a certificate: what an operator copies from one site's terminal into the
//! other site's configuration, and the only thing that makes a certificate acceptable.

use std::fmt;
use std::str::FromStr;

/// SHA-256 over the DER form of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// How a fingerprint's text begins.
const PREFIX: &str = "sha256:";

impl Fingerprint {
    /// The fingerprint of a certificate in DER form.
    pub fn of_der(der: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let mut octets = [0; 32];
        // SHA-256 has 32 octets; zip cannot go wrong where a slice copy could.
        octets.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(octets)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a fingerprint is sha256: and 64 hexadecimal digits, as `wamig keygen` prints it")]
pub struct BadFingerprint;

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let digits = text.strip_prefix(PREFIX).ok_or(BadFingerprint)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(BadFingerprint);
        }
        let mut octets = [0; 32];
        for (octet, pair) in octets.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| BadFingerprint)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| BadFingerprint)?;
        }
        Ok(Self(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of nothing (FIPS 180-4 examples).
    const OF_NOTHING: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_what_it_prints() {
        let fingerprint = Fingerprint::of_der(b"");
        assert_eq!(fingerprint.to_string(), OF_NOTHING);
        assert_eq!(OF_NOTHING.parse(), Ok(fingerprint));
        let upper = OF_NOTHING.to_uppercase().replace("SHA256", "sha256");
        assert_eq!(upper.parse(), Ok(fingerprint));
    }

    #[test]
    fn refuses_what_is_not_one() {
        let signed = OF_NOTHING.replace("e3", "+3");
        for bad in ["", "sha256:", &OF_NOTHING[7..], &OF_NOTHING[..70], &format!("{OF_NOTHING}00"), &signed] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(BadFingerprint), "{bad}");
        }
    }
}
