//! What was let through is run on the sidecars, once, to its end, and resumed after any crash.
//!
//! One look at the world becomes a [`plan`]: what the status says from now on, and what is sent to which sidecar
//! after that was written. Nothing is remembered anywhere but in the status of the object.
//!
//! | part | what it does |
//! |---|---|
//! | [`plan`] | pure: an object and a look at the world to what is done next |
//! | [`queue`] | pure: one operation per Cassandra cluster at a time |
//! | [`execute`] | pure: a step of a plan in the words of a sidecar |

mod census;
mod condensed;
pub mod controller;
pub mod execute;
pub mod lease;
mod observe;
pub mod plan;
pub mod queue;
mod watch;
mod work;

pub use controller::Reconciler;
pub use plan::conflict::FIELD_MANAGER;
