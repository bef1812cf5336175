//! The reason why a run waits.

use crate::api::Reason;

/// The reason why a run waits. The run continues by itself as soon as the reason no longer applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The reason of the condition.
    pub reason: Reason,
    /// A sentence for people: what the run waits for, and what to do if it never comes.
    pub message: String,
    /// True if a person has to act before the run continues.
    pub stalled: bool,
}

impl Wait {
    /// Creates a wait for something that needs no person.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            stalled: false,
        }
    }

    /// Creates a wait for a person to act.
    #[must_use]
    pub fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            stalled: true,
            ..Self::new(reason, message)
        }
    }
}
