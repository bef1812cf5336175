//! Policy rules for restores.
//!
//! Rules that compare pairs of `rename` apply to at most 100 pairs, because the API server limits the cost of an
//! expression.

use super::super::catalogue::{
    BACKUP_NOT_FOUND, CASSANDRA_DIRECTORY_MALFORMED, ENTITIES_SYSTEM, RENAME_CHAIN, RENAME_DUPLICATE_TARGET,
    RENAME_MALFORMED, RENAME_NEEDS_TABLES, RENAME_SELF, RENAME_SOURCE_OUTSIDE_ENTITIES, RENAME_SYSTEM,
    RENAME_TARGET_IN_ENTITIES, RESTORE_INCOMPLETE, RESTORE_RECREATED, RESTORE_SOURCE_CHANGED,
    RESTORE_STARTED, SCHEMA_VERSION_MALFORMED,
};
use super::super::finding::Cause;
use super::both::{self, EXISTENCE, invalid_object_name, table, twice, uuid};
use super::{AppliesTo, PolicyRule, Variable};

/// Cassandra's own keyspaces, as in `domain::entities::SYSTEM_KEYSPACES`.
macro_rules! system {
    () => {
        "(system|system_auth|system_distributed|system_schema|system_traces|system_views|system_virtual_schema)"
    };
}

/// One side of a pair: a table, with optional blanks around it.
macro_rules! side {
    () => {
        concat!("'^ *", table!("[.]"), " *$'")
    };
}

/// The value of an annotation; empty if it is absent.
macro_rules! annotation {
    ($key:literal) => {
        concat!("object.metadata.?annotations['", $key, "'].orValue('')")
    };
}

const MORE_PAIRS: &str =
    "maps of over 100 pairs; new invalid pairs, where the stored map has invalid pairs too";
const WITHOUT_ENTITIES: &str = "restores that leave `entities` to their backup; maps of over 100 pairs; new invalid pairs, where the stored map has \
     invalid pairs too";

const SOURCE_CHANGED: &str = "the entities and the secret of this restore may come from the backup that it named at its creation, so they \
     would not fit another one; delete this restore and create a new one";

pub(super) static VARIABLES: &[Variable] = &[
    both::STATE,
    both::CLUSTER,
    ("backup", "object.?spec.?cassandraBackup.orValue('')"),
    ("snapshot", "object.?spec.?snapshot.orValue('')"),
    ("connections", "object.?spec.?concurrentConnection.orValue(0)"),
    ("directory", "object.?spec.?cassandraDirectory.orValue('')"),
    ("schemaVersion", "object.?spec.?schemaVersion.orValue('')"),
    both::ENTITIES,
    both::REQUIRES,
    ("helmHook", annotation!("helm.sh/hook")),
    ("helmDeletePolicy", annotation!("helm.sh/hook-delete-policy")),
    ("argoHook", annotation!("argocd.argoproj.io/hook")),
    (
        "argoDeletePolicy",
        annotation!("argocd.argoproj.io/hook-delete-policy"),
    ),
    ("argoOptions", annotation!("argocd.argoproj.io/sync-options")),
    ("fluxForce", annotation!("kustomize.toolkit.fluxcd.io/force")),
    (
        "fluxForceLabel",
        "object.metadata.?labels['kustomize.toolkit.fluxcd.io/force'].orValue('')",
    ),
    ("kappStrategy", annotation!("kapp.k14s.io/update-strategy")),
    (
        "kappVersioned",
        "'kapp.k14s.io/versioned' in object.metadata.?annotations.orValue({})",
    ),
    ("kluctlHook", annotation!("kluctl.io/hook")),
    ("kluctlDeletePolicy", annotation!("kluctl.io/hook-delete-policy")),
    (
        "spinnaker",
        "['strategy.spinnaker.io/recreate', 'strategy.spinnaker.io/replace', \
         'strategy.spinnaker.io/versioned'].exists(k, \
         object.metadata.?annotations[k].orValue('').trim().lowerAscii() == 'true')",
    ),
    ("werfPolicy", annotation!("werf.io/delete-policy")),
    both::NODES,
    both::HOST_IDS,
    (
        "pods",
        "variables.nodes.filter(n, has(n.pod) && n.pod != '').map(n, n.pod)",
    ),
    ("rename", "object.?spec.?rename.orValue({})"),
    // The pairs with a table on both sides.
    (
        "pairs",
        concat!(
            "variables.rename.filter(k, k.matches(",
            side!(),
            ") && variables.rename[k].matches(",
            side!(),
            "))"
        ),
    ),
    ("few", "size(variables.rename) <= 100"),
    ("sources", "variables.pairs.map(k, k.trim())"),
    (
        "renameGood",
        "size(variables.rename) > 0 && variables.few && !variables.renameMalformed && !variables.renameSelf && \
         !variables.renameDuplicate && !variables.renameChain",
    ),
    (
        "entitiesGood",
        "variables.entities != '' && !variables.entitiesMalformed && !variables.entitiesMixed",
    ),
    (
        "tables",
        r"variables.entities.contains('.') ? variables.entities.replace('\t', ',').replace('\n', ',').replace('\f', ',').replace('\r', ',').replace(' ', ',').split(',') : []",
    ),
];

