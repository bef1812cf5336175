//! The order of operations on one Cassandra cluster: one at a time, restores before backups.

mod neighbours;
pub mod turn;
pub(in crate::reconcile) mod waking;

pub(in crate::reconcile) use neighbours::{Neighbours, Ring, Turns};
