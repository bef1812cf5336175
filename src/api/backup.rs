//! `CassandraBackup`: a backup that is taken once or on a schedule.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lenient::null_is_default;
use super::run::BackupRun;
use super::status::BackupStatus;

/// The data to back up, its destination and its schedule. Without a `schedule` the backup is taken once, right
/// after the object is created. Only `cassandraCluster` and `storageLocation` are required from the user.
// `snapshotTag` is optional here and required in the schema: CassKop's CRD requires it, and the mutating webhook sets it
// before the API server validates the object against the schema.
#[expect(clippy::duplicated_attributes, reason = "each printer column names its type")]
#[derive(CustomResource, Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[kube(
    group = "db.orange.com",
    version = "v2",
    kind = "CassandraBackup",
    plural = "cassandrabackups",
    namespaced,
    status = "BackupStatus",
    derive = "PartialEq",
    shortname = "cassb",
    shortname = "cassbs",
    category = "cassandra",
    doc = "A backup of a Cassandra cluster to a bucket or a directory, taken once or on a schedule. A CassandraRestore refers to it to restore the data.",
    printcolumn(
        name = "Cluster",
        type_ = "string",
        json_path = ".spec.cassandraCluster",
        description = "The CassandraCluster that is backed up."
    ),
    printcolumn(
        name = "Datacenter",
        type_ = "string",
        json_path = ".spec.datacenter",
        description = "The datacenter that is backed up. Empty means all of them.",
        priority = "1"
    ),
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".spec.schedule",
        description = "The schedule of the backup. Empty means once."
    ),
    printcolumn(
        name = "Tag",
        type_ = "string",
        json_path = ".spec.snapshotTag",
        description = "The name under which the snapshots are stored.",
        priority = "1"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.condition.type",
        description = "The state of the last run. Empty means that it has never run."
    ),
    printcolumn(
        name = "Progress",
        type_ = "string",
        json_path = ".status.progress",
        description = "The progress of the last run. A failed run ends at 100% too: see State."
    ),
    printcolumn(
        name = "Last Run",
        type_ = "date",
        json_path = ".status.timeStarted",
        description = "The time since the start of the last run."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "The time since the object was created."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct CassandraBackupSpec {
    /// Name of the `CassandraCluster` to back up, in the namespace of this object. Example:
    /// `cassandra-demo`.
    pub cassandra_cluster: String,

    /// Name of the one datacenter to back up, as in `spec.topology.dc[].name` of the cluster. Default: every
    /// datacenter. A restore can only bring back datacenters that its backup holds. Example: `dc1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,

    /// The destination of the backup: `PROVIDER://BUCKET`, or `file:///DIRECTORY/BUCKET/CLUSTER/DATACENTER/NODE` for a
    /// directory that every sidecar has mounted. Providers: `s3`, `gcp`, `azure`, `oracle`, `minio`, `ceph`
    /// and `file`, in lower case. The sidecar adds cluster, datacenter and node below the bucket itself, so
    /// one bucket serves several clusters. Example: `s3://cassandra-backups`.
    pub storage_location: String,

    /// The schedule in cron format: five fields (minute, hour, day of month, month, day of week), `@hourly`,
    /// `@daily`, `@weekly`, `@monthly`, `@yearly`, or `@every DURATION`. Default: one backup, right away. Times
    /// are in the zone of `timeZone`, or of a prefix `CRON_TZ=ZONE`. Without either, they are in the zone of
    /// the executor's container, which is UTC by default. Examples: `0 2 * * *` (every night at two),
    /// `CRON_TZ=Europe/Paris 30 1 * * 0`, `@every 6h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,

    /// The name of the snapshot. The executor appends the schema version and the time, so each run of a
    /// schedule has a name of its own. Default: `autosnap-` and the milliseconds since 1970, set by the
    /// webhook. At most 199 letters, digits, `.`, `_`, `+` and `-`, of which the first is not `.` or `-`.
    /// Example: `nightly`.
    #[schemars(required)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_tag: Option<String>,

    /// The desired time of the upload. The sidecar slows the upload down until it takes about this time, but
    /// not below `bandwidth`. A number and a unit, `h`, `m` or `s`, which may be combined. Default: as fast as
    /// possible. Requires cassgate as executor and a sidecar of version 2.0 or later. Example: `1h30m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,

    /// The maximum upload rate of a node per second, over all its connections: a whole number of bytes, or a
    /// number followed by `K`, `M` or `G` (thousand, million, thousand million bytes), in upper or lower case.
    /// Default: no limit. Example: `50M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<String>,

    /// The number of files that a node uploads at the same time. At least 1. Default: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_connections: Option<i32>,

    /// The keyspaces (`k1,k2`) or tables (`k1.t1,k2.t3`) to back up, separated by commas. A list cannot have
    /// both. Names are case-sensitive. Default: every keyspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,

    /// Name of the Secret, in the namespace of this object, with the credentials for the storage location.
    /// Its keys: `awsaccesskeyid`, `awssecretaccesskey`, `awsregion` and, for a store that is not Amazon's,
    /// `awsendpoint` (s3, oracle, minio, ceph); `azurestorageaccount` and `azurestoragekey` (azure); `gcp`,
    /// a service account as JSON (gcp). A `file` location needs none. Example: `cloud-backup-secrets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,

    /// `true` suspends the schedule: no new run starts, a running one continues, and no further snapshot expires by
    /// `retention`. A suspended backup without
    /// a schedule never runs; it describes a backup that is already in the bucket, so that a restore can refer
    /// to it. Default: `false`. Requires cassgate as executor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// The time zone of `schedule`, a name of the IANA database. Do not use it together with a `CRON_TZ=`
    /// prefix. Default: see `schedule`. Requires cassgate as executor. Example: `Europe/Paris`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub time_zone: Option<String>,

    /// The policy for a run that is due while the previous one is still running. `Allow`: the new run waits
    /// and runs next, because a cluster runs one backup at a time. `Forbid`: the new run is skipped and counted
    /// in `status.missedRuns`. `Replace`: the previous run is cancelled. Default: `Allow`. Requires cassgate as
    /// executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "ConcurrencyPolicy::schema")]
    pub concurrency_policy: Option<ConcurrencyPolicy>,

    /// The deadline in seconds for a run that starts late, for example after an outage. A run after the
    /// deadline is skipped and counted in `status.missedRuns`. Default: no deadline; of several missed runs
    /// only the newest is run. Requires cassgate as executor. Example: `3600`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub starting_deadline_seconds: Option<i64>,

    /// The snapshots of this backup to keep in the bucket. The others are deleted after each completed run. While the
    /// schedule is suspended or every run fails, only snapshots are deleted that had expired by then. The sidecar sets
    /// limits: Icarus before 2.0.2 deletes nothing; on S3, Icarus 2 can never delete a snapshot that has more than 1 000
    /// objects of its own on a node, and with Icarus 3, or a sidecar of unknown version, nothing is deleted, because files
    /// of newer snapshots could be lost. The condition `RetentionBlocked` says so. Default: all snapshots are kept.
    /// Requires cassgate as executor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,

    /// The name of the Cassandra cluster whose backup is in the bucket, which is the first folder in the bucket. Only
    /// for a suspended backup without a schedule, which describes a bucket. Default: the name of the cluster that is
    /// restored. Requires cassgate as executor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub cluster_name: Option<String>,

    /// The Cassandra nodes whose parts are in the bucket. Only for a suspended backup without a schedule, which
    /// describes a bucket. A restore into another cluster names the node for each of them in its own `nodes`. Requires
    /// cassgate as executor.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub nodes: Vec<BackupNode>,
}

/// A Cassandra node whose part of a backup is in the bucket.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BackupNode {
    /// The host id of the node, which is the third folder in the bucket. Example:
    /// `9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11`.
    pub host_id: String,

    /// The datacenter of the node, which is the second folder in the bucket. Example: `dc1`.
    pub datacenter: String,
}

