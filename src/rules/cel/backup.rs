//! What a policy can say of backups.

use super::super::catalogue::{
    BACKUP_KIND_CHANGE, BACKUP_STARTED, BANDWIDTH_MALFORMED, BANDWIDTH_TOO_LOW, DURATION_MALFORMED,
    SCHEDULE_MALFORMED, SECRET_NOT_FOUND, SNAPSHOT_TAG_MALFORMED, STORAGE_LOCATION_MALFORMED,
    STORAGE_PROVIDER_UNSUPPORTED,
};
use super::super::finding::Cause;
use super::both::{self, IS_IT_THERE, forgotten, no_object_name, over};
use super::{Statement, Variable, When};

/// Neither nothing nor `.` nor `..`: a part of a file location.
macro_rules! segment {
    () => {
        r"([^/.]|\.[^/.]|\.\.[^/])[^/]*"
    };
}

macro_rules! file_location {
    () => {
        concat!("file://(/", segment!(), "){5,}/?")
    };
}

/// The spec, what it says, and nothing where it says nothing.
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
    // Numbers so small that their sum is no overflow, so that duration() is no error.
    (
        "shortDuration",
        r"size(variables.duration) <= 64 && (variables.duration.matches(r'^[+-]?0$') || variables.duration.matches(r'^[+-]?(([0-9]{1,5}(\.[0-9]*)?|\.[0-9]+)(s|m|h)|([0-9]{1,10}(\.[0-9]*)?|\.[0-9]+)(ns|us|\x{b5}s|\x{3bc}s|ms))+$'))",
    ),
];

