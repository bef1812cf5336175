//! The cluster and the datacenter of a backup or restore.

use crate::api::MISSING_REFERENCES_LABEL;
use crate::domain::image::Version;

use super::reference::NamedReference;
use crate::api::Kind;
use crate::rules::catalogue::{
    CLUSTER_LABELS_NOT_ON_PODS, CLUSTER_NOT_FOUND, CLUSTER_NOT_READY, CLUSTER_TERMINATING,
    DATACENTER_UNKNOWN, Rule, SIDECAR_DISABLED, SIDECAR_VERSION_UNUSABLE, Severity,
};
use crate::rules::facts::{Cluster, Facts};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::{Context, Executor};
use crate::rules::subject::Subject;

const PATH: &str = "spec.cassandraCluster";

/// Denies an object whose cluster is missing, and checks the object against its cluster otherwise.
///
/// CassKop looks up the cluster in the object's namespace. It gives a backup up after the first miss and retries a
/// restore without end.
pub(super) fn check(subject: &Subject, facts: &Facts, context: &Context, findings: &mut Findings) {
    let name = subject.cluster();
    let reference = NamedReference {
        rule: &CLUSTER_NOT_FOUND,
        path: PATH,
        kind: "CassandraCluster",
        name,
    };
    let absent = || absent(subject, facts, context);
    let Some(cluster) = reference.resolve(facts.cluster.as_ref(), absent, findings) else {
        return;
    };
    if cluster.terminating {
        let message = "this cluster and its pods are being deleted; name another cluster, or wait until it has been created again";
        findings.push(warning(name, &CLUSTER_TERMINATING, message.to_owned()));
    }
    findings.extend(not_ready(subject, cluster));
    findings.extend(sidecar_disabled(name, cluster));
    findings.extend(
        unusable_sidecar_version(cluster, context)
            .map(|message| warning(name, &SIDECAR_VERSION_UNUSABLE, message)),
    );
    findings.extend(unknown_datacenter(subject, cluster));
    findings.extend(labels_without_pod(subject, facts));
}

fn warning(cluster: &str, rule: &'static Rule, message: String) -> Finding {
    Finding::warn(rule, PATH, Cause::Invalid, message)
        .value(cluster)
        .related_object("CassandraCluster", cluster)
}

/// Warns if the cluster is starting or CassKop is changing it.
///
/// Before a restore Icarus requires every node to be up and NORMAL, and one schema version on all nodes.
fn not_ready(subject: &Subject, cluster: &Cluster) -> Option<Finding> {
    let reason = cluster.unready.as_ref()?;
    let consequence = match subject.kind() {
        Kind::Restore => "a restore needs every node up and normal",
        Kind::Backup => "a backup covers only the nodes of that moment",
    };
    let message =
        format!("this cluster is not ready: {reason}; {consequence}; wait until CassKop has finished");
    Some(warning(subject.cluster(), &CLUSTER_NOT_READY, message))
}

/// The first Cassandra version whose data directory Icarus 1.x cannot read, because of `system/_paxos_repair_state`.
const UNREADABLE_BY_ICARUS_1: Version = Version {
    major: 4,
    minor: 1,
    patch: 0,
};

/// Returns a message if the sidecar does not work with the cluster's Cassandra or with CassKop.
///
/// Icarus 1.x fails on the data directory of Cassandra 4.1 and later (observed on 4.1.10 and 5.0.9). Icarus requires
/// `dataDirs` from 2.0.1 on, which CassKop does not send. Nothing is reported if an image tag shows no version.
fn unusable_sidecar_version(cluster: &Cluster, context: &Context) -> Option<String> {
    let sidecar = cluster.sidecar.version()?;
    let unreadable = cluster
        .cassandra
        .filter(|version| *version >= UNREADABLE_BY_ICARUS_1);
    let rejects_casskop = context.casskop_acts() && cluster.sidecar.accepts_casskop_requests() == Some(false);
    let message = match unreadable {
        Some(cassandra) if sidecar.major < 2 => {
            let remedy = if context.casskop_acts() {
                "no sidecar works with both CassKop and this Cassandra: use Icarus 2.0.4 and cassgate as executor"
            } else {
                "use Icarus 2.0.4"
            };
            format!(
                "its sidecar is Icarus {sidecar}, which cannot read the data directory of Cassandra {cassandra}: every \
                 operation fails; {remedy}"
            )
        }
        _ if rejects_casskop => {
            let remedy = if unreadable.is_some() {
                "use cassgate as executor"
            } else {
                "use Icarus 1.1.3, or cassgate as executor"
            };
            format!(
                "its sidecar is Icarus {sidecar}, which requires dataDirs, and CassKop does not send it: every operation \
                 fails; {remedy}"
            )
        }
        _ => return None,
    };
    Some(message)
}

