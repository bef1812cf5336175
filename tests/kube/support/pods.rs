//! The pods of a ring of cluster `c1` as API objects. Nothing runs in them: a test reports what a kubelet would.

use std::net::IpAddr;

use serde_json::json;

use super::kubectl::Kubectl;

/// The name of the pod of a node.
pub(crate) fn name(node: usize) -> String {
    format!("c1-dc1-rack1-{node}")
}

/// Creates the pod of a node, with the labels and containers of CassKop's.
pub(crate) fn create(kubectl: &Kubectl, node: usize) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name(node),
            "labels": { "app": "cassandracluster", "cassandracluster": "c1" },
        },
        "spec": { "containers": [
            { "name": "cassandra", "image": "cassandra" },
            { "name": "backrest-sidecar", "image": "icarus" },
        ] },
    });
    kubectl.apply(&pod.to_string()).succeeds();
}

/// Reports that the pod of a node runs at this address, and how often Cassandra and the sidecar were restarted.
pub(crate) fn report(kubectl: &Kubectl, node: usize, address: IpAddr, (cassandra, sidecar): (u32, u32)) {
    let container = |name: &str, restarts: u32| {
        json!({
            "name": name, "image": "x", "imageID": "x", "ready": true, "restartCount": restarts,
            "containerID": format!("containerd://{name}-{node}-{restarts}"),
            "state": { "running": { "startedAt": "2026-11-22T00:00:00Z" } },
        })
    };
    let status = json!({ "status": {
        "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }],
        "containerStatuses": [container("cassandra", cassandra), container("backrest-sidecar", sidecar)],
    } });
    let (pod, patch) = (name(node), status.to_string());
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
