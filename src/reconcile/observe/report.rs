//! The operations of a sidecar in the form that a plan reads.

use jiff::Timestamp;

use crate::icarus::{Operation, SidecarError};
use crate::reconcile::plan::{OperationReport, Outcome};

/// Returns the outcome of a request.
pub(in crate::reconcile) fn outcome(result: Result<Operation, SidecarError>) -> Outcome {
    match result {
        Ok(operation) => Outcome::Accepted(report(&operation)),
        Err(SidecarError::Refused(_, message)) => Outcome::Rejected(message),
        Err(SidecarError::Withheld(reason)) => Outcome::Withheld(reason),
        Err(error) if error.may_have_arrived() => Outcome::Unknown(error.to_string()),
        Err(error) => Outcome::NotSent(error.to_string()),
    }
}

/// Returns the parts of an operation that a plan reads.
pub(super) fn report(operation: &Operation) -> OperationReport {
    OperationReport {
        id: operation.id.as_str().to_owned(),
        state: operation.state.clone(),
        progress: operation.progress,
        created: operation.created.unwrap_or(Timestamp::MIN),
        errors: operation.errors.clone(),
    }
}
