//! What a policy can say of restores.
//!
//! What goes pair by pair is said of at most 100 pairs: the API server bounds what an expression may cost.

use super::super::catalogue::{
    BACKUP_NOT_FOUND, CASSANDRA_DIRECTORY_MALFORMED, ENTITIES_SYSTEM, RENAME_CHAIN, RENAME_DUPLICATE_TARGET,
    RENAME_MALFORMED, RENAME_NEEDS_TABLES, RENAME_SELF, RENAME_SOURCE_OUTSIDE_ENTITIES, RENAME_SYSTEM,
    RENAME_TARGET_IN_ENTITIES, RESTORE_RECREATED, RESTORE_STARTED, SCHEMA_VERSION_MALFORMED,
};
use super::super::finding::Cause;
use super::both::{self, IS_IT_THERE, name, no_object_name};
use super::{Statement, Variable, When};

/// `domain::entities::SYSTEM_KEYSPACES`.
macro_rules! system {
    () => {
        "(system|system_auth|system_distributed|system_schema|system_traces|system_views|system_virtual_schema)"
    };
}

/// A side of a pair: a table, with blanks around it.
macro_rules! side {
    () => {
        concat!("'^ *", name!(), "[.]", name!(), " *$'")
    };
}

const MORE_PAIRS: &str = "maps of over 100 pairs; further pairs, where the stored map has bad ones too";
const WITHOUT_ENTITIES: &str = "restores that leave `entities` to their backup; maps of over 100 pairs; further pairs, where the stored map has \
     bad ones too";

