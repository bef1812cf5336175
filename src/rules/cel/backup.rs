//! Policy rules for backups.

use super::super::catalogue::{
    BACKUP_KIND_CHANGE, BACKUP_STARTED, BANDWIDTH_MALFORMED, BANDWIDTH_TOO_LOW, DESCRIPTION_NOT_SUSPENDED,
    DURATION_MALFORMED, SCHEDULE_MALFORMED, SECRET_NOT_FOUND, SNAPSHOT_TAG_MALFORMED,
    STORAGE_LOCATION_MALFORMED, STORAGE_PROVIDER_UNSUPPORTED,
};
use super::super::finding::Cause;
use super::both::{self, EXISTENCE, invalid_object_name, twice, uuid};
use super::{AppliesTo, PolicyRule, Variable};

/// A segment of a file location: not empty, not `.` and not `..`.
macro_rules! segment {
    () => {
        r"([^/.]|\.[^/.]|\.\.[^/])[^/]*"
    };
}

/// True if the text is not a segment of a path, as in `domain::node_location`.
macro_rules! not_a_folder {
    ($variable:literal) => {
        concat!(
            "(",
            $variable,
            " in ['', '.', '..'] || size(bytes(",
            $variable,
            ")) > 255 || ",
            $variable,
            r".matches(r'[/\pZ\p{Cc}]'))"
        )
    };
}

macro_rules! file_location {
    () => {
        concat!("file://(/", segment!(), "){5,}/?")
    };
}

/// The fields of the spec, empty if absent, and values derived from them.
pub(super) static VARIABLES: &[Variable] = &[
    both::STATE,
    both::CLUSTER,
    ("location", "object.?spec.?storageLocation.orValue('')"),
    ("schedule", "object.?spec.?schedule.orValue('')"),
    ("tag", "object.?spec.?snapshotTag.orValue('')"),
    ("duration", "object.?spec.?duration.orValue('')"),
    ("bandwidth", "object.?spec.?bandwidth.orValue('')"),
    ("connections", "object.?spec.?concurrentConnections.orValue(0)"),
    both::ENTITIES,
    ("secret", "object.?spec.?secret.orValue('')"),
    both::NODES,
    both::HOST_IDS,
    ("clusterName", "object.?spec.?clusterName.orValue('')"),
    both::REQUIRES,
    ("bareBandwidth", "variables.bandwidth.replace(' ', '')"),
    (
        "bandwidthNumber",
        "variables.bareBandwidth.matches(r'^0*[1-9][0-9]{0,9}[kKmMgG]?$') ? \
         int(variables.bareBandwidth.lowerAscii().replace('k', '').replace('m', '').replace('g', '')) : 0",
    ),
    (
        "bandwidthUnit",
        "variables.bareBandwidth.matches('[kK]$') ? 1000 : variables.bareBandwidth.matches('[mM]$') ? 1000000 : \
         variables.bareBandwidth.matches('[gG]$') ? 1000000000 : 1",
    ),
    (
        "connectionsMeant",
        "variables.connections > 0 ? variables.connections : 10",
    ),
    // Limits the numbers so that their sum does not overflow and duration() does not fail.
    (
        "shortDuration",
        r"size(variables.duration) <= 64 && (variables.duration.matches(r'^[+-]?0$') || variables.duration.matches(r'^[+-]?(([0-9]{1,5}(\.[0-9]*)?|\.[0-9]+)(s|m|h)|([0-9]{1,10}(\.[0-9]*)?|\.[0-9]+)(ns|us|\x{b5}s|\x{3bc}s|ms))+$'))",
    ),
];

