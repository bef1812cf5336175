//! Plans the next step of a backup or a restore, and its status. Pure.
//!
//! A plan is a function of the object and one [`Observation`]. If the observation lacks something, the plan is a set
//! of questions ([`Plan::Ask`]); the planner runs again from the start with their answers. Otherwise the plan is a list
//! of actions ([`Plan::Do`]), which are executed in this order: the finalizer, the status, the requests, the events.
//! The status that records a request is written before the request is sent, so that no reader of the status sends it a
//! second time.

mod actions;
pub mod backup;
mod builder;
mod conditions;
pub(super) mod conflict;
mod finalizer;
mod foreign;
mod history;
pub mod needs;
mod no_progress;
mod node;
mod node_texts;
mod observation;
pub mod prune;
pub mod readiness;
pub mod restore;
mod ring;
pub mod schedule;
#[cfg(test)]
mod tests;
mod timing;
mod wait;
mod waiting;

pub use crate::api::Phase;
pub use actions::{Actions, Event, Plan, Request, Task};
pub use finalizer::{Finalizer, has_finalizer};
pub use node::{Outcome, is_current, record};
pub use observation::{
    Answer, Answers, Observation, OperationReport, PodMember, Question, RingView, UnprovenPart,
};
pub use timing::{ARRIVAL_TIMEOUT, NO_PROGRESS_TIMEOUT, POLL_INTERVAL, REQUEUE_INTERVAL};
pub use wait::{Wait, WaitLimit, limit};
pub use waiting::{wait_event, waiting_condition};
