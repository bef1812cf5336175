//! Replicas that are interleaved, killed and lied to, in a cluster that is a value.

use proptest::prelude::*;

use super::*;

const TIMING: Timing = Timing {
    authority: SignedDuration::from_hours(90),
    leaf: SignedDuration::from_hours(24),
    settle: SignedDuration::from_secs(15),
};

/// How many replicas there are.
const REPLICAS: usize = 3;

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    /// A replica looks, and plans.
    Look(usize),
    /// A replica does the next step of its plan, however old that is.
    Do(usize),
    /// A replica is killed; another one starts in its place.
    Kill(usize),
    /// Time goes by, in seconds.
    Wait(i64),
    /// Somebody empties the Secret.
    Empty,
    /// Somebody breaks a part of the Secret.
    Damage(bool),
    /// Somebody deletes the Secret, or puts an empty one there.
    Delete(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0..REPLICAS).prop_map(Event::Look),
        24 => (0..REPLICAS).prop_map(Event::Do),
        2 => (0..REPLICAS).prop_map(Event::Kill),
        8 => prop_oneof![0..20_i64, 3600..36_000_i64, 36_000..200_000_i64].prop_map(Event::Wait),
        1 => Just(Event::Empty),
        1 => any::<bool>().prop_map(Event::Damage),
        1 => any::<bool>().prop_map(Event::Delete),
    ]
}

/// The same without anybody who meddles.
fn undisturbed() -> impl Strategy<Value = Event> {
    event().prop_filter("meddling", |event| {
        !matches!(event, Event::Empty | Event::Damage(_) | Event::Delete(_))
    })
}

#[derive(Debug, Default)]
struct Replica {
    leaf: Option<Leaf>,
    seen: Seen,
    plan: Option<Planned>,
}

/// A plan, and the versions that it was made for.
#[derive(Debug)]
struct Planned {
    look: Look<Authority>,
    steps: Vec<Step>,
    secret: u64,
    configurations: Vec<u64>,
}

#[derive(Debug)]
struct World {
    now: Timestamp,
    made: u64,
    secret: Secret<Authority>,
    secret_version: u64,
    configurations: Vec<Configuration>,
    versions: Vec<u64>,
    /// Since when each authority has been in every bundle.
    published: BTreeMap<Authority, Timestamp>,
    replicas: Vec<Replica>,
}

impl World {
    fn new() -> Self {
        Self {
            now: Timestamp::from_second(1_000_000_000).unwrap(),
            made: 0,
            secret: Secret::Ours {
                authorities: Authorities::default(),
                damaged: false,
            },
            secret_version: 0,
            configurations: vec![
                Configuration(vec![BTreeSet::new()]),
                Configuration(vec![BTreeSet::new(), BTreeSet::new()]),
            ],
            versions: vec![0, 0],
            published: BTreeMap::new(),
            replicas: (0..REPLICAS).map(|_| Replica::default()).collect(),
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Look(replica) => self.look(replica),
            Event::Do(replica) => self.go_on(replica),
            Event::Kill(replica) => self.replicas[replica] = Replica::default(),
            Event::Wait(seconds) => self.now = later(self.now, SignedDuration::from_secs(seconds)),
            Event::Empty => self.meddle(Authorities::default(), false),
            Event::Damage(next_too) => {
                let Secret::Ours { authorities, .. } = &self.secret else {
                    return;
                };
                let mut left = authorities.clone();
                left.current = None;
                left.next = left.next.filter(|_| !next_too);
                self.meddle(left, true);
            }
            Event::Delete(true) => {
                self.secret = Secret::Closed;
                self.secret_version += 1;
            }
            Event::Delete(false) => {
                if self.secret == Secret::Closed {
                    self.meddle(Authorities::default(), false);
                }
            }
        }
        self.note_published();
    }

    fn meddle(&mut self, authorities: Authorities<Authority>, damaged: bool) {
        self.secret = Secret::Ours { authorities, damaged };
        self.secret_version += 1;
    }

    fn look(&mut self, replica: usize) {
        let replica = &mut self.replicas[replica];
        let look = Look {
            secret: self.secret.clone(),
            configurations: Some(self.configurations.clone()),
        };
        replica.seen.note(&published(&self.configurations), self.now);
        let steps = plan(&look, replica.leaf.as_ref(), &replica.seen, &TIMING, self.now);
        replica.plan = Some(Planned {
            look,
            steps,
            secret: self.secret_version,
            configurations: self.versions.clone(),
        });
    }

    /// Whether there was a step.
    fn go_on(&mut self, replica: usize) {
        let Some(planned) = &mut self.replicas[replica].plan else {
            return;
        };
        if planned.steps.is_empty() {
            return;
        }
        match planned.steps.remove(0) {
            Step::Write(change) => {
                if planned.secret == self.secret_version {
                    let Secret::Ours { authorities, .. } = planned.look.secret.clone() else {
                        panic!("a Secret that is not ours is written");
                    };
                    if change == Change::Promote {
                        self.may_be_promoted(&authorities);
                    }
                    self.made += 1;
                    let fresh = Authority {
                        until: later(self.now, TIMING.authority),
                        issued: self.now,
                        der: Arc::from(self.made.to_be_bytes()),
                    };
                    let after = authorities
                        .after(change, self.now, || Ok::<_, ()>(fresh))
                        .unwrap();
                    self.meddle(after, false);
                }
            }
            Step::Publish(place, wanted) => {
                if planned.configurations[place] == self.versions[place] {
                    for entry in &mut self.configurations[place].0 {
                        entry.clone_from(&wanted);
                    }
                    self.versions[place] += 1;
                }
            }
            Step::Issue => {
                let Secret::Ours { authorities, .. } = &planned.look.secret else {
                    panic!("a Secret that is not ours is used");
                };
                let issuer = authorities.current.clone().unwrap();
                self.issue(replica, &issuer);
            }
        }
    }

