//! The keys about a switch elsewhere: `[switch.remote]`, and `[switch.member.remote]` of each of several.

use toml::Spanned;
use wamig_openflow::Version;
use wamig_openflow::message::ControllerRole;

use super::check::Check;
use super::file::{self, File, Text};
use super::{Control, OpenFlowTls, Remote};
use crate::channel::endpoint::Endpoint;
use crate::datapath::remote::marks::{self, Marks};
use crate::datapath::remote::profile::Profile;
use crate::peer::Fingerprint;

impl Check<'_, '_> {
    pub(super) fn remote(&mut self, remote: &Spanned<file::Remote>, switch: &file::Switch) -> Option<Remote> {
        if switch.datapath_id.is_none() {
            return self.wrong(
                remote.span(),
                "[switch.remote] needs to know which switch",
                "needed in [switch]: datapath_id, as the switch has it (Open vSwitch: `ovs-ofctl show BRIDGE`)",
            );
        }
        self.remote_keys(remote, "[switch.remote]")
    }

    /// What `section` says about one switch.
    pub(super) fn remote_keys(&mut self, remote: &Spanned<file::Remote>, section: &'static str) -> Option<Remote> {
        let keys = remote.get_ref();
        let (active, passive) = (self.endpoints(&keys.connect, false), self.endpoints(&keys.listen, true));
        let profile = self.profile(keys);
        let version = profile.and_then(|p| self.remote_version(keys, p));
        let role = self.role(keys);
        let probe = self.number(keys.inactivity_probe_s.as_ref(), 5, 0, 3600, "seconds, 0 = never");
        let marks = self.marks(keys);
        let tls = self.openflow_tls(&keys.tls(section))?;
        self.certified(keys.connect.iter().chain(&keys.listen), tls.is_some(), section)?;
        let certificate = self.switch_certificate(keys, tls.as_ref(), section)?;
        let (mut endpoints, passive) = (active?, passive?);
        endpoints.extend(passive);
        if endpoints.is_empty() {
            return self.wrong(
                remote.span(),
                format!("{section} says neither where the switch is nor where it connects to"),
                "needed: connect, as in [\"tcp:192.0.2.9\"], or listen, as in [\"ptcp:6653:127.0.0.1\"]",
            );
        }
        let (version, profile, role, probe_s, marks) = (version?, profile?, role?, probe?, marks?);
        Some(Remote { section, endpoints, version, profile, role, probe_s, tls, certificate, marks })
    }

    /// The cookies and priorities of our flows. A cookie whose upper bits are all 0 or all 1 is
    /// everybody's who does not name one.
    fn marks(&mut self, keys: &file::Remote) -> Option<Marks> {
        let [migration, learning, links] = Marks::default().cookies();
        let none = file::Cookies::default();
        let named = keys.cookies.as_ref().map_or(&none, Spanned::get_ref);
        let mut cookie = |n: Option<&file::Number>, default: u16| {
            let unit = "(the upper 16 bits of the cookies)";
            self.number(n, default.into(), 1, 0xfffe, unit).map(|n| n as u16)
        };
        let cookies = [
            cookie(named.migration.as_ref(), migration),
            cookie(named.learning.as_ref(), learning),
            cookie(named.links.as_ref(), links),
        ];
        let least = u64::from(Marks::default().priority());
        let span = format!("(the lowest of {}, in table 0)", marks::SPAN);
        let priority = self.number(keys.priority.as_ref(), least, 1000, 63_000, &span);
        let ([Some(migration), Some(learning), Some(links)], Some(priority)) = (cookies, priority) else {
            return None;
        };
        if let Some(table) = &keys.cookies
            && (migration == learning || learning == links || migration == links)
        {
            return self.wrong(
                table.span(),
                format!("cookies migration = {migration:#06x}, learning = {learning:#06x}, links = {links:#06x}: two are the same"),
                "needed: three different ones",
            );
        }
        Some(Marks::new(migration, learning, links, priority as u16))
    }

