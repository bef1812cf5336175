//! The cluster and the datacenter that an object names.

use super::catalogue::{CLUSTER_NOT_FOUND, DATACENTER_UNKNOWN, Kinds, SIDECAR_DISABLED, Severity};
use super::facts::{Cluster, Facts};
use super::finding::{Cause, Finding, Findings};
use super::policy::{Context, Executor};
use super::reference::Named;
use super::subject::Subject;

const PATH: &str = "spec.cassandraCluster";

pub(super) fn judge(subject: &Subject, facts: &Facts, context: &Context, found: &mut Findings) {
    let name = subject.cluster();
    let named = Named {
        rule: &CLUSTER_NOT_FOUND,
        path: PATH,
        kind: "CassandraCluster",
        name,
    };
    if let Some(cluster) = named.resolve(facts.cluster.as_ref(), || absent(subject, context), found) {
        sidecar_runs(name, cluster, found);
        datacenter_exists(subject, cluster, found);
    }
}

fn absent(subject: &Subject, context: &Context) -> Finding {
    let noun = subject.noun();
    let severity = context.absent(subject.kind());
    let consequence = match (subject.kind(), context.policy.executor) {
        (Kinds::Backup, Executor::Casskop) => "; CassKop would give the backup up for ever",
        (_, Executor::Casskop) => "; CassKop would ask for it for ever",
        _ => "",
    };
    let message = match severity {
        Severity::Warn => format!("no such CassandraCluster in this namespace yet; the {noun} needs it"),
        Severity::Deny => format!(
            "the {noun} needs this CassandraCluster and there is none in its namespace{consequence}; apply the \
             cluster first (Flux dependsOn, an Argo CD sync wave, a Helm hook or a release of its own)"
        ),
    };
    Finding::deny(&CLUSTER_NOT_FOUND, PATH, Cause::NotFound, message).severity(severity)
}

fn sidecar_runs(name: &str, cluster: &Cluster, found: &mut Findings) {
    if cluster.sidecar_enabled {
        return;
    }
    let message = "this cluster runs without the sidecar that takes backups and restores \
                   (spec.backRestSidecar.enabled is false); enable it in the CassandraCluster first";
    found.push(
        Finding::deny(&SIDECAR_DISABLED, PATH, Cause::Invalid, message)
            .value(name)
            .about("CassandraCluster", name),
    );
}

fn datacenter_exists(subject: &Subject, cluster: &Cluster, found: &mut Findings) {
    let Some(datacenter) = subject.datacenter() else {
        return;
    };
    if cluster.datacenters.iter().any(|known| known == datacenter) {
        return;
    }
    let name = subject.cluster();
    let known = cluster.datacenters.join(", ");
    let (severity, message) = match subject.kind() {
        Kinds::Restore => (
            Severity::Warn,
            format!("cluster {name} has {known} here; right only if another cluster of its ring has it"),
        ),
        _ => (
            Severity::Deny,
            format!(
                "cluster {name} has {known}, and no pod to take the backup would be found; name one of them, or \
                 leave the field out for all"
            ),
        ),
    };
    found.push(
        Finding::deny(&DATACENTER_UNKNOWN, "spec.datacenter", Cause::NotFound, message)
            .severity(severity)
            .value(datacenter)
            .about("CassandraCluster", name),
    );
}
