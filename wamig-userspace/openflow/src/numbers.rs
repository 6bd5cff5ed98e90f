//! The one place where an enum or a set of flags meets its wire numbers: two macros that
//! generate both directions from one table, so that they cannot disagree.

/// An enum of unit variants with its wire number: `number()` and `from_number()`.
macro_rules! numbered {
    ($(#[$meta:meta])* pub enum $name:ident: $int:ty { $($(#[$doc:meta])* $variant:ident = $n:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every variant, in wire order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number on the wire.
            pub const fn number(self) -> $int {
                match self { $(Self::$variant => $n,)* }
            }

            /// The variant of a wire number, if it has one.
            pub const fn from_number(n: $int) -> Option<Self> {
                match n { $($n => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

/// A struct of named flags with their wire bits: `to_bits()`, `from_bits()` and `split()`.
macro_rules! flags {
    ($(#[$meta:meta])* pub struct $name:ident: $int:ty { $($(#[$doc:meta])* $field:ident = $bit:expr,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
        pub struct $name { $($(#[$doc])* pub $field: bool,)* }

        impl $name {
            /// The bits as OpenFlow 1.3 numbers them.
            pub const fn to_bits(self) -> $int {
                let mut bits = 0;
                $(if self.$field { bits |= $bit; })*
                bits
            }

            /// The flags of wire bits; bits without a name are dropped.
            pub const fn from_bits(bits: $int) -> Self {
                Self { $($field: bits & $bit != 0,)* }
            }

            /// The flags of wire bits; `None` if some bit has no name.
            pub const fn exact(bits: $int) -> Option<Self> {
                let flags = Self::from_bits(bits);
                if flags.to_bits() == bits { Some(flags) } else { None }
            }
        }
    };
}

pub(crate) use flags;
pub(crate) use numbered;
