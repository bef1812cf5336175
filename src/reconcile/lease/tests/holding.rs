//! A replica takes, keeps, loses and releases the lease.

use tokio::time::sleep;

use super::world::{Acts, Fault, LONGEST_REQUEST, Machine, Replica, Server, seconds};
use crate::reconcile::lease::{Clocks, LeaseKeeper, LeaseOptions, LeaseOptionsError, Timing};

#[tokio::test(start_paused = true)]
async fn a_replica_without_a_lease_takes_it_waits_and_acts() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).run_acting(&acts);
    assert_eq!(one.state_text(), "not read yet");
    sleep(seconds(1)).await;
    assert_eq!(server.holder().as_deref(), Some("one"));
    assert_eq!(
        one.state_text(),
        "held by this replica (term 0), which waits until requests of a former holder have ended"
    );
    assert_eq!(one.metric("cassgate_leader{}"), 0);
    sleep(seconds(3_600)).await;
    assert_eq!(one.state_text(), "held by this replica (term 0)");
    assert_eq!(one.metric("cassgate_leader{}"), 1);
    let (first, last) = acts.spans()["one"];
    assert!(first >= seconds(15) + LONGEST_REQUEST, "{first:?}");
    assert!(first < seconds(27), "{first:?}");
    assert!(last > seconds(3_599), "{last:?}");
    assert_eq!(server.record().transitions, 0);
}

