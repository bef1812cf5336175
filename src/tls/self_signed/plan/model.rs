//! A model of several replicas: random interleavings, restarts and changes of the Secret by others.

use proptest::prelude::*;

use super::*;

const TIMING: Timing = Timing {
    authority_lifetime: SignedDuration::from_hours(90),
    leaf_lifetime: SignedDuration::from_hours(24),
    propagation_delay: SignedDuration::from_secs(15),
};

/// The number of replicas.
const REPLICAS: usize = 3;

#[derive(Debug, Clone)]
enum Event {
    /// A replica observes and plans.
    Observe(usize),
    /// A replica executes the next action of its plan, which may be outdated.
    Execute(usize),
    /// A replica is killed, and another one starts in its place.
    Kill(usize),
    /// Time passes, in seconds.
    Wait(i64),
    /// A user empties the Secret.
    EmptySecret,
    /// A user damages the current authority in the Secret, and the next one too if true.
    DamageSecret(bool),
    /// A user deletes the Secret.
    DeleteSecret,
    /// A user creates an empty Secret if there is none.
    CreateSecret,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0..REPLICAS).prop_map(Event::Observe),
        24 => (0..REPLICAS).prop_map(Event::Execute),
        2 => (0..REPLICAS).prop_map(Event::Kill),
        8 => prop_oneof![0..20_i64, 3600..36_000_i64, 36_000..200_000_i64].prop_map(Event::Wait),
        1 => Just(Event::EmptySecret),
        1 => any::<bool>().prop_map(Event::DamageSecret),
        1 => prop_oneof![Just(Event::DeleteSecret), Just(Event::CreateSecret)],
    ]
}

/// Returns events without changes of the Secret by users.
fn event_of_replicas() -> impl Strategy<Value = Event> {
    event().prop_filter("no change by a user", |event| {
        matches!(
            event,
            Event::Observe(_) | Event::Execute(_) | Event::Kill(_) | Event::Wait(_)
        )
    })
}

#[derive(Debug, Default)]
struct Replica {
    leaf: Option<Leaf>,
    published: Published,
    plan: Option<Plan>,
}

/// A plan with the observation and the versions that it is based on.
#[derive(Debug)]
struct Plan {
    observation: Observation<Authority>,
    actions: Vec<Action>,
    secret_version: u64,
    configuration_versions: Vec<u64>,
}

#[derive(Debug)]
struct World {
    now: Timestamp,
    generated_authorities: u64,
    secret: SecretState<Authority>,
    secret_version: u64,
    configurations: Vec<Bundles>,
    configuration_versions: Vec<u64>,
    /// The time since which every bundle has contained the authority.
    published: BTreeMap<Authority, Timestamp>,
    replicas: Vec<Replica>,
}

