//! What `POST /v1/reload` answers.

use serde::{Deserialize, Serialize};

/// What became of a configuration file that was read again. Keys are only ever added.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReloadAnswer {
    /// The site that answers.
    pub site: String,
    /// The file.
    pub file: String,
    /// What has changed, a line for each thing; empty = nothing, or it is refused.
    pub changed: Vec<String>,
    /// Why nothing of it is in force, with places in the file and remedies.
    pub refused: Option<String>,
}
