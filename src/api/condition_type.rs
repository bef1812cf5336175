//! The states of a run.

/// The state of a run: the value of `condition.type`, of a node's `state` and of a past run's `outcome`.
///
/// `REQUIRED` is CassKop's first state of a restore; the others are Icarus' states. Icarus writes `CANCELLED` and
/// CassKop `CANCELED`: [`parse`](Self::parse) accepts both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionType<'a> {
    /// A restore that no sidecar has received yet.
    Required,
    /// A sidecar has accepted the run and has not started it.
    Pending,
    /// A sidecar runs it.
    Running,
    /// Ended well.
    Completed,
    /// Ended with errors.
    Failed,
    /// Was cancelled.
    Cancelled,
    /// Any other text. Nothing may be concluded about the run.
    Unknown(&'a str),
}

impl<'a> ConditionType<'a> {
    /// The names of the final states, in both spellings: see [`is_terminal`](Self::is_terminal).
    pub const FINAL_NAMES: [&'static str; 4] = ["COMPLETED", "FAILED", "CANCELLED", "CANCELED"];

    /// Parses the name of a state. Case matters, as it does to CassKop.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        match text {
            "REQUIRED" => Self::Required,
            "PENDING" => Self::Pending,
            "RUNNING" => Self::Running,
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            "CANCELLED" | "CANCELED" => Self::Cancelled,
            other => Self::Unknown(other),
        }
    }

    /// Returns the name of the state, in Icarus' spelling; an unknown name is returned as it is.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        match self {
            Self::Required => "REQUIRED",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Unknown(word) => word,
        }
    }

    /// Returns true if the run is over. An unknown state counts as not over.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Returns true from `REQUIRED` to `RUNNING`. An unknown state counts as not active.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Required | Self::Pending | Self::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::ConditionType;

    #[test]
    fn the_final_names_are_those_of_the_terminal_states() {
        let all = [
            "REQUIRED",
            "PENDING",
            "RUNNING",
            "COMPLETED",
            "FAILED",
            "CANCELLED",
            "CANCELED",
            "",
            "completed",
        ];
        let terminal = all
            .into_iter()
            .filter(|name| ConditionType::parse(name).is_terminal());
        assert_eq!(terminal.collect::<Vec<_>>(), ConditionType::FINAL_NAMES);
    }
}
