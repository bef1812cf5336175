//! The types of `status.conditions[]` that cassgate writes.

/// True if the schedule is armed, or the backup or restore that runs once is complete.
pub const READY: &str = "Ready";

/// True while the object waits or runs.
pub const RECONCILING: &str = "Reconciling";

/// True if the object needs a human.
pub const STALLED: &str = "Stalled";

/// True if a backup or restore that runs once ended well. A Job has the same condition.
pub const COMPLETE: &str = "Complete";

/// True if a backup or restore that runs once ended with an error. A Job has the same condition.
pub const FAILED: &str = "Failed";

/// True if every object that this object refers to exists.
pub const REFERENCES_RESOLVED: &str = "ReferencesResolved";
