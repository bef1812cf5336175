//! Runs admitted backups and restores on the sidecars: once, to the end, and resumed after any crash.
//!
//! Only the replica that holds the lease reconciles. A reconcile is one pass in a fixed order: `observe` reads the
//! state of the cluster, `plan` decides the next step, and `execute` carries it out. All progress is recorded in the
//! status of the object, and nowhere else.
//!
//! | module | subject |
//! |---|---|
//! | [`lease`] | the election of the replica that reconciles |
//! | [`plan`] | pure: from an object and an observation to the next step |
//! | `object` | backups and restores as one generic type |
//! | [`queue`] | one operation per Cassandra cluster at a time |
//! | `observe` | reads references, pods, the ring and the operations of sidecars |
//! | [`execute`] | writes the status, sends the requests and records their outcome |
//! | [`controller`] | the watches, and the loop over all of the above |
//!
//! A module imports only modules that are listed above it.

pub mod controller;
pub mod execute;
pub mod lease;
mod object;
mod observe;
pub mod plan;
pub mod queue;

pub use controller::Reconciler;
pub use plan::conflict::FIELD_MANAGER;

#[cfg(test)]
mod tests;
