//! The identity of nodes, and the lease, at the time of a request.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::world::{BACKUPS, World, backup};

/// The pods of two nodes restart and get each other's address, and the nodes that are asked for the ring have not
/// noticed. A request would upload the data of one node into the folder of the other.
#[tokio::test(start_paused = true)]
async fn nodes_that_swapped_their_addresses_get_no_request_for_each_other() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 4);
    let [two, three] = world.swap_addresses("c1", [2, 3]);
    world.server.put(BACKUPS, backup("nightly", "c1"));
    world
        .run(async {
            sleep(Duration::from_mins(1)).await;
            let uploads = world.sidecars.uploads();
            assert_eq!(uploads.len(), 2, "{uploads:#?}");
            assert!(uploads.iter().all(|upload| upload.host != two.host && upload.host != three.host));
            let status = world.server.get(BACKUPS, "nightly")["status"].to_string();
            let reason = format!(
                "its sidecar at {} reports the host id {}, not {}: the addresses of the pods have changed; nothing was \
                 sent, and the address is looked up again",
                two.address, three.host, two.host
            );
            assert!(status.contains(&reason), "{status}");
            world.sidecars.gossip();
            world.until(BACKUPS, "nightly", "COMPLETED").await;
            for upload in world.sidecars.uploads() {
                assert!(upload.location.contains(upload.host.as_str()), "{upload:?}");
            }
            assert_eq!(world.sidecars.uploads().len(), 4);
        })
        .await;
}

/// The reconcile of an object is a task of its own, which may run on when the lease is over.
#[tokio::test(start_paused = true)]
async fn a_reconcile_that_lost_the_lease_writes_nothing() {
    let world = World::new(Duration::from_secs(1));
    world.cluster("c1", 2);
    world.server.put(BACKUPS, backup("nightly", "c1"));
    let (slept, lease) = (Arc::clone(&world.slept), world.lease.clone());
    // The machine sleeps, and another replica takes the lease meanwhile.
    world.sidecars.at_next_request(move || {
        *slept.lock().unwrap() += Duration::from_mins(1);
        lease.take();
    });
    world
        .run(async {
            sleep(Duration::from_secs(3)).await;
            assert!(!world.slept.lock().unwrap().is_zero(), "it was under way");
            let (_, writes) = world.server.requests();
            assert_eq!(writes, Vec::<String>::new());
            assert_eq!(world.sidecars.uploads().len(), 0);
            // The other replica is silent, so this one leads again after the lease and the longest request.
            world.until(BACKUPS, "nightly", "COMPLETED").await;
            assert_eq!(world.sidecars.uploads().len(), 2);
        })
        .await;
}
