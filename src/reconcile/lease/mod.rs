//! The election of the one replica that reconciles: the holder of a Lease (`coordination.k8s.io/v1`).
//!
//! | event | guarantee |
//! |---|---|
//! | a write | It replaces only the `resourceVersion` that was read. Of two concurrent writers, one gets a conflict. |
//! | the holder is silent | The lease is over once it was seen unchanged for its whole duration, by our own boot clock. |
//! | the lease was taken without a release | The new holder waits for its duration and the longest request before it acts. |
//! | the lease cannot be renewed | The work is dropped a margin before another replica can take the lease. |
//! | the process ends | The lease is released, and the next holder acts at once. |
//!
//! Clocks of other machines are never compared with ours. The wall clock is only for the times that people read. The
//! boot clock continues while the machine sleeps.
//!
//! [`decide`](protocol::decide) is the pure part: from one observation to the next step. [`LeaseKeeper`] reads, writes,
//! and runs the work. [`Leadership::confirm`] comes before an action that cannot be undone.

mod api_server;
mod client;
mod clock;
mod keeper;
mod leadership;
pub mod protocol;
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
