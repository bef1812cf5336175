//! What a policy can say of backups and of restores alike.

use super::super::catalogue;
use super::super::finding::Cause;
use super::{Statement, Variable, When};

/// `[A-Za-z0-9_]`, 1 to 48: the names of `domain::entities`.
macro_rules! name {
    () => {
        "[A-Za-z0-9_]{1,48}"
    };
}
pub(super) use name;

/// Neither a subdomain of DNS nor short enough: no object has this name (`domain::object_name`).
macro_rules! no_object_name {
    ($variable:literal) => {
        concat!(
            "size(",
            $variable,
            ") > 253 || !",
            $variable,
            r".matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')"
        )
    };
}
pub(super) use no_object_name;

/// `domain::entities`: a text is read up to 32 KiB. Characters are bytes where the expression matches.
macro_rules! entities_malformed {
    () => {
        concat!(
            "variables.entities != '' && (size(variables.entities) > 32768 || !variables.entities.matches(r'^[\\s,]*",
            name!(),
            "(\\.",
            name!(),
            ")?([\\s,]+",
            name!(),
            "(\\.",
            name!(),
            ")?)*[\\s,]*$'))"
        )
    };
}

macro_rules! entities_mixed {
    () => {
        concat!(
            "size(variables.entities) <= 32768 && size(bytes(variables.entities)) <= 32768 && \
             variables.entities.matches(r'(^|[\\s,])",
            name!(),
            "([\\s,]|$)') && variables.entities.matches(r'(^|[\\s,])",
            name!(),
            "\\.",
            name!(),
            "([\\s,]|$)')"
        )
    };
}

/// States in which something is over (`ConditionType::is_terminal`).
macro_rules! over {
    () => {
        "['COMPLETED', 'FAILED', 'CANCELLED', 'CANCELED']"
    };
}

/// What has run has no state any more, or one that is over has one that is not.
macro_rules! forgotten {
    () => {
        concat!(
            "variables.old_state != '' && (variables.state == '' || (variables.old_state in ",
            over!(),
            " && !(variables.state in ",
            over!(),
            ")))"
        )
    };
}
pub(super) use {forgotten, over};

/// The state that CassKop writes; nothing as long as nothing has run.
pub(super) const STATE: Variable = ("state", "object.?status.?condition.?type.orValue('')");

/// The cluster that is named.
pub(super) const CLUSTER: Variable = ("cluster", "object.?spec.?cassandraCluster.orValue('')");

/// What is covered.
pub(super) const ENTITIES: Variable = ("entities", "object.?spec.?entities.orValue('')");

/// What only the cluster can tell.
pub(super) const IS_IT_THERE: &str = "whether it is there";

/// The record that something ran is wiped. A backup with a schedule runs again anyway.
pub(super) const STATUS_RESET: Statement = Statement {
    rule: &catalogue::STATUS_RESET,
    name: "statusReset",
    when: When::Updated,
    broken: forgotten!(),
    lowered: "",
    path: "status.condition",
    cause: Cause::Forbidden,
    value: "",
    message: "this object has run, and without that record it would run again; create an object of another name to run again",
    leaves: "a status that is a subresource",
};

/// A new object carries a status.
pub(super) const STATUS_ON_CREATE: Statement = Statement {
    rule: &catalogue::STATUS_ON_CREATE,
    name: "statusOnCreate",
    when: When::Created,
    broken: "has(object.status) && (has(object.status.condition) || has(object.status.timeCreated) || \
                 has(object.status.timeStarted) || has(object.status.timeCompleted) || has(object.status.progress) || \
                 has(object.status.id) || has(object.status.coordinatorMember))",
    lowered: "",
    path: "status",
    cause: Cause::Forbidden,
    value: "",
    message: "a new object has not run yet; with a status CassKop takes it for one that has, and never runs it; leave status out \
     of the manifest",
    leaves: "",
};

/// No cluster can have the name.
pub(super) const CLUSTER_IMPOSSIBLE: Statement = Statement {
    rule: &catalogue::CLUSTER_NOT_FOUND,
    name: "clusterImpossible",
    when: When::Written,
    broken: no_object_name!("variables.cluster"),
    lowered: "variables.cluster == variables.old_cluster",
    path: "spec.cassandraCluster",
    cause: Cause::Invalid,
    value: "variables.cluster",
    message: "no CassandraCluster can have this name; write the name of one in the same namespace",
    leaves: IS_IT_THERE,
};

/// Below zero; the field of a restore has a name of its own.
pub(super) const CONNECTIONS_NEGATIVE: Statement = Statement {
    rule: &catalogue::CONCURRENCY_OUT_OF_RANGE,
    name: "connectionsNegative",
    when: When::Written,
    broken: "variables.connections < 0",
    lowered: "variables.connections == variables.old_connections",
    path: "spec.concurrentConnections",
    cause: Cause::Invalid,
    value: "string(variables.connections)",
    message: "the sidecar fails with a negative number of connections, without a message; write a number from 1 on, or leave the \
     field out for 10",
    leaves: "",
};

/// An item is neither a keyspace nor a table.
pub(super) const ENTITIES_MALFORMED: Statement = Statement {
    rule: &catalogue::ENTITIES_MALFORMED,
    name: "entitiesMalformed",
    when: When::Written,
    broken: entities_malformed!(),
    lowered: "",
    path: "spec.entities",
    cause: Cause::Invalid,
    value: "variables.entities",
    message: "an item is neither a keyspace nor keyspace.table (letters, digits and _, at most 48, without quotes and without blanks \
     around the dot); the sidecar would drop it and widen the operation; write only such items, at most 32 KiB in all, \
     or leave the field out",
    leaves: "what a restore takes over from its backup",
};

/// Keyspaces and tables at once.
pub(super) const ENTITIES_MIXED: Statement = Statement {
    rule: &catalogue::ENTITIES_MIXED,
    name: "entitiesMixed",
    when: When::Written,
    broken: entities_mixed!(),
    lowered: "variables.entities == variables.old_entities",
    path: "spec.entities",
    cause: Cause::Invalid,
    value: "variables.entities",
    message: "names whole keyspaces and single tables; the sidecar takes one form or the other: write only keyspaces or only \
     keyspace.table",
    leaves: "",
};