pub(super) static POLICY_RULES: &[PolicyRule] = &[
    both::STATUS_RESET,
    both::STATUS_ON_CREATE,
    PolicyRule {
        rule: &BACKUP_KIND_CHANGE,
        name: "kindChange",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.started && (variables.old_schedule == '') != (variables.schedule == '')",
        tolerated: "",
        path: "spec.schedule",
        cause: Cause::Forbidden,
        value: "",
        message: "this backup has started; a new schedule would not make it run again, and without its schedule it counts as \
                  run and keeps a finalizer that CassKop never removes; create a backup with another name",
        gaps: "",
    },
    PolicyRule {
        rule: &BACKUP_STARTED,
        name: "changedAfterStart",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.started && variables.old_schedule == '' && variables.schedule == ''",
        tolerated: "",
        path: "spec",
        cause: Cause::Forbidden,
        value: "",
        message: "this backup has started and runs only once, so a changed spec has no effect; create a backup with \
                  another name (deleting and re-creating this one would run it again)",
        gaps: "",
    },
    PolicyRule {
        violated: "variables.requires.hasValue() && (variables.requires.orValue('') != 'executor' || \
                 !(object.?spec.?suspend.hasValue() || object.?spec.?clusterName.hasValue() || size(variables.nodes) > 0 || \
                 object.?spec.?timeZone.hasValue() || object.?spec.?concurrencyPolicy.hasValue() || \
                 object.?spec.?startingDeadlineSeconds.hasValue() || object.?spec.?retention.hasValue()))",
        message: "the value is not executor, or the spec has none of suspend, clusterName and nodes, which CassKop's CRDs drop, \
                  and what is left would run as a backup; install cassgate's CRDs and apply the manifest again, or remove \
                  the annotation if the backup is complete",
        ..both::EXECUTOR_REQUIRED
    },
    both::CLUSTER_NAME_INVALID,
    PolicyRule {
        rule: &STORAGE_LOCATION_MALFORMED,
        name: "locationMalformed",
        applies_to: AppliesTo::SpecChange,
        violated: concat!(
            r"size(variables.location) <= 32768 && (variables.location.matches(r'[\pZ\p{Cc}?#@]') || !variables.location.contains('://') || (variables.location.matches('^(s3|azure|gcp|oracle|minio|ceph|file)://') && !variables.location.matches(r'^((s3|azure|gcp|oracle|minio|ceph)://[^/]+(/[^/]+/[^/]+/[^/]+)?/?|",
            file_location!(),
            ")$')))"
        ),
        tolerated: "variables.location == variables.old_location",
        path: "spec.storageLocation",
        cause: Cause::Invalid,
        value: "variables.location",
        message: "is not a storage location; write scheme://bucket without blanks and without a prefix below the bucket \
                  (the sidecar itself writes cluster/datacenter/node there), or \
                  file:///directory/bucket/cluster/datacenter/node",
        gaps: "texts over 32 KiB",
    },
    PolicyRule {
        rule: &STORAGE_PROVIDER_UNSUPPORTED,
        name: "providerUnknown",
        applies_to: AppliesTo::SpecChange,
        violated: r"size(variables.location) <= 32768 && !variables.location.matches(r'[\pZ\p{Cc}?#@]') && variables.location.contains('://') && !variables.location.matches('^(s3|azure|gcp|oracle|minio|ceph|file)://')",
        tolerated: "variables.location == variables.old_location",
        path: "spec.storageLocation",
        cause: Cause::NotSupported,
        value: "variables.location",
        message: "no sidecar supports this scheme (supported, in lower case: s3, azure, gcp, oracle, minio, ceph, file)",
        gaps: "providers that the cluster's sidecar no longer supports; texts over 32 KiB",
    },
    PolicyRule {
        rule: &SNAPSHOT_TAG_MALFORMED,
        name: "tagMalformed",
        applies_to: AppliesTo::SpecChange,
        violated: "object.?spec.?snapshotTag.hasValue() && (size(variables.tag) > 199 || \
                 !variables.tag.matches('^[!-,0-~][!-.0-~]*$'))",
        tolerated: "variables.old_tagMalformed && variables.tag == variables.old_tag",
        path: "spec.snapshotTag",
        cause: Cause::Invalid,
        value: "variables.tag",
        message: "is not a snapshot tag: at most 199 ASCII letters, digits and punctuation other than '/', not starting with \
                  '.' or '-'; write for example nightly",
        gaps: "",
    },
    PolicyRule {
        rule: &SCHEDULE_MALFORMED,
        name: "twoZones",
        applies_to: AppliesTo::SpecChange,
        violated: "object.?spec.?timeZone.hasValue() && (variables.schedule.startsWith('TZ=') || \
                 variables.schedule.startsWith('CRON_TZ='))",
        tolerated: "variables.schedule == variables.old_schedule",
        path: "spec.schedule",
        cause: Cause::Invalid,
        value: "variables.schedule",
        message: "the schedule starts with a time zone and timeZone is set too; only one of them can apply; leave one of them \
                  out",
        gaps: "all cases but the two zones, which need a parser of schedules",
    },
    PolicyRule {
        rule: &DURATION_MALFORMED,
        name: "durationMalformed",
        applies_to: AppliesTo::SpecChange,
        violated: r"variables.duration != '' && size(variables.duration) <= 4096 && (!(variables.duration.matches(r'^[+-]?0$') || variables.duration.matches(r'^[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|\x{b5}s|\x{3bc}s|ms|s|m|h))+$')) || (variables.shortDuration && duration(variables.duration) < duration('1s')))",
        tolerated: "variables.duration == variables.old_duration",
        path: "spec.duration",
        cause: Cause::Invalid,
        value: "variables.duration",
        message: "is not a duration of at least a second; write numbers with h, m or s: 1h30m, 90s (there is no unit for \
                  days)",
        gaps: "durations that overflow; less than a second in more than 64 characters or 10 digits; texts over 4096 \
                 characters",
    },
    PolicyRule {
        rule: &BANDWIDTH_MALFORMED,
        name: "bandwidthMalformed",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.bandwidth != '' && size(variables.bandwidth) <= 4096 && (variables.bandwidthNumber < 1 || \
                 variables.bandwidthNumber > 2147483647)",
        tolerated: "variables.bandwidth == variables.old_bandwidth",
        path: "spec.bandwidth",
        cause: Cause::Invalid,
        value: "variables.bandwidth",
        message: "is not an integer from 1 to 2147483647 with K, M or G (or no unit, for bytes); the upload would not be \
                  limited at all, or the sidecar would answer 500; write bytes per second, for example 50M",
        gaps: "texts over 4096 characters",
    },
    PolicyRule {
        rule: &BANDWIDTH_TOO_LOW,
        name: "bandwidthTooLow",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.bandwidth != '' && variables.duration == '' && size(variables.bandwidth) <= 4096 && \
                 variables.bandwidthNumber >= 1 && variables.bandwidthNumber <= 2147483647 && \
                 variables.bandwidthNumber * variables.bandwidthUnit < variables.connectionsMeant",
        tolerated: "variables.bandwidth == variables.old_bandwidth && variables.old_bandwidthTooLow",
        path: "spec.bandwidth",
        cause: Cause::Invalid,
        value: "variables.bandwidth",
        message: "is less than one byte per second for each connection, and every upload fails; write at least as many \
                  bytes as there are connections, usually megabytes: 50M",
        gaps: "texts over 4096 characters",
    },
    both::CONNECTIONS_NEGATIVE,
    PolicyRule {
        rule: &DESCRIPTION_NOT_SUSPENDED,
        name: "descriptionRuns",
        applies_to: AppliesTo::SpecChange,
        violated: "(size(variables.nodes) > 0 || object.?spec.?clusterName.hasValue()) && \
                 !(object.?spec.?suspend.orValue(false) && variables.schedule == '')",
        tolerated: "variables.old_descriptionRuns",
        path: "spec",
        // Not forbidden: the policy answers that with 403, which is for objects that have started.
        cause: Cause::Invalid,
        value: "",
        message: "nodes and clusterName describe a bucket, and only a suspended backup without a schedule does that; write \
                  suspend: true, or leave the fields out",
        gaps: "one of the two fields, where the stored backup has the other one",
    },
    PolicyRule {
        violated: concat!(
            "(object.?spec.?clusterName.hasValue() && ",
            not_a_folder!("variables.clusterName"),
            ") || variables.nodes.exists(n, !n.hostId.matches(",
            uuid!(),
            ") || ",
            not_a_folder!("n.datacenter"),
            ") || ",
            twice!("variables.hostIds")
        ),
        message: "clusterName or a datacenter is no name of a folder, or a host id is no UUID or there twice; write the names \
                  of the folders in the bucket, each host id once",
        gaps: "a host id that is there twice among over 100 nodes; new malformed nodes, where the stored backup has \
               malformed nodes too",
        ..both::NODES_MALFORMED
    },
    PolicyRule {
        tolerated: "variables.started && variables.old_entitiesMalformed",
        gaps: "new malformed items, where the stored list of a started backup has malformed items too",
        ..both::ENTITIES_MALFORMED
    },
    both::ENTITIES_MIXED,
    PolicyRule {
        rule: &SECRET_NOT_FOUND,
        name: "secretImpossible",
        applies_to: AppliesTo::SpecChange,
        violated: concat!(
            "variables.secret != '' && size(variables.location) <= 32768 && (",
            invalid_object_name!("variables.secret"),
            r") && !(!variables.location.matches(r'[\pZ\p{Cc}?#@]') && variables.location.matches(r'^",
            file_location!(),
            "$'))"
        ),
        tolerated: "variables.secret == variables.old_secret && variables.old_secretImpossible",
        path: "spec.secret",
        cause: Cause::Invalid,
        value: "variables.secret",
        message: "is not a valid name of a Secret; name a Secret of this namespace",
        gaps: EXISTENCE,
    },
];
