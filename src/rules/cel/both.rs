//! Policy rules for both kinds.

use super::super::catalogue;
use super::super::finding::Cause;
use super::{AppliesTo, PolicyRule, Variable};

/// The name of a keyspace as in `domain::entities`.
macro_rules! keyspace {
    () => {
        "[A-Za-z0-9_]{1,48}"
    };
}

/// A table with its keyspace as in `domain::entities`, with this text for the dot.
macro_rules! table {
    ($dot:literal) => {
        concat!("[A-Za-z0-9_]{1,48}", $dot, "[A-Za-z0-9_]{1,222}")
    };
}
pub(super) use table;

/// The end of a table in `domain::entities`: the dot and the name without its keyspace.
macro_rules! of_table {
    () => {
        "\\.[A-Za-z0-9_]{1,222}"
    };
}

/// True if the variable is not a valid object name, as in `domain::object_name`: a DNS subdomain of at most 253
/// characters.
macro_rules! invalid_object_name {
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
pub(super) use invalid_object_name;

/// A UUID as in `domain::host_id`, as a CEL string.
macro_rules! uuid {
    () => {
        "'^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$'"
    };
}
pub(super) use uuid;

/// True if a list of texts has one of them twice. Longer lists are left to the webhook, because the API server limits the
/// cost of an expression.
macro_rules! twice {
    ($variable:literal) => {
        concat!(
            "(size(",
            $variable,
            ") <= 100 && ",
            $variable,
            ".exists(t, ",
            $variable,
            ".filter(o, o == t).size() > 1))"
        )
    };
}
pub(super) use twice;

/// True if an item is malformed or the text is longer than 32 KiB, as in `domain::entities`. A text that matches is ASCII,
/// so its size in characters is its size in bytes.
macro_rules! entities_malformed {
    () => {
        concat!(
            "variables.entities != '' && (size(variables.entities) > 32768 || !variables.entities.matches(r'^[\\s,]*",
            keyspace!(),
            "(",
            of_table!(),
            ")?([\\s,]+",
            keyspace!(),
            "(",
            of_table!(),
            ")?)*[\\s,]*$'))"
        )
    };
}

/// True if the text names keyspaces and tables.
macro_rules! entities_mixed {
    () => {
        concat!(
            "size(variables.entities) <= 32768 && size(bytes(variables.entities)) <= 32768 && \
             variables.entities.matches(r'(^|[\\s,])",
            keyspace!(),
            "([\\s,]|$)') && variables.entities.matches(r'(^|[\\s,])",
            table!("\\."),
            "([\\s,]|$)')"
        )
    };
}

/// The state of the last run; empty if the object has not run.
pub(super) const STATE: Variable = ("state", "object.?status.?condition.?type.orValue('')");

/// The name of the cluster.
pub(super) const CLUSTER: Variable = ("cluster", "object.?spec.?cassandraCluster.orValue('')");

/// The entities.
pub(super) const ENTITIES: Variable = ("entities", "object.?spec.?entities.orValue('')");

/// The case of a reference that the webhook covers.
pub(super) const EXISTENCE: &str = "whether the object exists";

/// Denies an update that loses a part of the record of a run: see [`run_record`](crate::rules::run_record).
pub(super) const STATUS_RESET: PolicyRule = PolicyRule {
    rule: &catalogue::STATUS_RESET,
    name: "statusReset",
    applies_to: AppliesTo::Update,
    violated: "variables.runForgotten",
    tolerated: "",
    path: "status",
    cause: Cause::Forbidden,
    value: "",
    message: "this object has run, and without that record it would run again; to run it again, create an object with another name",
    gaps: "a status that is a subresource",
};

/// Denies a new object with a status.
pub(super) const STATUS_ON_CREATE: PolicyRule = PolicyRule {
    rule: &catalogue::STATUS_ON_CREATE,
    name: "statusOnCreate",
    applies_to: AppliesTo::Create,
    violated: "has(object.status) && (has(object.status.condition) || has(object.status.timeCreated) || \
                 has(object.status.timeStarted) || has(object.status.timeCompleted) || has(object.status.progress) || \
                 has(object.status.id) || has(object.status.coordinatorMember))",
    tolerated: "",
    path: "status",
    cause: Cause::Forbidden,
    value: "",
    message: "a new object has not run yet; CassKop treats an object with a status as one that has run, and never runs it; \
     leave status out of the manifest",
    gaps: "",
};

/// Denies an invalid name of a cluster.
pub(super) const CLUSTER_NAME_INVALID: PolicyRule = PolicyRule {
    rule: &catalogue::CLUSTER_NOT_FOUND,
    name: "clusterImpossible",
    applies_to: AppliesTo::SpecChange,
    violated: invalid_object_name!("variables.cluster"),
    tolerated: "variables.cluster == variables.old_cluster",
    path: "spec.cassandraCluster",
    cause: Cause::Invalid,
    value: "variables.cluster",
    message: "is not a valid name of a CassandraCluster; name a CassandraCluster of this namespace",
    gaps: EXISTENCE,
};

/// Denies a negative number of connections. The field of a restore has another name.
pub(super) const CONNECTIONS_NEGATIVE: PolicyRule = PolicyRule {
    rule: &catalogue::CONCURRENCY_OUT_OF_RANGE,
    name: "connectionsNegative",
    applies_to: AppliesTo::SpecChange,
    violated: "variables.connections < 0",
    tolerated: "variables.connections == variables.old_connections",
    path: "spec.concurrentConnections",
    cause: Cause::Invalid,
    value: "string(variables.connections)",
    message: "the sidecar fails without a message if the number of connections is negative; write 1 or more, or leave the field \
     out for 10",
    gaps: "",
};

/// The requirement in the annotation; empty if it is absent.
pub(super) const REQUIRES: Variable = (
    "requires",
    "object.metadata.?annotations['cassgate.db.orange.com/requires']",
);

/// The host ids of the nodes.
pub(super) const HOST_IDS: Variable = ("hostIds", "variables.nodes.map(n, n.hostId.lowerAscii())");

/// The nodes.
pub(super) const NODES: Variable = ("nodes", "object.?spec.?nodes.orValue([])");

/// The part of [`catalogue::NODES_MALFORMED`] that needs no other object. The fields differ for each kind.
pub(super) const NODES_MALFORMED: PolicyRule = PolicyRule {
    rule: &catalogue::NODES_MALFORMED,
    name: "nodesMalformed",
    applies_to: AppliesTo::SpecChange,
    violated: "",
    tolerated: "variables.old_nodesMalformed",
    path: "spec.nodes",
    cause: Cause::Invalid,
    value: "",
    message: "",
    gaps: "",
};

/// Denies an unknown requirement, and an object that has only the annotation left of what needs cassgate as executor. The
/// fields differ for each kind.
pub(super) const EXECUTOR_REQUIRED: PolicyRule = PolicyRule {
    rule: &catalogue::EXECUTOR_REQUIRED,
    name: "fieldsDropped",
    applies_to: AppliesTo::SpecChange,
    violated: "",
    tolerated: "variables.started && variables.old_fieldsDropped",
    path: "metadata.annotations[cassgate.db.orange.com/requires]",
    cause: Cause::Invalid,
    value: "",
    message: "",
    gaps: "CassKop as executor, if the fields are not dropped",
};

/// Denies malformed items.
pub(super) const ENTITIES_MALFORMED: PolicyRule = PolicyRule {
    rule: &catalogue::ENTITIES_MALFORMED,
    name: "entitiesMalformed",
    applies_to: AppliesTo::SpecChange,
    violated: entities_malformed!(),
    tolerated: "",
    path: "spec.entities",
    cause: Cause::Invalid,
    value: "variables.entities",
    message: "an item is neither a keyspace nor keyspace.table (letters, digits and _, a keyspace at most 48, a table at most 222, \
     without quotes and without blanks around the dot); the sidecar would ignore it and could cover everything; write only such items, at most 32 KiB in all, \
     or leave the field out",
    gaps: "entities that a restore inherits from its backup",
};

/// Denies a mixture of keyspaces and tables.
pub(super) const ENTITIES_MIXED: PolicyRule = PolicyRule {
    rule: &catalogue::ENTITIES_MIXED,
    name: "entitiesMixed",
    applies_to: AppliesTo::SpecChange,
    violated: entities_mixed!(),
    tolerated: "variables.entities == variables.old_entities",
    path: "spec.entities",
    cause: Cause::Invalid,
    value: "variables.entities",
    message: "names whole keyspaces and single tables; the sidecar takes one form or the other: write only keyspaces or only \
     keyspace.table",
    gaps: "",
};
