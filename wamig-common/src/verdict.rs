//! What becomes of a frame, and why. Every reason has a name and a counter; the names are
//! part of the interface of `wamig status`.

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every reason; the position is the index of its counter.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name shown to people and machines.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }

            /// Index of the reason's counter.
            pub const fn index(self) -> u32 { self as u32 }

            /// The reason with that index.
            pub fn from_index(index: u32) -> Option<Self> { Self::ALL.get(index as usize).copied() }
        }
    };
}

reasons! {
    /// Why a frame ended in the switch.
    DropReason {
        /// No flow of a table matched and the table has no miss flow.
        TableMiss = "table-miss",
        /// The flows that matched say so: no output.
        NoOutput = "no-output",
        /// A copy went to the controller and nowhere else.
        ControllerOnly = "controller-only",
        /// Shorter than an Ethernet header.
        Truncated = "truncated",
        /// The only output was the ingress port; hairpin needs IN_PORT.
        IngressPort = "output-to-ingress",
        /// The output port does not exist (any more).
        NoPort = "no-such-port",
        /// More goto-table steps than tables.
        TooManyTables = "too-many-tables",
        /// A header had to be pushed and not even the slow path has room for it.
        NoHeadroom = "no-headroom",
        /// The kernel refused to change or send the frame.
        Kernel = "kernel-refused",
        /// A map entry that must exist was missing; the switch rebuilds its tables.
        Inconsistent = "inconsistent-tables",
        /// The slow path was wanted and its token bucket was empty.
        SlowLimited = "slow-path-limited",
        /// The slow path was wanted and its ring was full.
        SlowRingFull = "slow-path-ring-full",
        /// The port it came in by takes nothing (`OFPPC_NO_RECV`, `OFPPC_PORT_DOWN`).
        PortReceivesNot = "port-no-receive",
        /// The port it should go out of sends nothing (`OFPPC_NO_FWD`, `OFPPC_PORT_DOWN`).
        PortForwardsNot = "port-no-forward",
        /// A meter's band says so.
        Metered = "meter",
        /// An IP fragment, and the switch is told to drop those (`OFPC_FRAG_DROP`).
        Fragment = "fragment",
    }
}

reasons! {
    /// Why a frame goes up.
    PuntReason {
        /// Output to CONTROLLER by a table-miss flow (priority 0, no match).
        NoMatch = "no-match",
        /// Output to CONTROLLER by any other flow.
        Action = "action",
        /// A TTL would have become 0.
        InvalidTtl = "invalid-ttl",
        /// The fast path cannot do what the flows say: the frame as received, for the slow path.
        Slow = "slow-path",
        /// No flow matched, and a controller of OpenFlow 1.0 wants to know.
        Miss = "miss",
    }
}

reasons! {
    /// What stopped a punt; the frame itself may still have been forwarded.
    PuntLoss {
        /// The token bucket of the ARP class was empty.
        ArpLimited = "arp-limited",
        /// The token bucket of the other classes was empty.
        OtherLimited = "other-limited",
        /// The ring buffer of the ARP class was full.
        ArpRingFull = "arp-ring-full",
        /// The ring buffer of the other classes was full.
        OtherRingFull = "other-ring-full",
        /// A table miss at a port that makes no packet-ins (`OFPPC_NO_PACKET_IN`).
        PortSilent = "port-no-packet-in",
    }
}

reasons! {
    /// Why flows need the slow path.
    SlowReason {
        /// A header changes after a copy has been output.
        EditAfterOutput = "edit-after-output",
        /// Several outputs that are not one port set.
        SeveralOutputs = "several-outputs",
        /// More packet-ins of one frame than the fast path keeps.
        SeveralPacketIns = "several-packet-ins",
        /// A header beyond the first 192 bytes must change.
        BeyondWindow = "beyond-window",
        /// A group: its buckets work on copies of the frame.
        Group = "group",
        /// A meter.
        Meter = "meter",
        /// More headers are pushed than there is room for.
        Headroom = "headroom",
        /// MPLS label stack entries that are pushed or popped, or a TTL that is copied.
        Mpls = "mpls",
        /// PBB service instance tags that are pushed or popped.
        Pbb = "pbb",
        /// The number of an IP protocol.
        IpProto = "ip-proto",
        /// A tunnel id.
        TunnelId = "tunnel-id",
        /// SCTP ports: their checksum covers the whole packet (CRC32c).
        Sctp = "sctp-checksum",
    }
}

reasons! {
    /// Oddities that are counted and do not end the frame: it is matched by what could be read.
    Anomaly {
        /// An IPv4, IPv6 or ARP header that is cut short or contradicts the frame's length.
        MalformedL3 = "malformed-l3",
        /// A TCP, UDP, SCTP or ICMP header that is cut short.
        MalformedL4 = "malformed-l4",
        /// More than two VLAN tags.
        DeepTags = "more-than-two-tags",
        /// More IPv6 extension headers than are walked.
        DeepExtensions = "too-many-extension-headers",
    }
}

/// What the walk decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Carry out the plan.
    Done,
    /// Hand the frame, as received, to the slow path.
    Slow(SlowReason),
    /// Drop; punts that the plan holds are still made.
    Drop(DropReason),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_and_reasons_are_one_to_one() {
        for (i, r) in DropReason::ALL.iter().enumerate() {
            assert_eq!(r.index() as usize, i);
            assert_eq!(DropReason::from_index(i as u32), Some(*r));
        }
        assert_eq!(PuntReason::from_index(99), None);
    }
}
