//! The pods of a ring as API objects. No process runs in them: a test reports what a kubelet would.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::kubectl::Kubectl;

/// Returns the pod name of a node.
pub(crate) fn name_in(cluster: &str, node: usize) -> String {
    format!("{cluster}-dc1-rack1-{node}")
}

/// Returns the pod of a node with CassKop's labels and containers.
pub(crate) fn pod(cluster: &str, node: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name_in(cluster, node),
            "labels": { "app": "cassandracluster", "cassandracluster": cluster },
        },
        "spec": { "containers": [
            { "name": "cassandra", "image": "cassandra" },
            { "name": "backrest-sidecar", "image": "icarus" },
        ] },
    })
}

/// Returns a kubelet's report about a pod with this address and these restart counts of Cassandra and sidecar.
pub(crate) fn reported(address: IpAddr, (cassandra, sidecar): (u32, u32)) -> Value {
    let container = |name: &str, restarts: u32| {
        json!({
            "name": name, "image": "x", "imageID": "x", "ready": true, "restartCount": restarts,
            "containerID": format!("containerd://{name}-{address}-{restarts}"),
            "state": { "running": { "startedAt": "2026-11-22T00:00:00Z" } },
        })
    };
    json!({ "status": {
        "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }],
        "containerStatuses": [container("cassandra", cassandra), container("backrest-sidecar", sidecar)],
    } })
}

/// Creates the pod of a node of cluster `c1`.
pub(crate) fn create(kubectl: &Kubectl, node: usize) {
    create_in(kubectl, "c1", node);
}

/// Creates the pod of a node.
pub(crate) fn create_in(kubectl: &Kubectl, cluster: &str, node: usize) {
    kubectl.apply(&pod(cluster, node).to_string()).succeeds();
}

/// Reports that the pod of a node of cluster `c1` is running, with [`reported`].
pub(crate) fn report(kubectl: &Kubectl, node: usize, address: IpAddr, restarts: (u32, u32)) {
    report_in(kubectl, "c1", node, address, restarts);
}

/// Reports that the pod of a node is running, with [`reported`].
pub(crate) fn report_in(
    kubectl: &Kubectl,
    cluster: &str,
    node: usize,
    address: IpAddr,
    restarts: (u32, u32),
) {
    let (pod, patch) = (name_in(cluster, node), reported(address, restarts).to_string());
    let arguments = [
        "patch",
        "pod",
        &pod,
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ];
    kubectl.run(&arguments).succeeds();
}
