//! The plan, look by look.

use super::*;

const TIMING: Timing = Timing {
    authority: SignedDuration::from_hours(90),
    leaf: SignedDuration::from_hours(24),
    settle: SignedDuration::from_secs(15),
};

/// Hours after the beginning of time.
fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(hours * 3600).unwrap()
}

/// An authority that is made at this hour, and lives for 90.
fn made_at(hour: i64) -> Authority {
    Authority {
        until: at(hour + 90),
        issued: at(hour),
        der: Arc::from(hour.to_string().as_bytes()),
    }
}

fn leaf_of(issuer: &Authority, hour: i64) -> Leaf {
    Leaf {
        issuer: issuer.clone(),
        issued: at(hour),
        until: TIMING.end_of_leaf(issuer, at(hour)),
    }
}

fn held(current: Option<&Authority>, next: Option<&Authority>, previous: &[Authority]) -> Secret<Authority> {
    Secret::Ours {
        authorities: Authorities {
            current: current.cloned(),
            next: next.cloned(),
            previous: previous.to_vec(),
        },
        damaged: false,
    }
}

fn bundles(entries: &[&[&Authority]]) -> Configuration {
    let entry = |entry: &&[&Authority]| entry.iter().copied().cloned().collect();
    Configuration(entries.iter().map(entry).collect())
}

/// Both configurations hold these.
fn both_hold(authorities: &[&Authority]) -> Vec<Configuration> {
    vec![bundles(&[authorities]), bundles(&[authorities, authorities])]
}

/// The plan of a replica that has seen what is published since this hour.
fn planned(
    secret: Secret<Authority>,
    configurations: impl Into<Option<Vec<Configuration>>>,
    leaf: Option<&Leaf>,
    since: i64,
    now: i64,
) -> Vec<Step> {
    let configurations = configurations.into();
    let mut seen = Seen::default();
    if let Some(configurations) = &configurations {
        seen.note(&published(configurations), at(since));
        seen.note(&published(configurations), at(now));
    }
    let look = Look {
        secret,
        configurations,
    };
    plan(&look, leaf, &seen, &TIMING, at(now))
}

fn publishes(place: usize, authorities: &[&Authority]) -> Step {
    Step::Publish(place, authorities.iter().copied().cloned().collect())
}

#[test]
fn from_nothing_to_a_certificate_in_five_looks() {
    let a = made_at(0);
    let empty = || held(None, None, &[]);
    assert_eq!(
        planned(empty(), both_hold(&[]), None, 0, 0),
        [Step::Write(Change::Prepare)]
    );
    assert_eq!(
        planned(held(None, Some(&a), &[]), both_hold(&[]), None, 0, 0),
        [publishes(0, &[&a]), publishes(1, &[&a])]
    );
    assert_eq!(
        planned(held(None, Some(&a), &[]), both_hold(&[&a]), None, 0, 0),
        [Step::Write(Change::Promote)]
    );
    assert_eq!(
        planned(held(Some(&a), None, &[]), both_hold(&[&a]), None, 0, 0),
        [Step::Issue]
    );
    let leaf = leaf_of(&a, 0);
    assert_eq!(
        planned(held(Some(&a), None, &[]), both_hold(&[&a]), Some(&leaf), 0, 1),
        []
    );
}

#[test]
fn nothing_is_signed_before_every_bundle_was_read_back() {
    let a = made_at(0);
    let secret = || held(Some(&a), None, &[]);
    let half = Some(vec![bundles(&[&[&a]]), bundles(&[&[&a], &[]])]);
    assert_eq!(planned(secret(), half, None, 0, 5), [publishes(1, &[&a])]);
    assert_eq!(planned(secret(), None, None, 0, 5), []);
    assert_eq!(planned(secret(), Some(Vec::new()), None, 0, 5), []);
}

#[test]
fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
    let a = made_at(0);
    let leaf = leaf_of(&a, 0);
    let now = |hour| planned(held(Some(&a), None, &[]), both_hold(&[&a]), Some(&leaf), 0, hour);
    assert_eq!(now(15), []);
    assert_eq!(now(16), [Step::Issue]);
    assert_eq!(now(30), [Step::Issue]);
}