#[tokio::test(start_paused = true)]
async fn without_confirmations_it_is_renewed_every_five_seconds() {
    let server = Server::new();
    let one = Replica::new("one", &server).run(|_| std::future::pending());
    sleep(seconds(101)).await;
    assert_eq!(
        one.metric(r#"cassgate_lease_renewals_total{outcome="renewed"}"#),
        20
    );
    assert_eq!(server.writes(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_follower_shows_the_holder_and_does_not_act() {
    let (server, acts) = (Server::new(), Acts::new());
    let _one = Replica::new("one", &server).run_acting(&acts);
    sleep(seconds(1)).await;
    let two = Replica::new("two", &server).run_acting(&acts);
    sleep(seconds(300)).await;
    assert_eq!(two.state_text(), "held by one");
    assert_eq!(acts.spans().into_keys().collect::<Vec<_>>(), ["one"]);
    assert_eq!(two.metric("cassgate_leader{}"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_shuts_down_releases_the_lease_and_the_next_one_acts_at_once() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).run_acting(&acts);
    sleep(seconds(1)).await;
    let _two = Replica::new("two", &server).run_acting(&acts);
    sleep(seconds(100)).await;
    one.stop.cancel();
    let state = one.state.clone();
    assert_eq!(one.metric("cassgate_leader{}"), 1);
    one.task.await.unwrap();
    assert!(server.record().is_released(), "{:?}", server.record());
    assert_eq!(state.borrow().to_string(), "released: this replica shuts down");
    sleep(seconds(10)).await;
    let spans = acts.spans();
    let (last, first) = (spans["one"].1, spans["two"].0);
    assert!(last < first && first < last + seconds(3), "{spans:?}");
    assert_eq!(server.record().transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_killed_holder_is_followed_after_the_lease_and_the_longest_request() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).run_acting(&acts);
    sleep(seconds(1)).await;
    let two = Replica::new("two", &server).run_acting(&acts);
    sleep(seconds(100)).await;
    one.task.abort();
    sleep(seconds(100)).await;
    let spans = acts.spans();
    let gap = spans["two"].0.saturating_sub(spans["one"].1);
    let least = seconds(15) + seconds(15) + LONGEST_REQUEST;
    assert!(gap >= least && gap < least + seconds(4), "{gap:?}");
    assert_eq!(
        two.metric(r#"cassgate_lease_transitions_total{transition="gained"}"#),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_restarted_pod_waits_for_its_own_former_lease() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("pod_1", &server).run_acting(&acts);
    sleep(seconds(60)).await;
    one.task.abort();
    let _restarted = Replica::new("pod_2", &server).run_acting(&acts);
    sleep(seconds(100)).await;
    let spans = acts.spans();
    assert!(spans["pod_2"].0 >= spans["pod_1"].1 + seconds(40), "{spans:?}");
}

#[tokio::test(start_paused = true)]
async fn one_of_many_followers_gets_a_released_lease() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).run_acting(&acts);
    sleep(seconds(1)).await;
    let names = ["two", "three", "four", "five", "six"];
    let others: Vec<_> = names
        .map(|name| Replica::new(name, &server).run_acting(&acts))
        .into();
    sleep(seconds(60)).await;
    one.stop.cancel();
    sleep(seconds(60)).await;
    let leading: u64 = others.iter().map(|other| other.metric("cassgate_leader{}")).sum();
    assert_eq!(leading, 1);
    assert_eq!(acts.spans().len(), 2, "{:?}", acts.spans());
    assert_eq!(server.record().transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn the_work_is_dropped_before_other_replicas_can_take_the_lease() {
    let (server, acts) = (Server::new(), Acts::new());
    let ticks = acts.clone();
    let one = Replica::new("one", &server).run(move |leadership| {
        let ticks = ticks.clone();
        async move {
            loop {
                ticks.done("one", leadership.term());
                sleep(seconds(1) / 10).await;
            }
        }
    });
    sleep(seconds(60)).await;
    server.set_fault(Fault::RejectRequests);
    sleep(seconds(60)).await;
    let (_, end) = acts.spans()["one"];
    // The last renewal was between 55 and 60.
    assert!(end > seconds(55 + 11) && end < seconds(60 + 12), "{end:?}");
    assert_eq!(one.state_text(), "not known to be held by this replica: no etcd");
    assert_eq!(one.metric("cassgate_leader{}"), 0);
    assert_eq!(
        one.metric(r#"cassgate_lease_transitions_total{transition="lost"}"#),
        1
    );
    assert!(one.metric(r#"cassgate_lease_renewals_total{outcome="failed"}"#) > 1);
    // No other replica took the lease, so there is no former holder to wait for.
    server.set_fault(Fault::None);
    sleep(seconds(4)).await;
    let resumed = acts.all().into_iter().find(|act| act.at > seconds(90)).unwrap();
    assert!(resumed.at < seconds(124), "{resumed:?}");
    assert_eq!(resumed.term, 0);
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_of_the_api_server_does_not_lose_the_lease() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).run_acting(&acts);
    sleep(seconds(60)).await;
    server.set_fault(Fault::DropResponses);
    sleep(seconds(5)).await;
    server.set_fault(Fault::None);
    sleep(seconds(60)).await;
    assert_eq!(
        one.metric(r#"cassgate_lease_transitions_total{transition="gained"}"#),
        1
    );
    assert_eq!(
        one.metric(r#"cassgate_lease_transitions_total{transition="lost"}"#),
        0
    );
    assert!(one.metric(r#"cassgate_lease_renewals_total{outcome="timed-out"}"#) > 0);
    // A write whose response was lost is found by the next read.
    assert!(one.metric(r#"cassgate_lease_renewals_total{outcome="conflict"}"#) > 0);
    assert!(acts.spans()["one"].1 > seconds(124));
}

#[tokio::test(start_paused = true)]
async fn a_label_on_the_lease_causes_one_conflict_and_no_loss() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).run_acting(&acts);
    sleep(seconds(60)).await;
    server.change(|_| {});
    sleep(seconds(20)).await;
    assert_eq!(
        one.metric(r#"cassgate_lease_renewals_total{outcome="conflict"}"#),
        1
    );
    assert_eq!(
        one.metric(r#"cassgate_lease_transitions_total{transition="lost"}"#),
        0
    );
    assert!(acts.spans()["one"].1 > seconds(79));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_holder_loses_the_lease_at_the_next_renewal() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).run_acting(&acts);
    sleep(seconds(60)).await;
    let last_act = acts.spans()["one"].1;
    server.change(|record| record.holder = Some("human".to_owned()));
    sleep(seconds(10)).await;
    assert_eq!(acts.spans()["one"].1, last_act);
    assert_eq!(one.state_text(), "held by human");
    assert_eq!(one.metric(r#"cassgate_lease_renewals_total{outcome="lost"}"#), 1);
    assert_eq!(
        one.metric(r#"cassgate_lease_transitions_total{transition="lost"}"#),
        1
    );
    sleep(seconds(60)).await;
    let resumed = acts.all().into_iter().find(|act| act.at > last_act).unwrap();
    assert!(resumed.at >= last_act + seconds(40), "{resumed:?}");
    assert_eq!(resumed.term, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_a_user_removed_is_taken_again_after_a_wait() {
    for removes_holder in [true, false] {
        let (server, acts) = (Server::new(), Acts::new());
        let _one = Replica::new("one", &server).run_acting(&acts);
        sleep(seconds(60)).await;
        if removes_holder {
            server.change(|record| record.holder = None);
        } else {
            server.delete();
        }
        let removed = acts.spans()["one"].1;
        sleep(seconds(60)).await;
        let resumed = acts.all().into_iter().find(|act| act.at > removed).unwrap();
        assert!(
            resumed.at >= removed + seconds(25),
            "{removes_holder}: {resumed:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_has_lost_its_lease() {
    let (server, acts) = (Server::new(), Acts::new());
    let machine = Machine::up_for(seconds(5));
    let ticks = acts.clone();
    let one = Replica::on("one", &server, &machine).run(move |leadership| {
        let ticks = ticks.clone();
        async move {
            loop {
                ticks.done("one", leadership.term());
                sleep(seconds(1) / 10).await;
            }
        }
    });
    sleep(seconds(60)).await;
    // A sleeping machine gets no responses, and none right after it wakes.
    server.set_fault(Fault::RejectRequests);
    machine.sleep(3_600);
    let before = acts.all().len();
    sleep(seconds(30)).await;
    assert_eq!(
        acts.all().len(),
        before,
        "the work was polled after the end of the lease"
    );
    assert_eq!(
        one.metric(r#"cassgate_lease_transitions_total{transition="lost"}"#),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn work_that_returns_releases_the_lease_and_ends_the_keeper() {
    let server = Server::new();
    let one = Replica::new("one", &server).run(|_| async {});
    one.task.await.unwrap();
    assert!(server.record().is_released());
    assert!(
        one.metrics
            .encode()
            .contains(r#"cassgate_lease_transitions_total{transition="released"} 1"#)
    );
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_while_the_lease_is_being_taken_leaves_no_holder() {
    for millis in 0..20 {
        let server = Server::new();
        let one = Replica::new("one", &server).run(|_| std::future::pending());
        sleep(seconds(1) / 1_000 * millis).await;
        one.stop.cancel();
        one.task.await.unwrap();
        sleep(seconds(1)).await;
        assert_eq!(server.holder(), None, "after {millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_dead_api_server() {
    let server = Server::new();
    let one = Replica::new("one", &server).run(|_| std::future::pending());
    sleep(seconds(60)).await;
    server.set_fault(Fault::DropResponses);
    one.stop.cancel();
    let end = tokio::time::timeout(seconds(5), one.task).await;
    end.unwrap().unwrap();
}

#[test]
fn durations_that_contradict_each_other_are_rejected_at_the_start() {
    let options = LeaseOptions {
        identity: "one".to_owned(),
        timing: Timing {
            duration: seconds(0),
            ..Timing::standard(LONGEST_REQUEST)
        },
    };
    let keeper = LeaseKeeper::new(
        options,
        Server::new(),
        Clocks::system(),
        crate::telemetry::metrics::Metrics::new(),
    );
    assert_eq!(keeper.unwrap_err(), LeaseOptionsError::Fraction(seconds(0)));
}
