use std::net::Ipv4Addr;

use tokio::time::timeout;

use super::*;

const LONG: Duration = Duration::from_hours(1);

fn address(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 0, high, low).into()
}

/// Takes every slot, each connection from an address of its own.
async fn full(max_connections: u16) -> (Peers, Vec<Slot>) {
    let peers = Peers::new(max_connections.into());
    let mut slots = Vec::new();
    for number in 0..max_connections {
        slots.push(connected(&peers, address(number)).await);
    }
    sleep(EVICTION_GRACE).await;
    (peers, slots)
}

async fn connected(peers: &Peers, address: IpAddr) -> Slot {
    let slot = peers.slot(address).await.unwrap();
    slot.peer().record_reading();
    slot
}

/// Answers one request of a connection.
fn answered(slot: &Slot) {
    slot.peer().record_hello();
    drop(slot.peer().start_request());
}

/// Returns the index of the connection that a new one evicts.
async fn evicted(peers: &Peers, slots: &[Slot]) -> Option<usize> {
    drop(timeout(EVICTION_GRACE / 2, peers.slot(address(200))).await);
    slots.iter().position(|slot| slot.peer().evicted().is_cancelled())
}

#[tokio::test(start_paused = true)]
async fn a_free_slot_is_used_at_once_without_an_eviction() {
    let peers = Peers::new(2);
    let first = peers.slot(address(1)).await.unwrap();
    drop(peers.slot(address(1)).await);
    let _second = peers.slot(address(1)).await.unwrap();
    assert!(!first.peer().evicted().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn the_connection_that_has_waited_longest_without_a_hello_is_evicted_first() {
    let (peers, slots) = full(3).await;
    slots[0].peer().record_hello();
    assert_eq!(evicted(&peers, &slots).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn then_a_connection_without_a_response_is_evicted_although_a_body_arrives() {
    let (peers, slots) = full(3).await;
    for slot in &slots {
        slot.peer().record_hello();
    }
    drop(slots[0].peer().start_request());
    let _arriving = slots[1].peer().start_request();
    assert_eq!(evicted(&peers, &slots).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn then_a_connection_with_a_slow_body_is_evicted_although_it_was_answered_before() {
    let (peers, slots) = full(3).await;
    slots.iter().for_each(answered);
    let _in_flight = (slots[1].peer().start_request(), slots[1].peer().start_body());
    let _busy = slots[2].peer().start_request();
    sleep(EVICTION_GRACE).await;
    answered(&slots[0]);
    sleep(EVICTION_GRACE).await;
    assert_eq!(evicted(&peers, &slots).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn then_the_connection_that_has_been_idle_longest_is_evicted() {
    let (peers, slots) = full(3).await;
    for slot in [&slots[2], &slots[0], &slots[1]] {
        answered(slot);
        sleep(EVICTION_GRACE).await;
    }
    assert_eq!(evicted(&peers, &slots).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_busy_connection_that_was_answered_before_is_not_evicted() {
    let (peers, slots) = full(2).await;
    slots.iter().for_each(answered);
    let in_flight = [slots[0].peer().start_request(), slots[1].peer().start_request()];
    assert!(timeout(LONG, peers.slot(address(200))).await.is_err());
    assert_eq!(evicted(&peers, &slots).await, None);
    drop(in_flight);
    sleep(EVICTION_GRACE).await;
    assert_eq!(evicted(&peers, &slots).await, Some(0));
}

#[tokio::test(start_paused = true)]
async fn no_connection_is_evicted_before_its_grace_has_passed() {
    let peers = Peers::new(1);
    let slot = peers.slot(address(1)).await.unwrap();
    assert!(timeout(LONG, peers.slot(address(2))).await.is_err());
    assert!(!slot.peer().evicted().is_cancelled(), "its task has not started");
    slot.peer().record_reading();
    assert!(timeout(EVICTION_GRACE / 2, peers.slot(address(2))).await.is_err());
    assert!(!slot.peer().evicted().is_cancelled());
    assert!(timeout(EVICTION_GRACE, peers.slot(address(2))).await.is_ok());
    assert!(slot.peer().evicted().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn one_connection_is_evicted_for_one_new_connection() {
    let (peers, slots) = full(3).await;
    let _fourth = connected(&peers, address(4)).await;
    let evicted = slots.iter().filter(|slot| slot.peer().evicted().is_cancelled());
    assert_eq!(evicted.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn new_connections_do_not_wait_for_each_other_while_many_silent_ones_are_evicted() {
    let (peers, silent) = full(200).await;
    let begun = Instant::now();
    let mut honest = Vec::new();
    for number in 0..CLOSING {
        let number = 1_000 + u16::try_from(number).unwrap();
        honest.push(connected(&peers, address(number)).await);
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(
        silent
            .iter()
            .take(CLOSING)
            .all(|slot| slot.peer().evicted().is_cancelled())
    );
}

#[tokio::test(start_paused = true)]
async fn an_address_with_more_than_its_share_loses_its_own_silent_connections_first() {
    let peers = Peers::new(16);
    let api_server = connected(&peers, address(1)).await;
    answered(&api_server);
    let mut flood = Vec::new();
    for _ in 0..200 {
        let slot = connected(&peers, address(2)).await;
        sleep(EVICTION_GRACE).await;
        // The task of an evicted connection ends.
        flood.retain(|slot: &Slot| !slot.peer().evicted().is_cancelled());
        flood.push(slot);
    }
    assert!(!api_server.peer().evicted().is_cancelled());
    assert!(peers.slot(address(1)).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_address_whose_connections_all_have_a_hello_gets_no_more_than_the_free_ones() {
    let peers = Peers::new(16);
    let api_server = connected(&peers, address(1)).await;
    answered(&api_server);
    let mut flood = Vec::new();
    for _ in 0..200 {
        if let Some(slot) = peers.slot(address(2)).await {
            slot.peer().record_reading();
            answered(&slot);
            flood.push(slot);
        }
    }
    assert_eq!(flood.len(), 15);
    sleep(EVICTION_GRACE).await;
    let another = peers.slot(address(3)).await.unwrap();
    assert!(!api_server.peer().evicted().is_cancelled());
    let evicted = |slot: &&Slot| slot.peer().evicted().is_cancelled();
    assert_eq!(flood.iter().filter(evicted).count(), 1);
    drop((another, flood.pop()));
    assert!(peers.slot(address(2)).await.is_some(), "a slot is free again");
}

#[tokio::test(start_paused = true)]
async fn addresses_within_their_share_lose_the_connection_with_the_least_progress() {
    let peers = Peers::new(64);
    let mut slots = Vec::new();
    for number in 0..64 {
        slots.push(connected(&peers, address(number / 4)).await);
    }
    slots.iter().take(8).for_each(answered);
    sleep(EVICTION_GRACE).await;
    assert_eq!(evicted(&peers, &slots).await, Some(8));
}
