//! Rules of restores.

use super::{DENY, EITHER, Kinds, Rule, WARN, rules};

rules! {
    RESTORE;

    BACKUP_NOT_FOUND = "backup-not-found", Restore, EITHER;
    "The CassandraBackup that the restore names is not in its namespace, or could not be looked up.";
    "The restore takes location, tag and credentials from it. CassKop asks for it for ever.";
    "Apply the backup first, in the same namespace. Where objects come in any order, `--missing-references=warn`, or the label `cassgate.db.orange.com/missing-references: warn` on the namespace.";

    BACKUP_NOT_RESTORABLE = "backup-not-restorable", Restore, EITHER, confirmable;
    "The backup has never run, has not ended, or ended badly.";
    "There is nothing, or nothing complete, to bring back: the restore finds no manifest, or that of an older backup whose tag begins alike.";
    "Wait until the backup is COMPLETED. CassKop leaves a good backup at RUNNING when its operator restarts in the middle: where you know that it is complete, confirm it by the annotation `cassgate.db.orange.com/confirm: backup-not-restorable`.";

    SNAPSHOT_UNKNOWN = "snapshot-unknown", Restore, EITHER;
    "`snapshot` is no good run of the backup's history.";
    "A restore of a name that no manifest has fails; one of a failed run brings back a part.";
    "Take a name from `status.history[].snapshot` of the backup whose outcome is COMPLETED.";

    BACKUP_LATEST_RUN = "backup-latest-run", Restore, WARN, notice;
    "The restore takes the newest run of a scheduled backup.";
    "Which one that is can change until the restore begins: a run may end in between.";
    "With cassgate as executor, name the run in `snapshot`.";

    BACKUP_RUNNING = "backup-running", Restore, WARN;
    "A backup of the same cluster is running.";
    "Both go on at once (seen: both are COMPLETED). The backup can hold tables that the restore has just emptied.";
    "Wait until it is over, or take that backup again afterwards.";

    CLUSTER_MISMATCH = "cluster-mismatch", Restore, DENY;
    "The restore names another cluster than its backup.";
    "The sidecar looks for the data under the name, the datacenters and the host ids of the cluster that it runs in: it finds none of another cluster's.";
    "Restore into the backup's own cluster.";

    DATACENTER_NOT_IN_BACKUP = "datacenter-not-in-backup", Restore, DENY;
    "The restore covers a datacenter that its backup does not.";
    "Every node looks for its own manifest; those of a datacenter that was not backed up find none, and the restore fails before it touches a table (seen).";
    "Name the datacenter of the backup (the replicas of the others are emptied all the same and need a repair), or restore a backup of the whole ring.";

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

    RESTORE_TRUNCATES_EVERYTHING = "restore-truncates-everything", Restore, EITHER, destroys, confirmable;
    "The restore covers every keyspace.";
    "Icarus empties every table of the cluster but Cassandra's own, also those that were made after the backup or are not in it, and fills only what the backup holds (seen).";
    "Name the keyspaces or tables to restore. Where everything is meant and `--restore-guard=confirm` asks for it, confirm it by the annotation `cassgate.db.orange.com/confirm: restore-truncates-everything`.";

    RESTORE_TRUNCATES_KEYSPACE = "restore-truncates-keyspace", Restore, EITHER, destroys, confirmable;
    "The restore covers whole keyspaces.";
    "Icarus empties all tables that such a keyspace has now; those that were made after the backup stay empty (seen).";
    "Name the tables, or confirm it where `--restore-guard=confirm` asks for it.";

    RESTORE_PARTIAL_DATACENTER = "restore-partial-datacenter", Restore, EITHER, destroys, confirmable;
    "The restore covers one of several datacenters.";
    "Emptying a table empties it in the whole ring; only the nodes of the named datacenter get their data back, and reads elsewhere find nothing (seen).";
    "Leave `datacenter` out where the backup has all of them; else repair the other datacenters right afterwards.";

    RESTORE_RECREATED = "restore-recreated", Restore, EITHER, destroys, confirmable;
    "A restore that has run before is created again.";
    "Backup tools (Velero) and GitOps controllers re-create objects without their status, and the restore would run a second time, over everything that was written since.";
    "Leave restores out of such tools, or take the label off. Where it is meant, confirm it by the annotation `cassgate.db.orange.com/confirm: restore-recreated`.";

    RESTORE_IN_PROGRESS = "restore-in-progress", Restore, EITHER, destroys;
    "Another restore of the cluster is not over, or a running restore is deleted.";
    "Two restores empty tables under each other; Icarus refuses the second only when it comes at the right moment. And nothing cancels one: the sidecars go on with nobody to watch them.";
    "Wait until the other is COMPLETED or FAILED. Where its operator or sidecar died, delete it first and see what its tables hold.";

    RESTORE_LEFTOVERS = "restore-leftovers", Restore, WARN;
    "An earlier restore of the cluster failed and left its downloads on the nodes.";
    "CassKop downloads into one fixed directory, and everything in it is linked into the tables of the next restore: rows of the failed one come back too (seen).";
    "Remove /var/lib/cassandra/downloadedsstables on every node before the next restore.";

    SNAPSHOT_TAG_AMBIGUOUS = "snapshot-tag-ambiguous", Restore, EITHER, destroys;
    "Another backup of the cluster and location has a tag that begins with this backup's.";
    "CassKop restores by the tag, and Icarus takes the newest snapshot whose name begins with it: COMPLETED, with the other backup's data (seen).";
    "Write `exactSchemaVersion: true` and the backup's `schemaVersion`, or restore with cassgate as executor, which names the snapshot in full.";

    RENAME_MALFORMED = "rename-malformed", Restore, DENY;
    "A side of a renaming is no keyspace.table.";
    "Esop refuses the pair once the restore runs, and quotes or blanks hide that two sides are the same table.";
    "Write keyspace.table on both sides, without quotes; at most 1000 pairs.";

    RENAME_DUPLICATE_TARGET = "rename-duplicate-target", Restore, DENY;
    "Two tables are renamed into the same one.";
    "Esop refuses it: `all values in rename map have to be distinct`.";
    "Give each table a target of its own.";

    RENAME_CHAIN = "rename-chain", Restore, DENY;
    "The target of one renaming is the source of another.";
    "Esop takes no swaps and no chains: `rename map contains a value which is one of its key`.";
    "Use targets that are not renamed themselves.";

    RENAME_SELF = "rename-self", Restore, DENY;
    "A table is renamed into itself.";
    "Esop refuses it: `Can not rename table to itself`.";
    "Leave the pair out; a table without a renaming gets its own data.";

    RENAME_SOURCE_OUTSIDE_ENTITIES = "rename-source-outside-entities", Restore, DENY;
    "A renamed table is not among those that are restored.";
    "Esop fails 15 seconds into the restore: the source is not in the entities.";
    "Add the table to `entities`, or leave the pair out.";

    RENAME_TARGET_IN_ENTITIES = "rename-target-in-entities", Restore, DENY;
    "The target of a renaming is itself restored.";
    "The table would get two contents; Esop refuses it once the restore runs.";
    "Leave the target out of `entities`, or rename into another table.";

    RENAME_NEEDS_TABLES = "rename-needs-tables", Restore, DENY;
    "Tables are renamed while the restore covers keyspaces, or everything.";
    "Esop refuses it: `you can not use keyspace entities in connection with rename entities`.";
    "Name the tables to restore in `entities`: k1.t1,k2.t3.";

    RENAME_SYSTEM = "rename-system", Restore, DENY, destroys;
    "A table is renamed into a keyspace of Cassandra itself.";
    "Esop empties the target, a system table, and the cluster may not start again.";
    "Rename into a table of your own.";

    SCHEMA_VERSION_MALFORMED = "schema-version-malformed", Restore, DENY;
    "`schemaVersion` is no UUID.";
    "Icarus answers 500, and CassKop asks it again every 15 seconds, for ever.";
    "Write the UUID that stands in the snapshot's name, 36 characters.";

    SCHEMA_VERSION_IGNORED = "schema-version-ignored", Restore, WARN;
    "`schemaVersion` is set without `exactSchemaVersion: true`.";
    "Icarus looks at it only then; without it the newest snapshot of the tag is taken, whatever its schema.";
    "Set `exactSchemaVersion: true`, or leave `schemaVersion` out.";

    CASSANDRA_DIRECTORY_MALFORMED = "cassandra-directory-malformed", Restore, DENY;
    "`cassandraDirectory` is not the directory that holds `data`.";
    "The sidecar appends /data to it, and refuses a directory that is not there.";
    "Write /var/lib/cassandra, or leave the field out.";

    RESTORE_STARTED = "restore-started", Restore, DENY, destroys;
    "The spec of a restore that has started was changed.";
    "It runs once; the change would describe a restore that never happened.";
    "Create a restore of another name.";
}
