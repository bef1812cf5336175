//! Rules for both kinds.

use super::{DENY, EITHER, Kinds, Rule, WARN, rules};

rules! {
    BOTH;

    SPEC_MALFORMED = "spec-malformed", Both, DENY;
    "A field of the spec is missing or has a wrong type.";
    "The object cannot be decoded, so no other rule can be checked.";
    "Write the field as `kubectl explain` describes it.";

    METADATA_MALFORMED = "metadata-malformed", Both, DENY;
    "The name, the namespace, a label, an annotation or another part of the metadata is not valid.";
    "The API server rejects the object, and kubectl stops at it.";
    "Write every value of labels and annotations in quotes if it is a number or a word such as true or on. Write names in lower-case letters, digits and hyphens.";

    FIELD_UNKNOWN = "field-unknown", Both, DENY;
    "The object has a field that its kind does not have.";
    "kubectl (`--validate=strict`, its default) and strict server-side apply reject the object. Other clients drop the field, so it has no effect: a backup with a misspelt schedule runs once, and one with misspelt entities covers everything.";
    "Write the field that the message names, in its place.";

    FIELD_REPEATED = "field-repeated", Both, WARN;
    "A key is written twice in the same map.";
    "kubectl takes the last value and drops the earlier one without a message. kustomize and Flux reject the file. If a separator is missing between two objects, the first object is lost.";
    "Write each key once, and --- on a line of its own between two objects.";

    REQUEST_UNKNOWN = "request-unknown", Both, WARN;
    "A request of a kind, version or operation that cassgate does not know was admitted without checks.";
    "The webhook configuration sends requests that cassgate does not support. Denying them would block requests that work without cassgate.";
    "Limit the rules of the webhook configuration, or use a newer version of cassgate.";

    CLUSTER_NOT_FOUND = "cluster-not-found", Both, EITHER;
    "The CassandraCluster that the object names is not in its namespace, or could not be looked up.";
    "CassKop gives up a backup whose cluster is missing and never retries it. It retries a restore without end.";
    "Apply the cluster first, in the same namespace: with Flux `dependsOn`, an Argo CD sync wave, a Helm hook or a separate release. If objects are applied in any order, set `--missing-references=warn`, or label the namespace `cassgate.db.orange.com/missing-references: warn`.";

    CLUSTER_TERMINATING = "cluster-terminating", Both, WARN;
    "The CassandraCluster is being deleted.";
    "Its pods are deleted before or during the operation.";
    "Wait until the cluster exists again, or remove the object.";

    CLUSTER_NOT_READY = "cluster-not-ready", Both, WARN;
    "The CassandraCluster is starting, or CassKop is changing it.";
    "A restore fails unless every node is up and normal and all nodes have the same schema version. A backup of a ring that is changing covers only the nodes of that moment.";
    "Wait until `status.phase` is Running and the last action is Done.";

    CLUSTER_LABELS_NOT_ON_PODS = "cluster-labels-not-on-pods", Both, EITHER;
    "No pod of the cluster has all labels of the CassandraCluster, by which CassKop selects pods.";
    "CassKop copies the labels of the CassandraCluster to the pods that it creates. With a label that was added later it finds no pod: a backup ends with `No pods found`, and a restore never begins, without an event (observed).";
    "Remove from the CassandraCluster the labels that its pods lack, or wait until CassKop has replaced the pods. cassgate as executor (`--executor=cassgate`) does not use these labels.";

    DATACENTER_UNKNOWN = "datacenter-unknown", Both, EITHER;
    "The datacenter is not in the cluster's topology.";
    "CassKop selects the pods for a backup by the datacenter's name and finds none. A restore may name a datacenter of the same ring that another Kubernetes cluster runs, so for restores the rule warns.";
    "Name one datacenter of `spec.topology.dc[].name` (an empty topology has dc1), or leave the field out for all datacenters.";

    SIDECAR_DISABLED = "sidecar-disabled", Both, DENY;
    "The cluster runs without the sidecar that runs backups and restores.";
    "With `backRestSidecar.enabled: false` nothing listens on port 4567 of the pods.";
    "Set `spec.backRestSidecar.enabled: true` in the CassandraCluster.";

    SIDECAR_VERSION_UNUSABLE = "sidecar-version-unusable", Both, WARN;
    "The version of the cluster's sidecar does not work with its Cassandra version or with CassKop.";
    "Icarus 1.x cannot read the data directory of Cassandra 4.1 and later, and every operation fails (observed on 4.1.10 and 5.0.9). Icarus requires `dataDirs` since 2.0, which CassKop does not send, and every operation fails at once.";
    "For Cassandra up to 4.0 with CassKop as executor use Icarus 1.1.3. For later Cassandra versions use Icarus 2.0.4 and cassgate as executor.";

    SECRET_NOT_FOUND = "secret-not-found", Both, EITHER;
    "The Secret that the object names is not in its namespace, or could not be read.";
    "The sidecar reads the Secret in the namespace of the pods. CassKop gives up a backup whose Secret is missing and never retries it.";
    "Create the Secret first, in the same namespace. If objects are applied in any order, set `--missing-references=warn`, or label the namespace `cassgate.db.orange.com/missing-references: warn`.";

    SECRET_KEY_MISSING = "secret-key-missing", Both, EITHER;
    "The Secret does not have the keys that the storage provider requires.";
    "Icarus 1.x and 2.x read the credentials from these keys and fail without them, after the object was admitted. Icarus 3.0 and later ignore Secrets, so for them the rule warns.";
    "s3, oracle, minio: awsaccesskeyid, awssecretaccesskey, awsregion. ceph: awsaccesskeyid, awssecretaccesskey, awsendpoint. azure: azurestorageaccount, azurestoragekey. gcp: gcp.";

    SECRET_KEY_MALFORMED = "secret-key-malformed", Both, EITHER;
    "A value in the Secret is not valid for its key.";
    "The sidecar uses values unchanged: a line end becomes part of the key, and an empty value is sent; CassKop retries without an event if a value that it checks is empty. A `gcp` that is not a service account and an `awsendpoint` that is not a host or URL cannot work. Without an endpoint an `awsregion` must be an AWS region, and one that the AWS library of Icarus 1 and 2 (aws-java-sdk 1.11.782) knows: with another one every operation fails.";
    "Write values without line ends (`printf %s`, or `stringData`). `gcp` is the JSON document of the service account. `awsendpoint` is host, host:port or an http(s) URL. `awsregion` is the name of a region (eu-west-1), not of a zone (eu-west-1a). With a newer region add `awsendpoint`: https://s3.REGION.amazonaws.com.";

    SECRET_IGNORED = "secret-ignored", Both, WARN;
    "The object names a Secret, but the cluster's sidecar ignores Secrets.";
    "Icarus 3.0 and later take their credentials only from their environment. Changes to the Secret have no effect, and the sidecar may use other credentials or none.";
    "Set the credentials in the environment of the sidecar's container: for s3 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION. With cassgate as executor leave `spec.secret` out. CassKop requires one for every backup except to file://.";

    SECRET_ABSENT = "secret-absent", Both, EITHER;
    "The object names no Secret although its storage needs credentials.";
    "CassKop rejects a backup without a Secret, except to file://. For a restore without one, Icarus 1.x and 2.x look for a Secret that does not exist. With other executors the credentials may come from the sidecar's environment or the role of its node.";
    "Name a Secret in `spec.secret`.";

    ENTITIES_MALFORMED = "entities-malformed", Both, DENY, destroys;
    "An item of `entities` is neither a keyspace nor keyspace.table.";
    "Esop silently drops such an item. If no item is left, the operation covers every keyspace, and a restore would empty all of them.";
    "Write keyspaces (k1,k2) or tables (k1.t1,k2.t3). A keyspace has at most 48 letters, digits and _, and a table at most 222, in the letter case of CQL's system_schema; the list has at most 32 KiB.";

    ENTITIES_MIXED = "entities-mixed", Both, DENY;
    "`entities` mixes keyspaces and tables.";
    "Esop rejects the mixture, after the object was admitted.";
    "Write only keyspaces or only keyspace.table.";

    ENTITIES_NAME_CASE = "entities-name-case", Both, WARN;
    "A name in `entities` or a target in `rename` has upper-case letters.";
    "CQL converts unquoted names to lower case, and the sidecar compares letter case exactly: `MyKs` in CQL is `myks` on disk, unless it was created in double quotes.";
    "Write the name as `system_schema.tables` has it, usually in lower case.";

    CONCURRENCY_OUT_OF_RANGE = "concurrency-out-of-range", Both, EITHER;
    "`concurrentConnections` (in a restore `concurrentConnection`) is below 1.";
    "The sidecar fails without a message if the number is negative (observed). CassKop does not send a zero, so it means the default of 10.";
    "Write 1 or more, or leave the field out for 10.";

    FIELD_NEEDS_EXECUTOR = "field-needs-executor", Both, EITHER;
    "A field of cassgate's own reconciler is set with CassKop as executor.";
    "CassKop ignores it: a suspended backup or the description of a bucket would run, the schedule would use the operator's time zone, and a restore would use another snapshot or other nodes. For fields that only space runs or remove old backups the rule warns.";
    "Leave the field out, or use cassgate as executor (`--executor=cassgate`).";

    NODES_MALFORMED = "nodes-malformed", Both, DENY;
    "An entry of `nodes` or the `clusterName` is malformed, or names a node or pod that cannot be meant.";
    "Each host id is a folder in the bucket, and each pod runs one node. The executor finds no part under another name, and ends the restore before it empties a table.";
    "Write each host id once, as the bucket or `status.rings` of the backup has it, and the name of a pod of the cluster.";

    EXECUTOR_REQUIRED = "executor-required", Both, DENY, destroys;
    "The object requires cassgate as executor, and would be run without the fields that need it.";
    "CassKop's CRDs drop `suspend`, `clusterName`, `nodes` and `snapshot` before the webhook sees the object. What is left of a suspended backup would run, and what is left of a restore would restore other data.";
    "Use cassgate as executor (`--executor=cassgate`) with its CRDs, and apply the object again. Remove the annotation `cassgate.db.orange.com/requires` only from an object that CassKop may run as it is stored.";

    STATUS_ON_CREATE = "status-on-create", Both, EITHER;
    "A new object has a status.";
    "CassKop treats an object with a condition as one that has run, and never runs it. A coordinator without a condition makes CassKop panic.";
    "Leave `status` out of manifests (`kubectl get -o yaml` prints it).";

    STATUS_RESET = "status-reset", Both, EITHER, destroys;
    "The status of an object that has run loses the record of its run.";
    "The condition, the coordinator and the id in the status are the only record of the run. CassKop runs the object again when its operator restarts, and a restore empties tables again.";
    "To run it again, create an object with another name.";

    CASSKOP_NEEDS_RESTART = "casskop-needs-restart", Backup, WARN;
    "The schedule or the cluster of a backup was changed, or a scheduled backup was deleted or lost CassKop's finalizer, and CassKop does not notice it until its operator restarts.";
    "Since release 2.1 CassKop drops every update of a CassandraBackup, because its filter compares a pointer with a value. A changed schedule or cluster takes effect, and a deleted scheduled backup is removed, only when the operator restarts. A scheduled run reads the other fields anew, so they take effect at once (observed). Without its finalizer a deleted backup is gone at once, and CassKop keeps running the schedule (observed).";
    "Restart the operator (`kubectl rollout restart`) after the change. Use `kubectl apply` instead of `kubectl replace`, which removes the finalizer.";
}
