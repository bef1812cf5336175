//! Taking, keeping, losing and releasing.

use tokio::time::sleep;

use super::world::{Acts, LONGEST_REQUEST, Machine, Mood, Replica, Server, seconds};
use crate::reconcile::lease::{Clocks, LeaseKeeper, LeaseOptions, LeaseOptionsError, Timing};

#[tokio::test(start_paused = true)]
async fn who_finds_no_lease_takes_it_waits_and_acts_for_as_long_as_it_lives() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).acting(&acts);
    assert_eq!(one.shows(), "not looked at yet");
    sleep(seconds(1)).await;
    assert_eq!(server.holder().as_deref(), Some("one"));
    assert_eq!(
        one.shows(),
        "held by this replica (term 0), which waits until requests of a former holder have ended"
    );
    assert_eq!(one.counts("cassgate_leader{}"), 0);
    sleep(seconds(3_600)).await;
    assert_eq!(one.shows(), "held by this replica (term 0)");
    assert_eq!(one.counts("cassgate_leader{}"), 1);
    let (begin, end) = acts.spans()["one"];
    assert!(begin >= seconds(15) + LONGEST_REQUEST, "{begin:?}");
    assert!(begin < seconds(27), "{begin:?}");
    assert!(end > seconds(3_599), "{end:?}");
    assert_eq!(server.record().transitions, 0);
}

