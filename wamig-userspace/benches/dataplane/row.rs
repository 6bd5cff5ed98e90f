//! What is printed: rows and their samples.

use serde::Serialize;

/// A row of a group.
#[derive(Serialize, Default)]
pub struct Row {
    /// Group.
    pub group: &'static str,
    /// Name.
    pub name: String,
    /// What the samples count.
    pub unit: &'static str,
    /// One for each round.
    pub samples: Vec<f64>,
    /// Further figures that belong to the row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<(String, f64)>,
    /// Why there are no samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl Row {
    /// A row without samples.
    pub fn new(group: &'static str, name: impl Into<String>, unit: &'static str) -> Self {
        Self { group, name: name.into(), unit, ..Self::default() }
    }

    /// Prints it.
    pub fn print(&self) {
        println!("{}", serde_json::to_string(self).unwrap());
    }
}