#[test]
fn a_certificate_is_renewed_by_its_own_authority_while_no_configuration_can_be_read() {
    let a = made_at(0);
    let leaf = leaf_of(&a, 0);
    assert_eq!(
        planned(held(Some(&a), None, &[]), None, Some(&leaf), 0, 16),
        [Step::Issue]
    );
}

#[test]
fn an_authority_is_replaced_step_by_step_after_two_thirds_of_its_life() {
    let (a, b) = (made_at(0), made_at(60));
    let leaf = leaf_of(&a, 59);
    let now = |secret, bundles, leaf: &Leaf, since| planned(secret, bundles, Some(leaf), since, 61);
    assert_eq!(
        now(held(Some(&a), None, &[]), both_hold(&[&a]), &leaf, 0),
        [Step::Write(Change::Prepare)]
    );
    assert_eq!(
        now(held(Some(&a), Some(&b), &[]), both_hold(&[&a]), &leaf, 0),
        [publishes(0, &[&a, &b]), publishes(1, &[&a, &b])]
    );
    // Read back this very moment: API servers may not have heard of it.
    assert_eq!(
        now(held(Some(&a), Some(&b), &[]), both_hold(&[&a, &b]), &leaf, 61),
        []
    );
    assert_eq!(
        now(held(Some(&a), Some(&b), &[]), both_hold(&[&a, &b]), &leaf, 60),
        [Step::Write(Change::Promote)]
    );
    let previous = std::slice::from_ref(&a);
    assert_eq!(
        now(held(Some(&b), None, previous), both_hold(&[&a, &b]), &leaf, 60),
        [Step::Issue]
    );
    let leaf = leaf_of(&b, 61);
    assert_eq!(
        now(held(Some(&b), None, previous), both_hold(&[&a, &b]), &leaf, 60),
        []
    );
}

#[test]
fn a_former_authority_goes_once_it_has_expired_and_not_before() {
    let (a, b) = (made_at(0), made_at(60));
    let leaf = leaf_of(&b, 85);
    let previous = std::slice::from_ref(&a);
    let now = |hour| {
        planned(
            held(Some(&b), None, previous),
            both_hold(&[&a, &b]),
            Some(&leaf),
            0,
            hour,
        )
    };
    assert_eq!(now(89), []);
    assert_eq!(
        now(90),
        [
            Step::Write(Change::Forget),
            publishes(0, &[&b]),
            publishes(1, &[&b])
        ]
    );
}

#[test]
fn a_bundle_that_was_emptied_is_filled_with_what_is_served_too() {
    let (a, b) = (made_at(0), made_at(1));
    let leaf = leaf_of(&a, 0);
    assert_eq!(
        planned(held(Some(&b), None, &[]), both_hold(&[]), Some(&leaf), 0, 2),
        [publishes(0, &[&a, &b]), publishes(1, &[&a, &b])]
    );
}

#[test]
fn authorities_of_others_stay_in_a_bundle_until_they_expire() {
    let (a, theirs, expired) = (made_at(0), made_at(-50), made_at(-100));
    let found = Some(vec![bundles(&[&[&theirs, &expired]])]);
    assert_eq!(
        planned(held(Some(&a), None, &[]), found, None, 0, 1),
        [publishes(0, &[&theirs, &a])]
    );
}

#[test]
fn a_secret_that_is_not_ours_is_left_alone_and_the_certificate_stays_vouched_for() {
    let a = made_at(0);
    let leaf = leaf_of(&a, 0);
    assert_eq!(planned(Secret::Closed, both_hold(&[]), None, 0, 1), []);
    assert_eq!(planned(Secret::Closed, both_hold(&[&a]), Some(&leaf), 0, 20), []);
    assert_eq!(
        planned(Secret::Closed, both_hold(&[]), Some(&leaf), 0, 1),
        [publishes(0, &[&a]), publishes(1, &[&a])]
    );
}

