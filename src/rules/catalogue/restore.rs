//! Rules for restores.

use super::{DENY, EITHER, Kinds, Rule, WARN, rules};

rules! {
    RESTORE;

    BACKUP_NOT_FOUND = "backup-not-found", Restore, EITHER;
    "The CassandraBackup that the restore names is not in its namespace, or could not be looked up.";
    "The restore takes location, tag and credentials from the backup. CassKop retries the restore without end.";
    "Apply the backup first, in the same namespace. If objects are applied in any order, set `--missing-references=warn`, or label the namespace `cassgate.db.orange.com/missing-references: warn`.";

    BACKUP_NOT_RESTORABLE = "backup-not-restorable", Restore, EITHER, confirmable;
    "The backup has never run, has not ended, or has failed.";
    "The backup has no complete data to restore. The restore finds no manifest, or the manifest of an older backup whose tag starts with the same text.";
    "Wait until the backup is COMPLETED. CassKop leaves a complete backup at RUNNING if its operator restarts during the backup. If you know that it is complete, confirm it with the annotation `cassgate.db.orange.com/confirm: backup-not-restorable`.";

    SNAPSHOT_UNKNOWN = "snapshot-unknown", Restore, EITHER;
    "`snapshot` is not a completed run in the backup's history.";
    "A restore of a name without a manifest fails. A restore of a failed run restores only a part. A PARTIAL run lacks the nodes that were not in the ring: it is restored only by its name, with a warning.";
    "Use a name from `status.history[].snapshot` of the backup whose outcome is COMPLETED.";

    RUN_NOT_RECORDED = "run-not-recorded", Restore, WARN;
    "An earlier version of cassgate recorded the run without its entities and nodes.";
    "The restore uses the entities that the backup has today. If they have changed since the run, tables that the snapshot does not hold are emptied and not refilled. A node that has left the ring since is not noticed.";
    "Name the tables that the run contains in `entities`, or restore a newer run.";

    BACKUP_LATEST_RUN = "backup-latest-run", Restore, WARN, notice;
    "The restore uses the newest run of a scheduled backup.";
    "Another run may end before the restore starts, and is then the newest.";
    "With cassgate as executor, name the run in `snapshot`.";

    BACKUP_RUNNING = "backup-running", Both, WARN;
    "A restore is created while a backup of the same cluster is running, or a one-shot backup that CassKop runs is deleted.";
    "Restore and backup run at the same time, and both end as COMPLETED (observed). The backup may contain tables that the restore has just emptied. A deletion does not stop the sidecars, and CassKop logs an error every two seconds until they have ended (observed).";
    "Wait until the backup has ended, or take it again afterwards.";

    CLUSTER_MISMATCH = "cluster-mismatch", Restore, DENY;
    "The restore names another cluster than its backup.";
    "The sidecar searches for data only under the name, the datacenters and the host ids of its own cluster, so it finds no data of another cluster.";
    "Restore into the backup's own cluster. To fill another cluster with the same tokens, describe the bucket in a suspended backup with `clusterName` and `nodes`, with cassgate as executor.";

    DATACENTER_NOT_IN_BACKUP = "datacenter-not-in-backup", Restore, DENY;
    "The restore covers a datacenter that its backup does not cover.";
    "Every node searches for its own manifest. The nodes of a datacenter that was not backed up find none, and the restore fails before it changes a table (observed).";
    "Name the datacenter of the backup, or restore a backup of the whole ring. In the first case the replicas of the other datacenters are emptied too and need a repair.";

    ENTITIES_OUTSIDE_BACKUP = "entities-outside-backup", Restore, DENY;
    "The restore names entities that its backup does not contain.";
    "The restore fails during the download, because the keyspace or table is not in the manifest.";
    "Name a part of the backup's entities; letter case matters.";

    ENTITIES_WIDER_THAN_BACKUP = "entities-wider-than-backup", Restore, DENY, destroys;
    "The restore names a keyspace of which the backup contains only some tables.";
    "Icarus empties every table of that keyspace and refills only those that were backed up. The others stay empty (observed).";
    "Name the tables that the backup contains.";

    ENTITIES_SYSTEM = "entities-system", Restore, DENY, destroys;
    "The restore names a keyspace of Cassandra itself.";
    "Esop empties a table of a system keyspace and then excludes its files from the download, so the data is lost. A restore of a whole system keyspace restores nothing.";
    "Name your own keyspaces or tables.";

    RESTORE_TRUNCATES_EVERYTHING = "restore-truncates-everything", Restore, EITHER, destroys, confirmable;
    "The restore covers every keyspace.";
    "Icarus empties every table of the cluster but Cassandra's own, also those that were created after the backup or are not in it, and refills only those in the backup (observed). It fails at that while the folder of a dropped table is there.";
    "Name the keyspaces or tables to restore. If everything is intended and `--restore-guard=confirm` is set, confirm it with the annotation `cassgate.db.orange.com/confirm: restore-truncates-everything`.";

    RESTORE_TRUNCATES_KEYSPACE = "restore-truncates-keyspace", Restore, EITHER, destroys, confirmable;
    "The restore covers whole keyspaces.";
    "Icarus empties all current tables of the keyspace. Those that were created after the backup stay empty (observed). TRUNCATE fails while the folder of a dropped table is there, when other tables may already be empty (observed on 2.0.4 and 3.0.0).";
    "Name the tables. If the whole keyspace is intended and `--restore-guard=confirm` is set, confirm it with the annotation `cassgate.db.orange.com/confirm: restore-truncates-keyspace`.";

    RESTORE_PARTIAL_DATACENTER = "restore-partial-datacenter", Restore, EITHER, destroys, confirmable;
    "The restore covers one of several datacenters.";
    "Truncation empties a table on the whole ring. Only the nodes of the named datacenter are refilled, and reads in the other datacenters find nothing (observed).";
    "Leave `datacenter` out if the backup covers all datacenters. Otherwise repair the other datacenters right afterwards.";

    RESTORE_INCOMPLETE = "restore-incomplete", Restore, EITHER, destroys, confirmable;
    "The restore leaves out the parts of some nodes of the backup.";
    "All tables are emptied, and only the parts with a pod are restored. Rows whose replicas were all in the other parts are lost; a repair brings the rest back from the other replicas.";
    "Name the pod whose node has the tokens of the missing one. If the loss is intended, confirm it with the annotation `cassgate.db.orange.com/confirm: restore-incomplete`, and run `nodetool repair` after the restore.";

    RING_CHANGED = "ring-changed", Restore, WARN;
    "Nodes of the backup are no longer in the ring, or nodes of the ring are younger than the backup.";
    "The part of a node is in a folder with its host id. Without that node its rows would be missing, and a younger node has no part. The executor compares the live ring and ends such a restore before it empties a table. The rule compares `status.cassandraNodeStatus` of the CassandraCluster, which may be stale, so it only warns.";
    "Name the pod that has the tokens of the missing node in `spec.nodes`. Decommission a younger node before the restore.";

    RESTORE_RECREATED = "restore-recreated", Restore, DENY, destroys;
    "A tool has created the restore again, or its annotations say that a tool will.";
    "Backup tools such as Velero and GitOps controllers create objects again without their status. The restore would run a second time and overwrite everything written since. No annotation confirms it, because it would stand in the repository and confirm every later run too.";
    "Remove the annotations of hooks and of replacement, and give each restore a name of its own. Exclude restores in backup tools, or remove Velero's label.";

    RESTORE_EXPIRED = "restore-expired", Restore, DENY, destroys;
    "The time in the annotation `cassgate.db.orange.com/not-after` has passed, or is malformed.";
    "A manifest that stays in a repository is applied again after a prune, after its Kustomization or Application was deleted, and in a new Kubernetes cluster. The restore would overwrite everything written since.";
    "Remove the restore from the manifests. For another restore, write another name and a later time, in RFC 3339: `2026-12-31T18:00:00Z`.";

    RESTORE_WITHOUT_EXPIRY = "restore-without-expiry", Restore, WARN;
    "A tool creates the restore from a repository, and no time limits that.";
    "The tool creates the restore again if its file is removed and put back, if its Kustomization, Application or release is deleted and created again, and in a new Kubernetes cluster. Every such restore runs again (seen with Flux).";
    "Set the annotation `cassgate.db.orange.com/not-after` to a time soon after the restore is to begin.";

    RESTORE_IN_PROGRESS = "restore-in-progress", Restore, EITHER, destroys;
    "Another restore of the cluster has not ended, or a running restore is deleted.";
    "Two restores empty each other's tables; Icarus rejects the second one only at some moments. A restore cannot be cancelled: after its deletion the sidecars continue without supervision.";
    "Wait until the other restore is COMPLETED or FAILED. If CassKop or a sidecar stopped, check the content of its tables and delete it.";

    RESTORE_LEFTOVERS = "restore-leftovers", Restore, WARN;
    "An earlier restore of the cluster failed and left its downloads on the nodes.";
    "CassKop downloads into one fixed directory, and everything in it is linked into the tables of the next restore. Rows of the failed restore are then restored too (observed).";
    "Remove /var/lib/cassandra/downloadedsstables on every node before the next restore.";

    SNAPSHOT_TAG_AMBIGUOUS = "snapshot-tag-ambiguous", Restore, EITHER, destroys;
    "The tag of another backup of the cluster and location starts with the tag of this restore's backup.";
    "CassKop restores by tag, and Icarus uses the newest snapshot whose name starts with it. The restore is COMPLETED with the data of the other backup (observed).";
    "Write `exactSchemaVersion: true` and the backup's `schemaVersion`, or restore with cassgate as executor, which uses the full snapshot name.";

    RENAME_MALFORMED = "rename-malformed", Restore, DENY;
    "A side of a `rename` pair is not keyspace.table.";
    "Esop rejects the pair only when the restore runs. Quotes and blanks hide that two sides are the same table.";
    "Write keyspace.table on both sides, without quotes; at most 1000 pairs.";

    RENAME_DUPLICATE_TARGET = "rename-duplicate-target", Restore, DENY;
    "Two tables are renamed into the same table.";
    "Esop rejects it: `all values in rename map have to be distinct`.";
    "Give each table a target of its own.";

    RENAME_CHAIN = "rename-chain", Restore, DENY;
    "The target of one `rename` pair is the source of another.";
    "Esop supports no swaps and no chains: `rename map contains a value which is one of its key`.";
    "Use targets that are not renamed themselves.";

    RENAME_SELF = "rename-self", Restore, DENY;
    "A table is renamed into itself.";
    "Esop rejects it: `Can not rename table to itself`.";
    "Leave the pair out. A table that is not renamed gets its own data.";

    RENAME_SOURCE_OUTSIDE_ENTITIES = "rename-source-outside-entities", Restore, DENY;
    "A renamed table is not among the restored tables.";
    "Esop fails 15 seconds into the restore, because the source is not in the entities.";
    "Add the table to `entities`, or leave the pair out.";

    RENAME_TARGET_IN_ENTITIES = "rename-target-in-entities", Restore, DENY;
    "The target of a `rename` pair is restored itself.";
    "The table would get the data of two tables. Esop rejects this only when the restore runs.";
    "Leave the target out of `entities`, or rename into another table.";

    RENAME_NEEDS_TABLES = "rename-needs-tables", Restore, DENY;
    "Tables are renamed, but the restore covers keyspaces or everything.";
    "Esop rejects it: `you can not use keyspace entities in connection with rename entities`.";
    "Name the tables to restore in `entities`: k1.t1,k2.t3.";

    RENAME_SYSTEM = "rename-system", Restore, DENY, destroys;
    "A table is renamed into a keyspace of Cassandra itself.";
    "Esop empties the target, a system table, and the cluster may not start again.";
    "Rename into one of your own tables.";

    SCHEMA_VERSION_MALFORMED = "schema-version-malformed", Restore, DENY;
    "`schemaVersion` is not a UUID.";
    "Icarus answers 500, and CassKop repeats the request every 15 seconds without end.";
    "Write the UUID in the snapshot's name, which has 36 characters.";

    SCHEMA_VERSION_IGNORED = "schema-version-ignored", Restore, WARN;
    "`schemaVersion` is set without `exactSchemaVersion: true`.";
    "Icarus ignores it otherwise, and the newest snapshot of the tag is restored, whatever its schema.";
    "Set `exactSchemaVersion: true`, or leave `schemaVersion` out.";

    CASSANDRA_DIRECTORY_MALFORMED = "cassandra-directory-malformed", Restore, EITHER;
    "`cassandraDirectory` is not the directory that contains `data`, or not that of CassKop's pods.";
    "The sidecar appends /data to it and fails if that directory does not exist. CassKop mounts the volume of each pod at /var/lib/cassandra.";
    "Write /var/lib/cassandra, or leave the field out.";

    RESTORE_STARTED = "restore-started", Restore, DENY, destroys;
    "The spec of a restore that has started was changed.";
    "A restore runs only once, so the new spec would describe a restore that never happened.";
    "Create a restore with another name.";

    RESTORE_SOURCE_CHANGED = "restore-source-changed", Restore, DENY, destroys;
    "A restore that has not started was pointed at another backup or run.";
    "`entities` and `secret` of a restore that leaves them out are filled in from its backup when it is created. They would be kept beside the other backup: the restore would use the wrong Secret or cover the wrong tables.";
    "Delete the restore, which has changed nothing yet, and create a new one.";
}
