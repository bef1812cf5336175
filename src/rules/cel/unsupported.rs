//! Rules that the policies do not implement.

use super::super::catalogue::{
    BACKUP_DUPLICATE, BACKUP_DURING_RESTORE, BACKUP_IN_USE, BACKUP_LATEST_RUN, BACKUP_NOT_RESTORABLE,
    BACKUP_RUNNING, CASSKOP_NEEDS_RESTART, CLUSTER_LABELS_NOT_ON_PODS, CLUSTER_MISMATCH, CLUSTER_NOT_READY,
    CLUSTER_TERMINATING, DATACENTER_NOT_IN_BACKUP, DATACENTER_UNKNOWN, DURATION_IGNORED, DURATION_REFUSED,
    ENTITIES_NAME_CASE, ENTITIES_OUTSIDE_BACKUP, ENTITIES_WIDER_THAN_BACKUP, FIELD_NEEDS_EXECUTOR,
    FIELD_REPEATED, FIELD_UNKNOWN, FILE_LOCATION_UNMOUNTED, METADATA_MALFORMED, REQUEST_UNKNOWN,
    RESTORE_EXPIRED, RESTORE_IN_PROGRESS, RESTORE_LEFTOVERS, RESTORE_PARTIAL_DATACENTER,
    RESTORE_TRUNCATES_EVERYTHING, RESTORE_TRUNCATES_KEYSPACE, RESTORE_WITHOUT_EXPIRY, RETENTION_UNSUPPORTED,
    RING_CHANGED, RUN_NOT_RECORDED, Rule, SCHEDULE_DST, SCHEDULE_ENDED_BY_BACKUP, SCHEDULE_NEVER_FIRES,
    SCHEDULE_PREVIEW, SCHEDULE_TOO_FREQUENT, SCHEMA_VERSION_IGNORED, SECRET_ABSENT, SECRET_IGNORED,
    SECRET_KEY_MALFORMED, SECRET_KEY_MISSING, SIDECAR_DISABLED, SIDECAR_VERSION_UNUSABLE,
    SNAPSHOT_TAG_AMBIGUOUS, SNAPSHOT_TAG_OVERLAPS, SNAPSHOT_UNKNOWN, SPEC_MALFORMED,
};

/// The reason why the policies do not implement a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsupported {
    /// The rule depends on other objects, and a policy sees only one.
    NeedsOtherObjects,
    /// The rule needs a parser of schedules or a calendar.
    NeedsParser,
    /// The rule depends on a flag of `cassgate run`.
    DependsOnFlag,
    /// The rule only warns.
    OnlyWarns,
    /// The schema of the CRD covers the rule.
    CoveredBySchema,
    /// The rule depends on the time.
    DependsOnTime,
    /// The API server rejects the object, or drops the field, before it evaluates a policy.
    JudgedBefore,
}

impl Unsupported {
    /// Returns the reason for the documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeedsOtherObjects => "needs other objects",
            Self::NeedsParser => "needs a parser of schedules",
            Self::DependsOnFlag => "depends on a flag of `cassgate run`",
            Self::OnlyWarns => "only warns",
            Self::DependsOnTime => "depends on the time",
            Self::CoveredBySchema => "covered by the schema of the CRD",
            Self::JudgedBefore => {
                "the API server rejects the object or drops the field before it evaluates a policy"
            }
        }
    }
}