#[tokio::test(start_paused = true)]
async fn without_confirmations_it_is_renewed_every_five_seconds() {
    let server = Server::new();
    let one = Replica::new("one", &server).doing(|_| std::future::pending());
    sleep(seconds(101)).await;
    assert_eq!(
        one.counts(r#"cassgate_lease_renewals_total{outcome="renewed"}"#),
        20
    );
    assert_eq!(server.writes(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_follower_shows_the_holder_and_does_nothing() {
    let (server, acts) = (Server::new(), Acts::new());
    let _one = Replica::new("one", &server).acting(&acts);
    sleep(seconds(1)).await;
    let two = Replica::new("two", &server).acting(&acts);
    sleep(seconds(300)).await;
    assert_eq!(two.shows(), "held by one");
    assert_eq!(acts.spans().into_keys().collect::<Vec<_>>(), ["one"]);
    assert_eq!(two.counts("cassgate_leader{}"), 0);
}

#[tokio::test(start_paused = true)]
async fn who_ends_releases_it_and_the_next_one_begins_at_once() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).acting(&acts);
    sleep(seconds(1)).await;
    let _two = Replica::new("two", &server).acting(&acts);
    sleep(seconds(100)).await;
    one.stop.cancel();
    let state = one.state.clone();
    assert_eq!(one.counts("cassgate_leader{}"), 1);
    one.task.await.unwrap();
    assert!(server.record().is_released(), "{:?}", server.record());
    assert_eq!(state.borrow().to_string(), "given away: this replica ends");
    sleep(seconds(10)).await;
    let spans = acts.spans();
    let (last, first) = (spans["one"].1, spans["two"].0);
    assert!(last < first && first < last + seconds(3), "{spans:?}");
    assert_eq!(server.record().transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_without_a_word_is_followed_after_the_lease_and_the_longest_request() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).acting(&acts);
    sleep(seconds(1)).await;
    let two = Replica::new("two", &server).acting(&acts);
    sleep(seconds(100)).await;
    one.task.abort();
    sleep(seconds(100)).await;
    let spans = acts.spans();
    let gap = spans["two"].0.saturating_sub(spans["one"].1);
    let least = seconds(15) + seconds(15) + LONGEST_REQUEST;
    assert!(gap >= least && gap < least + seconds(4), "{gap:?}");
    assert_eq!(
        two.counts(r#"cassgate_lease_transitions_total{transition="gained"}"#),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_comes_back_is_no_successor_of_itself() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("pod_1", &server).acting(&acts);
    sleep(seconds(60)).await;
    one.task.abort();
    let _again = Replica::new("pod_2", &server).acting(&acts);
    sleep(seconds(100)).await;
    let spans = acts.spans();
    assert!(spans["pod_2"].0 >= spans["pod_1"].1 + seconds(40), "{spans:?}");
}

#[tokio::test(start_paused = true)]
async fn of_many_that_want_a_released_lease_one_gets_it() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).acting(&acts);
    sleep(seconds(1)).await;
    let names = ["two", "three", "four", "five", "six"];
    let others: Vec<_> = names.map(|name| Replica::new(name, &server).acting(&acts)).into();
    sleep(seconds(60)).await;
    one.stop.cancel();
    sleep(seconds(60)).await;
    let leading: u64 = others.iter().map(|other| other.counts("cassgate_leader{}")).sum();
    assert_eq!(leading, 1);
    assert_eq!(acts.spans().len(), 2, "{:?}", acts.spans());
    assert_eq!(server.record().transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn the_work_is_dropped_before_the_lease_is_over_for_others() {
    let (server, acts) = (Server::new(), Acts::new());
    let ticks = acts.clone();
    let one = Replica::new("one", &server).doing(move |leadership| {
        let ticks = ticks.clone();
        async move {
            loop {
                ticks.done("one", leadership.term());
                sleep(seconds(1) / 10).await;
            }
        }
    });
    sleep(seconds(60)).await;
    server.mood(Mood::Refuses);
    sleep(seconds(60)).await;
    let (_, end) = acts.spans()["one"];
    // Last renewed between 55 and 60.
    assert!(end > seconds(55 + 11) && end < seconds(60 + 12), "{end:?}");
    assert_eq!(one.shows(), "not ours, as far as is known: no etcd");
    assert_eq!(one.counts("cassgate_leader{}"), 0);
    assert_eq!(
        one.counts(r#"cassgate_lease_transitions_total{transition="lost"}"#),
        1
    );
    assert!(one.counts(r#"cassgate_lease_renewals_total{outcome="failed"}"#) > 1);
    // Nobody took it: there is nobody whose requests are to be waited for.
    server.mood(Mood::Good);
    sleep(seconds(4)).await;
    let begins_again = acts.all().into_iter().find(|act| act.at > seconds(90)).unwrap();
    assert!(begins_again.at < seconds(124), "{begins_again:?}");
    assert_eq!(begins_again.term, 0);
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_of_the_api_server_costs_nothing() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).acting(&acts);
    sleep(seconds(60)).await;
    server.mood(Mood::LosesAnswers);
    sleep(seconds(5)).await;
    server.mood(Mood::Good);
    sleep(seconds(60)).await;
    assert_eq!(
        one.counts(r#"cassgate_lease_transitions_total{transition="gained"}"#),
        1
    );
    assert_eq!(
        one.counts(r#"cassgate_lease_transitions_total{transition="lost"}"#),
        0
    );
    assert!(one.counts(r#"cassgate_lease_renewals_total{outcome="timed-out"}"#) > 0);
    // What was written and not answered is found by a look.
    assert!(one.counts(r#"cassgate_lease_renewals_total{outcome="conflict"}"#) > 0);
    assert!(acts.spans()["one"].1 > seconds(124));
}

#[tokio::test(start_paused = true)]
async fn a_label_on_the_lease_is_a_conflict_and_a_look_again() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).acting(&acts);
    sleep(seconds(60)).await;
    server.meddle(|_| {});
    sleep(seconds(20)).await;
    assert_eq!(
        one.counts(r#"cassgate_lease_renewals_total{outcome="conflict"}"#),
        1
    );
    assert_eq!(
        one.counts(r#"cassgate_lease_transitions_total{transition="lost"}"#),
        0
    );
    assert!(acts.spans()["one"].1 > seconds(79));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_holder_stands_in_is_lost_at_the_next_renewal() {
    let (server, acts) = (Server::new(), Acts::new());
    let one = Replica::new("one", &server).acting(&acts);
    sleep(seconds(60)).await;
    let taken = acts.spans()["one"].1;
    server.meddle(|record| record.holder = Some("human".to_owned()));
    sleep(seconds(10)).await;
    assert_eq!(acts.spans()["one"].1, taken);
    assert_eq!(one.shows(), "held by human");
    assert_eq!(one.counts(r#"cassgate_lease_renewals_total{outcome="lost"}"#), 1);
    assert_eq!(
        one.counts(r#"cassgate_lease_transitions_total{transition="lost"}"#),
        1
    );
    sleep(seconds(60)).await;
    let again = acts.all().into_iter().find(|act| act.at > taken).unwrap();
    assert!(again.at >= taken + seconds(40), "{again:?}");
    assert_eq!(again.term, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_deleted_or_emptied_by_hand_is_taken_anew_and_waited_for() {
    for emptied in [true, false] {
        let (server, acts) = (Server::new(), Acts::new());
        let _one = Replica::new("one", &server).acting(&acts);
        sleep(seconds(60)).await;
        if emptied {
            server.meddle(|record| record.holder = None);
        } else {
            server.delete();
        }
        let removed = acts.spans()["one"].1;
        sleep(seconds(60)).await;
        let again = acts.all().into_iter().find(|act| act.at > removed).unwrap();
        assert!(again.at >= removed + seconds(25), "{emptied}: {again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_has_lost_its_lease_when_it_wakes() {
    let (server, acts) = (Server::new(), Acts::new());
    let machine = Machine::up_for(seconds(5));
    let ticks = acts.clone();
    let one = Replica::on("one", &server, &machine).doing(move |leadership| {
        let ticks = ticks.clone();
        async move {
            loop {
                ticks.done("one", leadership.term());
                sleep(seconds(1) / 10).await;
            }
        }
    });
    sleep(seconds(60)).await;
    // No request of a machine that sleeps gets an answer, also right after it.
    server.mood(Mood::Refuses);
    machine.sleep(3_600);
    let before = acts.all().len();
    sleep(seconds(30)).await;
    assert_eq!(acts.all().len(), before, "it was asked to go on after its end");
    assert_eq!(
        one.counts(r#"cassgate_lease_transitions_total{transition="lost"}"#),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn work_that_is_done_releases_the_lease_and_ends_the_keeper() {
    let server = Server::new();
    let one = Replica::new("one", &server).doing(|_| async {});
    one.task.await.unwrap();
    assert!(server.record().is_released());
    assert!(
        one.metrics
            .encode()
            .contains(r#"cassgate_lease_transitions_total{transition="released"} 1"#)
    );
}

#[tokio::test(start_paused = true)]
async fn who_ends_while_it_takes_the_lease_leaves_none_behind() {
    for millis in 0..20 {
        let server = Server::new();
        let one = Replica::new("one", &server).doing(|_| std::future::pending());
        sleep(seconds(1) / 1_000 * millis).await;
        one.stop.cancel();
        one.task.await.unwrap();
        sleep(seconds(1)).await;
        assert_eq!(server.holder(), None, "after {millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_without_an_api_server_comes_all_the_same() {
    let server = Server::new();
    let one = Replica::new("one", &server).doing(|_| std::future::pending());
    sleep(seconds(60)).await;
    server.mood(Mood::LosesAnswers);
    one.stop.cancel();
    let end = tokio::time::timeout(seconds(5), one.task).await;
    end.unwrap().unwrap();
}

#[test]
fn times_that_do_not_go_together_are_refused_at_the_start() {
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
