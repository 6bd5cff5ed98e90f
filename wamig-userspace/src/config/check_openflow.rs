//! The keys about external controllers: `[openflow]` and `switch.control`.

use std::collections::{BTreeMap, BTreeSet};

use wamig_openflow::Version;

use super::check::Check;
use super::file::{self, File, Text};
use super::{Control, FailMode, OpenFlow, OpenFlowTls};
use crate::channel::endpoint::Endpoint;
use crate::channel::pin::Pins;
use crate::channel::tls::Trust;
use crate::peer::Fingerprint;

/// Most connections that may be allowed.
const MAX_CONNECTIONS: u64 = 1024;

impl Check<'_, '_> {
    pub(super) fn control(&mut self, text: Option<&Text>) -> Option<Control> {
        let Some(text) = text else { return Some(Control::default()) };
        match text.get_ref().as_str() {
            "embedded" => Some(Control::Embedded),
            "openflow" => Some(Control::OpenFlow),
            other => self.wrong(
                text.span(),
                format!("{other:?} cannot control the switch"),
                "allowed: \"embedded\" (learning switch and migration, the default), \"openflow\" (the controllers \
                 of [openflow])",
            ),
        }
    }

    /// Notes what has no meaning when external controllers own the tables.
    pub(super) fn only_embedded(&mut self, file: &File) -> Option<()> {
        let mut good = Some(());
        let spans = [
            ("[lan]", file.lan.as_ref().map(toml::Spanned::span)),
            ("[hosting]", file.hosting.as_ref().map(toml::Spanned::span)),
            ("[[server]]", file.server.first().map(toml::Spanned::span)),
            ("[peering]", file.peering.as_ref().map(toml::Spanned::span)),
            ("[[peer]]", file.peer.first().map(toml::Spanned::span)),
        ];
        for (name, span) in spans {
            if let Some(span) = span {
                good = self.wrong(
                    span,
                    format!("{name} is for the embedded controller, but switch.control is \"openflow\""),
                    format!("take out {name}, or set control = \"embedded\" in [switch]"),
                );
            }
        }
        good
    }

    pub(super) fn openflow(&mut self, keys: Option<&file::Openflow>, control: Option<Control>) -> Option<OpenFlow> {
        let Some(keys) = keys else {
            if control == Some(Control::OpenFlow) {
                return self.wrong(
                    0..0,
                    "missing key `openflow`",
                    "needed: [openflow] with controllers or listen, as switch.control is \"openflow\"",
                );
            }
            return Some(OpenFlow { versions: vec![Version::V10, Version::V13], ..OpenFlow::default() });
        };
        let active = self.endpoints(&keys.controllers, false);
        let passive = self.endpoints(&keys.listen, true);
        let versions = self.versions(keys);
        let probe = self.number(keys.inactivity_probe_s.as_ref(), 5, 0, 3600, "seconds, 0 = never");
        let most = self.number(keys.max_connections.as_ref(), 32, 1, MAX_CONNECTIONS, "connections");
        let tls = self.openflow_tls(&keys.tls());
        let fail_mode = self.fail_mode(keys.fail_mode.as_ref(), control);
        let (mut endpoints, passive) = (active?, passive?);
        endpoints.extend(passive);
        let tls = tls?;
        self.certified(keys.controllers.iter().chain(&keys.listen), tls.is_some(), "[openflow]")?;
        let pins = self.pins(keys, &endpoints, tls.as_ref())?;
        Some(OpenFlow {
            endpoints,
            pins,
            versions: versions?,
            probe_s: probe?,
            fail_mode: fail_mode?,
            max_connections: most? as usize,
            tls,
        })
    }

    /// Which certificates are accepted where.
    fn pins(&mut self, keys: &file::Openflow, endpoints: &[Endpoint], tls: Option<&OpenFlowTls>) -> Option<Pins> {
        let mut of = BTreeMap::<_, BTreeSet<_>>::new();
        for pin in &keys.pin {
            let there = pin.endpoint.get_ref();
            let index = there.parse().ok().and_then(|e: Endpoint| endpoints.iter().position(|known| *known == e));
            let Some(index) = index else {
                let known: Vec<_> = endpoints.iter().filter(|e| e.is_tls()).map(ToString::to_string).collect();
                let allowed = format!("allowed (controllers and listen, with TLS): {}", known.join(", "));
                return self.wrong(pin.endpoint.span(), format!("{there:?} is no endpoint of [openflow]"), allowed);
            };
            if !endpoints[index].is_tls() {
                let what = format!("nobody shows a certificate on {there}");
                return self.wrong(pin.endpoint.span(), what, "allowed: an endpoint with tls: or ptls:");
            }
            let certificate = self.fingerprint(&pin.certificate)?;
            self.trusted(&pin.certificate, certificate, tls, "[openflow]")?;
            of.entry(index).or_default().insert(certificate);
        }
        Some(Pins::new("certificate in [[openflow.pin]]", of))
    }

