//! The connections that the network policies allow, port by port.

use serde_json::{Value, json};

use crate::{find, kustomize, strings};

/// The port of the Icarus sidecar.
const ICARUS: u64 = 4567;

/// Returns true if these rules allow every peer this port.
fn all_peers_may(rules: &Value, protocol: &str, port: u64) -> bool {
    rules
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["from"].is_null() && rule["to"].is_null())
        .flat_map(|rule| rule["ports"].as_array().unwrap())
        .any(|range| {
            let first = range["port"].as_u64();
            let last = range["endPort"].as_u64().or(first);
            range["protocol"].as_str().unwrap_or("TCP") == protocol
                && first.is_some_and(|first| first <= port)
                && last.is_some_and(|last| port <= last)
        })
}

#[test]
fn every_client_may_call_the_webhook_and_every_pod_the_admin_port() {
    let base = kustomize("base");
    let policy = &find(&base, "NetworkPolicy", "cassgate")["spec"];
    let deployment = find(&base, "Deployment", "cassgate");
    assert_eq!(
        policy["podSelector"]["matchLabels"],
        deployment["spec"]["selector"]["matchLabels"]
    );
    let expected = json!([
        {"ports": [{"port": "webhook"}]},
        {"from": [{"namespaceSelector": {}}], "ports": [{"port": "admin"}]},
    ]);
    assert_eq!(policy["ingress"], expected);
}

#[test]
fn cassgate_may_call_dns_and_the_api_server_and_as_executor_the_sidecars() {
    let egress =
        |folder: &str| find(&kustomize(folder), "NetworkPolicy", "cassgate")["spec"]["egress"].clone();
    let gate = egress("base");
    assert!(all_peers_may(&gate, "UDP", 53) && all_peers_may(&gate, "TCP", 53));
    for port in [443, 6443] {
        assert!(all_peers_may(&gate, "TCP", port), "{port}");
    }
    for port in [22, 80, ICARUS, 9042] {
        assert!(!all_peers_may(&gate, "TCP", port), "{port}");
    }
    let executor = egress("overlays/executor");
    let (last, others) = executor.as_array().unwrap().split_last().unwrap();
    assert_eq!(json!(others), gate);
    let cassandra =
        json!([{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "cassandracluster"}}}]);
    assert_eq!(last, &json!({"to": cassandra, "ports": [{"port": ICARUS}]}));
}

/// A policy that selects a pod denies everything that it does not list, and Cassandra needs its other ports.
#[test]
fn the_policy_for_cassandra_restricts_the_port_of_the_sidecar_only() {
    let policy = &kustomize("components/executor/cassandra")[0]["spec"];
    assert_eq!(strings(&policy["policyTypes"]), ["Ingress"]);
    let ingress = &policy["ingress"];
    for port in 1..=u64::from(u16::MAX) {
        assert_eq!(all_peers_may(ingress, "TCP", port), port != ICARUS, "TCP {port}");
        assert!(all_peers_may(ingress, "UDP", port), "UDP {port}");
    }
    let sidecars: Vec<&Value> = ingress
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| !rule["from"].is_null())
        .collect();
    let [rule] = sidecars[..] else {
        panic!("{sidecars:?}")
    };
    assert_eq!(rule["ports"], json!([{"port": ICARUS}]));
    let cassgate = kustomize("base");
    let pods = &find(&cassgate, "Deployment", "cassgate")["spec"]["selector"];
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": "cassgate-system"}});
    let peers = json!([
        {"namespaceSelector": here, "podSelector": pods},
        {"podSelector": policy["podSelector"]},
    ]);
    assert_eq!(rule["from"], peers);
}
