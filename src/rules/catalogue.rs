//! The one table of all rules: what `cassgate explain` prints and what the documentation is made of.

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The request is refused.
    Deny,
    /// The request passes and the user is told.
    Warn,
}

impl Severity {
    /// The word of the command line and of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
        }
    }
}

/// Which kinds a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    /// `CassandraBackup` only.
    Backup,
    /// `CassandraRestore` only.
    Restore,
    /// Both.
    Both,
}

impl Kinds {
    /// The kinds as a user writes them.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "CassandraBackup",
            Self::Restore => "CassandraRestore",
            Self::Both => "CassandraBackup, CassandraRestore",
        }
    }
}

/// One rule: its name for ever, and what a user should know of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable, kebab-case; at the end of every message.
    pub id: &'static str,
    /// The kinds that it judges.
    pub kinds: Kinds,
    /// The severities that its findings can have, the worst first.
    pub severities: &'static [Severity],
    /// What it refuses or tells, in one line.
    pub summary: &'static str,
    /// Why: what CassKop, Icarus or Kubernetes does otherwise.
    pub reason: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// Whether what it refuses would destroy data. Such a finding is never lowered on a restore that has not started.
    pub destroys: bool,
}

const DENY: &[Severity] = &[Severity::Deny];
const WARN: &[Severity] = &[Severity::Warn];
const EITHER: &[Severity] = &[Severity::Deny, Severity::Warn];

impl Rule {
    const fn new(
        id: &'static str,
        kinds: Kinds,
        severities: &'static [Severity],
        summary: &'static str,
        reason: &'static str,
        remedy: &'static str,
    ) -> Self {
        Self {
            id,
            kinds,
            severities,
            summary,
            reason,
            remedy,
            destroys: false,
        }
    }

    const fn destroys(self) -> Self {
        Self {
            destroys: true,
            ..self
        }
    }
}