#[test]
fn a_damaged_secret_keeps_what_can_be_read_of_it() {
    let (a, b) = (made_at(0), made_at(10));
    let damaged = |current: Option<&Authority>, next: Option<&Authority>| {
        let Secret::Ours { authorities, .. } = held(current, next, &[]) else {
            unreachable!()
        };
        Secret::Ours {
            authorities,
            damaged: true,
        }
    };
    let leaf = leaf_of(&a, 0);
    let now = |secret| planned(secret, both_hold(&[&a, &b]), Some(&leaf), 11, 11);
    assert_eq!(now(damaged(Some(&a), None)), [Step::Write(Change::Mend)]);
    assert_eq!(now(damaged(None, None)), [Step::Write(Change::Prepare)]);
    assert_eq!(now(damaged(None, Some(&b))), [Step::Write(Change::Mend)]);
}

#[test]
fn after_the_secret_was_emptied_a_good_certificate_is_not_given_up_at_once() {
    let (a, b) = (made_at(0), made_at(10));
    let leaf = leaf_of(&a, 0);
    let now = |secret, since| planned(secret, both_hold(&[&a, &b]), Some(&leaf), since, 11);
    assert_eq!(now(held(None, Some(&b), &[]), 11), []);
    assert_eq!(now(held(None, Some(&b), &[]), 10), [Step::Write(Change::Promote)]);
    // Another replica, which had nothing to lose, was quicker.
    assert_eq!(now(held(Some(&b), None, &[]), 11), []);
    assert_eq!(now(held(Some(&b), None, &[]), 10), [Step::Issue]);
}

#[test]
fn an_authority_that_expired_while_nobody_ran_is_replaced_without_waiting() {
    let (a, b) = (made_at(0), made_at(100));
    assert_eq!(
        planned(held(Some(&a), None, &[]), both_hold(&[&a]), None, 100, 100),
        [Step::Write(Change::Prepare)]
    );
    assert_eq!(
        planned(held(Some(&a), Some(&b), &[]), both_hold(&[&b]), None, 100, 100),
        [Step::Write(Change::Promote)]
    );
}

#[test]
fn a_certificate_never_outlives_its_authority_and_is_not_signed_again_in_vain() {
    let a = made_at(0);
    let leaf = leaf_of(&a, 80);
    assert_eq!(leaf.until, a.until);
    assert_eq!(planned(Secret::Closed, both_hold(&[&a]), Some(&leaf), 0, 89), []);
    let b = made_at(60);
    let steps = planned(
        held(Some(&a), Some(&b), &[]),
        both_hold(&[&a]),
        Some(&leaf),
        0,
        89,
    );
    assert!(!steps.contains(&Step::Issue), "{steps:?}");
}

#[test]
fn what_one_bundle_loses_has_to_be_seen_anew() {
    let a = made_at(0);
    let mut seen = Seen::default();
    let all = BTreeSet::from([a.clone()]);
    seen.note(&all, at(1));
    assert!(seen.is_settled(&a, &TIMING, at(2)));
    seen.note(&BTreeSet::new(), at(2));
    assert!(!seen.has(&a));
    seen.note(&all, at(3));
    assert!(!seen.is_settled(&a, &TIMING, at(3)));
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_a_rotation_for_ever() {
    let a = made_at(0);
    let mut seen = Seen::default();
    let all = BTreeSet::from([a.clone()]);
    seen.note(&all, at(50));
    seen.note(&all, at(1));
    assert!(!seen.is_settled(&a, &TIMING, at(1)));
    assert!(seen.is_settled(&a, &TIMING, at(2)));
}

#[test]
fn a_change_keeps_the_former_certificate_and_forgets_what_expired() {
    let (a, b, c) = (made_at(0), made_at(60), made_at(120));
    let authorities = Authorities {
        current: Some(b.clone()),
        next: None,
        previous: vec![a],
    };
    let fresh = || Ok::<_, ()>(c.clone());
    let prepared = authorities.after(Change::Prepare, at(120), fresh).unwrap();
    assert_eq!(
        (&prepared.next, prepared.previous.as_slice()),
        (&Some(c.clone()), &[][..])
    );
    let promoted = prepared.after(Change::Promote, at(120), fresh).unwrap();
    assert_eq!(promoted.current, Some(c));
    assert_eq!((promoted.next, promoted.previous), (None, vec![b]));
}