    /// A replica that starts right afterwards signs by it at once.
    fn may_be_promoted(&self, authorities: &Authorities<Authority>) {
        let next = authorities.next.as_ref().unwrap();
        let since = self
            .published
            .get(next)
            .expect("promoted before it was published");
        let there_is_another = authorities
            .current
            .as_ref()
            .is_some_and(|current| self.now < current.until);
        assert!(
            !there_is_another || self.now.duration_since(*since) >= TIMING.settle,
            "promoted before every API server could know"
        );
    }

    fn issue(&mut self, replica: usize, issuer: &Authority) {
        let until = TIMING.end_of_leaf(issuer, self.now);
        let former = self.replicas[replica].leaf.replace(Leaf {
            issuer: issuer.clone(),
            issued: self.now,
            until,
        });
        if until <= self.now {
            return;
        }
        let since = self
            .published
            .get(issuer)
            .expect("signed before it was published");
        let had_something_to_lose = former.is_some_and(|former| {
            former.issuer != *issuer && self.now < former.until && self.published.contains_key(&former.issuer)
        });
        if had_something_to_lose {
            assert!(
                self.now.duration_since(*since) >= TIMING.settle,
                "switched before every API server could know"
            );
        }
    }

    fn note_published(&mut self) {
        let published = published(&self.configurations);
        self.published
            .retain(|authority, _| published.contains(authority));
        for authority in published {
            self.published.entry(authority).or_insert(self.now);
        }
        for replica in &self.replicas {
            let Some(leaf) = &replica.leaf else { continue };
            assert!(leaf.until <= leaf.issuer.until, "it outlives its authority");
            if self.now < leaf.until {
                assert!(
                    self.published.contains_key(&leaf.issuer),
                    "a served certificate is not vouched for"
                );
            }
        }
    }

    /// Every replica looks and does until nobody has anything to do; how many rounds that took.
    fn settle(&mut self) -> usize {
        for round in 0..50 {
            let mut busy = false;
            for replica in 0..REPLICAS {
                self.happen(&Event::Look(replica));
                while self.replicas[replica]
                    .plan
                    .as_ref()
                    .is_some_and(|planned| !planned.steps.is_empty())
                {
                    busy = true;
                    self.happen(&Event::Do(replica));
                }
            }
            if !busy {
                return round;
            }
        }
        panic!("it never ends: {self:?}");
    }

    fn all_are_good(&self) -> bool {
        self.replicas
            .iter()
            .all(|replica| replica.leaf.as_ref().is_some_and(|leaf| self.now < leaf.until))
    }
}

proptest! {
    /// The assertions are in [`World`]: they hold after every event.
    #[test]
    fn whatever_happens_every_served_certificate_is_vouched_for(
        events in prop::collection::vec(event(), 0..200),
    ) {
        let mut world = World::new();
        for event in &events {
            world.happen(event);
        }
    }

    #[test]
    fn from_wherever_it_is_left_all_replicas_come_to_rest_with_a_good_certificate(
        events in prop::collection::vec(event(), 0..100),
    ) {
        let mut world = World::new();
        for event in &events {
            world.happen(event);
        }
        world.happen(&Event::Delete(false));
        prop_assert!(world.settle() <= 8);
        world.happen(&Event::Wait(15));
        prop_assert!(world.settle() <= 8);
        prop_assert!(world.all_are_good());
        let Secret::Ours { authorities, damaged: false } = &world.secret else {
            panic!("{world:?}");
        };
        let current = authorities.current.as_ref().unwrap();
        prop_assert!(world.replicas.iter().all(|replica| &replica.leaf.as_ref().unwrap().issuer == current));
        prop_assert!(authorities.next.is_none());
    }

    /// Looks every ten seconds of an hour out of each rotation, and every few hours in between; replicas die.
    #[test]
    fn authorities_come_and_go_without_a_moment_without_a_certificate(
        pauses in prop::collection::vec(prop_oneof![Just(10_i64), Just(1800)], 200..400),
        events in prop::collection::vec(undisturbed(), 0..30),
    ) {
        let mut world = World::new();
        for event in &events {
            if !matches!(event, Event::Wait(_)) {
                world.happen(event);
            }
        }
        world.settle();
        world.happen(&Event::Wait(15));
        world.settle();
        for (turn, pause) in pauses.iter().enumerate() {
            world.happen(&Event::Wait(*pause));
            prop_assert!(world.all_are_good());
            if turn % 7 == 0 {
                world.happen(&Event::Kill(turn % REPLICAS));
            }
            world.settle();
            prop_assert!(world.all_are_good());
        }
    }
}

#[test]
fn in_a_quarter_there_are_authorities_enough_and_never_more_than_two_in_a_bundle() {
    let mut world = World::new();
    world.settle();
    let mut most = 0;
    for _ in 0..90 * 24 * 2 {
        world.happen(&Event::Wait(1800));
        world.settle();
        assert!(world.all_are_good());
        most = most.max(world.configurations[0].0[0].len());
    }
    // One every 60 hours, and half an hour until it is looked at again.
    assert_eq!((most, world.made > 34), (2, true), "{}", world.made);
}
