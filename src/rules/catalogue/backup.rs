//! Rules of backups.

use super::{DENY, EITHER, Kinds, Rule, WARN, rules};

rules! {
    BACKUP;

    STORAGE_LOCATION_MALFORMED = "storage-location-malformed", Backup, DENY;
    "The storage location has a form that no sidecar takes.";
    "Esop wants scheme://bucket and writes cluster, datacenter and node below it; a prefix fails or lands in a bucket of another name.";
    "Write scheme://bucket, or file:///directory/bucket/cluster/datacenter/node.";

    STORAGE_PROVIDER_UNSUPPORTED = "storage-provider-unsupported", Both, EITHER;
    "The cluster's sidecar does not have this storage backend.";
    "Esop knows s3, azure, gcp, oracle, minio, ceph and file, in lower case. Icarus from 3.0 on has lost oracle, minio, ceph and custom endpoints of s3.";
    "Use a backend that the sidecar has, or a sidecar of version 2.";

    FILE_LOCATION_UNMOUNTED = "file-location-unmounted", Backup, WARN;
    "A file location lies in no volume that the sidecar has mounted for it.";
    "Each node then writes into its own container or beside its own data, and the backup goes with the pod or the disk that it should outlive.";
    "Mount a shared volume with `spec.backRestSidecar.volumeMount` of the CassandraCluster and put the location into it.";

    SNAPSHOT_TAG_MALFORMED = "snapshot-tag-malformed", Backup, DENY;
    "The snapshot tag cannot be the name of a snapshot and of a file.";
    "The tag becomes a directory and part of an object key. A `/` fails after ten seconds, a blank lands in file names, and an empty tag is stamped twice by the sidecar so that no restore can give it.";
    "Write letters, digits, '.', '_', '+' and '-', not '.' or '-' first, at most 199; or leave the field out.";

    SNAPSHOT_TAG_OVERLAPS = "snapshot-tag-overlaps", Backup, WARN;
    "Another backup of the same cluster and location has a tag that begins like this one.";
    "Icarus finds snapshots by the beginning of their name and takes the newest: a restore of tag `a` brought back the backup `ab` (seen).";
    "Give every backup of a cluster and bucket a tag that is no beginning of another one.";

    BACKUP_DUPLICATE = "backup-duplicate", Backup, EITHER;
    "A one-shot backup of the same cluster, datacenter, location and tag has run already.";
    "CassKop compares these four, across namespaces, and skips the new backup with an event; it then stays idle for ever, a schedule too, even where the first one failed.";
    "Use another tag. To try a failed backup again, delete it first.";

    BACKUP_DURING_RESTORE = "backup-during-restore", Backup, EITHER;
    "A restore of the same cluster is not over.";
    "Nothing holds the backup back (seen: both are COMPLETED). A snapshot that falls between emptying and filling holds empty tables. cassgate's own executor waits for the restore.";
    "Wait until the restore is COMPLETED or FAILED, then create the backup.";

    BACKUP_IN_USE = "backup-in-use", Backup, DENY;
    "A backup that an unfinished restore uses is deleted, or points elsewhere.";
    "The restore reads location, tag and credentials from the backup: CassKop looks it up at every poll and loses track of the restore without it.";
    "Wait until the restore is over, or delete the restore first. Deleting the namespace is always possible.";

    SCHEDULE_MALFORMED = "schedule-malformed", Backup, DENY;
    "The schedule is not one that CassKop reads, or its time zone is none.";
    "CassKop parses it with robfig/cron's ParseStandard, tells the error in an event, and never runs the backup.";
    "Five fields (minute hour day-of-month month day-of-week), @hourly, @daily, @weekly, @monthly, @yearly, or @every and a duration; a zone in front as CRON_TZ=Europe/Paris, or in `timeZone`, not both.";

    SCHEDULE_NEVER_FIRES = "schedule-never-fires", Backup, WARN;
    "The schedule names a day that does not come.";
    "robfig/cron looks five years ahead and gives up: the backup is scheduled and never runs.";
    "Name a day that every month of the schedule has.";

    SCHEDULE_TOO_FREQUENT = "schedule-too-frequent", Backup, EITHER;
    "Two runs of the schedule follow each other too closely.";
    "A backup of even an empty cluster takes 20 seconds and more, and nothing in CassKop keeps runs from overlapping; of twelve at once none went on (seen).";
    "Leave time between two runs; the platform team sets the least (`--min-schedule-interval`).";

    SCHEDULE_PREVIEW = "schedule-preview", Backup, WARN, notice;
    "The next runs of the schedule.";
    "A schedule that is well formed can still mean another hour or day than its author thinks.";
    "Compare them with what you meant. `cassgate schedule` tells more.";

    SCHEDULE_DST = "schedule-dst", Backup, WARN;
    "A run of the schedule lies in an hour that the clock skips or repeats.";
    "When the clock goes forward a run within the skipped hour does not take place; when it goes back a run within the repeated hour takes place twice.";
    "Choose another hour, or a zone without clock changes (UTC).";

    SCHEDULE_NAME_SHARED = "schedule-name-shared", Backup, WARN;
    "A scheduled backup of the same name is in another namespace.";
    "CassKop keeps its schedules by name alone: with the same schedule the second is never scheduled, with another it replaces the first, and deleting one stops both.";
    "Give scheduled backups names that are unique in all namespaces that CassKop watches.";

    DURATION_MALFORMED = "duration-malformed", Backup, DENY;
    "`duration` is no length of time as Go writes it, or shorter than a second.";
    "CassKop parses it with Go's time.ParseDuration and gives the backup up; below a second the sidecar divides by zero.";
    "Write numbers with h, m or s: 1h30m, 90s. There is no unit for days.";

    DURATION_REFUSED = "duration-refused", Backup, DENY;
    "`duration` is set while CassKop acts.";
    "CassKop sends the text as it is and no Icarus takes it (1.1.3 takes no duration at all, 2.x and 3.x want number and unit apart): every run fails.";
    "Leave it out and limit the upload with `bandwidth`.";

    DURATION_IGNORED = "duration-ignored", Backup, WARN;
    "`duration` is set and the cluster's sidecar cannot take one.";
    "Icarus 1.x fails on every form of it, so cassgate leaves it out and the upload is not stretched.";
    "Limit the upload with `bandwidth`, or use a sidecar of version 2 or later.";

    BANDWIDTH_MALFORMED = "bandwidth-malformed", Backup, DENY;
    "`bandwidth` is no whole number of bytes with K, M or G.";
    "CassKop drops in silence what it cannot parse, and the upload is not limited at all; a zero makes the sidecar answer 500.";
    "Write a whole number from 1 to 2147483647 and K, M or G (thousands, millions, thousand millions of bytes per second): 50M.";

    BANDWIDTH_TOO_LOW = "bandwidth-too-low", Backup, EITHER;
    "`bandwidth` is less than a byte per second for each connection.";
    "The sidecar divides it by `concurrentConnections` in whole numbers, gets zero, and every upload fails (seen).";
    "Write at least as many bytes as there are connections; megabytes are usual: 50M.";

    RETENTION_UNSUPPORTED = "retention-unsupported", Backup, WARN;
    "`retention` is set and the cluster's sidecar cannot list and remove backups.";
    "The operations `list` and `remove-backup` came with Icarus 2.0.2; before it nothing is ever removed.";
    "Use a sidecar of version 2.0.2 or later, or let the bucket's own life cycle rules remove old objects.";

    BACKUP_STARTED = "backup-started", Backup, DENY;
    "The spec of a one-shot backup that has started was changed.";
    "It runs once; the change would describe a backup that was never taken.";
    "Create a backup of another name.";

    BACKUP_KIND_CHANGE = "backup-kind-change", Backup, DENY;
    "A backup that has started got a schedule, or lost it.";
    "CassKop ties its finalizer to the schedule: a backup that lost it cannot be deleted any more, and one that got it counts as run and is never scheduled.";
    "Create a backup of another name.";
}
