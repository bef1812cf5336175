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

use crate::api::Phase;
use crate::icarus::SidecarApi;
use crate::reconcile::observe::{MAX_CONCURRENT_REQUESTS, sidecar_address};
use crate::reconcile::plan::{Request, Task};

/// The timeout of the check. A healthy node answers `/topology` within six seconds (observed), and the rest of the time
/// in which a request may still arrive has to be enough for the request itself.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(15);

/// Asks the sidecar of every node that gets or gives a part of its own, and returns the reason why a request must not be
/// sent, by host id.
pub(super) async fn mismatches<S: SidecarApi>(
    sidecars: &S,
    requests: &[Request],
) -> BTreeMap<String, String> {
    let checked = requests.iter().filter(|request| concerns_own_part(&request.task));
    let checks = checked.map(|request| async {
        // An address that is not valid has an error of its own later.
        let address = sidecar_address(&request.address)?;
        let reason = mismatch(sidecars, address, &request.host_id).await?;
        Some((request.host_id.clone(), format!("{}: {reason}", request.pod)))
    });
    // A list of futures, because a stream over the closure needs more general lifetimes than the compiler can prove.
    let checks: Vec<_> = checks.collect();
    let mismatches = stream::iter(checks).buffer_unordered(MAX_CONCURRENT_REQUESTS);
    mismatches.filter_map(std::future::ready).collect().await
}

/// Returns false for a request that has the same effect from every node of the ring: `TRUNCATE` acts on all nodes, and a
/// removal acts on the bucket.
fn concerns_own_part(task: &Task) -> bool {
    !matches!(task, Task::Phase(Phase::Truncate) | Task::Remove)
}

/// Returns the reason why the sidecar at `address` is not known to be that of `host_id`; `None` if it is.
async fn mismatch<S: SidecarApi>(sidecars: &S, address: SocketAddr, host_id: &str) -> Option<String> {
    let ring = match sidecars.topology(address, IDENTITY_TIMEOUT).await {
        Ok(ring) => ring,
        Err(error) => return Some(format!("its sidecar does not report its host id: {error}")),
    };
    let mut reported = ring.nodes.iter().filter(|node| node.address == address.ip());
    match (reported.next(), reported.next()) {
        (Some(node), None) if node.host.as_str() == host_id => None,
        (Some(node), None) => Some(format!(
            "its sidecar at {} reports the host id {}, not {host_id}: the addresses of the pods have changed; nothing was \
             sent, and the address is looked up again",
            address.ip(),
            node.host
        )),
        (Some(_), Some(_)) => Some(format!(
            "its sidecar reports several nodes with its address {}; nothing was sent, and the address is looked up again",
            address.ip()
        )),
        (None, _) => Some(format!(
            "its sidecar reports no node with its address {}; nothing was sent, and the address is looked up again",
            address.ip()
        )),
    }
}