/// The values of `spec.concurrencyPolicy`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConcurrencyPolicy {
    /// The new run waits for the previous one.
    #[default]
    Allow,
    /// The new run is skipped.
    Forbid,
    /// The previous run is cancelled.
    Replace,
}

/// The snapshots of a backup to keep. With both fields, a snapshot is kept if either of them keeps it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// The number of the newest completed snapshots to keep. Example: `14`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_last: Option<i32>,

    /// The number of days to keep a snapshot. Days are counted up to one day after the newest completed snapshot, so
    /// that no snapshot expires while the schedule is suspended or every run fails. The newest completed snapshot is
    /// always kept. Example: `30`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_days: Option<i32>,
}

impl ConcurrencyPolicy {
    /// Returns a schema without the description of this type, so that `kubectl explain` shows the one of the field.
    fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": [Self::Allow, Self::Forbid, Self::Replace] })
    }
}

impl CassandraBackupSpec {
    /// Returns true if the backup has a schedule. As in CassKop, an empty schedule counts as absent.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        self.schedule
            .as_deref()
            .is_some_and(|schedule| !schedule.is_empty())
    }

    /// Returns true if the backup describes a bucket: it is suspended and has no schedule, so it never runs.
    #[must_use]
    pub fn describes_bucket(&self) -> bool {
        self.suspend == Some(true) && !self.is_scheduled()
    }

    /// Returns the record of a run that starts now.
    #[must_use]
    pub fn run(&self) -> BackupRun {
        BackupRun {
            cassandra_cluster: self.cassandra_cluster.clone(),
            storage_location: self.storage_location.clone(),
            entities: self.entities.clone(),
            secret: self.secret.clone(),
            duration: self.duration.clone(),
            bandwidth: self.bandwidth.clone(),
            concurrent_connections: self.concurrent_connections,
            datacenter: self
                .datacenter
                .clone()
                .filter(|datacenter| !datacenter.is_empty()),
            restarts: None,
            left_out: Vec::new(),
        }
    }
}

impl CassandraBackup {
    /// Returns true if any run has started: see [`BackRestStatus::has_started`](super::BackRestStatus::has_started).
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.common.has_started())
    }

    /// Returns true if the last run has ended: see [`BackRestStatus::is_terminal`](super::BackRestStatus::is_terminal).
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.common.is_terminal())
    }
}
