//! The one place where map values are declared plain old data for aya.

use aya::Pod;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A value that zerocopy knows to have neither padding nor invalid bit patterns.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

// SAFETY: T has no padding (IntoBytes), every bit pattern is a value (FromBytes), and it is
// Copy and owns nothing.
unsafe impl<T: IntoBytes + FromBytes + Immutable + Copy + 'static> Pod for Plain<T> {}
