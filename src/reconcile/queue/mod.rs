//! The queue in front of each Cassandra cluster: one operation at a time, restores before backups.
//!
//! [`order`] decides who is next, out of plain values. `OperationQueue` feeds it from the watches.

mod deleted_backups;
mod operation_queue;
pub mod order;
mod undecodable;
pub(in crate::reconcile) mod wake;

pub(in crate::reconcile) use operation_queue::{ClusterKey, OperationQueue, WakeUps};
