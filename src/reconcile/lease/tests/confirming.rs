//! Confirmations before an action that cannot be undone.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::world::{Fault, Machine, Replica, Running, Server, seconds};
use crate::reconcile::lease::{Leadership, LeaseLost};

/// Returns a replica that leads, and its leadership, which outlives the work.
async fn leading(server: &Server, machine: &Machine) -> (Running, Leadership) {
    let given = Arc::new(Mutex::new(None));
    let taken = Arc::clone(&given);
    let running = Replica::on("one", server, machine).run(move |leadership| {
        *given.lock().unwrap() = Some(leadership);
        std::future::pending()
    });
    sleep(seconds(60)).await;
    let leadership = taken.lock().unwrap().take().unwrap();
    (running, leadership)
}

fn machine() -> Machine {
    Machine::up_for(seconds(7))
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_renews_the_lease_and_holds_until_the_margin() {
    let server = Server::new();
    let (_running, leadership) = leading(&server, &machine()).await;
    let before = server.writes();
    let start = Instant::now();
    let confirmation = leadership.confirm().await.unwrap();
    assert_eq!(server.writes(), before + 1);
    while confirmation.holds() {
        sleep(seconds(1) / 1_000).await;
    }
    let held = start.elapsed();
    assert!(held > seconds(11) && held <= seconds(12), "{held:?}");
    assert!(leadership.confirm().await.unwrap().holds());
}

#[tokio::test(start_paused = true)]
async fn concurrent_confirmations_share_one_renewal() {
    let server = Server::new();
    let (_running, leadership) = leading(&server, &machine()).await;
    let before = server.writes();
    // More requests than the channel has room for.
    let confirmations = join_all((0..500).map(|_| leadership.confirm())).await;
    assert!(
        confirmations
            .into_iter()
            .all(|confirmation| confirmation.unwrap().holds())
    );
    let writes = server.writes() - before;
    assert!((1..=8).contains(&writes), "{writes}");
    let before = server.writes();
    join_all((0..20).map(|_| leadership.confirm())).await;
    assert_eq!(server.writes() - before, 1);
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_waits_for_an_api_server_that_does_not_respond() {
    let server = Server::new();
    let (_running, leadership) = leading(&server, &machine()).await;
    server.set_fault(Fault::RejectRequests);
    let confirm = leadership.confirm();
    tokio::pin!(confirm);
    assert!(timeout(seconds(5), &mut confirm).await.is_err());
    server.set_fault(Fault::None);
    assert!(confirm.await.unwrap().holds());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_outlives_the_work_gets_an_error() {
    let server = Server::new();
    let (running, leadership) = leading(&server, &machine()).await;
    let confirmation = leadership.confirm().await.unwrap();
    server.set_fault(Fault::RejectRequests);
    assert_eq!(leadership.confirm().await.unwrap_err(), LeaseLost);
    assert!(!confirmation.holds());
    // The replica leads again. The old leadership stays lost.
    server.set_fault(Fault::None);
    sleep(seconds(10)).await;
    assert_eq!(running.metric("cassgate_leader{}"), 1);
    assert_eq!(leadership.confirm().await.unwrap_err(), LeaseLost);
    assert!(!confirmation.holds());
}

#[tokio::test(start_paused = true)]
async fn no_confirmation_holds_after_a_release() {
    let server = Server::new();
    let (running, leadership) = leading(&server, &machine()).await;
    let confirmation = leadership.confirm().await.unwrap();
    assert!(confirmation.holds());
    running.stop.cancel();
    running.task.await.unwrap();
    assert!(!confirmation.holds());
}

#[tokio::test(start_paused = true)]
async fn no_confirmation_holds_after_another_holder_was_seen() {
    let server = Server::new();
    let (_running, leadership) = leading(&server, &machine()).await;
    let confirmation = leadership.confirm().await.unwrap();
    server.change(|record| record.holder = Some("human".to_owned()));
    assert_eq!(leadership.confirm().await.unwrap_err(), LeaseLost);
    assert!(!confirmation.holds());
}

#[tokio::test(start_paused = true)]
async fn no_confirmation_holds_on_a_machine_that_slept() {
    let server = Server::new();
    let machine = machine();
    let (_running, leadership) = leading(&server, &machine).await;
    let confirmation = leadership.confirm().await.unwrap();
    machine.sleep(11);
    assert!(confirmation.holds());
    machine.sleep(1);
    assert!(!confirmation.holds());
}

#[tokio::test(start_paused = true)]
async fn leadership_is_checked_without_a_request_and_ends_with_the_newest_renewal() {
    let server = Server::new();
    let machine = machine();
    let (_running, leadership) = leading(&server, &machine).await;
    for _ in 0..30 {
        assert_eq!(leadership.check(), Ok(()));
        sleep(seconds(1)).await;
    }
    machine.sleep(12);
    assert_eq!(
        leadership.check(),
        Err(LeaseLost),
        "before the keeper has noticed"
    );
}

#[tokio::test(start_paused = true)]
async fn leadership_is_over_once_another_holder_was_seen() {
    let server = Server::new();
    let (_running, leadership) = leading(&server, &machine()).await;
    server.change(|record| record.holder = Some("human".to_owned()));
    sleep(seconds(6)).await;
    assert_eq!(leadership.check(), Err(LeaseLost));
}
