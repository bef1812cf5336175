//! `CassandraBackup`: what to copy out of a cluster, where to, and when.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::BackupRun;
use super::status::BackupStatus;

/// What to back up, where to, and when. Without a `schedule` the backup is taken once, right after the object
/// was created; with one, every time the schedule says so. Only `cassandraCluster` and `storageLocation` have
/// to be written.
// `snapshotTag` is optional here and required in the schema: CassKop's CRD requires it, and the mutating
// webhook fills it in before the API server looks at the schema.
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
    doc = "A backup of a Cassandra cluster to a bucket or a directory, taken once or on a schedule. It is also what a CassandraRestore names to get the data back.",
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
        description = "The datacenter that is backed up; empty: all of them.",
        priority = "1"
    ),
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".spec.schedule",
        description = "When the backup is taken; empty: once."
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
        description = "How the last run stands; empty: it has never run."
    ),
    printcolumn(
        name = "Progress",
        type_ = "string",
        json_path = ".status.progress",
        description = "How far the last run came. A failed run ends at 100% too: see State."
    ),
    printcolumn(
        name = "Last Run",
        type_ = "date",
        json_path = ".status.timeStarted",
        description = "How long ago the last run started."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "How long ago the object was created."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct CassandraBackupSpec {
    /// Name of the `CassandraCluster` to back up. It is looked up in the namespace of this object. Example:
    /// `cassandra-demo`.
    pub cassandra_cluster: String,

    /// Name of the one datacenter to back up, as in `spec.topology.dc[].name` of the cluster. Default: every
    /// datacenter. A restore can only bring back datacenters that its backup holds. Example: `dc1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,

    /// Where the backup goes: `PROVIDER://BUCKET`, or `file:///DIRECTORY/BUCKET/CLUSTER/DATACENTER/NODE` for a
    /// directory that every sidecar has mounted. Providers: `s3`, `gcp`, `azure`, `oracle`, `minio`, `ceph`
    /// and `file`, in lower case. The sidecar adds cluster, datacenter and node below the bucket itself, so
    /// one bucket serves several clusters. Example: `s3://cassandra-backups`.
    pub storage_location: String,

    /// When to take the backup, in the words of cron: five fields (minute, hour, day of month, month, day of
    /// week), `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`, or `@every DURATION`. Default: one
    /// backup, right away. Times are those of `timeZone`, or of a prefix `CRON_TZ=ZONE`; without either, of
    /// the executor's container, which is UTC unless somebody changed it. Examples: `0 2 * * *` (every night
    /// at two), `CRON_TZ=Europe/Paris 30 1 * * 0`, `@every 6h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,

    /// The name of the snapshot. The executor appends the schema version and the time to it, so each run of
    /// a schedule is stored under a name of its own. Default: `autosnap-` and the milliseconds since 1970,
    /// filled in by the webhook. Letters, digits, `.`, `_`, `+` and `-`, not beginning with `.` or `-`, at
    /// most 199 of them. Example: `nightly`.
    #[schemars(required)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_tag: Option<String>,

    /// How long the upload should take: it is slowed down until it lasts about that long, though never below
    /// `bandwidth`. A number and a unit, `h`, `m` or `s`, which may be combined. Default: as fast as it can.
    /// It needs cassgate as executor and a sidecar of version 2.0 or later. Example: `1h30m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,

    /// The most that a node may upload per second, all its connections together: a whole number of bytes, or
    /// one followed by `K`, `M` or `G` (thousands, millions, thousand millions of bytes), in either case.
    /// Default: no limit. Example: `50M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<String>,

    /// How many files a node uploads at the same time. At least 1. Default: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_connections: Option<i32>,

    /// What to back up: keyspaces (`k1,k2`) or tables (`k1.t1,k2.t3`), separated by commas, never both kinds
    /// in one list. Names are matched exactly, upper and lower case matter. Default: every keyspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,

    /// Name of the Secret, in the namespace of this object, with the credentials for the storage location.
    /// Its keys: `awsaccesskeyid`, `awssecretaccesskey`, `awsregion` and, for a store that is not Amazon's,
    /// `awsendpoint` (s3, oracle, minio, ceph); `azurestorageaccount` and `azurestoragekey` (azure); `gcp`,
    /// a service account as JSON (gcp). A `file` location needs none. Example: `cloud-backup-secrets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,

    /// `true` lets a schedule rest: no new run starts, a running one goes on. A backup without a schedule that
    /// is suspended never runs; it describes one that is in the bucket already, so that a restore can name it.
    /// Default: `false`. Only cassgate as executor knows this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// The time zone of `schedule`, a name of the IANA data base. Do not use it together with a `CRON_TZ=`
    /// prefix. Default: see `schedule`. Only cassgate as executor knows this field. Example: `Europe/Paris`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub time_zone: Option<String>,

    /// What happens when a run is due while the one before it still runs. `Allow`: it waits and runs next,
    /// since a cluster takes one backup at a time. `Forbid`: it is skipped and counted in
    /// `status.missedRuns`. `Replace`: the running one is given up for it. Default: `Allow`. Only cassgate as
    /// executor knows this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "ConcurrencyPolicy::schema")]
    pub concurrency_policy: Option<ConcurrencyPolicy>,

    /// How many seconds late a run may still start, after an outage for example. A run that is later is
    /// skipped and counted in `status.missedRuns`. Default: no limit; of several missed runs only the newest
    /// is made up for. Only cassgate as executor knows this field. Example: `3600`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub starting_deadline_seconds: Option<i64>,

    /// Which snapshots of this backup stay in the bucket; the others are deleted after each good run.
    /// Default: all of them stay. Only cassgate as executor knows this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}

/// What a schedule does with a run that is due while the one before it still runs.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConcurrencyPolicy {
    /// The new run waits for the old one.
    #[default]
    Allow,
    /// The new run is skipped.
    Forbid,
    /// The old run is given up.
    Replace,
}

/// Which snapshots of a backup stay. With both fields set, a snapshot stays that either of them keeps.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// How many of the newest good snapshots stay. Example: `14`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_last: Option<i32>,

    /// For how many days a snapshot stays. The newest good one stays however old it is. Example: `30`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_days: Option<i32>,
}

impl ConcurrencyPolicy {
    /// By hand, so that `kubectl explain` shows what the field says about it and not what this type says.
    fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": [Self::Allow, Self::Forbid, Self::Replace] })
    }
}

impl CassandraBackupSpec {
    /// Whether the backup is taken on a schedule. As in CassKop, an empty one is none.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        self.schedule
            .as_deref()
            .is_some_and(|schedule| !schedule.is_empty())
    }

    /// What a run that begins now begins with.
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
        }
    }
}

impl CassandraBackup {
    /// Whether a run has begun, now or ever: see [`BackRestStatus::has_started`](super::BackRestStatus::has_started).
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.common.has_started())
    }

    /// Whether the last run is over: see [`BackRestStatus::is_terminal`](super::BackRestStatus::is_terminal).
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.common.is_terminal())
    }
}
