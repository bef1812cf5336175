//! The label values, as closed enums: no input of a user becomes a label value.

use std::fmt::Write;

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

macro_rules! labels {
    ($($(#[$about:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $text:literal,)+ })+) => { $(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$each])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the value as the series contain it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
                encoder.write_str(self.as_str())
            }
        }
    )+ };
}

labels! {
    /// The kind of the reviewed object.
    ReviewKind {
        /// A `CassandraBackup`.
        Backup = "backup",
        /// A `CassandraRestore`.
        Restore = "restore",
        /// Any other kind that the API server is configured to send.
        Other = "other",
    }

    /// The operation of the reviewed request.
    Operation {
        /// CREATE.
        Create = "create",
        /// UPDATE.
        Update = "update",
        /// DELETE.
        Delete = "delete",
        /// CONNECT, and operations that are unknown to cassgate.
        Other = "other",
    }

    /// The outcome of a review.
    ReviewVerdict {
        /// Allowed without changes and warnings.
        Allowed = "allowed",
        /// Allowed with warnings.
        Warned = "warned",
        /// Denied.
        Denied = "denied",
        /// Allowed with a patch.
        Patched = "patched",
        /// The body is not a review: 400.
        Undecodable = "undecodable",
        /// No verdict: 500 for a failure of cassgate, 503 if one of its limits is reached.
        Failed = "failed",
    }

    /// The severity of a finding.
    FindingSeverity {
        /// The request is denied.
        Deny = "deny",
        /// The user is warned.
        Warn = "warn",
    }

    /// The kind of the objects of a cache.
    CacheKind {
        /// `CassandraCluster`.
        Cluster = "cluster",
        /// `CassandraBackup`.
        Backup = "backup",
        /// `CassandraRestore`.
        Restore = "restore",
        /// A Namespace.
        Namespace = "namespace",
    }

    /// The kind of a live read from the API server.
    ReadKind {
        /// `CassandraCluster`.
        Cluster = "cluster",
        /// `CassandraBackup`.
        Backup = "backup",
        /// `CassandraRestore`.
        Restore = "restore",
        /// A Secret.
        Secret = "secret",
        /// A Namespace.
        Namespace = "namespace",
        /// The permissions of a user (`SubjectAccessReview`).
        Access = "access",
        /// The labels of a cluster's pods.
        Pods = "pods",
    }

    /// The outcome of a live read.
    ReadOutcome {
        /// The object exists.
        Found = "found",
        /// The object does not exist.
        Absent = "absent",
        /// Unknown: an API error, a missing permission, or a timeout.
        Unknown = "unknown",
    }

    /// The kind of a request to a sidecar.
    SidecarRequest {
        /// A backup.
        Backup = "backup",
        /// A restore's INIT.
        Init = "init",
        /// A restore's DOWNLOAD.
        Download = "download",
        /// A restore's TRUNCATE.
        Truncate = "truncate",
        /// A restore's IMPORT.
        Import = "import",
        /// A restore's CLEANUP.
        Cleanup = "cleanup",
        /// A refresh of a table.
        Refresh = "refresh",
        /// A listing of a bucket.
        List = "list",
        /// The removal of a snapshot.
        RemoveBackup = "remove-backup",
        /// The state of one operation.
        Operation = "operation",
        /// The list of operations.
        Operations = "operations",
        /// The version of the schema.
        Schema = "schema",
        /// The mode of a node.
        Status = "status",
        /// The ring.
        Topology = "topology",
    }

    /// The outcome of a request to a sidecar.
    SidecarOutcome {
        /// A valid answer. The operation itself may have failed.
        Answered = "answered",
        /// The sidecar does not know the operation.
        UnknownOperation = "unknown-operation",
        /// The sidecar rejects the request.
        Refused = "refused",
        /// The sidecar cannot reach its Cassandra.
        CassandraUnavailable = "cassandra-unavailable",
        /// An answer that cannot be parsed.
        Garbage = "garbage",
        /// An answer over the size limit.
        TooLarge = "too-large",
        /// No connection could be opened.
        Unreachable = "unreachable",
        /// Not sent: the lease was lost while the connection was opened.
        Withheld = "withheld",
        /// The timeout passed.
        TimedOut = "timed-out",
        /// The connection broke.
        Broken = "broken",
    }

    /// A change of the leader from the perspective of this replica.
    LeaseTransition {
        /// This replica became the leader.
        Gained = "gained",
        /// This replica lost the lease.
        Lost = "lost",
        /// This replica released the lease.
        Released = "released",
    }

    /// The outcome of one attempt to renew the lease.
    LeaseRenewal {
        /// The lease was renewed.
        Renewed = "renewed",
        /// The lease had changed and was read again.
        Conflict = "conflict",
        /// This replica no longer holds the lease.
        Lost = "lost",
        /// The API server rejected the request or could not be reached.
        Failed = "failed",
        /// The API server did not answer in time.
        TimedOut = "timed-out",
    }

    /// The kind of the object of a run.
    RunKind {
        /// A `CassandraBackup`.
        Backup = "backup",
        /// A `CassandraRestore`.
        Restore = "restore",
    }

    /// The outcome of a run.
    RunOutcome {
        /// Completed.
        Completed = "completed",
        /// Failed.
        Failed = "failed",
        /// Cancelled by a user.
        Cancelled = "cancelled",
    }

    /// The state of an unfinished run.
    RunState {
        /// It waits for another operation on the Cassandra cluster.
        Queued = "queued",
        /// It waits for an object or a state that is expected to appear.
        Waiting = "waiting",
        /// The sidecars execute it.
        Running = "running",
        /// It needs an action of a person.
        Stalled = "stalled",
    }

    /// The outcome of a reload of the certificate. A reload without a change is not counted.
    ReloadOutcome {
        /// The new pair is served.
        Swapped = "swapped",
        /// The new pair is unusable; the old one is still served.
        Failed = "failed",
    }

    /// One of the two webhook configurations.
    WebhookSide {
        /// The mutating one.
        Mutating = "mutating",
        /// The validating one.
        Validating = "validating",
    }

    /// The reason why a TLS handshake failed.
    HandshakeFailure {
        /// The timeout passed.
        Timeout = "timeout",
        /// A protocol error: versions, cipher suites, or a rejected certificate.
        Protocol = "protocol",
        /// The connection broke, or was a bare TCP probe.
        Io = "io",
    }

    /// A port of cassgate.
    Listener {
        /// The port that kube-apiserver calls.
        Webhook = "webhook",
        /// The port of probes and metrics.
        Admin = "admin",
    }
}

/// The id of a rule, from the static table of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleLabel(pub &'static str);

impl EncodeLabelValue for RuleLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        encoder.write_str(self.0)
    }
}
