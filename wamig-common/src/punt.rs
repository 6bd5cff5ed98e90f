//! The record that carries a frame from the XDP program to userspace.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Sizes of the frame part, in bytes. The kernel wants a constant; a record takes the
/// smallest that holds the frame. Powers of two, because the verifier follows a length
/// through a bit mask; the last is more than one page leaves to a frame in XDP.
pub const SIZES: [usize; 3] = [256, 2048, 4096];

/// What stands before the frame's bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PuntHeader {
    /// The flow that sent it, in the fast path's numbers; 0 = none.
    pub flow: u32,
    /// Ingress port, OpenFlow number.
    pub in_port: u32,
    /// Length of the frame in bytes.
    pub frame_len: u32,
    /// Bytes that follow.
    pub held: u32,
    /// Index of the [`crate::verdict::PuntReason`].
    pub reason: u32,
    /// Index of the [`crate::verdict::SlowReason`], for slow-path punts.
    pub slow: u32,
    /// Pipeline metadata at the action.
    pub metadata: u64,
    /// Version of the tables that the frame saw: ids are not reused before it has drained.
    pub version: u64,
}

const _: () = assert!(size_of::<PuntHeader>() == 40);

/// A token bucket's state on one CPU.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Bucket {
    /// Jiffies of the last refill.
    pub refilled: u64,
    /// Tokens left, in thousandths.
    pub millitokens: u64,
}

/// A token bucket's configuration, for one CPU.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct BucketConfig {
    /// Thousandths of a token per jiffy.
    pub per_jiffy: u64,
    /// Most thousandths of a token that can be saved up.
    pub burst: u64,
}

/// Punt classes, each with a token bucket; ARP has a ring of its own as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// ARP (later ND): what migrations start from.
    Arp = 0,
    /// Packet-ins of everything else.
    Other = 1,
    /// The slow path.
    Slow = 2,
}

/// Number of [`Class`]es.
pub const CLASS_COUNT: u32 = 3;

impl Bucket {
    /// Takes a token at `now` (jiffies); false = there is none.
    #[inline(always)]
    pub fn take(&mut self, now: u64, config: &BucketConfig) -> bool {
        let elapsed = now.wrapping_sub(self.refilled);
        let mut tokens = self.millitokens;
        if elapsed != 0 {
            self.refilled = now;
            // A long silence must not overflow the product.
            let jiffies = if elapsed > 1 << 20 { 1 << 20 } else { elapsed };
            tokens += jiffies * config.per_jiffy;
            if tokens > config.burst {
                tokens = config.burst;
            }
        }
        if tokens < 1000 {
            self.millitokens = tokens;
            return false;
        }
        self.millitokens = tokens - 1000;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let config = BucketConfig { per_jiffy: 500, burst: 3000 };
        let mut b = Bucket::default();
        assert_eq!((0..10).filter(|_| b.take(1 << 30, &config)).count(), 3);
        assert!(!b.take((1 << 30) + 1, &config));
        assert!(b.take((1 << 30) + 2, &config));
        assert!(!b.take((1 << 30) + 2, &config));
    }
}
