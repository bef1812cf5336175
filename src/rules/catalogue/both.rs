//! Rules of both kinds.

use super::{DENY, EITHER, Kinds, Rule, WARN, rules};

rules! {
    BOTH;

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
    "Apply the cluster first, in the same namespace: Flux `dependsOn`, an Argo CD sync wave, a Helm hook or a release of its own. Where objects come in any order, `--missing-references=warn`, or the label `cassgate.db.orange.com/missing-references: warn` on the namespace.";

    CLUSTER_TERMINATING = "cluster-terminating", Both, WARN;
    "The CassandraCluster is being deleted.";
    "Its pods go away while the operation runs, or before it begins.";
    "Wait for the new cluster, or leave the object out.";

    CLUSTER_NOT_READY = "cluster-not-ready", Both, WARN;
    "The CassandraCluster is starting, or CassKop is changing it.";
    "A restore checks that every node is up and normal and that all agree on one schema, and fails otherwise; a backup of a ring that changes covers the nodes of that moment.";
    "Wait until `status.phase` is Running and the last action is Done.";

    DATACENTER_UNKNOWN = "datacenter-unknown", Both, EITHER;
    "The datacenter is none of the cluster's topology.";
    "CassKop picks the pods of a backup by the datacenter's name and finds none. A restore may name a datacenter of the same ring that another Kubernetes cluster runs, so there it is a warning.";
    "Name one datacenter of `spec.topology.dc[].name` (an empty topology is dc1), or leave the field out for all of them.";

    SIDECAR_DISABLED = "sidecar-disabled", Both, DENY;
    "The cluster runs without the sidecar that takes backups and restores.";
    "With `backRestSidecar.enabled: false` nothing listens on port 4567 of the pods.";
    "Set `spec.backRestSidecar.enabled: true` in the CassandraCluster.";

    SIDECAR_VERSION_UNUSABLE = "sidecar-version-unusable", Both, WARN;
    "The version of the cluster's sidecar does not go with its Cassandra, or not with CassKop.";
    "Icarus 1.x cannot read the data directory of Cassandra 4.1 and later (seen on 4.1.10 and 5.0.9: every operation fails). CassKop sends no `dataDirs`, which Icarus demands since 2.0: every operation fails at once.";
    "With Cassandra up to 4.0 and CassKop as executor use Icarus 1.1.3; with a later Cassandra use Icarus 2.0.4 and cassgate as executor.";

    SECRET_NOT_FOUND = "secret-not-found", Both, EITHER;
    "The Secret that the object names is not in its namespace, or could not be read.";
    "The sidecar reads it in the namespace of the pods. CassKop refuses a backup whose Secret it does not find and never looks again.";
    "Create the Secret first, in the same namespace. Where objects come in any order, `--missing-references=warn`, or the label `cassgate.db.orange.com/missing-references: warn` on the namespace.";

    SECRET_KEY_MISSING = "secret-key-missing", Both, EITHER;
    "The Secret does not have the keys that its storage backend needs.";
    "Icarus 1.x and 2.x read the credentials from these keys and fail without them, after the object was accepted. Icarus from 3.0 on ignores Secrets, so there it is a warning.";
    "s3, oracle, minio: awsaccesskeyid, awssecretaccesskey, awsregion. ceph: awsaccesskeyid, awssecretaccesskey, awsendpoint. azure: azurestorageaccount, azurestoragekey. gcp: gcp.";

    SECRET_KEY_MALFORMED = "secret-key-malformed", Both, EITHER;
    "A value in the Secret cannot be what its key promises.";
    "The sidecar takes values as they are: a line end becomes part of the key, an empty value is sent. A `gcp` that is no service account and an `awsendpoint` that is no host or URL cannot work at all, and beside no endpoint an `awsregion` has to be one of Amazon's.";
    "Write values without line ends (`printf %s`, or `stringData`); `gcp` is the service account's JSON document; `awsendpoint` is host, host:port or an http(s) URL; `awsregion` is the name of a region (eu-west-1), not of a zone in it (eu-west-1a).";

    SECRET_IGNORED = "secret-ignored", Both, WARN;
    "The object names a Secret, and the cluster's sidecar reads none.";
    "Icarus from 3.0 on takes its credentials from its environment only. Whoever changes the Secret changes nothing, and the sidecar may work with other credentials than those, or with none.";
    "Give the credentials to the sidecar's container, as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION for s3. Leave `spec.secret` out where cassgate acts; CassKop wants one for every backup that is not to file://.";

    SECRET_ABSENT = "secret-absent", Both, EITHER;
    "The object names no Secret although its storage needs credentials.";
    "CassKop refuses a backup to anything but file:// without a Secret, and for a restore Icarus 1.x and 2.x then look for a Secret that nobody has. Other executors leave the credentials to the sidecar's environment or the node's role.";
    "Name a Secret in `spec.secret`.";

    ENTITIES_MALFORMED = "entities-malformed", Both, DENY, destroys;
    "An item of `entities` is neither a keyspace nor keyspace.table.";
    "Esop drops such an item in silence. When nothing is left, the operation covers every keyspace; a restore would empty them all.";
    "Write keyspaces (k1,k2) or tables (k1.t1,k2.t3): letters, digits and _, at most 48, in the letter case of CQL's system_schema; at most 32 KiB in all.";

    ENTITIES_MIXED = "entities-mixed", Both, DENY;
    "`entities` names keyspaces and tables at once.";
    "Esop refuses the mixture, after the object was accepted.";
    "Write only keyspaces or only keyspace.table.";

    ENTITIES_NAME_CASE = "entities-name-case", Both, WARN;
    "A name in `entities` has upper-case letters.";
    "CQL makes every unquoted name lower case, and the sidecar compares letter case exactly: `MyKs` in CQL is `myks` on disk, unless it was created in double quotes.";
    "Write the name as `system_schema.tables` has it, usually in lower case.";

    CONCURRENCY_OUT_OF_RANGE = "concurrency-out-of-range", Both, EITHER;
    "`concurrentConnections` (in a restore `concurrentConnection`) is below 1.";
    "A negative number makes the sidecar fail without a message (seen). CassKop does not send a zero, so it means the default of 10.";
    "Write a number from 1 on, or leave the field out for 10.";

    FIELD_NEEDS_EXECUTOR = "field-needs-executor", Both, EITHER;
    "A field of cassgate's own reconciler is set while CassKop acts.";
    "CassKop does not know it: a suspended backup would run, a time zone would be the operator's, a restore would take another snapshot than the one named. What only tidies up or spaces runs is a warning.";
    "Leave the field out, or let cassgate act (`--executor=cassgate`).";

    STATUS_ON_CREATE = "status-on-create", Both, EITHER;
    "A new object carries a status.";
    "CassKop takes an object with a condition for one that has run and never runs it; a coordinator without a condition makes it panic.";
    "Leave `status` out of manifests (`kubectl get -o yaml` prints it).";

    STATUS_RESET = "status-reset", Both, EITHER, destroys;
    "The status of an object that has run once is wiped.";
    "It is the only record that it ran: CassKop runs it again at its next start, and a restore empties tables again.";
    "Create an object of another name to run again.";

    CASSKOP_NEEDS_RESTART = "casskop-needs-restart", Backup, WARN;
    "A backup is changed or a scheduled one deleted while CassKop acts, which notices neither.";
    "Since release 2.1 CassKop ignores every update of a CassandraBackup (its filter compares a pointer with a value). A changed schedule takes effect, and a deleted scheduled backup goes away, when the operator starts again.";
    "Restart the operator (`kubectl rollout restart`) after the change, or delete the object and create it anew.";
}