pub(super) static VARIABLES: &[Variable] = &[
    both::STATE,
    both::CLUSTER,
    ("backup", "object.?spec.?cassandraBackup.orValue('')"),
    ("connections", "object.?spec.?concurrentConnection.orValue(0)"),
    ("directory", "object.?spec.?cassandraDirectory.orValue('')"),
    ("schemaVersion", "object.?spec.?schemaVersion.orValue('')"),
    both::ENTITIES,
    ("rename", "object.?spec.?rename.orValue({})"),
    // The pairs of which both sides are tables.
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

pub(super) static STATEMENTS: &[Statement] = &[
    both::STATUS_RESET,
    both::STATUS_ON_CREATE,
    Statement {
        rule: &RESTORE_STARTED,
        name: "changedAfterStart",
        when: When::Written,
        broken: "variables.started",
        lowered: "",
        path: "spec",
        cause: Cause::Forbidden,
        value: "",
        message: "this restore has started and runs only once, so a changed spec has no effect; create a restore of \
                  another name (deleting and re-creating this one would run it again)",
        leaves: "",
    },
    both::CLUSTER_IMPOSSIBLE,
    Statement {
        rule: &BACKUP_NOT_FOUND,
        name: "backupImpossible",
        when: When::Written,
        broken: no_object_name!("variables.backup"),
        lowered: "variables.backup == variables.old_backup",
        path: "spec.cassandraBackup",
        cause: Cause::Invalid,
        value: "variables.backup",
        message: "no CassandraBackup can have this name; write the name of one in the same namespace",
        leaves: IS_IT_THERE,
    },
    Statement {
        rule: &RESTORE_RECREATED,
        name: "broughtBack",
        when: When::Created,
        broken: r"'velero.io/restore-name' in object.metadata.?labels.orValue({}) && !object.metadata.?annotations['cassgate.db.orange.com/confirm'].orValue('').matches(r'(^|,)[\pZ\t-\r\x{85}]*restore-recreated[\pZ\t-\r\x{85}]*(,|$)')",
        lowered: "",
        path: "metadata.labels",
        cause: Cause::Forbidden,
        value: "",
        message: "Velero brings this restore back, and it would run again over what was written since; leave it out, or \
                  take the label off; where it is meant, annotate cassgate.db.orange.com/confirm: restore-recreated",
        leaves: "what the backup notes of its last restore",
    },
    both::ENTITIES_MALFORMED,
    both::ENTITIES_MIXED,
    Statement {
        rule: &ENTITIES_SYSTEM,
        name: "entitiesSystem",
        when: When::Written,
        broken: concat!(
            "variables.entitiesGood && variables.entities.matches(r'(^|[\\s,])",
            system!(),
            "([.\\s,]|$)')"
        ),
        lowered: "",
        path: "spec.entities",
        cause: Cause::Invalid,
        value: "variables.entities",
        message: "a keyspace of Cassandra itself is among them: its tables would be emptied and not filled again; name \
                  keyspaces or tables of your own",
        leaves: "what a restore takes over from its backup",
    },
    Statement {
        rule: &RENAME_MALFORMED,
        name: "renameMalformed",
        when: When::Written,
        broken: "size(variables.rename) > 1000 || size(variables.pairs) < size(variables.rename) || (variables.few && \
                 variables.sources.exists(s, variables.sources.filter(o, o == s).size() > 1))",
        lowered: "variables.old_renameMalformed",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "a side of a pair is no keyspace.table, a table stands twice on the left, or there are over 1000 pairs; \
                  write keyspace.table on both sides, without quotes and blanks",
        leaves: "a table that stands twice in a map of over 100 pairs; further pairs, where the stored map has bad ones \
                 too; maps of hundreds of KiB",
    },
    Statement {
        rule: &RENAME_SELF,
        name: "renameSelf",
        when: When::Written,
        broken: "size(variables.rename) <= 1000 && variables.pairs.exists(k, k.trim() == variables.rename[k].trim())",
        lowered: "variables.old_renameSelf",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "a table goes into itself; leave the pair out, a table that is not renamed gets its own data",
        leaves: "further pairs, where the stored map has bad ones too",
    },
    Statement {
        rule: &RENAME_CHAIN,
        name: "renameChain",
        when: When::Written,
        broken: "variables.few && variables.pairs.exists(k, k.trim() != variables.rename[k].trim() && \
                 variables.rename[k].trim() in variables.sources)",
        lowered: "variables.old_renameChain",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "the target of a pair is renamed itself, and the sidecar takes no swaps or chains; use a target that is \
                  not renamed",
        leaves: MORE_PAIRS,
    },
    Statement {
        rule: &RENAME_DUPLICATE_TARGET,
        name: "renameDuplicate",
        when: When::Written,
        broken: "variables.few && variables.pairs.exists(k, k.trim() != variables.rename[k].trim() && \
                 variables.pairs.exists(o, o.trim() != k.trim() && variables.rename[o].trim() == \
                 variables.rename[k].trim()))",
        lowered: "variables.old_renameDuplicate",
        path: "spec.rename",
        cause: Cause::Duplicate,
        value: "",
        message: "two tables go into the same one; give each a table of its own",
        leaves: MORE_PAIRS,
    },
    Statement {
        rule: &RENAME_SYSTEM,
        name: "renameSystem",
        when: When::Written,
        broken: concat!(
            "variables.renameGood && variables.pairs.exists(k, variables.rename[k].matches('^ *",
            system!(),
            "[.]'))"
        ),
        lowered: "",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "a target belongs to Cassandra itself, and the restore would empty it; rename into a table of your own",
        leaves: "maps of over 100 pairs",
    },
    Statement {
        rule: &RENAME_NEEDS_TABLES,
        name: "renameNeedsTables",
        when: When::Written,
        broken: "variables.entitiesGood && !variables.entities.contains('.') && variables.renameGood",
        lowered: "variables.old_entities == '' || variables.old_renameNeedsTables",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "tables can be renamed only where the restore names tables, and spec.entities names keyspaces; write \
                  the tables in spec.entities",
        leaves: WITHOUT_ENTITIES,
    },
    Statement {
        rule: &RENAME_SOURCE_OUTSIDE_ENTITIES,
        name: "renameSourceOutside",
        when: When::Written,
        broken: "variables.entitiesGood && variables.entities.contains('.') && variables.renameGood && \
                 variables.sources.exists(s, !(s in variables.tables))",
        lowered: "variables.old_entities == '' || variables.old_renameSourceOutside",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "a table that is renamed is not restored; add it to spec.entities, or leave the pair out",
        leaves: WITHOUT_ENTITIES,
    },
    Statement {
        rule: &RENAME_TARGET_IN_ENTITIES,
        name: "renameTargetInside",
        when: When::Written,
        broken: "variables.entitiesGood && variables.renameGood && variables.pairs.exists(k, variables.rename[k].trim() \
                 in variables.tables)",
        lowered: "variables.old_entities == '' || variables.old_renameTargetInside",
        path: "spec.rename",
        cause: Cause::Invalid,
        value: "",
        message: "the target of a pair is restored itself and would get two contents; leave it out of spec.entities, or \
                  rename into another table",
        leaves: WITHOUT_ENTITIES,
    },
    Statement {
        rule: &SCHEMA_VERSION_MALFORMED,
        name: "schemaVersionMalformed",
        when: When::Written,
        broken: "variables.schemaVersion != '' && (size(variables.schemaVersion) != 36 || \
                 !variables.schemaVersion.matches('^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$'))",
        lowered: "variables.schemaVersion == variables.old_schemaVersion",
        path: "spec.schemaVersion",
        cause: Cause::Invalid,
        value: "variables.schemaVersion",
        message: "is no UUID of 36 characters, as in 168d568b-d346-3f61-968f-a2716307a6e4; the sidecar answers 500 to it; \
                  write the one in the snapshot's name",
        leaves: "",
    },
    Statement {
        rule: &CASSANDRA_DIRECTORY_MALFORMED,
        name: "directoryMalformed",
        when: When::Written,
        broken: r"variables.directory != '' && (size(variables.directory) > 4096 || size(bytes(variables.directory)) > 4096 || !variables.directory.startsWith('/') || variables.directory.matches(r'\p{Cc}|(^|/)\.\.(/|$)|^/(\.?/)*var/(\.?/)*lib/(\.?/)*cassandra/(\.?/)*data(/|$)'))",
        lowered: "variables.directory == variables.old_directory",
        path: "spec.cassandraDirectory",
        cause: Cause::Invalid,
        value: "variables.directory",
        message: "is not the directory that holds data: an absolute path of at most 4096 bytes, without .. and control \
                  characters, not the data directory itself; write /var/lib/cassandra, or leave the field out",
        leaves: "",
    },
    Statement {
        path: "spec.concurrentConnection",
        ..both::CONNECTIONS_NEGATIVE
    },
];
