//! Certificates that endpoints are bound to. TLS trusts whoever a CA has signed, switches and
//! controllers alike; a pin says who of them is meant.

use std::collections::{BTreeMap, BTreeSet};

use crate::peer::Fingerprint;

/// Which certificates are accepted on which endpoint, beyond what TLS asks of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pins {
    /// The key of the configuration, for who has to correct it.
    key: &'static str,
    /// By index of the endpoint.
    of: BTreeMap<usize, BTreeSet<Fingerprint>>,
}

impl Pins {
    /// The pins that `key` of the configuration tells. An endpoint without one is bound to
    /// nothing; with several, to any of them, so that a certificate can be replaced.
    pub const fn new(key: &'static str, of: BTreeMap<usize, BTreeSet<Fingerprint>>) -> Self {
        Self { key, of }
    }

    /// Judges the certificate that the other side of a connection has shown.
    ///
    /// # Errors
    /// Why it is refused, and what would help.
    pub fn check(&self, endpoint: usize, certificate: Option<Fingerprint>) -> Result<(), String> {
        let Some(accepted) = self.of.get(&endpoint) else { return Ok(()) };
        let Some(shown) = certificate else {
            return Err(format!("refused: it shows no certificate, and {} binds this endpoint to one", self.key));
        };
        if accepted.contains(&shown) {
            return Ok(());
        }
        let listed: Vec<_> = accepted.iter().map(ToString::to_string).collect();
        Err(format!(
            "refused: its certificate is {shown}, and {key} says {}; if it is the right one, write it there",
            listed.join(" or "),
            key = self.key
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bound_certificate_and_only_where_it_is_bound() {
        let [right, next, wrong] = [b"a", b"b", b"c"].map(|der| Fingerprint::of_der(der));
        let pins = Pins::new("[[openflow.pin]]", BTreeMap::from([(1, BTreeSet::from([right, next]))]));
        assert_eq!(pins.check(0, None), Ok(()));
        assert_eq!(pins.check(0, Some(wrong)), Ok(()));
        assert_eq!([right, next].map(|c| pins.check(1, Some(c))), [Ok(()), Ok(())]);
        let said = pins.check(1, Some(wrong)).unwrap_err();
        for part in [wrong.to_string(), right.to_string(), next.to_string(), "[[openflow.pin]]".to_owned()] {
            assert!(said.contains(&part), "{said}");
        }
        assert!(pins.check(1, None).unwrap_err().contains("no certificate"));
    }
}
