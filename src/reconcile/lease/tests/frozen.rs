//! Two replicas, one of which is suspended at each of its polls and resumed later: never both act.

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

/// The lease is taken in the first second, and `one` acts from the 25th on. By then every kind of poll has happened.
const OBSERVED_TIME: Duration = Duration::from_secs(34);

/// A process that is suspended before its poll number `at`, for `length`.
struct Suspended<F> {
    process: Pin<Box<F>>,
    polls: Arc<AtomicUsize>,
    at: usize,
    length: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for Suspended<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.pause.is_none() && self.polls.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            self.pause = Some(Box::pin(sleep(self.length)));
        }
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        self.process.as_mut().poll(context)
    }
}

/// The result of one run.
struct Run {
    /// The confirmed actions.
    acts: Acts,
    /// The polls of the work, confirmed or not.
    polls: Acts,
    /// The number of polls of the suspended replica before [`OBSERVED_TIME`].
    poll_count: usize,
}

async fn race(delays: (Duration, Duration), at: usize, length: Duration) -> Run {
    let server = Server::with_delays(delays.0, delays.1);
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
    let one = tokio::spawn(Suspended {
        process: Box::pin(replica("one", 5)),
        polls: Arc::clone(&count),
        at,
        length,
        pause: None,
    });
    sleep(Duration::from_millis(100)).await;
    let two = tokio::spawn(replica("two", 1_000_000));
    sleep(OBSERVED_TIME).await;
    let poll_count = count.load(Ordering::Relaxed);
    sleep(length + seconds(60)).await;
    one.abort();
    two.abort();
    Run {
        acts,
        polls,
        poll_count,
    }
}

fn run(delays: (Duration, Duration), at: usize, length: Duration) -> Run {
    let mut paused = runtime::Builder::new_current_thread();
    let runtime = paused.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(race(delays, at, length))
}

/// Counts the handovers. Panics if two replicas acted at the same time.
fn handovers(acts: &Acts, case: &str) -> usize {
    let all = acts.all();
    assert!(!all.is_empty(), "{case}: no replica ever acted");
    let mut handovers = 0;
    for pair in all.windows(2) {
        let [former, next] = pair else { unreachable!() };
        if former.replica == next.replica {
            assert!(next.term >= former.term, "{case}: {former:?} {next:?}");
        } else {
            handovers += 1;
            assert!(next.term > former.term, "{case}: {former:?} {next:?}");
            // The lease was not released, so the last request of the former holder must have ended.
            assert!(
                next.at >= former.at + LONGEST_REQUEST,
                "{case}: {former:?} {next:?}"
            );
        }
    }
    handovers
}

/// Suspends the process at every poll of the simulation, for lengths around that of the lease.
fn suspend_at_every_poll(delays: (u64, u64)) {
    let delays = (Duration::from_millis(delays.0), Duration::from_millis(delays.1));
    let undisturbed = run(delays, usize::MAX, Duration::ZERO);
    assert_eq!(handovers(&undisturbed.acts, "undisturbed"), 0);
    assert!(undisturbed.poll_count > 30, "{}", undisturbed.poll_count);
    let mut taken_over = 0;
    for at in 1..=undisturbed.poll_count {
        for length in [13, 16, 28, 60] {
            let case = format!("{delays:?}, suspended at poll {at} for {length} s");
            let run = run(delays, at, seconds(length));
            taken_over += handovers(&run.acts, &case);
            handovers(&run.polls, &case);
        }
    }
    assert!(taken_over >= 20, "{taken_over}");
}

#[test]
fn never_do_both_act_with_fast_requests() {
    suspend_at_every_poll((3, 3));
}

#[test]
fn never_do_both_act_with_delayed_requests() {
    suspend_at_every_poll((900, 10));
}

#[test]
fn never_do_both_act_with_delayed_responses() {
    suspend_at_every_poll((10, 900));
}
