//! What was let through is run on the sidecars, once, to its end, and resumed after any crash.
//!
//! One look at the world becomes a [`plan`]: what the status says from now on, and what is sent to which sidecar
//! after that was written. Nothing is remembered anywhere but in the status of the object.
//!
//! | part | what it does |
//! |---|---|
//! | [`plan`] | pure: an object and a look at the world to what is done next |
//! | [`turn`] | pure: one operation per Cassandra cluster at a time |
//! | [`source`] | pure: what a restore takes over from its backup |
//! | [`request`] | pure: a step of a plan in the words of a sidecar |

mod ask;
mod census;
mod condensed;
pub mod controller;
mod deeds;
pub mod lease;
mod listings;
mod neighbours;
pub mod plan;
pub mod request;
pub mod source;
mod store;
mod surroundings;
pub mod turn;
mod waking;
mod watch;
mod work;

pub use controller::Reconciler;
pub use store::FIELD_MANAGER;
pub use surroundings::Judge;
