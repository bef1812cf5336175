//! The backup that a restore names.

use super::catalogue::{BACKUP_NOT_FOUND, CLUSTER_MISMATCH, Kinds, Severity};
use super::facts::{Facts, StoredBackup};
use super::finding::{Cause, Finding, Findings};
use super::policy::Context;
use super::reference::Named;
use super::subject::Restore;

const PATH: &str = "spec.cassandraBackup";

pub(super) fn judge(restore: &Restore, facts: &Facts, context: &Context, found: &mut Findings) {
    let name = restore.spec.cassandra_backup.as_str();
    let named = Named {
        rule: &BACKUP_NOT_FOUND,
        path: PATH,
        kind: "CassandraBackup",
        name,
    };
    if let Some(backup) = named.resolve(facts.backup.as_ref(), || absent(context), found) {
        same_cluster(restore, backup, found);
    }
}

fn absent(context: &Context) -> Finding {
    let severity = context.absent(Kinds::Restore);
    let message = match severity {
        Severity::Warn => "no such CassandraBackup in this namespace yet; the restore needs it",
        Severity::Deny => {
            "the restore takes location, tag and credentials from this CassandraBackup and there is none in its \
             namespace; apply the backup first (Flux dependsOn, an Argo CD sync wave, a Helm hook or a release of \
             its own)"
        }
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