pub(super) static STATEMENTS: &[Statement] = &[
    Statement {
        broken: concat!("variables.old_schedule == '' && ", forgotten!()),
        ..both::STATUS_RESET
    },
    both::STATUS_ON_CREATE,
    Statement {
        rule: &BACKUP_KIND_CHANGE,
        name: "kindChange",
        when: When::Written,
        broken: "variables.started && (variables.old_schedule == '') != (variables.schedule == '')",
        lowered: "",
        path: "spec.schedule",
        cause: Cause::Forbidden,
        value: "",
        message: "this backup has started; with a schedule it would not run again, and without the one that it has it \
                  counts as run and keeps a finalizer that nobody takes away; create a backup of another name",
        leaves: "",
    },
    Statement {
        rule: &BACKUP_STARTED,
        name: "changedAfterStart",
        when: When::Written,
        broken: "variables.started && variables.old_schedule == '' && variables.schedule == ''",
        lowered: "",
        path: "spec",
        cause: Cause::Forbidden,
        value: "",
        message: "this backup has started and runs only once, so a changed spec has no effect; create a backup of \
                  another name (deleting and re-creating this one would run it again)",
        leaves: "",
    },
    both::CLUSTER_IMPOSSIBLE,
    Statement {
        rule: &STORAGE_LOCATION_MALFORMED,
        name: "locationMalformed",
        when: When::Written,
        broken: concat!(
            r"size(variables.location) <= 32768 && (variables.location.matches(r'[\pZ\p{Cc}?#@]') || !variables.location.contains('://') || (variables.location.matches('^(s3|azure|gcp|oracle|minio|ceph|file)://') && !variables.location.matches(r'^((s3|azure|gcp|oracle|minio|ceph)://[^/]+(/[^/]+/[^/]+/[^/]+)?/?|",
            file_location!(),
            ")$')))"
        ),
        lowered: "variables.location == variables.old_location",
        path: "spec.storageLocation",
        cause: Cause::Invalid,
        value: "variables.location",
        message: "is no storage location; write scheme://bucket without blanks and without a prefix below the bucket \
                  (the sidecar itself writes cluster/datacenter/node there), or \
                  file:///directory/bucket/cluster/datacenter/node",
        leaves: "texts over 32 KiB",
    },
    Statement {
        rule: &STORAGE_PROVIDER_UNSUPPORTED,
        name: "providerUnknown",
        when: When::Written,
        broken: r"size(variables.location) <= 32768 && !variables.location.matches(r'[\pZ\p{Cc}?#@]') && variables.location.contains('://') && !variables.location.matches('^(s3|azure|gcp|oracle|minio|ceph|file)://')",
        lowered: "variables.location == variables.old_location",
        path: "spec.storageLocation",
        cause: Cause::NotSupported,
        value: "variables.location",
        message: "no sidecar has this storage (supported, in lower case: s3, azure, gcp, oracle, minio, ceph, file)",
        leaves: "what the cluster's own sidecar has lost; texts over 32 KiB",
    },
    Statement {
        rule: &SNAPSHOT_TAG_MALFORMED,
        name: "tagMalformed",
        when: When::Written,
        broken: "object.?spec.?snapshotTag.hasValue() && (size(variables.tag) > 199 || \
                 !variables.tag.matches('^[A-Za-z0-9_+][A-Za-z0-9._+-]*$'))",
        lowered: "variables.old_tagMalformed && variables.tag == variables.old_tag",
        path: "spec.snapshotTag",
        cause: Cause::Invalid,
        value: "variables.tag",
        message: "is no tag: letters, digits, '.', '_', '+' and '-', not '.' or '-' first, at most 199; write for \
                  example nightly",
        leaves: "",
    },
    Statement {
        rule: &SCHEDULE_MALFORMED,
        name: "twoZones",
        when: When::Written,
        broken: "object.?spec.?timeZone.hasValue() && (variables.schedule.startsWith('TZ=') || \
                 variables.schedule.startsWith('CRON_TZ='))",
        lowered: "variables.schedule == variables.old_schedule",
        path: "spec.schedule",
        cause: Cause::Invalid,
        value: "variables.schedule",
        message: "a zone stands in front of the schedule and another one in timeZone, and only one of them can count; \
                  leave one of them out",
        leaves: "everything but the two zones: it needs a parser of schedules",
    },
    Statement {
        rule: &DURATION_MALFORMED,
        name: "durationMalformed",
        when: When::Written,
        broken: r"variables.duration != '' && size(variables.duration) <= 4096 && (!(variables.duration.matches(r'^[+-]?0$') || variables.duration.matches(r'^[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|\x{b5}s|\x{3bc}s|ms|s|m|h))+$')) || (variables.shortDuration && duration(variables.duration) < duration('1s')))",
        lowered: "variables.duration == variables.old_duration",
        path: "spec.duration",
        cause: Cause::Invalid,
        value: "variables.duration",
        message: "is no length of time from a second on; write numbers with h, m or s: 1h30m, 90s (there is no unit for \
                  days)",
        leaves: "lengths that overflow; less than a second in more than 64 characters or 10 digits; texts over 4096 \
                 characters",
    },
    Statement {
        rule: &BANDWIDTH_MALFORMED,
        name: "bandwidthMalformed",
        when: When::Written,
        broken: "variables.bandwidth != '' && size(variables.bandwidth) <= 4096 && (variables.bandwidthNumber < 1 || \
                 variables.bandwidthNumber > 2147483647)",
        lowered: "variables.bandwidth == variables.old_bandwidth",
        path: "spec.bandwidth",
        cause: Cause::Invalid,
        value: "variables.bandwidth",
        message: "is no whole number from 1 to 2147483647 with K, M or G (or no unit, for bytes) behind it; the upload \
                  would not be limited at all, or the sidecar answers 500; write bytes per second, for example 50M",
        leaves: "texts over 4096 characters",
    },
    Statement {
        rule: &BANDWIDTH_TOO_LOW,
        name: "bandwidthTooLow",
        when: When::Written,
        broken: "variables.bandwidth != '' && variables.duration == '' && size(variables.bandwidth) <= 4096 && \
                 variables.bandwidthNumber >= 1 && variables.bandwidthNumber <= 2147483647 && \
                 variables.bandwidthNumber * variables.bandwidthUnit < variables.connectionsMeant",
        lowered: "variables.bandwidth == variables.old_bandwidth && variables.old_bandwidthTooLow",
        path: "spec.bandwidth",
        cause: Cause::Invalid,
        value: "variables.bandwidth",
        message: "is less than a byte per second for each connection, and every upload fails; write at least as many \
                  bytes as there are connections, usually megabytes: 50M",
        leaves: "texts over 4096 characters",
    },
    both::CONNECTIONS_NEGATIVE,
    Statement {
        lowered: "variables.started && variables.old_entitiesMalformed",
        leaves: "further items, where the stored list of a started backup has bad ones too",
        ..both::ENTITIES_MALFORMED
    },
    both::ENTITIES_MIXED,
    Statement {
        rule: &SECRET_NOT_FOUND,
        name: "secretImpossible",
        when: When::Written,
        broken: concat!(
            "variables.secret != '' && size(variables.location) <= 32768 && (",
            no_object_name!("variables.secret"),
            r") && !(!variables.location.matches(r'[\pZ\p{Cc}?#@]') && variables.location.matches(r'^",
            file_location!(),
            "$'))"
        ),
        lowered: "variables.secret == variables.old_secret && variables.old_secretImpossible",
        path: "spec.secret",
        cause: Cause::Invalid,
        value: "variables.secret",
        message: "no Secret can have this name; write the name of one in the same namespace",
        leaves: IS_IT_THERE,
    },
];