impl World {
    fn new() -> Self {
        Self {
            now: Timestamp::from_second(1_000_000_000).unwrap(),
            generated_authorities: 0,
            secret: SecretState::Owned {
                authorities: Authorities::default(),
                damaged: false,
            },
            secret_version: 0,
            configurations: vec![
                Bundles(vec![BTreeSet::new()]),
                Bundles(vec![BTreeSet::new(), BTreeSet::new()]),
            ],
            configuration_versions: vec![0, 0],
            published: BTreeMap::new(),
            replicas: (0..REPLICAS).map(|_| Replica::default()).collect(),
        }
    }

    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Observe(replica) => self.observe(replica),
            Event::Execute(replica) => self.execute(replica),
            Event::Kill(replica) => self.replicas[replica] = Replica::default(),
            Event::Wait(seconds) => self.now = saturating_add(self.now, SignedDuration::from_secs(seconds)),
            Event::EmptySecret => self.replace_secret(Authorities::default(), false),
            Event::DamageSecret(next_too) => {
                let SecretState::Owned { authorities, .. } = &self.secret else {
                    return;
                };
                let mut left = authorities.clone();
                left.current = None;
                left.next = left.next.filter(|_| !next_too);
                self.replace_secret(left, true);
            }
            Event::DeleteSecret => {
                self.secret = SecretState::Unavailable;
                self.secret_version += 1;
            }
            Event::CreateSecret => {
                if self.secret == SecretState::Unavailable {
                    self.replace_secret(Authorities::default(), false);
                }
            }
        }
        self.check_and_record_published();
    }

    fn replace_secret(&mut self, authorities: Authorities<Authority>, damaged: bool) {
        self.secret = SecretState::Owned { authorities, damaged };
        self.secret_version += 1;
    }

    fn observe(&mut self, replica: usize) {
        let replica = &mut self.replicas[replica];
        let observation = Observation {
            secret: self.secret.clone(),
            configurations: Some(self.configurations.clone()),
        };
        replica
            .published
            .record(&common_authorities(&self.configurations), self.now);
        let actions = plan(
            &observation,
            replica.leaf.as_ref(),
            &replica.published,
            &TIMING,
            self.now,
        );
        replica.plan = Some(Plan {
            observation,
            actions,
            secret_version: self.secret_version,
            configuration_versions: self.configuration_versions.clone(),
        });
    }

    /// Executes the next action of the plan, if there is one. A write of an outdated version is a conflict.
    fn execute(&mut self, replica: usize) {
        let Some(plan) = &mut self.replicas[replica].plan else {
            return;
        };
        if plan.actions.is_empty() {
            return;
        }
        match plan.actions.remove(0) {
            Action::UpdateSecret(update) => {
                if plan.secret_version == self.secret_version {
                    let SecretState::Owned { authorities, .. } = plan.observation.secret.clone() else {
                        panic!("a foreign Secret is written");
                    };
                    if update == SecretUpdate::Promote {
                        self.check_promotion(&authorities);
                    }
                    self.generated_authorities += 1;
                    let generated = Authority {
                        not_after: saturating_add(self.now, TIMING.authority_lifetime),
                        issued_at: self.now,
                        der: Arc::from(self.generated_authorities.to_be_bytes()),
                    };
                    let updated = authorities
                        .updated(update, self.now, || Ok::<_, ()>(generated))
                        .unwrap();
                    self.replace_secret(updated, false);
                }
            }
            Action::Publish(index, authorities) => {
                if plan.configuration_versions[index] == self.configuration_versions[index] {
                    for bundle in &mut self.configurations[index].0 {
                        bundle.clone_from(&authorities);
                    }
                    self.configuration_versions[index] += 1;
                }
            }
            Action::Issue => {
                let SecretState::Owned { authorities, .. } = &plan.observation.secret else {
                    panic!("a foreign Secret is used");
                };
                let issuer = authorities.current.clone().unwrap();
                self.issue(replica, &issuer);
            }
        }
    }

    /// Asserts that every API server knows the next authority: a replica that starts after the promotion signs with it at
    /// once.
    fn check_promotion(&self, authorities: &Authorities<Authority>) {
        let next = authorities.next.as_ref().unwrap();
        let since = self
            .published
            .get(next)
            .expect("promoted before it was published");
        let current_is_valid = authorities
            .current
            .as_ref()
            .is_some_and(|current| self.now < current.not_after);
        assert!(
            !current_is_valid || self.now.duration_since(*since) >= TIMING.propagation_delay,
            "promoted before every API server could know"
        );
    }

    fn issue(&mut self, replica: usize, issuer: &Authority) {
        let not_after = TIMING.leaf_not_after(issuer, self.now);
        let former = self.replicas[replica].leaf.replace(Leaf {
            issuer: issuer.clone(),
            issued_at: self.now,
            not_after,
        });
        if not_after <= self.now {
            return;
        }
        let since = self
            .published
            .get(issuer)
            .expect("signed before it was published");
        let former_was_usable = former.is_some_and(|former| {
            former.issuer != *issuer
                && self.now < former.not_after
                && self.published.contains_key(&former.issuer)
        });
        if former_was_usable {
            assert!(
                self.now.duration_since(*since) >= TIMING.propagation_delay,
                "switched before every API server could know"
            );
        }
    }

    fn check_and_record_published(&mut self) {
        let published = common_authorities(&self.configurations);
        self.published
            .retain(|authority, _| published.contains(authority));
        for authority in published {
            self.published.entry(authority).or_insert(self.now);
        }
        for replica in &self.replicas {
            let Some(leaf) = &replica.leaf else { continue };
            assert!(
                leaf.not_after <= leaf.issuer.not_after,
                "a certificate outlives its authority"
            );
            if self.now < leaf.not_after {
                assert!(
                    self.published.contains_key(&leaf.issuer),
                    "a caBundle lacks the authority of a served certificate"
                );
            }
        }
    }

    /// Lets every replica observe and execute until no replica has an action. Returns the number of rounds.
    fn settle(&mut self) -> usize {
        for round in 0..50 {
            let mut busy = false;
            for replica in 0..REPLICAS {
                self.apply(&Event::Observe(replica));
                while self.replicas[replica]
                    .plan
                    .as_ref()
                    .is_some_and(|plan| !plan.actions.is_empty())
                {
                    busy = true;
                    self.apply(&Event::Execute(replica));
                }
            }
            if !busy {
                return round;
            }
        }
        panic!("the replicas never settle: {self:?}");
    }

    fn all_certificates_are_valid(&self) -> bool {
        self.replicas.iter().all(|replica| {
            replica
                .leaf
                .as_ref()
                .is_some_and(|leaf| self.now < leaf.not_after)
        })
    }
}

