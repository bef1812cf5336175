//! The order of the queue. Pure.

mod entry;
mod turn;

pub(in crate::reconcile) use entry::Queued;
pub use entry::{QueueEntry, QueueState};
pub use turn::reason_to_wait;