/// The rules without a policy rule, each with its reason.
pub static UNSUPPORTED: &[(&Rule, Unsupported)] = &[
    (&SPEC_MALFORMED, Unsupported::CoveredBySchema),
    (&METADATA_MALFORMED, Unsupported::JudgedBefore),
    (&FIELD_UNKNOWN, Unsupported::JudgedBefore),
    (&FIELD_REPEATED, Unsupported::OnlyWarns),
    (&REQUEST_UNKNOWN, Unsupported::OnlyWarns),
    (&CLUSTER_TERMINATING, Unsupported::OnlyWarns),
    (&CLUSTER_NOT_READY, Unsupported::OnlyWarns),
    (&CLUSTER_LABELS_NOT_ON_PODS, Unsupported::NeedsOtherObjects),
    (&DATACENTER_UNKNOWN, Unsupported::NeedsOtherObjects),
    (&SIDECAR_DISABLED, Unsupported::NeedsOtherObjects),
    (&SIDECAR_VERSION_UNUSABLE, Unsupported::OnlyWarns),
    (&SECRET_KEY_MISSING, Unsupported::NeedsOtherObjects),
    (&SECRET_KEY_MALFORMED, Unsupported::NeedsOtherObjects),
    (&SECRET_IGNORED, Unsupported::OnlyWarns),
    (&SECRET_ABSENT, Unsupported::DependsOnFlag),
    (&ENTITIES_NAME_CASE, Unsupported::OnlyWarns),
    (&FIELD_NEEDS_EXECUTOR, Unsupported::DependsOnFlag),
    (&CASSKOP_NEEDS_RESTART, Unsupported::OnlyWarns),
    (&FILE_LOCATION_UNMOUNTED, Unsupported::OnlyWarns),
    (&SNAPSHOT_TAG_OVERLAPS, Unsupported::OnlyWarns),
    (&BACKUP_DUPLICATE, Unsupported::NeedsOtherObjects),
    (&BACKUP_DURING_RESTORE, Unsupported::NeedsOtherObjects),
    (&BACKUP_IN_USE, Unsupported::NeedsOtherObjects),
    (&SCHEDULE_NEVER_FIRES, Unsupported::OnlyWarns),
    (&SCHEDULE_TOO_FREQUENT, Unsupported::NeedsParser),
    (&SCHEDULE_PREVIEW, Unsupported::OnlyWarns),
    (&SCHEDULE_DST, Unsupported::OnlyWarns),
    (&SCHEDULE_ENDED_BY_BACKUP, Unsupported::NeedsOtherObjects),
    (&DURATION_REFUSED, Unsupported::DependsOnFlag),
    (&DURATION_IGNORED, Unsupported::OnlyWarns),
    (&RETENTION_UNSUPPORTED, Unsupported::OnlyWarns),
    (&BACKUP_NOT_RESTORABLE, Unsupported::NeedsOtherObjects),
    (&SNAPSHOT_UNKNOWN, Unsupported::NeedsOtherObjects),
    (&RUN_NOT_RECORDED, Unsupported::OnlyWarns),
    (&BACKUP_LATEST_RUN, Unsupported::OnlyWarns),
    (&BACKUP_RUNNING, Unsupported::OnlyWarns),
    (&CLUSTER_MISMATCH, Unsupported::NeedsOtherObjects),
    (&DATACENTER_NOT_IN_BACKUP, Unsupported::NeedsOtherObjects),
    (&ENTITIES_OUTSIDE_BACKUP, Unsupported::NeedsOtherObjects),
    (&ENTITIES_WIDER_THAN_BACKUP, Unsupported::NeedsOtherObjects),
    (&RESTORE_TRUNCATES_EVERYTHING, Unsupported::DependsOnFlag),
    (&RESTORE_TRUNCATES_KEYSPACE, Unsupported::DependsOnFlag),
    (&RESTORE_PARTIAL_DATACENTER, Unsupported::NeedsOtherObjects),
    (&RING_CHANGED, Unsupported::OnlyWarns),
    (&RESTORE_EXPIRED, Unsupported::DependsOnTime),
    (&RESTORE_WITHOUT_EXPIRY, Unsupported::OnlyWarns),
    (&RESTORE_IN_PROGRESS, Unsupported::NeedsOtherObjects),
    (&RESTORE_LEFTOVERS, Unsupported::OnlyWarns),
    (&SNAPSHOT_TAG_AMBIGUOUS, Unsupported::NeedsOtherObjects),
    (&SCHEMA_VERSION_IGNORED, Unsupported::OnlyWarns),
];
