//! The backup that a restore names.

use crate::api::MISSING_REFERENCES_LABEL;

use super::reference::Named;
use super::storage;
use crate::api::Kind;
use crate::rules::catalogue::{BACKUP_NOT_FOUND, CLUSTER_MISMATCH, DATACENTER_NOT_IN_BACKUP, Severity};
use crate::rules::facts::{Facts, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Restore, written};

const PATH: &str = "spec.cassandraBackup";
const DATACENTER: &str = "spec.datacenter";

pub(super) fn judge(restore: &Restore, facts: &Facts, context: &Context, found: &mut Findings) {
    let name = restore.spec.cassandra_backup.as_str();
    let named = Named {
        rule: &BACKUP_NOT_FOUND,
        path: PATH,
        kind: "CassandraBackup",
        name,
    };
    if let Some(backup) = named.resolve(facts.backup.as_ref(), || absent(facts, context), found) {
        same_cluster(restore, backup, found);
        same_datacenters(restore, backup, facts, found);
        found.extend(storage::of_restored(backup, facts));
    }
}

fn absent(facts: &Facts, context: &Context) -> Finding {
    let severity = context.absent(Kind::Restore, facts);
    let message = match severity {
        Severity::Warn => "no such CassandraBackup in this namespace yet; the restore needs it".to_owned(),
        Severity::Deny => format!(
            "the restore takes location, tag and credentials from this CassandraBackup and there is none in its \
             namespace; apply the backup first (Flux dependsOn, an Argo CD sync wave, a Helm hook or a release of \
             its own), or label the namespace {MISSING_REFERENCES_LABEL}=warn"
        ),
    };
    Finding::deny(&BACKUP_NOT_FOUND, PATH, Cause::NotFound, message).severity(severity)
}

/// The sidecar looks under `<bucket>/<cluster>/<datacenter>/<host id>` of the cluster that it runs in.
fn same_cluster(restore: &Restore, backup: &StoredBackup, found: &mut Findings) {
    let (own, others) = (&restore.spec.cassandra_cluster, &backup.spec.cassandra_cluster);
    if own == others {
        return;
    }
    let message = format!(
        "backup {} is of cluster {others}; a sidecar finds only backups of its own cluster; restore into {others}",
        backup.name
    );
    found.push(
        Finding::deny(
            &CLUSTER_MISMATCH,
            "spec.cassandraCluster",
            Cause::Invalid,
            message,
        )
        .value(own)
        .about("CassandraBackup", &backup.name),
    );
}

/// Every node looks for a manifest of its own, under its datacenter. Seen on a ring of two: a backup of dc1 and a
/// restore without datacenter fails in its first phase, since dc2 has none.
fn same_datacenters(restore: &Restore, backup: &StoredBackup, facts: &Facts, found: &mut Findings) {
    let Some(held) = written(backup.spec.datacenter.as_deref()) else {
        return;
    };
    let name = &backup.name;
    let finding = match written(restore.spec.datacenter.as_deref()) {
        Some(asked) if asked != held => {
            let message = format!(
                "backup {name} is of datacenter {held} only, and the nodes of {asked} find nothing there; write {held} \
                 (the tables are emptied in all datacenters, and stay empty in the others until a repair), or restore a \
                 backup that has {asked}"
            );
            Finding::deny(&DATACENTER_NOT_IN_BACKUP, DATACENTER, Cause::Invalid, message).value(asked)
        }
        Some(_) => return,
        None => {
            let others = facts.found_cluster().map(|cluster| {
                let others = cluster.datacenters.iter().filter(|dc| *dc != held);
                others.map(String::as_str).collect::<Vec<_>>().join(", ")
            });
            let Some(others) = others.filter(|others| !others.is_empty()) else {
                return;
            };
            let message = format!(
                "backup {name} is of datacenter {held} only, the restore is for the whole ring, and the nodes of \
                 {others} find nothing there: it fails; write {held} (the tables are emptied in {others} too and \
                 stay empty there until a repair), or restore a backup of all datacenters"
            );
            Finding::deny(&DATACENTER_NOT_IN_BACKUP, DATACENTER, Cause::Required, message)
        }
    };
    found.push(finding.about("CassandraBackup", name));
}
