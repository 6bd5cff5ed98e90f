//! The machines against what is asked of them.

pub(in crate::migration) mod site;
