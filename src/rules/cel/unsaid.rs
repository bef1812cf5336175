//! What a policy cannot say.

use super::super::catalogue::{
    BACKUP_DUPLICATE, BACKUP_DURING_RESTORE, BACKUP_IN_USE, BACKUP_LATEST_RUN, BACKUP_NOT_RESTORABLE,
    BACKUP_RUNNING, CASSKOP_NEEDS_RESTART, CLUSTER_MISMATCH, CLUSTER_NOT_READY, CLUSTER_TERMINATING,
    DATACENTER_NOT_IN_BACKUP, DATACENTER_UNKNOWN, DURATION_IGNORED, DURATION_REFUSED, ENTITIES_NAME_CASE,
    ENTITIES_OUTSIDE_BACKUP, ENTITIES_WIDER_THAN_BACKUP, FIELD_NEEDS_EXECUTOR, FILE_LOCATION_UNMOUNTED,
    REQUEST_UNKNOWN, RESTORE_IN_PROGRESS, RESTORE_LEFTOVERS, RESTORE_PARTIAL_DATACENTER,
    RESTORE_TRUNCATES_EVERYTHING, RESTORE_TRUNCATES_KEYSPACE, RETENTION_UNSUPPORTED, Rule, SCHEDULE_DST,
    SCHEDULE_NAME_SHARED, SCHEDULE_NEVER_FIRES, SCHEDULE_PREVIEW, SCHEDULE_TOO_FREQUENT,
    SCHEMA_VERSION_IGNORED, SECRET_ABSENT, SECRET_IGNORED, SECRET_KEY_MALFORMED, SECRET_KEY_MISSING,
    SIDECAR_DISABLED, SIDECAR_VERSION_UNUSABLE, SNAPSHOT_TAG_AMBIGUOUS, SNAPSHOT_TAG_OVERLAPS,
    SNAPSHOT_UNKNOWN, SPEC_MALFORMED,
};

/// Why a policy does not state a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsaid {
    /// It rests on other objects, and a policy sees one.
    NeedsFacts,
    /// It needs a parser, or a calendar.
    NeedsAParser,
    /// It depends on a flag of `cassgate run`.
    DependsOnAFlag,
    /// It only warns.
    OnlyWarns,
    /// The API server's own schema says it.
    TheSchemaSaysIt,
}

impl Unsaid {
    /// A few words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeedsFacts => "needs other objects",
            Self::NeedsAParser => "needs a parser of schedules",
            Self::DependsOnAFlag => "depends on a flag of `cassgate run`",
            Self::OnlyWarns => "only warns",
            Self::TheSchemaSaysIt => "the API server's schema says it",
        }
    }
}

/// The rules that no statement states.
pub static UNSAID: &[(&Rule, Unsaid)] = &[
    (&SPEC_MALFORMED, Unsaid::TheSchemaSaysIt),
    (&REQUEST_UNKNOWN, Unsaid::OnlyWarns),
    (&CLUSTER_TERMINATING, Unsaid::OnlyWarns),
    (&CLUSTER_NOT_READY, Unsaid::OnlyWarns),
    (&DATACENTER_UNKNOWN, Unsaid::NeedsFacts),
    (&SIDECAR_DISABLED, Unsaid::NeedsFacts),
    (&SIDECAR_VERSION_UNUSABLE, Unsaid::OnlyWarns),
    (&SECRET_KEY_MISSING, Unsaid::NeedsFacts),
    (&SECRET_KEY_MALFORMED, Unsaid::NeedsFacts),
    (&SECRET_IGNORED, Unsaid::OnlyWarns),
    (&SECRET_ABSENT, Unsaid::DependsOnAFlag),
    (&ENTITIES_NAME_CASE, Unsaid::OnlyWarns),
    (&FIELD_NEEDS_EXECUTOR, Unsaid::DependsOnAFlag),
    (&CASSKOP_NEEDS_RESTART, Unsaid::OnlyWarns),
    (&FILE_LOCATION_UNMOUNTED, Unsaid::OnlyWarns),
    (&SNAPSHOT_TAG_OVERLAPS, Unsaid::OnlyWarns),
    (&BACKUP_DUPLICATE, Unsaid::NeedsFacts),
    (&BACKUP_DURING_RESTORE, Unsaid::NeedsFacts),
    (&BACKUP_IN_USE, Unsaid::NeedsFacts),
    (&SCHEDULE_NEVER_FIRES, Unsaid::OnlyWarns),
    (&SCHEDULE_TOO_FREQUENT, Unsaid::NeedsAParser),
    (&SCHEDULE_PREVIEW, Unsaid::OnlyWarns),
    (&SCHEDULE_DST, Unsaid::OnlyWarns),
    (&SCHEDULE_NAME_SHARED, Unsaid::OnlyWarns),
    (&DURATION_REFUSED, Unsaid::DependsOnAFlag),
    (&DURATION_IGNORED, Unsaid::OnlyWarns),
    (&RETENTION_UNSUPPORTED, Unsaid::OnlyWarns),
    (&BACKUP_NOT_RESTORABLE, Unsaid::NeedsFacts),
    (&SNAPSHOT_UNKNOWN, Unsaid::NeedsFacts),
    (&BACKUP_LATEST_RUN, Unsaid::OnlyWarns),
    (&BACKUP_RUNNING, Unsaid::OnlyWarns),
    (&CLUSTER_MISMATCH, Unsaid::NeedsFacts),
    (&DATACENTER_NOT_IN_BACKUP, Unsaid::NeedsFacts),
    (&ENTITIES_OUTSIDE_BACKUP, Unsaid::NeedsFacts),
    (&ENTITIES_WIDER_THAN_BACKUP, Unsaid::NeedsFacts),
    (&RESTORE_TRUNCATES_EVERYTHING, Unsaid::DependsOnAFlag),
    (&RESTORE_TRUNCATES_KEYSPACE, Unsaid::DependsOnAFlag),
    (&RESTORE_PARTIAL_DATACENTER, Unsaid::NeedsFacts),
    (&RESTORE_IN_PROGRESS, Unsaid::NeedsFacts),
    (&RESTORE_LEFTOVERS, Unsaid::OnlyWarns),
    (&SNAPSHOT_TAG_AMBIGUOUS, Unsaid::NeedsFacts),
    (&SCHEMA_VERSION_IGNORED, Unsaid::OnlyWarns),
];
