//! The cluster and the datacenter that an object names.

use crate::api::MISSING_REFERENCES_LABEL;
use crate::domain::image::Version;

use super::reference::Named;
use crate::api::Kind;
use crate::rules::catalogue::{
    CLUSTER_NOT_FOUND, CLUSTER_NOT_READY, CLUSTER_TERMINATING, DATACENTER_UNKNOWN, Rule, SIDECAR_DISABLED,
    SIDECAR_VERSION_UNUSABLE, Severity,
};
use crate::rules::facts::{Cluster, Facts};
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::{Context, Executor};
use crate::rules::subject::Subject;

const PATH: &str = "spec.cassandraCluster";

pub(super) fn judge(subject: &Subject, facts: &Facts, context: &Context, found: &mut Findings) {
    let name = subject.cluster();
    let named = Named {
        rule: &CLUSTER_NOT_FOUND,
        path: PATH,
        kind: "CassandraCluster",
        name,
    };
    if let Some(cluster) = named.resolve(facts.cluster.as_ref(), || absent(subject, facts, context), found) {
        let remark = |rule, message| remark(name, rule, message);
        if cluster.terminating {
            let message = "this cluster is being deleted, and its pods with it; wait until it is there again";
            found.push(remark(&CLUSTER_TERMINATING, message.to_owned()));
        }
        if let Some(why) = &cluster.unready {
            let effect = match subject.kind() {
                Kind::Restore => "a restore needs every node up and normal",
                Kind::Backup => "a backup covers the nodes of that moment",
            };
            let message = format!("this cluster is not ready: {why}; {effect}; wait until CassKop is done");
            found.push(remark(&CLUSTER_NOT_READY, message));
        }
        sidecar_runs(name, cluster, found);
        found
            .extend(sidecar_fits(cluster, context).map(|message| remark(&SIDECAR_VERSION_UNUSABLE, message)));
        datacenter_exists(subject, cluster, found);
    }
}

fn remark(name: &str, rule: &'static Rule, message: String) -> Finding {
    Finding::warn(rule, PATH, Cause::Invalid, message)
        .value(name)
        .about("CassandraCluster", name)
}

/// The first Cassandra whose data directory Icarus 1.x cannot read: `system/_paxos_repair_state` came with it.
const UNREADABLE_FOR_1: Version = Version {
    major: 4,
    minor: 1,
    patch: 0,
};

/// What does not go together, as far as the two images tell.
fn sidecar_fits(cluster: &Cluster, context: &Context) -> Option<String> {
    let sidecar = cluster.sidecar.version()?;
    let late = cluster.cassandra.filter(|version| *version >= UNREADABLE_FOR_1);
    let refuses_casskop = context.casskop_acts() && cluster.sidecar.takes_casskops_requests() == Some(false);
    let message = match late {
        Some(cassandra) if sidecar.major < 2 => {
            let way_out = if context.casskop_acts() {
                "no sidecar goes with both CassKop and this Cassandra: use Icarus 2.0.4 and let cassgate act"
            } else {
                "use Icarus 2.0.4"
            };
            format!(
                "its sidecar is Icarus {sidecar}, which cannot read the data directory of Cassandra {cassandra}: every \
                 operation fails; {way_out}"
            )
        }
        _ if refuses_casskop => {
            let way_out = if late.is_some() {
                "let cassgate act"
            } else {
                "use Icarus 1.1.3, or let cassgate act"
            };
            format!(
                "its sidecar is Icarus {sidecar}, which demands dataDirs, and CassKop does not send it: every operation \
                 fails; {way_out}"
            )
        }
        _ => return None,
    };
    Some(message)
}

fn absent(subject: &Subject, facts: &Facts, context: &Context) -> Finding {
    let noun = subject.noun();
    let severity = context.absent(subject.kind(), facts);
    let consequence = match (subject.kind(), context.policy.executor) {
        (Kind::Backup, Executor::Casskop) => "; CassKop would give the backup up for ever",
        (_, Executor::Casskop) => "; CassKop would ask for it for ever",
        _ => "",
    };
    let message = match severity {
        Severity::Warn => format!("no such CassandraCluster in this namespace yet; the {noun} needs it"),
        Severity::Deny => format!(
            "the {noun} needs this CassandraCluster and there is none in its namespace{consequence}; apply the \
             cluster first (Flux dependsOn, an Argo CD sync wave, a Helm hook or a release of its own), or label the \
             namespace {MISSING_REFERENCES_LABEL}=warn"
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
        Kind::Restore => (
            Severity::Warn,
            format!("cluster {name} has {known} here; right only if another cluster of its ring has it"),
        ),
        Kind::Backup => (
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
