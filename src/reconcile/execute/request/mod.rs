//! The requests of a plan in the terms of a sidecar. Pure.
//!
//! Every value is parsed by the type that the rules parse it with, so an admitted object can be sent. The values that a
//! restore has copied from its backup come from the status of the restore.

mod backup;
mod fields;
mod restore;

pub use backup::{backup, list, proof, proof_directory, remove, resolved_tag};
pub use restore::{download_directory, restore};

/// A field that cannot be sent to a sidecar.
///
/// The rules deny such a value, so either the object was stored without a review, or a user has edited its status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} cannot be sent to a sidecar: {why}")]
pub struct Unsendable {
    /// The path of the field.
    pub field: &'static str,
    /// The reason why the value is not valid.
    pub why: String,
}
