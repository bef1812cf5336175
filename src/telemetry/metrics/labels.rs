//! The closed sets of label values: no series ever comes from what a user wrote.

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
            /// Every value there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it stands in the series.
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
    /// What an admission review is about.
    ReviewKind {
        /// A `CassandraBackup`.
        Backup = "backup",
        /// A `CassandraRestore`.
        Restore = "restore",
        /// Anything else that the API server was told to send.
        Other = "other",
    }

    /// What the reviewed request does.
    Operation {
        /// CREATE.
        Create = "create",
        /// UPDATE.
        Update = "update",
        /// DELETE.
        Delete = "delete",
        /// CONNECT, and whatever Kubernetes invents.
        Other = "other",
    }

    /// How a review ended.
    ReviewVerdict {
        /// Allowed as it is, without a word.
        Allowed = "allowed",
        /// Allowed with warnings.
        Warned = "warned",
        /// Denied.
        Denied = "denied",
        /// Allowed with a patch.
        Patched = "patched",
        /// The bytes were no review: 400.
        Undecodable = "undecodable",
        /// Our own fault: 500.
        Failed = "failed",
    }

    /// How grave a finding is.
    FindingSeverity {
        /// The request is denied.
        Deny = "deny",
        /// The user is warned.
        Warn = "warn",
    }

    /// What a cache holds.
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

    /// What was read from the API server for one request.
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
        /// What a user may do (`SubjectAccessReview`).
        Access = "access",
    }

    /// What a live read learnt.
    ReadOutcome {
        /// The object is there.
        Found = "found",
        /// The object is not there.
        Absent = "absent",
        /// Neither can be said: an API error, a missing permission, no time left.
        Unknown = "unknown",
    }

    /// What a sidecar was asked.
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
        /// How one operation stands.
        Operation = "operation",
        /// Which operations there are.
        Operations = "operations",
        /// The version of the schema.
        Schema = "schema",
        /// The ring.
        Topology = "topology",
    }

    /// What became of a request to a sidecar.
    SidecarOutcome {
        /// An answer that was understood. The operation itself may have failed.
        Answered = "answered",
        /// The sidecar does not know the operation.
        UnknownOperation = "unknown-operation",
        /// The sidecar does not take the request.
        Refused = "refused",
        /// The sidecar cannot reach its Cassandra.
        CassandraUnavailable = "cassandra-unavailable",
        /// An answer that no sidecar gives.
        Garbage = "garbage",
        /// An answer of too many bytes.
        TooLarge = "too-large",
        /// There was no connection.
        Unreachable = "unreachable",
        /// The time was over.
        TimedOut = "timed-out",
        /// The connection broke.
        Broken = "broken",
    }

    /// What became of the lease of this replica.
    LeaseTransition {
        /// It is ours from now on.
        Gained = "gained",
        /// It is not ours any more, without our doing.
        Lost = "lost",
        /// We gave it away.
        Released = "released",
    }

    /// What became of one attempt to renew the lease.
    LeaseRenewal {
        /// It was renewed.
        Renewed = "renewed",
        /// Something else was written meanwhile; it was looked at again.
        Conflict = "conflict",
        /// It is not ours any more.
        Lost = "lost",
        /// The API server refused it, or could not be reached.
        Failed = "failed",
        /// The API server did not answer in time.
        TimedOut = "timed-out",
    }

    /// What is run.
    RunKind {
        /// A `CassandraBackup`.
        Backup = "backup",
        /// A `CassandraRestore`.
        Restore = "restore",
    }

    /// How a run ended.
    RunOutcome {
        /// Well.
        Completed = "completed",
        /// With errors.
        Failed = "failed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
    }

    /// How a run stands that is not over.
    RunState {
        /// Another operation of the Cassandra cluster comes first.
        Queued = "queued",
        /// Something that it needs is not there, and comes by itself.
        Waiting = "waiting",
        /// The sidecars are at it.
        Running = "running",
        /// It goes on only when a human does something.
        Stalled = "stalled",
    }

    /// How a new certificate was taken. A poll that finds nothing new is not counted.
    ReloadOutcome {
        /// The new pair is served.
        Swapped = "swapped",
        /// The new pair is unusable; the old one is served on.
        Failed = "failed",
    }

    /// One of the two webhook configurations.
    WebhookSide {
        /// The mutating one.
        Mutating = "mutating",
        /// The validating one.
        Validating = "validating",
    }

    /// Why a TLS handshake came to nothing.
    HandshakeFailure {
        /// The deadline passed.
        Timeout = "timeout",
        /// The peers did not agree: versions, ciphers, a refused certificate.
        Protocol = "protocol",
        /// The connection broke, or was a bare TCP probe.
        Io = "io",
    }

    /// Which of our ports.
    Listener {
        /// The port that kube-apiserver calls.
        Webhook = "webhook",
        /// The port of probes and metrics.
        Admin = "admin",
    }
}

/// The id of a rule, out of the static table of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleLabel(pub &'static str);

impl EncodeLabelValue for RuleLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        encoder.write_str(self.0)
    }
}
