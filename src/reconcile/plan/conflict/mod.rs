//! Conflicts with another executor that acts on an object whose run is cassgate's: the run stops, and a person decides.
//!
//! The API server keeps in `metadata.managedFields` who wrote what. When a run begins, cassgate takes over every field
//! of the status that others wrote before ([`take_over`]). From then on, another manager that owns a field that only
//! an executor writes is evidence of a conflict; no times are compared. With cassgate's CRDs `CassKop` cannot write the
//! status; there its name in the metadata is evidence, and so is an operation in a sidecar that cassgate did not send.

pub(super) mod evidence;
mod managed_fields;
mod ownership;
mod stop;

pub use managed_fields::FIELD_MANAGER;
pub(in crate::reconcile) use managed_fields::{condense, take_over};
pub(in crate::reconcile) use ownership::{RunStatus, is_contested, is_stopped};

pub(super) use managed_fields::is_written_by_others;
pub(super) use ownership::{Ownership, ownership};
pub(super) use stop::{resume, stop};
