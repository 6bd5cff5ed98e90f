//! A switch over memory maps with controllers that come and go.

use bytes::Bytes;
use wamig_openflow::{Action, MacAddr, PacketIn, PacketInReason, PortNo};

use super::*;
use crate::fastpath::memory::{Memory, MemoryMaps};
use crate::switch::fixtures::port;
use crate::switch::flow_table::Selector;
use crate::switch::port::Ports;
use crate::switch::{Limits, Switch};

const PATIENCE: Duration = Duration::from_secs(15);

struct Rig {
    switch: Switch<Memory>,
    alone: Standalone,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        let now = Instant::now();
        let ports = Ports::new([port(1), port(2), port(3)]);
        let switch = Switch::new(Memory::new(MemoryMaps::default()), ports, Limits::default());
        Self { switch, alone: Standalone::new(PATIENCE, 300, 16, now), now }
    }

    fn carry_out(&mut self, plan: Option<Plan>) -> bool {
        let Some(plan) = plan else { return false };
        let taken = self.switch.apply(plan.mods.clone(), self.now).is_ok();
        self.alone.applied(&plan, taken, self.now);
        true
    }

    fn tick(&mut self) -> bool {
        let ports: Vec<_> = self.switch.ports().iter().cloned().collect();
        let plan = self.alone.tick(ports.into_iter(), self.now);
        self.carry_out(plan)
    }

    fn cookies(&mut self) -> Vec<Cookie> {
        self.switch.dump_flows(&Selector::all(), self.now).iter().map(|f| f.cookie).collect()
    }

    /// A frame of host `src` to host `dst` as it comes up, taken in.
    fn heard(&mut self, in_port: u32, dst: u8, src: u8) {
        let data = [&[2, 0, 0, 0, 0, dst][..], &[2, 0, 0, 0, 0, src][..], &[8, 0], &[0; 50]].concat();
        let frame = PacketIn {
            reason: PacketInReason::Action,
            table: LEARN,
            cookie: COOKIE,
            in_port: PortNo(in_port),
            metadata: 0,
            tunnel_id: 0,
            buffer_id: None,
            total_len: data.len() as u16,
            data: Bytes::from(data),
        };
        let plan = self.alone.on_event(&Event::PacketIn(frame), self.now);
        assert!(self.carry_out(plan));
    }

    /// Where a frame goes that the learning switch knows the destination of.
    fn outputs(&self, in_port: u32, dst: u8, src: u8) -> String {
        let data = [&[2, 0, 0, 0, 0, dst][..], &[2, 0, 0, 0, 0, src][..], &[8, 0], &[0; 50]].concat();
        format!("{:?}", self.switch.trace(PortNo(in_port), &data).unwrap())
    }
}

fn controllers_flow() -> FlowMod {
    let out = Instructions::apply(vec![Action::output(PortNo(3))]);
    FlowMod::add(TableId(0), 100, Match::any(), out, Cookie(5))
}

#[test]
fn without_a_controller_the_switch_learns_and_with_one_its_flows_are_gone() {
    let mut rig = Rig::new();
    assert_eq!(rig.alone.controllers(true, rig.now), None);
    assert_eq!(rig.alone.next_deadline(), None, "a controller is there");
    rig.switch.apply(vec![controllers_flow()], rig.now).unwrap();
    assert_eq!(rig.alone.controllers(false, rig.now), None);
    rig.now += PATIENCE.saturating_sub(Duration::from_millis(1));
    assert!(!rig.tick(), "too early");
    // A second look at who is there does not begin the wait anew.
    assert_eq!(rig.alone.controllers(false, rig.now), None);
    rig.now += Duration::from_millis(1);
    assert!(rig.tick());
    assert_eq!(rig.alone.since(), Some(rig.now));
    let cookies = rig.cookies();
    assert!(cookies.contains(&Cookie(5)) && cookies.iter().filter(|c| **c == COOKIE).count() == 5, "{cookies:?}");

    rig.heard(1, 0xbb, 0xaa);
    let told = rig.outputs(2, 0xaa, 0xbb);
    assert!(told.contains("port: \"1\"") && !told.contains("port: \"3\""), "{told}");
    let (_, learning) = rig.alone.acting.as_ref().unwrap();
    assert_eq!(learning.port_of(MacAddr([2, 0, 0, 0, 0, 0xaa])), Some(PortNo(1)));

    let plan = rig.alone.controllers(true, rig.now);
    assert!(rig.carry_out(plan));
    assert_eq!((rig.cookies(), rig.alone.since()), (vec![Cookie(5)], None));
    rig.now += PATIENCE * 10;
    assert!(!rig.tick());
}

#[test]
fn a_switch_that_refuses_is_asked_again() {
    let mut rig = Rig::new();
    rig.now += PATIENCE;
    let ports: Vec<_> = rig.switch.ports().iter().cloned().collect();
    let plan = rig.alone.tick(ports.into_iter(), rig.now).unwrap();
    rig.alone.applied(&plan, false, rig.now);
    assert_eq!((rig.alone.since(), rig.alone.next_deadline()), (None, Some(rig.now + RETRY)));
    rig.now += RETRY;
    assert!(rig.tick());
    assert_eq!(rig.alone.since(), Some(rig.now));
}
