//! Who acts: of all replicas the one that holds a Lease (`coordination.k8s.io/v1`).
//!
//! | what happens | what holds |
//! |---|---|
//! | it is written | only over the `resourceVersion` that was read: of two that write at once, one looks again |
//! | its holder is silent | it is over once we saw it unchanged for its whole duration, by our own boot clock |
//! | it was taken, and not released before | nothing is done for a duration and the longest request more |
//! | it could not be renewed | the work is dropped a margin before another could take it |
//! | the process ends | it is released, and the next one begins at once |
//!
//! No clock of another machine is ever compared with ours, and the wall clock only fills in what people read. The
//! boot clock goes on while the machine sleeps.
//!
//! [`decide`](protocol::decide) says from one look what to do; [`LeaseKeeper`] looks, writes, and runs the work;
//! [`Leadership::confirm`] is for the moment before something that cannot be taken back.

mod api_server;
mod clock;
mod keeper;
mod leadership;
pub mod protocol;
mod renewal;
mod state;
mod store;
#[cfg(test)]
mod tests;

pub use api_server::ApiServerLease;
pub use clock::Clocks;
pub use keeper::LeaseKeeper;
pub use leadership::{Confirmation, Leadership, LeaseLost};
pub use protocol::{BootTime, LeaseOptions, LeaseOptionsError, Record, Stored, Timing, identity};
pub use state::LeaseState;
pub use store::{LeaseStore, LeaseStoreError, Written};
