//! The plans for single observations.

use super::*;

const TIMING: Timing = Timing {
    authority_lifetime: SignedDuration::from_hours(90),
    leaf_lifetime: SignedDuration::from_hours(24),
    propagation_delay: SignedDuration::from_secs(15),
};

/// Returns the time this many hours after the epoch.
fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(hours * 3600).unwrap()
}

/// Returns an authority that is generated at this hour and lives for 90 hours.
fn authority_of(hour: i64) -> Authority {
    Authority {
        not_after: at(hour + 90),
        issued_at: at(hour),
        der: Arc::from(hour.to_string().as_bytes()),
    }
}

fn leaf_of(issuer: &Authority, hour: i64) -> Leaf {
    Leaf {
        issuer: issuer.clone(),
        issued_at: at(hour),
        not_after: TIMING.leaf_not_after(issuer, at(hour)),
    }
}

fn owned(
    current: Option<&Authority>,
    next: Option<&Authority>,
    previous: &[Authority],
) -> SecretState<Authority> {
    SecretState::Owned {
        authorities: Authorities {
            current: current.cloned(),
            next: next.cloned(),
            previous: previous.to_vec(),
        },
        damaged: false,
    }
}

fn bundles(bundles: &[&[&Authority]]) -> Bundles {
    let bundle = |bundle: &&[&Authority]| bundle.iter().copied().cloned().collect();
    Bundles(bundles.iter().map(bundle).collect())
}

/// Returns two configurations whose bundles all contain these authorities.
fn both_contain(authorities: &[&Authority]) -> Vec<Bundles> {
    vec![bundles(&[authorities]), bundles(&[authorities, authorities])]
}

/// Returns the plan of a replica that has observed these configurations since the hour `since`.
fn planned(
    secret: SecretState<Authority>,
    configurations: impl Into<Option<Vec<Bundles>>>,
    leaf: Option<&Leaf>,
    since: i64,
    now: i64,
) -> Vec<Action> {
    let configurations = configurations.into();
    let mut published = Published::default();
    if let Some(configurations) = &configurations {
        published.record(&common_authorities(configurations), at(since));
        published.record(&common_authorities(configurations), at(now));
    }
    let observation = Observation {
        secret,
        configurations,
    };
    plan(&observation, leaf, &published, &TIMING, at(now))
}

fn publishes(index: usize, authorities: &[&Authority]) -> Action {
    Action::Publish(index, authorities.iter().copied().cloned().collect())
}

#[test]
fn five_observations_lead_from_an_empty_secret_to_a_certificate() {
    let a = authority_of(0);
    let empty = || owned(None, None, &[]);
    assert_eq!(
        planned(empty(), both_contain(&[]), None, 0, 0),
        [Action::UpdateSecret(SecretUpdate::AddNext)]
    );
    assert_eq!(
        planned(owned(None, Some(&a), &[]), both_contain(&[]), None, 0, 0),
        [publishes(0, &[&a]), publishes(1, &[&a])]
    );
    assert_eq!(
        planned(owned(None, Some(&a), &[]), both_contain(&[&a]), None, 0, 0),
        [Action::UpdateSecret(SecretUpdate::Promote)]
    );
    assert_eq!(
        planned(owned(Some(&a), None, &[]), both_contain(&[&a]), None, 0, 0),
        [Action::Issue]
    );
    let leaf = leaf_of(&a, 0);
    assert_eq!(
        planned(owned(Some(&a), None, &[]), both_contain(&[&a]), Some(&leaf), 0, 1),
        []
    );
}

#[test]
fn no_certificate_is_signed_before_every_bundle_was_read_back() {
    let a = authority_of(0);
    let secret = || owned(Some(&a), None, &[]);
    let half = Some(vec![bundles(&[&[&a]]), bundles(&[&[&a], &[]])]);
    assert_eq!(planned(secret(), half, None, 0, 5), [publishes(1, &[&a])]);
    assert_eq!(planned(secret(), None, None, 0, 5), []);
    assert_eq!(planned(secret(), Some(Vec::new()), None, 0, 5), []);
}

#[test]
fn a_certificate_is_renewed_after_two_thirds_of_its_lifetime() {
    let a = authority_of(0);
    let leaf = leaf_of(&a, 0);
    let now = |hour| {
        planned(
            owned(Some(&a), None, &[]),
            both_contain(&[&a]),
            Some(&leaf),
            0,
            hour,
        )
    };
    assert_eq!(now(15), []);
    assert_eq!(now(16), [Action::Issue]);
    assert_eq!(now(30), [Action::Issue]);
}