    /// A certificate that is bound to something has to be one that is let in.
    pub(super) fn trusted(
        &mut self,
        text: &Text,
        certificate: Fingerprint,
        tls: Option<&OpenFlowTls>,
        section: &str,
    ) -> Option<()> {
        match tls.map(|tls| &tls.trust) {
            Some(Trust::Pinned(accepted)) if !accepted.contains(&certificate) => self.wrong(
                text.span(),
                format!("fingerprints in {section} does not have it, so that nobody could ever connect"),
                "needed: add it to fingerprints, or trust a ca",
            ),
            _ => Some(()),
        }
    }

    /// Endpoints of TLS need certificates.
    pub(super) fn certified<'f>(
        &mut self,
        mut endpoints: impl Iterator<Item = &'f Text>,
        there_are: bool,
        section: &str,
    ) -> Option<()> {
        let tls = endpoints.find(|t| t.get_ref().parse::<Endpoint>().is_ok_and(|e| e.is_tls()));
        match tls.filter(|_| !there_are) {
            None => Some(()),
            Some(text) => self.wrong(
                text.span(),
                format!("{} needs certificates", text.get_ref()),
                format!("needed in {section}: certificate, private_key, and ca or fingerprints"),
            ),
        }
    }

    pub(super) fn endpoints(&mut self, texts: &[Text], passive: bool) -> Option<Vec<Endpoint>> {
        let allowed = if passive {
            "allowed: ptcp:[PORT][:IP], ptls:[PORT][:IP], punix:PATH"
        } else {
            "allowed: tcp:HOST[:PORT], tls:HOST[:PORT], unix:PATH"
        };
        let mut good = Some(Vec::new());
        for text in texts {
            match text.get_ref().parse::<Endpoint>() {
                Ok(endpoint) if endpoint.is_passive() == passive => {
                    if let Some(list) = &mut good {
                        list.push(match endpoint {
                            Endpoint::Unix(path) => Endpoint::Unix(self.relative(&path.to_string_lossy())),
                            Endpoint::ListenUnix(path) => Endpoint::ListenUnix(self.relative(&path.to_string_lossy())),
                            other => other,
                        });
                    }
                }
                _ => {
                    let what = format!(
                        "{:?} is no endpoint to {}",
                        text.get_ref(),
                        if passive { "listen on" } else { "dial" }
                    );
                    good = self.wrong(text.span(), what, allowed);
                }
            }
        }
        good
    }

    fn versions(&mut self, keys: &file::Openflow) -> Option<Vec<Version>> {
        let Some(list) = &keys.protocols else { return Some(vec![Version::V10, Version::V13]) };
        self.not_empty(list, "\"OpenFlow13\", \"OpenFlow10\" or both")?;
        let mut versions = BTreeSet::new();
        for text in list.get_ref() {
            versions.insert(match text.get_ref().as_str() {
                "OpenFlow10" | "1.0" => Version::V10,
                "OpenFlow13" | "1.3" => Version::V13,
                other => {
                    return self.wrong(
                        text.span(),
                        format!("{other:?} is not spoken here"),
                        "allowed: \"OpenFlow10\", \"OpenFlow13\"",
                    );
                }
            });
        }
        Some(versions.into_iter().collect())
    }

    fn fail_mode(&mut self, text: Option<&Text>, control: Option<Control>) -> Option<FailMode> {
        let Some(text) = text else { return Some(FailMode::default()) };
        match text.get_ref().as_str() {
            "secure" => Some(FailMode::Secure),
            "standalone" if control == Some(Control::Embedded) => self.wrong(
                text.span(),
                "fail_mode \"standalone\" is for a switch that controllers own, but switch.control is \"embedded\"",
                "take it out (the embedded controller goes on in any case), or set control = \"openflow\" in [switch]",
            ),
            "standalone" => Some(FailMode::Standalone),
            other => self.wrong(
                text.span(),
                format!("{other:?} is not a fail mode"),
                "allowed: \"secure\" (without a controller the flows stay as they are, the default), \"standalone\" (the \
                 switch learns addresses and forwards by itself)",
            ),
        }
    }

    #[expect(clippy::option_option, reason = "a mistake, no keys at all, or all of them")]
    pub(super) fn openflow_tls(&mut self, keys: &file::Tls<'_>) -> Option<Option<OpenFlowTls>> {
        let trust = match (keys.ca, keys.fingerprints) {
            (Some(ca), None) => Some(Trust::Ca(self.existing(ca)?)),
            (None, Some(list)) => {
                self.not_empty(list, "fingerprints of the controllers' certificates")?;
                let pins: Option<BTreeSet<_>> = list.get_ref().iter().map(|t| self.fingerprint(t)).collect();
                Some(Trust::Pinned(pins?))
            }
            (Some(ca), Some(_)) => {
                return self.wrong(ca.span(), "both ca and fingerprints are given", "allowed: one of them");
            }
            (None, None) => None,
        };
        match (keys.certificate, keys.private_key, trust) {
            (None, None, None) => Some(None),
            (Some(certificate), Some(key), Some(trust)) => {
                let (certificate, private_key) = (self.existing(certificate)?, self.existing(key)?);
                Some(Some(OpenFlowTls { certificate, private_key, trust }))
            }
            (certificate, key, _) => {
                let span = certificate.or(key).or(keys.ca).map_or(0..0, Text::span);
                let needed = format!("needed in {}: certificate, private_key, and ca or fingerprints", keys.section);
                self.wrong(span, "the keys for TLS are not complete", needed)
            }
        }
    }
}
