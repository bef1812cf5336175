//! The Kubernetes objects: the spec that users write, and the status that CassKop or cassgate writes.
//!
//! [`CassandraBackup`] and [`CassandraRestore`] are judged and, with cassgate as executor, run. [`CassandraCluster`] is
//! only read, and only in part. Fields keep their text as it was written; [`domain`](crate::domain) parses schedules,
//! storage locations and the like.

mod backup;
mod cluster;
mod condition_type;
pub mod conditions;
mod crds;
mod kind;
mod lenient;
mod node;
mod past_restores;
mod reason;
mod restore;
mod retention;
mod run;
mod run_record;
mod status;
#[cfg(test)]
mod tests;
mod truncation;

pub use backup::{BackupNode, CassandraBackup, CassandraBackupSpec, ConcurrencyPolicy, Retention};
pub use cluster::{
    CassandraCluster, CassandraClusterSpec, CassandraClusterStatus, DEFAULT_DATACENTER,
    DEFAULT_SIDECAR_IMAGE, Datacenter, PodNode, Sidecar, SidecarVolumeMount, Topology, datacenter_of_pod,
};
pub use condition_type::ConditionType;
pub use crds::{CrdFile, CrdsError, crd_files, crds, crds_yaml, write_crds};
pub use kind::Kind;
pub use node::{NodeContainers, NodeStatus};
pub use past_restores::{PastRestore, PastRestores, entities_digest, spec_digest};
pub use reason::{Reason, ReasonScope};
pub use restore::{CassandraRestore, CassandraRestoreSpec, RestoreNode};
pub use retention::RetentionStatus;
pub use run::{BackupRun, EntityList, PastRun, RemovalFailure, RestoreSource, RunNode, RunRing};
pub use run_record::{RunRecord, run_nodes};
pub use status::{BackRestCondition, BackRestStatus, BackupStatus, FailureCause, GivingUp, RestoreStatus};
pub use truncation::{Truncation, TruncationState};

pub use crate::domain::phase::Phase;

/// The API group of CassKop's kinds, which cassgate judges.
pub const GROUP: &str = "db.orange.com";

/// The version that is served, stored and judged. The API server converts `v1alpha1` objects to it before it calls the
/// webhook (`matchPolicy: Equivalent`).
pub const VERSION: &str = "v2";

/// The `apiVersion` of every judged object: [`GROUP`] and [`VERSION`].
pub const API_VERSION: &str = "db.orange.com/v2";

/// The annotation on a backup or restore with the rules that its author confirms, `RULE[,RULE]`.
///
/// A denial of a confirmed rule becomes a warning if the table of rules allows that.
pub const CONFIRM_ANNOTATION: &str = "cassgate.db.orange.com/confirm";

/// The annotation on a backup or restore with the rules whose warnings are suppressed, `RULE[,RULE]`.
///
/// Denials are not affected. `check` reports suppressed warnings as suppressed.
pub const ALLOW_ANNOTATION: &str = "cassgate.db.orange.com/allow";

/// The annotation on a running restore that ends it, although tables may stay empty.
pub const ABANDON_ANNOTATION: &str = "cassgate.db.orange.com/abandon";

/// The annotation on a scheduled backup that makes `spec.retention` a dry run.
///
/// With the value `report`, the snapshots that would be removed are reported in the status and nothing is removed.
pub const RETENTION_ANNOTATION: &str = "cassgate.db.orange.com/retention";

/// The annotation on a backup or restore that resumes it after another executor acted on it, or that lets a restore run again.
///
/// Its value is the `lastTransitionTime` of the condition `Stalled`, or the time at which the restore of the same name ended.
pub const GO_ON_ANNOTATION: &str = "cassgate.db.orange.com/go-on";

/// The annotation on a restore with the time, in RFC 3339, after which it cannot be created any more.
///
/// A manifest that stays in a repository is applied again after a prune and in a new Kubernetes cluster.
pub const NOT_AFTER_ANNOTATION: &str = "cassgate.db.orange.com/not-after";

/// The annotation on a backup with the restore that last used it.
///
/// It distinguishes a new restore from one that a backup tool or a GitOps controller creates again.
pub const LAST_RESTORE_ANNOTATION: &str = "cassgate.db.orange.com/last-restore";

/// The annotation on a backup with the restores that have used it: see [`PastRestores`].
pub const RESTORES_ANNOTATION: &str = "cassgate.db.orange.com/restores";

/// The annotation on an object that only cassgate as executor runs as it is meant.
///
/// Its value is [`REQUIRES_EXECUTOR`]. CassKop's CRDs prune the fields `suspend`, `clusterName` and `nodes` before the
/// webhook sees the object; what is left would be run.
pub const REQUIRES_ANNOTATION: &str = "cassgate.db.orange.com/requires";

/// The value of [`REQUIRES_ANNOTATION`].
pub const REQUIRES_EXECUTOR: &str = "executor";

/// The label on a namespace that decides whether a missing reference is denied or only warned about: `deny` or `warn`.
pub const MISSING_REFERENCES_LABEL: &str = "cassgate.db.orange.com/missing-references";

/// The finalizer that cassgate sets on a restore before the download and removes at the end.
pub const RESTORE_FINALIZER: &str = "cassgate.db.orange.com/restore";

/// CassKop's finalizer on a scheduled backup.
///
/// CassKop sets it only on an object without other finalizers, and removes all finalizers when it unschedules.
pub const UNSCHEDULE_FINALIZER: &str = "kubernetes.io/unschedule-needed";

/// The annotation in which CassKop stores the last spec of a backup that it acted on, as JSON.
pub const CASSKOP_LAST_APPLIED_ANNOTATION: &str = "cassandrabackups.db.orange.com/last-applied-configuration";
