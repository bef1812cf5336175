//! The objects on the wire: what users write, what CassKop and we answer in `status`.
//!
//! [`CassandraBackup`] and [`CassandraRestore`] are judged and, with our own executor, run;
//! [`CassandraCluster`] is only read, and only the part that matters here. The types hold what the wire holds,
//! as text: whether a schedule or a storage location means anything is for [`domain`](crate::domain) to say.

mod backup;
mod cluster;
mod condition_type;
pub mod conditions;
mod crds;
mod kind;
mod lenient;
mod node;
mod reason;
mod restore;
mod retention;
mod run;
mod status;
#[cfg(test)]
mod tests;

pub use backup::{CassandraBackup, CassandraBackupSpec, ConcurrencyPolicy, Retention};
pub use cluster::{
    CassandraCluster, CassandraClusterSpec, CassandraClusterStatus, DEFAULT_DATACENTER,
    DEFAULT_SIDECAR_IMAGE, Datacenter, Sidecar, SidecarVolumeMount, Topology,
};
pub use condition_type::ConditionType;
pub use crds::{CrdFile, CrdsError, crd_files, crds, crds_yaml, write_crds};
pub use kind::Kind;
pub use node::{NodeContainers, NodeStatus};
pub use reason::{Reason, ReasonScope};
pub use restore::{CassandraRestore, CassandraRestoreSpec};
pub use retention::RetentionStatus;
pub use run::{BackupRun, PastRun, RestoreSource};
pub use status::{
    BackRestCondition, BackRestStatus, BackupStatus, FailureCause, GivingUp, RestoreStatus, Truncation,
};

pub use crate::domain::phase::Phase;

/// The API group of CassKop's kinds, and so of ours.
pub const GROUP: &str = "db.orange.com";

/// The version that is served, stored and judged. `v1alpha1` objects reach the webhook converted to it
/// (`matchPolicy: Equivalent`).
pub const VERSION: &str = "v2";

/// The `apiVersion` of every object that we judge: [`GROUP`] and [`VERSION`].
pub const API_VERSION: &str = "db.orange.com/v2";

/// Annotation on a backup or restore: the rules that its author has read and accepts, `RULE[,RULE]`.
/// Lowers a denial of those rules to a warning where the table of rules allows it.
pub const CONFIRM_ANNOTATION: &str = "cassgate.db.orange.com/confirm";

/// Annotation on a backup or restore: the rules whose warnings its author does not want to hear again,
/// `RULE[,RULE]`. It lowers no denial, and what it silences is still reported as suppressed.
pub const ALLOW_ANNOTATION: &str = "cassgate.db.orange.com/allow";

/// Annotation on a running restore: give it up, although tables may stay empty.
pub const ABANDON_ANNOTATION: &str = "cassgate.db.orange.com/abandon";

/// Annotation on a scheduled backup, with the value `report`: what `spec.retention` would remove is told, and nothing
/// is removed.
pub const RETENTION_ANNOTATION: &str = "cassgate.db.orange.com/retention";

/// Annotation on a backup or restore that was stopped because another executor acted on it: since when, as its
/// condition `Stalled` says. It goes on.
pub const GO_ON_ANNOTATION: &str = "cassgate.db.orange.com/go-on";

/// Annotation on a backup: the restore that used it last. It tells a restore that is created again, by a
/// backup tool or a GitOps controller, from one that is new.
pub const LAST_RESTORE_ANNOTATION: &str = "cassgate.db.orange.com/last-restore";

/// Label on a namespace: what an absent reference means there, `deny` or `warn`.
pub const MISSING_REFERENCES_LABEL: &str = "cassgate.db.orange.com/missing-references";

/// Our finalizer on a restore, from before its download until it is over.
pub const RESTORE_FINALIZER: &str = "cassgate.db.orange.com/restore";

/// CassKop's finalizer on a scheduled backup. It sets this one only where there is no other, and takes all
/// finalizers away when it unschedules.
pub const UNSCHEDULE_FINALIZER: &str = "kubernetes.io/unschedule-needed";

/// Annotation in which CassKop keeps the last backup that it acted on, as JSON.
pub const CASSKOP_LAST_APPLIED_ANNOTATION: &str = "cassandrabackups.db.orange.com/last-applied-configuration";
