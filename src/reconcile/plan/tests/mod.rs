//! Whole runs against a ring that loses, delays and forgets requests and operations.

mod attempts;
mod backup;
mod blocked_retention;
mod bounds;
mod busy;
mod changed_ring;
mod cluster_gone;
mod condensed;
mod conflict;
mod defects;
mod elsewhere;
mod failures;
mod foreign;
mod harness;
mod histories;
mod history;
mod hung_removal;
mod joined;
mod limits;
mod losses;
mod lost_truncate;
mod needs;
mod pairing;
mod prune;
mod reach;
mod requires;
mod restore;
mod resumed;
mod retention;
mod ring;
mod schedule;
mod scheduled;
mod status_size;
mod truncation;
mod unproven;
mod uploads;
mod world;

use super::{Actions, Answers, Observation, Outcome, Plan, Wait};
use world::World;

/// Maximum number of reconciles of a run; a run that takes more hangs.
const MAX_RECONCILES: usize = 3000;

/// A kill of the planner's process around the requests of one plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// The process lives on.
    Never,
    /// The status was written, and nothing was sent.
    BeforeSending,
    /// Everything was sent, and no outcome was recorded.
    AfterSending,
}

/// A kill of the planner's process at one step of a run: a write or a request.
#[derive(Debug, Clone, Copy)]
struct KillPoint {
    /// The number of steps before it.
    point: usize,
    /// True if that step still takes effect.
    after: bool,
}

/// Counts the steps of a run, up to the kill point.
#[derive(Debug, Default)]
struct StepCounter {
    kill_point: Option<KillPoint>,
    steps: usize,
}

/// The effect of one write or request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It is done, and the process lives on.
    Done,
    /// It is done, and the process is killed.
    DoneThenKilled,
    /// The process is killed before it.
    KilledBefore,
}

impl StepCounter {
    fn step(&mut self) -> Effect {
        let step = self.steps;
        self.steps += 1;
        match self.kill_point {
            Some(kill) if kill.point == step && kill.after => Effect::DoneThenKilled,
            Some(kill) if kill.point == step => Effect::KilledBefore,
            _ => Effect::Done,
        }
    }
}

/// Answers the questions of a planner until it plans actions.
fn decide<S: Clone>(
    world: &World,
    wait: Option<&Wait>,
    mut plan: impl FnMut(&Observation<'_>) -> Plan<S>,
) -> Actions<S> {
    let members = world.members();
    let mut answers = Answers::new();
    for _ in 0..20 {
        let observation = Observation {
            wait: wait.cloned(),
            ..world.observation(&members, &answers)
        };
        match plan(&observation) {
            Plan::Do(actions) => return actions,
            Plan::Ask(questions) => {
                assert!(!questions.is_empty());
                for question in questions {
                    let answer = world.answer(&question);
                    assert_eq!(
                        answers.insert(question.clone(), answer),
                        None,
                        "asked twice: {question:?}"
                    );
                }
            }
        }
    }
    panic!("the planner asks for ever");
}

/// Sends the requests one after the other. Returns their outcomes by host id; `None` if the process was killed.
fn send<S>(
    world: &mut World,
    actions: &Actions<S>,
    counter: &mut StepCounter,
) -> Option<Vec<(String, Outcome)>> {
    let mut outcomes = Vec::new();
    for request in &actions.requests {
        let effect = counter.step();
        if effect != Effect::KilledBefore {
            outcomes.push((request.host_id.clone(), world.send(request)));
        }
        if effect != Effect::Done {
            return None;
        }
    }
    Some(outcomes)
}