proptest! {
    /// The assertions are in [`World`] and run after every event.
    #[test]
    fn after_any_events_every_ca_bundle_contains_the_authority_of_every_served_certificate(
        events in prop::collection::vec(event(), 0..200),
    ) {
        let mut world = World::new();
        for event in &events {
            world.apply(event);
        }
    }

    #[test]
    fn after_any_events_all_replicas_settle_with_a_valid_certificate(
        events in prop::collection::vec(event(), 0..100),
    ) {
        let mut world = World::new();
        for event in &events {
            world.apply(event);
        }
        world.apply(&Event::CreateSecret);
        prop_assert!(world.settle() <= 8);
        world.apply(&Event::Wait(15));
        prop_assert!(world.settle() <= 8);
        prop_assert!(world.all_certificates_are_valid());
        let SecretState::Owned { authorities, damaged: false } = &world.secret else {
            panic!("{world:?}");
        };
        let current = authorities.current.as_ref().unwrap();
        prop_assert!(world.replicas.iter().all(|replica| &replica.leaf.as_ref().unwrap().issuer == current));
        prop_assert!(authorities.next.is_none());
    }

    /// Replicas reconcile after pauses of ten seconds or half an hour, and replicas are killed now and then.
    #[test]
    fn rotations_of_the_authority_leave_no_moment_without_a_valid_certificate(
        pauses in prop::collection::vec(prop_oneof![Just(10_i64), Just(1800)], 200..400),
        events in prop::collection::vec(event_of_replicas(), 0..30),
    ) {
        let mut world = World::new();
        for event in &events {
            if !matches!(event, Event::Wait(_)) {
                world.apply(event);
            }
        }
        world.settle();
        world.apply(&Event::Wait(15));
        world.settle();
        for (turn, pause) in pauses.iter().enumerate() {
            world.apply(&Event::Wait(*pause));
            prop_assert!(world.all_certificates_are_valid());
            if turn % 7 == 0 {
                world.apply(&Event::Kill(turn % REPLICAS));
            }
            world.settle();
            prop_assert!(world.all_certificates_are_valid());
        }
    }
}

#[test]
fn in_ninety_days_authorities_rotate_and_a_bundle_never_contains_more_than_two() {
    let mut world = World::new();
    world.settle();
    let mut largest_bundle = 0;
    for _ in 0..90 * 24 * 2 {
        world.apply(&Event::Wait(1800));
        world.settle();
        assert!(world.all_certificates_are_valid());
        largest_bundle = largest_bundle.max(world.configurations[0].0[0].len());
    }
    // A rotation every 60 hours, up to half an hour late.
    assert_eq!(
        (largest_bundle, world.generated_authorities > 34),
        (2, true),
        "{}",
        world.generated_authorities
    );
}
