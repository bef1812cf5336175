//! The operations of a sidecar in the words of a plan.

use jiff::Timestamp;

use crate::icarus::{Operation, OperationError, OperationState, SidecarError};
use crate::reconcile::plan::{OperationReport, Outcome, State};

/// Returns the outcome of a request.
pub(in crate::reconcile) fn outcome(result: Result<Operation, SidecarError>) -> Outcome {
    match result {
        Ok(operation) => Outcome::Taken(report(&operation)),
        Err(SidecarError::Refused(_, message)) => Outcome::Refused(message),
        Err(error) if error.may_have_arrived() => Outcome::Unknown(error.to_string()),
        Err(error) => Outcome::NotSent(error.to_string()),
    }
}

/// Returns an operation as a plan sees it. A state that no known version of Icarus has counts as running, so that
/// nothing is concluded from it.
pub(super) fn report(operation: &Operation) -> OperationReport {
    let error = |error: &OperationError| (error.source.clone(), error.message.clone());
    OperationReport {
        id: operation.id.as_str().to_owned(),
        state: match operation.state {
            OperationState::Pending => State::Pending,
            OperationState::Running | OperationState::Unknown(_) => State::Running,
            OperationState::Completed => State::Completed,
            OperationState::Failed => State::Failed,
            OperationState::Cancelled => State::Cancelled,
        },
        progress: operation.progress,
        created: operation.created.unwrap_or(Timestamp::MIN),
        errors: operation.errors.iter().map(error).collect(),
    }
}
