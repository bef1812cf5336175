//! Before what cannot be taken back.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::world::{Machine, Mood, Replica, Running, Server, seconds};
use crate::reconcile::lease::{Leadership, LeaseLost};

/// A replica that acts, and its leadership, carried out of the work.
async fn leading(server: &Server, machine: &Machine) -> (Running, Leadership) {
    let given = Arc::new(Mutex::new(None));
    let taken = Arc::clone(&given);
    let running = Replica::on("one", server, machine).doing(move |leadership| {
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
async fn a_confirmation_is_a_renewal_of_its_own_and_holds_for_the_lease_less_the_margin() {
    let server = Server::new();
    let (_running, leadership) = leading(&server, &machine()).await;
    let before = server.writes();
    let asked = Instant::now();
    let confirmation = leadership.confirm().await.unwrap();
    assert_eq!(server.writes(), before + 1);
    while confirmation.holds() {
        sleep(seconds(1) / 1_000).await;
    }
    let held = asked.elapsed();
    assert!(held > seconds(11) && held <= seconds(12), "{held:?}");
    assert!(leadership.confirm().await.unwrap().holds());
}

#[tokio::test(start_paused = true)]
async fn who_asks_at_once_shares_one_renewal() {
    let server = Server::new();
    let (_running, leadership) = leading(&server, &machine()).await;
    let before = server.writes();
    // More than can wait in line.
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
async fn while_the_api_server_is_silent_nothing_is_confirmed_and_then_everything() {
    let server = Server::new();
    let (_running, leadership) = leading(&server, &machine()).await;
    server.mood(Mood::Refuses);
    let confirm = leadership.confirm();
    tokio::pin!(confirm);
    assert!(timeout(seconds(5), &mut confirm).await.is_err());
    server.mood(Mood::Good);
    assert!(confirm.await.unwrap().holds());
}

#[tokio::test(start_paused = true)]
async fn what_outlives_its_work_learns_that_the_lease_is_lost() {
    let server = Server::new();
    let (running, leadership) = leading(&server, &machine()).await;
    let confirmation = leadership.confirm().await.unwrap();
    server.mood(Mood::Refuses);
    assert_eq!(leadership.confirm().await.unwrap_err(), LeaseLost);
    assert!(!confirmation.holds());
    // It leads again, in another term of the keeper; the old leadership stays lost.
    server.mood(Mood::Good);
    sleep(seconds(10)).await;
    assert_eq!(running.counts("cassgate_leader{}"), 1);
    assert_eq!(leadership.confirm().await.unwrap_err(), LeaseLost);
    assert!(!confirmation.holds());
}

#[tokio::test(start_paused = true)]
async fn nothing_holds_after_a_release_however_fresh() {
    let server = Server::new();
    let (running, leadership) = leading(&server, &machine()).await;
    let confirmation = leadership.confirm().await.unwrap();
    assert!(confirmation.holds());
    running.stop.cancel();
    running.task.await.unwrap();
    assert!(!confirmation.holds());
}

#[tokio::test(start_paused = true)]
async fn nothing_holds_once_another_holder_was_seen() {
    let server = Server::new();
    let (_running, leadership) = leading(&server, &machine()).await;
    let confirmation = leadership.confirm().await.unwrap();
    server.meddle(|record| record.holder = Some("human".to_owned()));
    assert_eq!(leadership.confirm().await.unwrap_err(), LeaseLost);
    assert!(!confirmation.holds());
}

#[tokio::test(start_paused = true)]
async fn nothing_holds_on_a_machine_that_slept() {
    let server = Server::new();
    let machine = machine();
    let (_running, leadership) = leading(&server, &machine).await;
    let confirmation = leadership.confirm().await.unwrap();
    machine.sleep(11);
    assert!(confirmation.holds());
    machine.sleep(1);
    assert!(!confirmation.holds());
}
