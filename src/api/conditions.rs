//! The types of `status.conditions[]` that cassgate writes.

/// True if the next scheduled run can begin, or the one-shot backup or restore is complete.
pub const READY: &str = "Ready";

/// True while the object waits or runs.
pub const RECONCILING: &str = "Reconciling";

/// True if a person has to act before the object continues.
pub const STALLED: &str = "Stalled";

/// True if the last run completed. A Job has the same condition.
pub const COMPLETE: &str = "Complete";

/// True if the last run failed or was cancelled. A Job has the same condition.
pub const FAILED: &str = "Failed";

/// True if `spec.retention` removes nothing, or cannot remove some snapshots.
pub const RETENTION_BLOCKED: &str = "RetentionBlocked";

/// True if every object that this object refers to exists.
pub const REFERENCES_RESOLVED: &str = "ReferencesResolved";