#[test]
fn a_certificate_is_renewed_by_its_own_authority_while_no_configuration_can_be_read() {
    let a = authority_of(0);
    let leaf = leaf_of(&a, 0);
    assert_eq!(
        planned(owned(Some(&a), None, &[]), None, Some(&leaf), 0, 16),
        [Action::Issue]
    );
}

#[test]
fn an_authority_is_replaced_step_by_step_after_two_thirds_of_its_lifetime() {
    let (a, b) = (authority_of(0), authority_of(60));
    let leaf = leaf_of(&a, 59);
    let now = |secret, bundles, leaf: &Leaf, since| planned(secret, bundles, Some(leaf), since, 61);
    assert_eq!(
        now(owned(Some(&a), None, &[]), both_contain(&[&a]), &leaf, 0),
        [Action::UpdateSecret(SecretUpdate::AddNext)]
    );
    assert_eq!(
        now(owned(Some(&a), Some(&b), &[]), both_contain(&[&a]), &leaf, 0),
        [publishes(0, &[&a, &b]), publishes(1, &[&a, &b])]
    );
    // Read back at this moment: some API servers may not know it yet.
    assert_eq!(
        now(owned(Some(&a), Some(&b), &[]), both_contain(&[&a, &b]), &leaf, 61),
        []
    );
    assert_eq!(
        now(owned(Some(&a), Some(&b), &[]), both_contain(&[&a, &b]), &leaf, 60),
        [Action::UpdateSecret(SecretUpdate::Promote)]
    );
    let previous = std::slice::from_ref(&a);
    assert_eq!(
        now(
            owned(Some(&b), None, previous),
            both_contain(&[&a, &b]),
            &leaf,
            60
        ),
        [Action::Issue]
    );
    let leaf = leaf_of(&b, 61);
    assert_eq!(
        now(
            owned(Some(&b), None, previous),
            both_contain(&[&a, &b]),
            &leaf,
            60
        ),
        []
    );
}

#[test]
fn a_previous_authority_is_removed_once_it_has_expired_and_not_before() {
    let (a, b) = (authority_of(0), authority_of(60));
    let leaf = leaf_of(&b, 85);
    let previous = std::slice::from_ref(&a);
    let now = |hour| {
        planned(
            owned(Some(&b), None, previous),
            both_contain(&[&a, &b]),
            Some(&leaf),
            0,
            hour,
        )
    };
    assert_eq!(now(89), []);
    assert_eq!(
        now(90),
        [
            Action::UpdateSecret(SecretUpdate::RemoveExpired),
            publishes(0, &[&b]),
            publishes(1, &[&b])
        ]
    );
}

#[test]
fn an_emptied_bundle_also_gets_the_authority_of_the_served_certificate() {
    let (a, b) = (authority_of(0), authority_of(1));
    let leaf = leaf_of(&a, 0);
    assert_eq!(
        planned(owned(Some(&b), None, &[]), both_contain(&[]), Some(&leaf), 0, 2),
        [publishes(0, &[&a, &b]), publishes(1, &[&a, &b])]
    );
}

#[test]
fn authorities_of_others_stay_in_a_bundle_until_they_expire() {
    let (a, theirs, expired) = (authority_of(0), authority_of(-50), authority_of(-100));
    let found = Some(vec![bundles(&[&[&theirs, &expired]])]);
    assert_eq!(
        planned(owned(Some(&a), None, &[]), found, None, 0, 1),
        [publishes(0, &[&theirs, &a])]
    );
}

#[test]
fn a_foreign_secret_is_left_alone_and_the_served_certificate_stays_trusted() {
    let a = authority_of(0);
    let leaf = leaf_of(&a, 0);
    assert_eq!(
        planned(SecretState::Unavailable, both_contain(&[]), None, 0, 1),
        []
    );
    assert_eq!(
        planned(SecretState::Unavailable, both_contain(&[&a]), Some(&leaf), 0, 20),
        []
    );
    assert_eq!(
        planned(SecretState::Unavailable, both_contain(&[]), Some(&leaf), 0, 1),
        [publishes(0, &[&a]), publishes(1, &[&a])]
    );
}