fn absent(subject: &Subject, facts: &Facts, context: &Context) -> Finding {
    let noun = subject.noun();
    let severity = context.missing_reference_severity(subject.kind(), facts);
    let consequence = match (subject.kind(), context.policy.executor) {
        (Kind::Backup, Executor::Casskop) => "; CassKop would give the backup up and never retry it",
        (_, Executor::Casskop) => "; CassKop would retry the restore without end",
        _ => "",
    };
    let message = match severity {
        Severity::Warn => {
            format!("the {noun} needs this CassandraCluster, which is not in this namespace yet")
        }
        Severity::Deny => format!(
            "the {noun} needs this CassandraCluster, which is not in this namespace{consequence}; apply the cluster first \
             (Flux dependsOn, an Argo CD sync wave, a Helm hook or a separate release), or label the namespace \
             {MISSING_REFERENCES_LABEL}=warn"
        ),
    };
    Finding::deny(&CLUSTER_NOT_FOUND, PATH, Cause::NotFound, message).severity(severity)
}

/// Denies an object whose cluster runs without the sidecar: nothing then listens on port 4567 of its pods.
fn sidecar_disabled(name: &str, cluster: &Cluster) -> Option<Finding> {
    if cluster.sidecar_enabled {
        return None;
    }
    let message = "this cluster runs without the sidecar that runs backups and restores \
                   (spec.backRestSidecar.enabled is false); enable it in the CassandraCluster first";
    Some(
        Finding::deny(&SIDECAR_DISABLED, PATH, Cause::Invalid, message)
            .value(name)
            .related_object("CassandraCluster", name),
    )
}

/// Denies an object for which CassKop finds no pod, because the pods lack labels of the cluster. Warns of a scheduled backup,
/// which can run once the pods have the labels.
fn labels_without_pod(subject: &Subject, facts: &Facts) -> Option<Finding> {
    let lacking = facts.labels_without_pod.as_ref()?.found()?;
    if lacking.is_empty() {
        return None;
    }
    let (severity, consequence) = match subject {
        Subject::Backup(backup) if backup.schedule.is_some() => {
            (Severity::Warn, "so each run ends with \"No pods found\"")
        }
        Subject::Backup(_) => (
            Severity::Deny,
            "so the backup ends with \"No pods found\" and is never retried",
        ),
        Subject::Restore(_) => (Severity::Deny, "so the restore never begins, without an event"),
    };
    let message = format!(
        "CassKop selects pods by the labels of the CassandraCluster, and no pod has {}, {consequence}; remove the label from the \
         CassandraCluster, or wait until its pods have it",
        shortened(lacking)
    );
    let finding =
        Finding::deny(&CLUSTER_LABELS_NOT_ON_PODS, PATH, Cause::Invalid, message).severity(severity);
    let name = subject.cluster();
    Some(finding.value(name).related_object("CassandraCluster", name))
}

/// Returns the first label, and the number of the others.
fn shortened(labels: &[String]) -> String {
    let first = labels.first().map_or("", String::as_str);
    match labels.len() {
        0 | 1 => first.to_owned(),
        more => format!("{first} (and {} more)", more.saturating_sub(1)),
    }
}

/// Denies a backup of a datacenter that is not in the cluster's topology, and warns about such a restore.
///
/// CassKop selects the pods for a backup by the datacenter's name and finds none. A restore may name a datacenter of
/// the same ring that another Kubernetes cluster runs.
fn unknown_datacenter(subject: &Subject, cluster: &Cluster) -> Option<Finding> {
    let datacenter = subject.datacenter()?;
    if cluster.datacenters.iter().any(|known| known == datacenter) {
        return None;
    }
    let name = subject.cluster();
    let known = cluster.datacenters.join(", ");
    let (severity, message) = match subject.kind() {
        Kind::Restore => (
            Severity::Warn,
            format!(
                "cluster {name} has only {known} here; the restore works only if another Kubernetes cluster runs this \
                 datacenter of the ring"
            ),
        ),
        Kind::Backup => (
            Severity::Deny,
            format!(
                "cluster {name} has only {known}, so no pod would take the backup; name one of them, or leave the field \
                 out for all"
            ),
        ),
    };
    Some(
        Finding::deny(&DATACENTER_UNKNOWN, "spec.datacenter", Cause::NotFound, message)
            .severity(severity)
            .value(datacenter)
            .related_object("CassandraCluster", name),
    )
}
