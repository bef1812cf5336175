//! The backup that a restore names, and the cluster and datacenter that both must share.

use crate::api::MISSING_REFERENCES_LABEL;

use super::reference::NamedReference;
use super::storage;
use crate::api::Kind;
use crate::rules::catalogue::{BACKUP_NOT_FOUND, CLUSTER_MISMATCH, DATACENTER_NOT_IN_BACKUP, Severity};
use crate::rules::facts::{Facts, StoredBackup};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Restore, non_empty};

const PATH: &str = "spec.cassandraBackup";
const DATACENTER: &str = "spec.datacenter";

/// Denies a restore whose backup is missing, and checks the restore against its backup otherwise.
///
/// CassKop looks up the backup in the restore's namespace and retries without end while it is missing.
pub(super) fn check(restore: &Restore, facts: &Facts, context: &Context, findings: &mut Findings) {
    let reference = NamedReference {
        rule: &BACKUP_NOT_FOUND,
        path: PATH,
        kind: "CassandraBackup",
        name: restore.spec.cassandra_backup.as_str(),
    };
    let absent = || absent(facts, context);
    if let Some(backup) = reference.resolve(facts.backup.as_ref(), absent, findings) {
        findings.extend(another_cluster(restore, backup, context));
        findings.extend(another_datacenter(restore, backup, facts));
        findings.extend(storage::lost_provider_of_backup(restore, backup, facts));
    }
}

fn absent(facts: &Facts, context: &Context) -> Finding {
    let severity = context.missing_reference_severity(Kind::Restore, facts);
    let message = match severity {
        Severity::Warn => {
            "the restore needs this CassandraBackup, which is not in this namespace yet".to_owned()
        }
        Severity::Deny => format!(
            "the restore takes location, tag and credentials from this CassandraBackup, which is not in this namespace; \
             apply the backup first (Flux dependsOn, an Argo CD sync wave, a Helm hook or a separate release), or label \
             the namespace {MISSING_REFERENCES_LABEL}=warn"
        ),
    };
    Finding::deny(&BACKUP_NOT_FOUND, PATH, Cause::NotFound, message).severity(severity)
}

/// Denies a restore into another cluster than that of its backup.
///
/// A sidecar searches under `<bucket>/<cluster>/<datacenter>/<host id>` of the cluster that it runs in. With cassgate as
/// executor the folder comes from `clusterName` and `nodes` of a backup that describes a bucket.
fn another_cluster(restore: &Restore, backup: &StoredBackup, context: &Context) -> Option<Finding> {
    let coverage = restore.coverage(backup);
    let (requested, original) = (restore.spec.cassandra_cluster.as_str(), coverage.cluster());
    let describes = backup.spec.describes_bucket() && !context.casskop_acts();
    if requested == original || (describes && backup.spec.cluster_name.is_some()) {
        return None;
    }
    let name = &backup.name;
    let remedy = if describes {
        format!("write clusterName in backup {name}, the name of the cluster's folder in the bucket")
    } else {
        format!("restore into {original}")
    };
    let message = format!(
        "{coverage} is of cluster {original}; a sidecar finds only backups of its own cluster; {remedy}"
    );
    Some(
        Finding::deny(
            &CLUSTER_MISMATCH,
            "spec.cassandraCluster",
            Cause::Invalid,
            message,
        )
        .value(requested)
        .related_object("CassandraBackup", &backup.name),
    )
}

/// Denies a restore of a datacenter that its backup does not cover.
///
/// Every node searches for its own manifest under its datacenter. Observed on a ring of two datacenters: a restore
/// without `datacenter` from a backup of dc1 fails in its first phase, since dc2 has no manifest.
fn another_datacenter(restore: &Restore, backup: &StoredBackup, facts: &Facts) -> Option<Finding> {
    let coverage = restore.coverage(backup);
    let covered = coverage.datacenter()?;
    let finding = match non_empty(restore.spec.datacenter.as_deref()) {
        Some(requested) if requested != covered => {
            let message = format!(
                "{coverage} covers only datacenter {covered}, and the nodes of {requested} find nothing in it; write \
                 {covered} (this empties the tables in all datacenters; in the others they stay empty until a repair), \
                 or restore a backup that covers {requested}"
            );
            Finding::deny(&DATACENTER_NOT_IN_BACKUP, DATACENTER, Cause::Invalid, message).value(requested)
        }
        Some(_) => return None,
        None => {
            let others = facts.found_cluster().map(|cluster| {
                let others = cluster.datacenters.iter().filter(|dc| *dc != covered);
                others.map(String::as_str).collect::<Vec<_>>().join(", ")
            });
            let others = others.filter(|others| !others.is_empty())?;
            let message = format!(
                "{coverage} covers only datacenter {covered}, but the restore covers the whole ring: the nodes of \
                 {others} find nothing, and the restore fails; write {covered} (this empties the tables in {others} too, \
                 where they stay empty until a repair), or restore a backup of all datacenters"
            );
            Finding::deny(&DATACENTER_NOT_IN_BACKUP, DATACENTER, Cause::Required, message)
        }
    };
    Some(finding.related_object("CassandraBackup", &backup.name))
}
