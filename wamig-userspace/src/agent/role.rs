//! Roles (OpenFlow 1.3.5 §6.3.6): at most one master, whose election has an age; slaves look
//! on. In 1.0 the same by Nicira's messages, without ages.

use wamig_openflow::message::{ControllerRole, MultipartRequest, Role};
use wamig_openflow::{ErrorKind, Message, OfpError, Version};

use super::Agent;
use crate::channel::ConnId;

/// For status.
pub(super) const fn name(role: ControllerRole) -> &'static str {
    match role {
        ControllerRole::NoChange | ControllerRole::Equal => "equal",
        ControllerRole::Master => "master",
        ControllerRole::Slave => "slave",
    }
}

/// Whether a slave may not ask this.
pub(super) fn changes(message: &Message) -> bool {
    match message {
        Message::PacketOut(_)
        | Message::FlowMod(_)
        | Message::GroupMod(_)
        | Message::PortMod(_)
        | Message::TableMod(_)
        | Message::MeterMod(_)
        | Message::SetConfig(_)
        | Message::BundleControl(_)
        | Message::BundleAdd(_) => true,
        Message::MultipartRequest { body: MultipartRequest::TableFeatures(wanted), .. } => !wanted.is_empty(),
        _ => false,
    }
}

/// `OFPBRC_IS_SLAVE`.
pub(super) fn is_slave() -> OfpError {
    OfpError::new(ErrorKind::BadRequestIsSlave, "a slave may only look; ask for the role of master or equal first")
}

impl Agent {
    /// Gives a session a role.
    pub(super) fn set_role(&mut self, conn: ConnId, asked: Role) -> Result<Role, OfpError> {
        let Some(version) = self.sessions.get(&conn).map(|s| s.version) else { return Ok(asked) };
        let elected = matches!(asked.role, ControllerRole::Master | ControllerRole::Slave);
        if elected && version != Version::V10 {
            if let Some(known) = self.generation
                && (asked.generation_id.wrapping_sub(known) as i64) < 0
            {
                let detail = format!("generation {} is older than {known}", asked.generation_id);
                return Err(OfpError::new(ErrorKind::RoleRequestStale, detail));
            }
            self.generation = Some(asked.generation_id);
        }
        for (other, session) in &mut self.sessions {
            match asked.role {
                ControllerRole::NoChange => {}
                role if *other == conn => session.role = role,
                ControllerRole::Master if session.role == ControllerRole::Master => {
                    session.role = ControllerRole::Slave;
                }
                _ => {}
            }
        }
        let role = self.sessions.get(&conn).map_or(asked.role, |s| s.role);
        // No election yet: all ones (§7.3.9).
        let generation_id = self.generation.unwrap_or(u64::MAX);
        Ok(Role { role, generation_id })
    }
}
