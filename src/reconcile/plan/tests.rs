//! Whole runs against a ring that loses, delays and forgets.

mod backup;
mod condensed;
mod conflict;
mod defects;
mod losses;
mod needs;
mod prune;
mod reach;
mod restore;
mod restoring;
mod retention;
mod schedule;
mod scheduled;
mod world;

use super::{Actions, Answers, Observation, Outcome, Plan, Wait};
use world::World;

/// How long a run may take, in looks at the world, before it hangs.
const MOST_LOOKS: usize = 3000;

/// What a test does to the planner itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    /// It goes on.
    No,
    /// It dies after the status was written and before anything was sent.
    BeforeSending,
    /// It dies after everything was sent and before any answer was written.
    AfterSending,
}

/// Stops the planner at one point of a run: before or after one write or one request.
#[derive(Debug, Clone, Copy)]
struct Fuse {
    /// How many writes and requests there are before it.
    point: usize,
    /// Whether that one still takes effect.
    after: bool,
}

/// Counts down to the point of a fuse.
#[derive(Debug, Default)]
struct Counter {
    fuse: Option<Fuse>,
    events: usize,
}

/// What becomes of one write or request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// It is done, and the planner goes on.
    Done,
    /// It is done, and the planner dies.
    Last,
    /// The planner dies before it.
    Never,
}

impl Counter {
    fn act(&mut self) -> Act {
        let event = self.events;
        self.events += 1;
        match self.fuse {
            Some(fuse) if fuse.point == event && fuse.after => Act::Last,
            Some(fuse) if fuse.point == event => Act::Never,
            _ => Act::Done,
        }
    }
}

/// Asks until there is a plan.
fn decide<S: Clone>(
    world: &World,
    wait: Option<&Wait>,
    mut plan: impl FnMut(&Observation<'_>) -> Plan<S>,
) -> Actions<S> {
    let members = world.members();
    let mut answers = Answers::new();
    for _ in 0..20 {
        let look = Observation {
            now: world.now,
            members: &members,
            missing: None,
            wait: wait.cloned(),
            needs: None,
            stop: None,
            cluster_gone: false,
            answers: &answers,
        };
        match plan(&look) {
            Plan::Do(deeds) => return deeds,
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
    panic!("it asks for ever");
}

/// Sends what is to be sent, one after the other; what became of it, by host id. `None`: the planner died over it.
fn send<S>(world: &mut World, deeds: &Actions<S>, counter: &mut Counter) -> Option<Vec<(String, Outcome)>> {
    let mut sent = Vec::new();
    for request in &deeds.requests {
        let act = counter.act();
        if act != Act::Never {
            sent.push((request.host_id.clone(), world.send(request)));
        }
        if act != Act::Done {
            return None;
        }
    }
    Some(sent)
}
