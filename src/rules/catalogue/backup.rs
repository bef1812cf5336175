//! Rules for backups.

use super::{DENY, EITHER, Kinds, Rule, WARN, rules};

rules! {
    BACKUP;

    STORAGE_LOCATION_MALFORMED = "storage-location-malformed", Backup, DENY;
    "The storage location has a form that no sidecar accepts.";
    "Esop requires scheme://bucket and writes cluster, datacenter and node below it. A prefix fails or ends up in a bucket of another name.";
    "Write scheme://bucket, or file:///directory/bucket/cluster/datacenter/node.";

    STORAGE_PROVIDER_UNSUPPORTED = "storage-provider-unsupported", Both, EITHER;
    "The cluster's sidecar does not support this storage provider.";
    "Esop supports s3, azure, gcp, oracle, minio, ceph and file, in lower case. Icarus 3.0 and later no longer support oracle, minio, ceph and custom endpoints of s3.";
    "Use a provider that the sidecar supports, or a sidecar of version 2.";

    FILE_LOCATION_UNMOUNTED = "file-location-unmounted", Backup, WARN;
    "A file location is outside the volumes that are mounted for it.";
    "Each node writes into its own container or data volume, and the backup is lost with the pod or disk that it should outlive.";
    "Mount a shared volume with `spec.backRestSidecar.volumeMount` of the CassandraCluster, and choose a location in it.";

    SNAPSHOT_TAG_MALFORMED = "snapshot-tag-malformed", Backup, DENY;
    "The snapshot tag is not a valid name of a snapshot and a file.";
    "The tag becomes a directory and part of an object key. A `/` fails after ten seconds, a blank ends up in file names, and the sidecar appends its timestamp twice to an empty tag, so that no restore can name the snapshot.";
    "Write at most 199 ASCII letters, digits and punctuation other than '/', not starting with '.' or '-'; or leave the field out.";

    SNAPSHOT_TAG_OVERLAPS = "snapshot-tag-overlaps", Backup, WARN;
    "The tag of another backup of the same cluster and location starts with this tag, or the reverse.";
    "Icarus finds snapshots by the prefix of their name and uses the newest: a restore of tag `a` restored the backup `ab` (observed).";
    "Give the backups of a cluster and bucket tags of which none is a prefix of another.";

    BACKUP_DUPLICATE = "backup-duplicate", Backup, EITHER;
    "A one-shot backup with the same cluster, datacenter, location and tag has already run.";
    "CassKop compares these four fields and skips the new backup with an event. The new backup then never runs, even if it is scheduled or the first one failed.";
    "Use another tag. To retry a failed backup, delete it first.";

    BACKUP_DURING_RESTORE = "backup-during-restore", Backup, EITHER;
    "A restore of the same cluster has not ended.";
    "CassKop and the sidecar run both, and both end as COMPLETED (observed). A snapshot between truncation and import contains empty tables. With cassgate as executor the backup waits for the restore.";
    "Wait until the restore is COMPLETED or FAILED, then create the backup.";

    BACKUP_IN_USE = "backup-in-use", Backup, EITHER;
    "A backup that a restore uses is deleted or gets another identity.";
    "An unfinished restore reads location, tag and credentials from the backup. CassKop looks the backup up at every poll and loses track of the restore without it. It also looks up the backup of a finished restore at each restart of its operator, and reports BackupNotFound again and again (observed).";
    "Wait until the restore has ended, or delete the restore first. Deleting the namespace is always possible.";

    SCHEDULE_MALFORMED = "schedule-malformed", Backup, DENY;
    "The schedule or its time zone is malformed.";
    "CassKop parses the schedule with robfig/cron's ParseStandard, reports an error only in an event, and never runs the backup.";
    "Write five fields (minute hour day-of-month month day-of-week), @hourly, @daily, @weekly, @monthly, @yearly, or @every and a duration. Write a time zone either at the start, as CRON_TZ=Europe/Paris, or in `timeZone`.";

    SCHEDULE_NEVER_FIRES = "schedule-never-fires", Backup, WARN;
    "No date matches the schedule.";
    "robfig/cron searches five years ahead and gives up: the backup is scheduled and never runs.";
    "Name a day that every month of the schedule has.";

    SCHEDULE_TOO_FREQUENT = "schedule-too-frequent", Backup, EITHER;
    "Two runs of the schedule are too close together.";
    "A backup of an empty cluster already takes 20 seconds and more, and CassKop does not prevent overlapping runs. Of twelve concurrent backups none made progress (observed).";
    "Leave more time between two runs. The platform team sets the minimum (`--min-schedule-interval`).";

    SCHEDULE_PREVIEW = "schedule-preview", Backup, WARN, notice;
    "The next runs of the schedule.";
    "A valid schedule can still mean another hour or day than its author intends.";
    "Compare the runs with your intention. `cassgate schedule` shows more.";

    SCHEDULE_DST = "schedule-dst", Backup, WARN;
    "A run of the schedule is in an hour that a clock change skips or repeats.";
    "When the clock goes forward, a run in the skipped hour does not happen. When it goes back, a run in the repeated hour happens twice.";
    "Choose another hour, or a zone without clock changes (UTC).";

    SCHEDULE_ENDED_BY_BACKUP = "schedule-ended-by-backup", Backup, DENY;
    "A one-shot backup and a scheduled one have the same cluster, datacenter, location and tag, with CassKop as executor.";
    "When its operator starts, CassKop skips every backup with the same four values as a one-shot backup that has run, also one that it had scheduled before. The schedule never runs again, and only an event (BackupSkipped) tells it (observed).";
    "Use another tag for one of the two.";

    DURATION_MALFORMED = "duration-malformed", Backup, DENY;
    "`duration` is not a Go duration, or shorter than a second.";
    "CassKop parses it with Go's time.ParseDuration and gives the backup up on an error. Below a second the sidecar divides by zero.";
    "Write numbers with h, m or s: 1h30m, 90s. There is no unit for days.";

    DURATION_REFUSED = "duration-refused", Backup, DENY;
    "`duration` is set with CassKop as executor.";
    "CassKop sends the text unchanged, and no Icarus version accepts it: 1.1.3 accepts no duration, 2.x and 3.x require number and unit as separate fields. Every run fails.";
    "Leave the field out and limit the upload with `bandwidth`.";

    DURATION_IGNORED = "duration-ignored", Backup, WARN;
    "`duration` is set, but the cluster's sidecar does not accept one.";
    "Icarus 1.x fails on every form of it, so cassgate does not send it, and the upload runs at full speed.";
    "Limit the upload with `bandwidth`, or use a sidecar of version 2 or later.";

    BANDWIDTH_MALFORMED = "bandwidth-malformed", Backup, DENY;
    "`bandwidth` is not an integer with K, M or G.";
    "CassKop silently drops a value that it cannot parse, and the upload is unlimited. For a zero the sidecar answers 500.";
    "Write an integer from 1 to 2147483647 and K, M or G (thousand, million or billion bytes per second): 50M.";

    BANDWIDTH_TOO_LOW = "bandwidth-too-low", Backup, EITHER;
    "`bandwidth` is less than one byte per second for each connection.";
    "The sidecar divides it by `concurrentConnections` and rounds down to zero, and every upload fails (observed).";
    "Write at least as many bytes as there are connections; megabytes are usual: 50M.";

    RETENTION_UNSUPPORTED = "retention-unsupported", Backup, WARN;
    "`retention` is set, but the cluster's sidecar cannot remove backups, or not without damage to others.";
    "The operations `list` and `remove-backup` came with Icarus 2.0.2. On S3, those of Icarus 3 may delete files that newer snapshots share. With such a sidecar, or on S3 with one whose version is unknown, no backup is removed.";
    "Use Icarus 2.0.4, and name the version in the tag of the image, or remove old objects with lifecycle rules of the bucket.";

    DESCRIPTION_NOT_SUSPENDED = "description-not-suspended", Backup, DENY;
    "`nodes` or `clusterName` is set in a backup that runs.";
    "Both fields describe what is in a bucket. A backup that runs covers the nodes of its ring and uses the name of its cluster, so they have no effect.";
    "Write `suspend: true` and no `schedule`, so that the backup describes a bucket and never runs. Otherwise leave the fields out.";

    BACKUP_STARTED = "backup-started", Backup, DENY;
    "The spec of a one-shot backup that has started was changed.";
    "A one-shot backup runs only once, so the new spec would describe a backup that was never taken.";
    "Create a backup with another name.";

    BACKUP_KIND_CHANGE = "backup-kind-change", Backup, DENY;
    "A schedule was added to or removed from a backup that has started, or removed from one that CassKop has scheduled.";
    "CassKop removes its finalizer only from backups with a schedule, so a backup without its schedule cannot be deleted. A one-shot backup with a new schedule counts as run and is never scheduled. A backup that loses its schedule before its first run is run as a one-shot after the next restart of CassKop, also while it is being deleted (observed).";
    "Create a backup with another name.";
}