pub(super) static POLICY_RULES: &[PolicyRule] = &[
    both::STATUS_RESET,
    both::STATUS_ON_CREATE,
    PolicyRule {
        rule: &RESTORE_STARTED,
        name: "changedAfterStart",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.started",
        tolerated: "",
        path: "spec",
        cause: Cause::Forbidden,
        value: "",
        message: "this restore has started and runs only once, so a changed spec has no effect; create a restore with \
                  another name (deleting and re-creating this one would run it again)",
        gaps: "",
    },
    PolicyRule {
        rule: &RESTORE_SOURCE_CHANGED,
        name: "backupChanged",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.updated && !variables.started && variables.backup != variables.old_backup",
        tolerated: "",
        path: "spec.cassandraBackup",
        cause: Cause::Invalid,
        value: "variables.backup",
        message: SOURCE_CHANGED,
        gaps: "",
    },
    PolicyRule {
        rule: &RESTORE_SOURCE_CHANGED,
        name: "snapshotChanged",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.updated && !variables.started && variables.snapshot != variables.old_snapshot",
        tolerated: "",
        path: "spec.snapshot",
        cause: Cause::Invalid,
        value: "variables.snapshot",
        message: SOURCE_CHANGED,
        gaps: "",
    },
    PolicyRule {
        violated: "variables.requires.hasValue() && (variables.requires.orValue('') != 'executor' || \
                 !(object.?spec.?snapshot.hasValue() || size(variables.nodes) > 0))",
        message: "the value is not executor, or the spec has none of snapshot and nodes, which CassKop's CRDs drop, and what is \
                  left would restore the newest snapshot, and each node its own part; install cassgate's CRDs and apply the \
                  manifest again, or remove the annotation if the restore is complete",
        ..both::EXECUTOR_REQUIRED
    },
    both::CLUSTER_NAME_INVALID,
    PolicyRule {
        rule: &BACKUP_NOT_FOUND,
        name: "backupImpossible",
        applies_to: AppliesTo::SpecChange,
        violated: invalid_object_name!("variables.backup"),
        tolerated: "variables.backup == variables.old_backup",
        path: "spec.cassandraBackup",
        cause: Cause::Invalid,
        value: "variables.backup",
        message: "is not a valid name of a CassandraBackup; name a CassandraBackup of this namespace",
        gaps: EXISTENCE,
    },
    PolicyRule {
        rule: &RESTORE_RECREATED,
        name: "broughtBack",
        applies_to: AppliesTo::Create,
        violated: "'velero.io/restore-name' in object.metadata.?labels.orValue({}) || \
                   variables.helmHook.trim() != '' || variables.helmDeletePolicy.trim() != '' || \
                   variables.argoHook.split(',').exists(h, h.trim() != '' && h.trim() != 'Skip') || \
                   variables.argoDeletePolicy.trim() != '' || \
                   variables.argoOptions.split(',').exists(o, o.trim() in ['Force=true', 'Replace=true']) || \
                   variables.fluxForce.lowerAscii() == 'enabled' || variables.fluxForceLabel.lowerAscii() == 'enabled' || \
                   variables.kappStrategy in ['fallback-on-replace', 'always-replace'] || variables.kappVersioned || \
                   variables.kluctlHook.trim() != '' || variables.kluctlDeletePolicy.trim() != '' || \
                   variables.spinnaker || variables.werfPolicy.trim() != ''",
        tolerated: "",
        path: "metadata",
        cause: Cause::Forbidden,
        value: "",
        message: "an annotation or label says that a tool deletes this restore and creates it again, or has done so, and each time it \
                  would run again and overwrite everything written since; remove the annotations of hooks and of replacement and \
                  Velero's label, and give each restore a name of its own",
        gaps: "the last restore that the backup records",
    },
    PolicyRule {
        violated: concat!(
            "variables.nodes.exists(n, !n.hostId.matches(",
            uuid!(),
            ")) || variables.pods.exists(p, ",
            invalid_object_name!("p"),
            ") || ",
            twice!("variables.hostIds"),
            " || ",
            twice!("variables.pods")
        ),
        message: "a host id is no UUID, a pod has no valid name, or one of them is there twice; write each host id and each pod \
                  once",
        gaps: "host ids that the backup does not have, and pods that the cluster does not have; a host id or pod that is there \
               twice among over 100 nodes; new malformed nodes, where the stored restore has malformed nodes too",
        ..both::NODES_MALFORMED
    },
    PolicyRule {
        rule: &RESTORE_INCOMPLETE,
        name: "incomplete",
        applies_to: AppliesTo::SpecChange,
        violated: r"size(variables.pods) < size(variables.nodes) && !object.metadata.?annotations['cassgate.db.orange.com/confirm'].orValue('').matches(r'(^|,)[\pZ\t-\r\x{85}]*restore-incomplete[\pZ\t-\r\x{85}]*(,|$)')",
        tolerated: "",
        path: "spec.nodes",
        cause: Cause::Invalid,
        value: "",
        message: "the part of a node without pod is left out: rows whose replicas were all there are lost, and the others need \
                  nodetool repair; name the pod that has the node's tokens, or annotate cassgate.db.orange.com/confirm: \
                  restore-incomplete",
        gaps: "",
    },
    both::ENTITIES_MALFORMED,
    both::ENTITIES_MIXED,
    PolicyRule {
        rule: &ENTITIES_SYSTEM,
        name: "entitiesSystem",
        applies_to: AppliesTo::SpecChange,
        violated: concat!(
            "variables.entitiesGood && variables.entities.matches(r'(^|[\\s,])",
            system!(),
            "([.\\s,]|$)')"
        ),
        tolerated: "",
        path: "spec.entities",
        cause: Cause::Invalid,
        value: "variables.entities",
        message: "a keyspace of Cassandra itself is among them: the restore would empty its tables and not refill them; name \
                  your own keyspaces or tables",
        gaps: "entities that a restore inherits from its backup",
    },
    PolicyRule {
        rule: &RENAME_MALFORMED,
        name: "renameMalformed",
        applies_to: AppliesTo::SpecChange,
        violated: "size(variables.rename) > 1000 || size(variables.pairs) < size(variables.rename) || (variables.few && \
                 variables.sources.exists(s, variables.sources.filter(o, o == s).size() > 1))",
        tolerated: "variables.old_renameMalformed",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "a side of a pair is not keyspace.table, a table is on the left twice, or there are over 1000 pairs; write \
                  keyspace.table on both sides, without quotes and blanks",
        gaps: "a table that is on the left twice in a map of over 100 pairs; new invalid pairs, where the stored map has \
                 invalid pairs too; maps of hundreds of KiB",
    },
    PolicyRule {
        rule: &RENAME_SELF,
        name: "renameSelf",
        applies_to: AppliesTo::SpecChange,
        violated: "size(variables.rename) <= 1000 && variables.pairs.exists(k, k.trim() == variables.rename[k].trim())",
        tolerated: "variables.old_renameSelf",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "a table is renamed into itself; leave the pair out: a table that is not renamed gets its own data",
        gaps: "new invalid pairs, where the stored map has invalid pairs too",
    },
    PolicyRule {
        rule: &RENAME_CHAIN,
        name: "renameChain",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.few && variables.pairs.exists(k, k.trim() != variables.rename[k].trim() && \
                 variables.rename[k].trim() in variables.sources)",
        tolerated: "variables.old_renameChain",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "the target of a pair is renamed itself, and the sidecar supports no swaps or chains; use a target that is \
                  not renamed",
        gaps: MORE_PAIRS,
    },
    PolicyRule {
        rule: &RENAME_DUPLICATE_TARGET,
        name: "renameDuplicate",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.few && variables.pairs.exists(k, k.trim() != variables.rename[k].trim() && \
                 variables.pairs.exists(o, o.trim() != k.trim() && variables.rename[o].trim() == \
                 variables.rename[k].trim()))",
        tolerated: "variables.old_renameDuplicate",
        path: "spec.rename",
        cause: Cause::Duplicate,
        value: "",
        message: "two tables are renamed into the same one; give each table a target of its own",
        gaps: MORE_PAIRS,
    },
    PolicyRule {
        rule: &RENAME_SYSTEM,
        name: "renameSystem",
        applies_to: AppliesTo::SpecChange,
        violated: concat!(
            "variables.renameGood && variables.pairs.exists(k, variables.rename[k].matches('^ *",
            system!(),
            "[.]'))"
        ),
        tolerated: "",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "a target belongs to Cassandra itself; the restore would empty it; rename into one of your own tables",
        gaps: "maps of over 100 pairs",
    },
    PolicyRule {
        rule: &RENAME_NEEDS_TABLES,
        name: "renameNeedsTables",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.entitiesGood && !variables.entities.contains('.') && variables.renameGood",
        tolerated: "variables.old_entities == '' || variables.old_renameNeedsTables",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "tables can be renamed only if the restore names tables, and spec.entities names keyspaces; name the tables \
                  in spec.entities",
        gaps: WITHOUT_ENTITIES,
    },
    PolicyRule {
        rule: &RENAME_SOURCE_OUTSIDE_ENTITIES,
        name: "renameSourceOutside",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.entitiesGood && variables.entities.contains('.') && variables.renameGood && \
                 variables.sources.exists(s, !(s in variables.tables))",
        tolerated: "variables.old_entities == '' || variables.old_renameSourceOutside",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "a renamed table is not restored; add it to spec.entities, or leave the pair out",
        gaps: WITHOUT_ENTITIES,
    },
    PolicyRule {
        rule: &RENAME_TARGET_IN_ENTITIES,
        name: "renameTargetInside",
        applies_to: AppliesTo::SpecChange,
        violated: "variables.entitiesGood && variables.renameGood && variables.pairs.exists(k, variables.rename[k].trim() \
                 in variables.tables)",
        tolerated: "variables.old_entities == '' || variables.old_renameTargetInside",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "the target of a pair is restored itself and would get the data of two tables; leave it out of spec.entities, or \
                  rename into another table",
        gaps: WITHOUT_ENTITIES,
    },
    PolicyRule {
        rule: &SCHEMA_VERSION_MALFORMED,
        name: "schemaVersionMalformed",
        applies_to: AppliesTo::SpecChange,
        violated: concat!(
            "variables.schemaVersion != '' && (size(variables.schemaVersion) != 36 || !variables.schemaVersion.matches(",
            uuid!(),
            "))"
        ),
        tolerated: "variables.schemaVersion == variables.old_schemaVersion",
        path: "spec.schemaVersion",
        cause: Cause::Invalid,
        value: "variables.schemaVersion",
        message: "is not a UUID of 36 characters, for example 168d568b-d346-3f61-968f-a2716307a6e4; the sidecar would answer \
                  500; write the schema version in the snapshot's name",
        gaps: "",
    },
    PolicyRule {
        rule: &CASSANDRA_DIRECTORY_MALFORMED,
        name: "directoryMalformed",
        applies_to: AppliesTo::SpecChange,
        violated: r"variables.directory != '' && (size(variables.directory) > 4096 || size(bytes(variables.directory)) > 4096 || !variables.directory.startsWith('/') || variables.directory.matches(r'\p{Cc}|(^|/)\.\.(/|$)|^/(\.?/)*var/(\.?/)*lib/(\.?/)*cassandra/(\.?/)*data(/|$)'))",
        tolerated: "variables.directory == variables.old_directory",
        path: "spec.cassandraDirectory",
        cause: Cause::Invalid,
        value: "variables.directory",
        message: "is not the directory that contains data: an absolute path of at most 4096 bytes, without .. and control \
                  characters, not the data directory itself; write /var/lib/cassandra, or leave the field out",
        gaps: "",
    },
    PolicyRule {
        path: "spec.concurrentConnection",
        ..both::CONNECTIONS_NEGATIVE
    },
];