#[test]
fn a_damaged_secret_keeps_the_authorities_that_can_be_read() {
    let (a, b) = (authority_of(0), authority_of(10));
    let damaged = |current: Option<&Authority>, next: Option<&Authority>| {
        let SecretState::Owned { authorities, .. } = owned(current, next, &[]) else {
            unreachable!()
        };
        SecretState::Owned {
            authorities,
            damaged: true,
        }
    };
    let leaf = leaf_of(&a, 0);
    let now = |secret| planned(secret, both_contain(&[&a, &b]), Some(&leaf), 11, 11);
    assert_eq!(
        now(damaged(Some(&a), None)),
        [Action::UpdateSecret(SecretUpdate::Repair)]
    );
    assert_eq!(
        now(damaged(None, None)),
        [Action::UpdateSecret(SecretUpdate::AddNext)]
    );
    assert_eq!(
        now(damaged(None, Some(&b))),
        [Action::UpdateSecret(SecretUpdate::Repair)]
    );
}

#[test]
fn after_the_secret_was_emptied_a_usable_certificate_is_not_replaced_at_once() {
    let (a, b) = (authority_of(0), authority_of(10));
    let leaf = leaf_of(&a, 0);
    let now = |secret, since| planned(secret, both_contain(&[&a, &b]), Some(&leaf), since, 11);
    assert_eq!(now(owned(None, Some(&b), &[]), 11), []);
    assert_eq!(
        now(owned(None, Some(&b), &[]), 10),
        [Action::UpdateSecret(SecretUpdate::Promote)]
    );
    // Another replica, without a usable certificate, has promoted it already.
    assert_eq!(now(owned(Some(&b), None, &[]), 11), []);
    assert_eq!(now(owned(Some(&b), None, &[]), 10), [Action::Issue]);
}

#[test]
fn an_authority_that_expired_while_no_replica_ran_is_replaced_without_waiting() {
    let (a, b) = (authority_of(0), authority_of(100));
    assert_eq!(
        planned(owned(Some(&a), None, &[]), both_contain(&[&a]), None, 100, 100),
        [Action::UpdateSecret(SecretUpdate::AddNext)]
    );
    assert_eq!(
        planned(
            owned(Some(&a), Some(&b), &[]),
            both_contain(&[&b]),
            None,
            100,
            100
        ),
        [Action::UpdateSecret(SecretUpdate::Promote)]
    );
}

#[test]
fn a_certificate_never_outlives_its_authority_and_is_not_renewed_without_gain() {
    let a = authority_of(0);
    let leaf = leaf_of(&a, 80);
    assert_eq!(leaf.not_after, a.not_after);
    assert_eq!(
        planned(SecretState::Unavailable, both_contain(&[&a]), Some(&leaf), 0, 89),
        []
    );
    let b = authority_of(60);
    let actions = planned(
        owned(Some(&a), Some(&b), &[]),
        both_contain(&[&a]),
        Some(&leaf),
        0,
        89,
    );
    assert!(!actions.contains(&Action::Issue), "{actions:?}");
}

#[test]
fn an_authority_that_one_bundle_lost_has_to_be_published_anew() {
    let a = authority_of(0);
    let mut published = Published::default();
    let all = BTreeSet::from([a.clone()]);
    published.record(&all, at(1));
    assert!(published.is_propagated(&a, &TIMING, at(2)));
    published.record(&BTreeSet::new(), at(2));
    assert!(!published.contains(&a));
    published.record(&all, at(3));
    assert!(!published.is_propagated(&a, &TIMING, at(3)));
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_a_rotation_for_ever() {
    let a = authority_of(0);
    let mut published = Published::default();
    let all = BTreeSet::from([a.clone()]);
    published.record(&all, at(50));
    published.record(&all, at(1));
    assert!(!published.is_propagated(&a, &TIMING, at(1)));
    assert!(published.is_propagated(&a, &TIMING, at(2)));
}

#[test]
fn an_update_keeps_the_former_certificate_and_removes_expired_ones() {
    let (a, b, c) = (authority_of(0), authority_of(60), authority_of(120));
    let authorities = Authorities {
        current: Some(b.clone()),
        next: None,
        previous: vec![a],
    };
    let generate = || Ok::<_, ()>(c.clone());
    let prepared = authorities
        .updated(SecretUpdate::AddNext, at(120), generate)
        .unwrap();
    assert_eq!(
        (&prepared.next, prepared.previous.as_slice()),
        (&Some(c.clone()), &[][..])
    );
    let promoted = prepared
        .updated(SecretUpdate::Promote, at(120), generate)
        .unwrap();
    assert_eq!(promoted.current, Some(c));
    assert_eq!((promoted.next, promoted.previous), (None, vec![b]));
}