    /// The certificate that the datapath id is bound to: every way to the switch has to show it.
    #[expect(clippy::option_option, reason = "a mistake, no such key, or its value")]
    fn switch_certificate(
        &mut self,
        keys: &file::Remote,
        tls: Option<&OpenFlowTls>,
        section: &'static str,
    ) -> Option<Option<Fingerprint>> {
        let Some(text) = &keys.switch_certificate else { return Some(None) };
        let is_tls = |t: &&Text| t.get_ref().parse::<Endpoint>().is_ok_and(|e| e.is_tls());
        if let Some(plain) = keys.connect.iter().chain(&keys.listen).find(|t| !is_tls(t)) {
            return self.wrong(
                plain.span(),
                format!("nobody shows a certificate on {}, but there is switch_certificate", plain.get_ref()),
                "allowed with it: tls:HOST[:PORT], ptls:[PORT][:IP]",
            );
        }
        let certificate = self.fingerprint(text)?;
        self.trusted(text, certificate, tls, section)?;
        Some(Some(certificate))
    }

    /// Notes what has no meaning when the switch is elsewhere.
    pub(super) fn only_local(&mut self, file: &File) -> Option<()> {
        let switch = &file.switch;
        let section = if switch.remote.is_some() { "[switch.remote]" } else { "[[switch.member]]" };
        let mut good = Some(());
        let spans = [
            ("local", switch.local.as_ref().map(Spanned::span)),
            ("pin_path", switch.pin_path.as_ref().map(Spanned::span)),
            ("xdp_mode", switch.xdp_mode.as_ref().map(Spanned::span)),
            ("limits", switch.limits.as_ref().map(Spanned::span)),
        ];
        for (name, span) in spans {
            if let Some(span) = span {
                let what = format!("{name} is for the switch in this process, but there is {section}");
                good = self.wrong(span, what, format!("take out {name} or {section}"));
            }
        }
        let external = switch.control.as_ref().filter(|c| c.get_ref() == "openflow");
        let controllers = file.openflow.as_ref().and_then(|o| o.controllers.iter().chain(&o.listen).next());
        if let Some(text) = external.or(controllers) {
            good = self.wrong(
                text.span(),
                "external controllers cannot control a switch that is elsewhere by way of wamig",
                format!("let them connect to that switch itself, or take out {section}"),
            );
        }
        good.filter(|()| self.control(switch.control.as_ref()) == Some(Control::Embedded))
    }

    fn remote_version(&mut self, keys: &file::Remote, profile: Profile) -> Option<Version> {
        let (word, wanted) = match profile.version() {
            Version::V10 => ("1.0", ["1.0", "OpenFlow10"]),
            Version::V13 => ("1.3", ["1.3", "OpenFlow13"]),
        };
        match &keys.version {
            Some(text) if !wanted.contains(&text.get_ref().as_str()) => self.wrong(
                text.span(),
                format!("{:?} is not the version of profile {profile}", text.get_ref()),
                format!("allowed: \"{word}\", or take version out"),
            ),
            _ => Some(profile.version()),
        }
    }

    fn profile(&mut self, keys: &file::Remote) -> Option<Profile> {
        let text = &keys.profile;
        if let Some(profile) = Profile::ALL.iter().find(|p| p.as_str() == text.get_ref()) {
            return Some(*profile);
        }
        let names: Vec<_> = Profile::ALL.iter().map(|p| format!("\"{p}\"")).collect();
        self.wrong(
            text.span(),
            format!("{:?} is not a profile", text.get_ref()),
            format!("allowed: {}", names.join(", ")),
        )
    }

    fn role(&mut self, keys: &file::Remote) -> Option<ControllerRole> {
        let Some(text) = &keys.role else { return Some(ControllerRole::Equal) };
        match text.get_ref().as_str() {
            "equal" => Some(ControllerRole::Equal),
            "master" => Some(ControllerRole::Master),
            other => self.wrong(
                text.span(),
                format!("{other:?} is not a role"),
                "allowed: \"equal\" (beside other controllers, the default), \"master\" (the others may only look)",
            ),
        }
    }
}