/// A list of rules becomes a static each and [`CATALOGUE`], so that none can be forgotten there.
macro_rules! rules {
    ($($name:ident = $id:literal, $kinds:ident, $severities:ident $(, $mark:ident)?; $summary:literal; $reason:literal; $remedy:literal;)*) => {
        $(
            #[doc = $summary]
            pub static $name: Rule = Rule::new($id, Kinds::$kinds, $severities, $summary, $reason, $remedy)$(.$mark())?;
        )*

        /// Every rule, in the order in which the documentation lists them.
        pub static CATALOGUE: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    SPEC_MALFORMED = "spec-malformed", Both, DENY;
    "A field of the spec is missing or has another type than its schema says.";
    "The object cannot be read, so nothing else about it can be judged.";
    "Write the field as `kubectl explain` describes it.";

    REQUEST_UNKNOWN = "request-unknown", Both, WARN;
    "A request of a kind, version or operation that cassgate does not know passed unjudged.";
    "The webhook configuration sends more than cassgate was made for; refusing it would block what works.";
    "Narrow the rules of the webhook configuration, or use a newer cassgate.";

    CLUSTER_NOT_FOUND = "cluster-not-found", Both, EITHER;
    "The CassandraCluster that the object names is not in its namespace, or could not be looked up.";
    "CassKop gives up on a backup whose cluster it does not find and never looks again; a restore asks for it for ever.";
    "Apply the cluster first, in the same namespace: Flux `dependsOn`, an Argo CD sync wave, a Helm hook or a release of its own. Where objects come in any order, `--missing-references=warn`.";

    DATACENTER_UNKNOWN = "datacenter-unknown", Both, EITHER;
    "The datacenter is none of the cluster's topology.";
    "CassKop picks the pods of a backup by the datacenter's name and finds none. A restore may name a datacenter of the same ring that another Kubernetes cluster runs, so there it is a warning.";
    "Name one datacenter of `spec.topology.dc[].name` (an empty topology is dc1), or leave the field out for all of them.";

    SIDECAR_DISABLED = "sidecar-disabled", Both, DENY;
    "The cluster runs without the sidecar that takes backups and restores.";
    "With `backRestSidecar.enabled: false` nothing listens on port 4567 of the pods.";
    "Set `spec.backRestSidecar.enabled: true` in the CassandraCluster.";

    SECRET_NOT_FOUND = "secret-not-found", Both, EITHER;
    "The Secret that the object names is not in its namespace, or could not be read.";
    "The sidecar reads it in the namespace of the pods. CassKop refuses a backup whose Secret it does not find and never looks again.";
    "Create the Secret first, in the same namespace.";

    SECRET_KEY_MISSING = "secret-key-missing", Both, EITHER;
    "The Secret has not the keys that its storage backend needs.";
    "Icarus 1.x and 2.x read the credentials from these keys and fail without them, minutes later. Icarus from 3.0 on ignores Secrets, so there it is a warning.";
    "s3, oracle, minio: awsaccesskeyid, awssecretaccesskey, awsregion. ceph: awsaccesskeyid, awssecretaccesskey, awsendpoint. azure: azurestorageaccount, azurestoragekey. gcp: gcp.";

    SECRET_KEY_MALFORMED = "secret-key-malformed", Both, EITHER;
    "A value in the Secret cannot be what its key promises.";
    "The sidecar takes values as they are: a line end becomes part of the key, an empty value is sent. A `gcp` that is no service account and an `awsendpoint` that is no host or URL cannot work at all.";
    "Write values without line ends (`printf %s`, or `stringData`); `gcp` is the service account's JSON document; `awsendpoint` is host, host:port or an http(s) URL.";

    SECRET_ABSENT = "secret-absent", Both, EITHER;
    "The object names no Secret although its storage needs credentials.";
    "CassKop refuses a backup to anything but file:// without a Secret. Other executors leave the credentials to the sidecar's environment or the node's role.";
    "Name a Secret in `spec.secret`.";

    STORAGE_LOCATION_MALFORMED = "storage-location-malformed", Backup, DENY;
    "The storage location has a form that no sidecar takes.";
    "Esop wants scheme://bucket and writes cluster, datacenter and node below it; a prefix fails or lands in a bucket of another name.";
    "Write scheme://bucket, or file:///directory/bucket/cluster/datacenter/node.";

    STORAGE_PROVIDER_UNSUPPORTED = "storage-provider-unsupported", Both, EITHER;
    "The cluster's sidecar has not this storage backend.";
    "Esop knows s3, azure, gcp, oracle, minio, ceph and file, in lower case. Icarus from 3.0 on has lost oracle, minio, ceph and custom endpoints of s3.";
    "Use a backend that the sidecar has, or a sidecar of version 2.";

    ENTITIES_MALFORMED = "entities-malformed", Both, DENY, destroys;
    "An item of `entities` is neither a keyspace nor keyspace.table.";
    "Esop drops such an item in silence. When nothing is left, the operation covers every keyspace; a restore would empty them all.";
    "Write keyspaces (k1,k2) or tables (k1.t1,k2.t3): letters, digits and _, at most 48, in the letter case of CQL's system_schema.";

    ENTITIES_MIXED = "entities-mixed", Both, DENY;
    "`entities` names keyspaces and tables at once.";
    "Esop refuses the mixture, after the object was accepted.";
    "Write only keyspaces or only keyspace.table.";

    SCHEDULE_MALFORMED = "schedule-malformed", Backup, DENY;
    "The schedule is not one that CassKop reads.";
    "CassKop parses it with robfig/cron's ParseStandard, tells the error in an event, and never runs the backup.";
    "Five fields (minute hour day-of-month month day-of-week), @hourly, @daily, @weekly, @monthly, @yearly, or @every and a duration; a zone in front as CRON_TZ=Europe/Paris.";

    BACKUP_NOT_FOUND = "backup-not-found", Restore, EITHER;
    "The CassandraBackup that the restore names is not in its namespace, or could not be looked up.";
    "The restore takes location, tag and credentials from it. CassKop asks for it for ever.";
    "Apply the backup first, in the same namespace. Where objects come in any order, `--missing-references=warn`.";

    CLUSTER_MISMATCH = "cluster-mismatch", Restore, DENY;
    "The restore names another cluster than its backup.";
    "The sidecar looks for the data under the name, the datacenters and the host ids of the cluster that it runs in: it finds none of another cluster's.";
    "Restore into the backup's own cluster.";

    ENTITIES_OUTSIDE_BACKUP = "entities-outside-backup", Restore, DENY;
    "The restore names something that its backup does not hold.";
    "The restore fails while it downloads: the keyspace or table is not in the manifest.";
    "Name a part of what the backup names; letter case matters.";

    ENTITIES_WIDER_THAN_BACKUP = "entities-wider-than-backup", Restore, DENY, destroys;
    "The restore names a keyspace of which the backup holds only some tables.";
    "Icarus empties every table of that keyspace and refills only those that were backed up; the others stay empty (seen).";
    "Name the tables that the backup holds.";

    ENTITIES_SYSTEM = "entities-system", Restore, DENY, destroys;
    "The restore names a keyspace of Cassandra itself.";
    "Esop empties a table of a system keyspace and then leaves its files out of the download: the data is lost. A system keyspace as a whole restores nothing.";
    "Name keyspaces or tables of your own.";

    RESTORE_IN_PROGRESS = "restore-in-progress", Restore, WARN;
    "A running restore is deleted.";
    "Nothing cancels a restore: the sidecars go on, with nobody to watch them.";
    "Wait until it is COMPLETED or FAILED.";

    BACKUP_STARTED = "backup-started", Backup, DENY;
    "The spec of a one-shot backup that has started was changed.";
    "It runs once; the change would describe a backup that was never taken.";
    "Create a backup of another name.";

    RESTORE_STARTED = "restore-started", Restore, DENY, destroys;
    "The spec of a restore that has started was changed.";
    "It runs once; the change would describe a restore that never happened.";
    "Create a restore of another name.";

    STATUS_ON_CREATE = "status-on-create", Both, EITHER;
    "A new object carries a status.";
    "CassKop takes an object with a condition for one that has run and never runs it; a coordinator without a condition makes it panic.";
    "Leave `status` out of manifests (`kubectl get -o yaml` prints it).";

    STATUS_RESET = "status-reset", Both, EITHER, destroys;
    "The status of an object that has run once is wiped.";
    "It is the only record that it ran: CassKop runs it again at its next start, and a restore empties tables again.";
    "Create an object of another name to run again.";
}

/// The rule of this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Rule> {
    CATALOGUE.iter().copied().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use super::{CATALOGUE, Severity, find};

    #[test]
    fn ids_are_kebab_case_and_each_stands_once() {
        for (index, rule) in CATALOGUE.iter().enumerate() {
            assert!(
                rule.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{}",
                rule.id
            );
            assert!(
                CATALOGUE.iter().skip(index + 1).all(|other| other.id != rule.id),
                "{} twice",
                rule.id
            );
            assert_eq!(find(rule.id), Some(*rule));
        }
        assert_eq!(find("no-such-rule"), None);
    }

    #[test]
    fn every_rule_says_what_why_and_what_to_do() {
        for rule in CATALOGUE {
            assert!(
                rule.summary.ends_with('.') && rule.reason.ends_with('.'),
                "{}",
                rule.id
            );
            assert!(rule.remedy.ends_with('.'), "{}", rule.id);
            assert!(
                !rule.severities.is_empty() && rule.severities.is_sorted(),
                "{}",
                rule.id
            );
            assert!(
                !rule.destroys || rule.severities.contains(&Severity::Deny),
                "{}",
                rule.id
            );
        }
    }
}
