//! Two candidates, one of which is frozen before each of its polls and thawed later: never both act.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    runtime,
    time::{Sleep, sleep},
};

use super::world::{Acts, LONGEST_REQUEST, Machine, Replica, Server, act, seconds};

/// The lease is taken in the first second; `one` acts from the 25th on. By then all kinds of polls have been.
const BEFORE: Duration = Duration::from_secs(34);

/// A process that is stopped before its poll number `at`, for `length`.
struct Freezing<F> {
    process: Pin<Box<F>>,
    polls: Arc<AtomicUsize>,
    at: usize,
    length: Duration,
    ice: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for Freezing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.ice.is_none() && self.polls.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            self.ice = Some(Box::pin(sleep(self.length)));
        }
        if let Some(ice) = &mut self.ice {
            if ice.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.ice = None;
        }
        self.process.as_mut().poll(context)
    }
}

/// What came of one run.
struct Run {
    /// Requests that were confirmed.
    acts: Acts,
    /// Polls of the work, confirmed or not.
    polls: Acts,
    /// How many polls the frozen one has had before [`BEFORE`].
    frozen: usize,
}

async fn race(ways: (Duration, Duration), at: usize, length: Duration) -> Run {
    let server = Server::with_ways(ways.0, ways.1);
    let (acts, polls, count) = (Acts::new(), Acts::new(), Arc::new(AtomicUsize::new(0)));
    let replica = |name, up| {
        let replica = Replica::on(name, &server, &Machine::up_for(seconds(up)));
        let (acts, polls) = (acts.clone(), polls.clone());
        replica.keeper.run(replica.stop, move |leadership| {
            let (acts, polls) = (acts.clone(), polls.clone());
            async move {
                let term = leadership.term();
                let mut work = Box::pin(act(name, leadership, acts));
                std::future::poll_fn(|context| {
                    polls.done(name, term);
                    work.as_mut().poll(context)
                })
                .await;
            }
        })
    };
    let one = tokio::spawn(Freezing {
        process: Box::pin(replica("one", 5)),
        polls: Arc::clone(&count),
        at,
        length,
        ice: None,
    });
    sleep(Duration::from_millis(100)).await;
    let two = tokio::spawn(replica("two", 1_000_000));
    sleep(BEFORE).await;
    let frozen = count.load(Ordering::Relaxed);
    sleep(length + seconds(60)).await;
    one.abort();
    two.abort();
    Run { acts, polls, frozen }
}

fn run(ways: (Duration, Duration), at: usize, length: Duration) -> Run {
    let mut paused = runtime::Builder::new_current_thread();
    let runtime = paused.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(race(ways, at, length))
}

/// How often the acting went to another one. Panics where two acted in each other's time.
fn handovers(acts: &Acts, about: &str) -> usize {
    let all = acts.all();
    assert!(!all.is_empty(), "{about}: nobody ever acted");
    let mut handovers = 0;
    for pair in all.windows(2) {
        let [former, next] = pair else { unreachable!() };
        if former.who == next.who {
            assert!(next.term >= former.term, "{about}: {former:?} {next:?}");
        } else {
            handovers += 1;
            assert!(next.term > former.term, "{about}: {former:?} {next:?}");
            // Nothing was released: what the former one sent last has ended.
            assert!(
                next.at >= former.at + LONGEST_REQUEST,
                "{about}: {former:?} {next:?}"
            );
        }
    }
    handovers
}

/// Every point at which a process can be stopped in the simulation, and stops of all lengths around the lease.
fn every_freeze(ways: (u64, u64)) {
    let ways = (Duration::from_millis(ways.0), Duration::from_millis(ways.1));
    let undisturbed = run(ways, usize::MAX, Duration::ZERO);
    assert_eq!(handovers(&undisturbed.acts, "undisturbed"), 0);
    assert!(undisturbed.frozen > 30, "{}", undisturbed.frozen);
    let mut taken_over = 0;
    for at in 1..=undisturbed.frozen {
        for length in [13, 16, 28, 60] {
            let about = format!("{ways:?}, frozen at poll {at} for {length} s");
            let run = run(ways, at, seconds(length));
            taken_over += handovers(&run.acts, &about);
            handovers(&run.polls, &about);
        }
    }
    assert!(taken_over >= 20, "{taken_over}");
}

#[test]
fn never_do_both_act_where_requests_are_quick() {
    every_freeze((3, 3));
}

#[test]
fn never_do_both_act_where_requests_arrive_late() {
    every_freeze((900, 10));
}

#[test]
fn never_do_both_act_where_answers_arrive_late() {
    every_freeze((10, 900));
}
