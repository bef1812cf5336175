//! The identity of the Cassandra node behind an address, as its own sidecar reports it.
//!
//! The address of a node comes from the ring as another node sees it. When the pods of two nodes restart and swap their
//! addresses, that view may be older than the pods: a request would then reach the other node, which would upload its
//! data into the folder of the first, or import the part of the first. Every Icarus (1.1, 2.0 and 3.0) names the host
//! id of a node only in `/topology`, where a node lists its own address without delay.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::{StreamExt, stream};

use crate::icarus::SidecarApi;
use crate::reconcile::observe::{MAX_CONCURRENT_REQUESTS, sidecar_address};
use crate::reconcile::plan::{Outcome, Request};

/// The timeout of the check. A healthy node answers `/topology` within six seconds (observed), and the rest of the time
/// in which a request may still arrive has to be enough for the request itself.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(15);

/// Asks the sidecar of every request for its host id, and returns the outcome of the requests that must not be sent, by host
/// id.
///
/// A `TRUNCATE` has the same effect from every node, and a removal acts on the bucket. They are compared all the same: the
/// planner looks for the operation in the sidecar that it named, and would count it as lost.
pub(super) async fn mismatches<S: SidecarApi>(
    sidecars: &S,
    requests: &[Request],
) -> BTreeMap<String, Outcome> {
    let checks = requests.iter().map(|request| async {
        // An address that is not valid has an error of its own later.
        let address = sidecar_address(&request.address)?;
        let outcome = mismatch(sidecars, address, request).await?;
        Some((request.host_id.clone(), outcome))
    });
    // A list of futures, because a stream over the closure needs more general lifetimes than the compiler can prove.
    let checks: Vec<_> = checks.collect();
    let mismatches = stream::iter(checks).buffer_unordered(MAX_CONCURRENT_REQUESTS);
    mismatches.filter_map(std::future::ready).collect().await
}

/// Returns the outcome of a request whose sidecar at `address` is not known to be that of its node; `None` if it is.
async fn mismatch<S: SidecarApi>(sidecars: &S, address: SocketAddr, request: &Request) -> Option<Outcome> {
    let (pod, host_id) = (&request.pod, request.host_id.as_str());
    let ring = match sidecars.topology(address, IDENTITY_TIMEOUT).await {
        Ok(ring) => ring,
        Err(error) => {
            let error = format!("{pod}: its sidecar does not report its host id: {error}");
            return Some(Outcome::NotSent(error));
        }
    };
    let mut reported = ring.nodes.iter().filter(|node| node.address == address.ip());
    let reason = match (reported.next(), reported.next()) {
        (Some(node), None) if node.host.as_str() == host_id => return None,
        (Some(node), None) => format!(
            "its sidecar at {} reports the host id {}, not {host_id}: the addresses of the pods have changed; nothing was \
             sent, and the address is looked up again",
            address.ip(),
            node.host
        ),
        (Some(_), Some(_)) => format!(
            "its sidecar reports several nodes with its address {}; nothing was sent, and the address is looked up again",
            address.ip()
        ),
        (None, _) => format!(
            "its sidecar reports no node with its address {}; nothing was sent, and the address is looked up again",
            address.ip()
        ),
    };
    Some(Outcome::OtherNode(format!("{pod}: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::host_id::HostId;
    use crate::domain::node_location::Segment;
    use crate::icarus::partial::PartialSidecarApi;
    use crate::icarus::{RingNode, SidecarError, Topology};
    use crate::reconcile::plan::{Phase, Task};

    const HOST: &str = "9da86270-7a5c-4a0b-9e9b-000000000001";
    const OTHER: &str = "9da86270-7a5c-4a0b-9e9b-000000000002";

    /// A sidecar whose node has the host id `HOST`.
    struct OneSidecar;

    impl PartialSidecarApi for OneSidecar {
        async fn topology(&self, at: SocketAddr, _: Duration) -> Result<Topology, SidecarError> {
            if at.ip().to_string() == "10.0.0.9" {
                return Err(SidecarError::Unreachable("refused".to_owned()));
            }
            Ok(Topology {
                cluster: Segment::parse("lab").unwrap(),
                schema: None,
                nodes: vec![RingNode {
                    host: HostId::parse(HOST).unwrap(),
                    datacenter: Segment::parse("dc1").unwrap(),
                    address: "10.0.0.1".parse().unwrap(),
                }],
            })
        }
    }

    async fn outcome(task: Task, host_id: &str, address: &str) -> Option<Outcome> {
        let request = Request {
            pod: "c1-dc1-rack1-0".to_owned(),
            address: address.to_owned(),
            host_id: host_id.to_owned(),
            task,
        };
        mismatches(&OneSidecar, &[request]).await.remove(host_id)
    }

    #[tokio::test]
    async fn no_request_of_any_kind_reaches_the_sidecar_of_another_node() {
        let tasks = [
            Task::Backup { with_topology: true },
            Task::Remove,
            Task::Refresh {
                table: "k1.t1".to_owned(),
            },
            Task::Cleanup { keep_truncated: true },
        ];
        let phases = [Phase::Init, Phase::Download, Phase::Truncate, Phase::Import].map(Task::Phase);
        for task in tasks.into_iter().chain(phases) {
            assert_eq!(outcome(task.clone(), HOST, "10.0.0.1").await, None, "{task:?}");
            let expected = format!(
                "c1-dc1-rack1-0: its sidecar at 10.0.0.1 reports the host id {HOST}, not {OTHER}: the addresses of the pods \
                 have changed; nothing was sent, and the address is looked up again"
            );
            assert_eq!(
                outcome(task.clone(), OTHER, "10.0.0.1").await,
                Some(Outcome::OtherNode(expected)),
                "{task:?}"
            );
            let silent = outcome(task.clone(), HOST, "10.0.0.9").await;
            assert!(
                matches!(&silent, Some(Outcome::NotSent(_))),
                "{task:?}: {silent:?}"
            );
        }
    }
}
