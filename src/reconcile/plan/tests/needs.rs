//! What the next run needs, between two runs: what is told of it, when, and how often.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::retention::run;
use super::world::World;
use crate::api::{
    BackRestCondition, BackupStatus, CassandraBackup, CassandraBackupSpec, NodeStatus, PastRun, Retention,
};
use crate::reconcile::object::Plannable;
use crate::reconcile::plan::needs::{Needs, are_due, are_watched, differ, told};
use crate::reconcile::plan::prune::PruneInputs;
use crate::reconcile::plan::restore::RestoreInputs;
use crate::reconcile::plan::{Actions, Answers, Event, Observation, Plan, newly_awaited};
use crate::rules::catalogue::{CLUSTER_NOT_FOUND, SECRET_KEY_MISSING, SECRET_NOT_FOUND, SIDECAR_DISABLED};
use crate::rules::finding::{Cause, Finding, Findings};

/// What the rules found: of the Secret `gone`, `lost` (a key) or `?`, of the cluster `nowhere`, `off` or `elsewhere?`.
fn needs(words: &str) -> Needs {
    let (secret, cluster) = ("spec.secret", "spec.cassandraCluster");
    let mut found = Findings::default();
    for word in words.split_whitespace() {
        found.push(match word {
            "gone" => Finding::warn(&SECRET_NOT_FOUND, secret, Cause::NotFound, "no such Secret"),
            "?" => Finding::warn(&SECRET_NOT_FOUND, secret, Cause::NotFound, "not checked: 403").unchecked(),
            "lost" => Finding::deny(&SECRET_KEY_MISSING, secret, Cause::Invalid, "it has no key"),
            "nowhere" => Finding::warn(&CLUSTER_NOT_FOUND, cluster, Cause::NotFound, "no such cluster"),
            "elsewhere?" => {
                Finding::warn(&CLUSTER_NOT_FOUND, cluster, Cause::NotFound, "not checked: 500").unchecked()
            }
            "off" => Finding::deny(&SIDECAR_DISABLED, cluster, Cause::Invalid, "it has no sidecar"),
            "at-length" => Finding::deny(&SIDECAR_DISABLED, cluster, Cause::Invalid, "ö".repeat(3000)),
            other => panic!("{other}"),
        });
    }
    Needs::of(&found)
}

/// A schedule between two runs.
struct Armed {
    world: World,
    backup: CassandraBackup,
    needs: Option<Needs>,
}

impl Armed {
    fn new() -> Self {
        let world = World::new(2);
        let spec = CassandraBackupSpec {
            cassandra_cluster: "c1".to_owned(),
            schedule: Some("@every 1h".to_owned()),
            ..CassandraBackupSpec::default()
        };
        let mut backup = CassandraBackup::new("nightly", spec);
        backup.metadata.generation = Some(1);
        backup.metadata.creation_timestamp = Some(Time(world.now));
        let mut armed = Self {
            world,
            backup,
            needs: Some(Needs::default()),
        };
        armed.step();
        let mut status = armed.status();
        status.common.condition = Some(BackRestCondition {
            type_: "COMPLETED".to_owned(),
            ..BackRestCondition::default()
        });
        status.common.nodes = vec![NodeStatus::default()];
        status.history = vec![run("1")];
        armed.backup.status = Some(status);
        armed
    }

    fn status(&self) -> BackupStatus {
        self.backup.status.clone().unwrap_or_default()
    }

    fn look(&mut self) -> Actions<BackupStatus> {
        let (members, answers) = (self.world.members(), Answers::new());
        let needs = self.needs.clone();
        let look = Observation {
            missing: needs.as_ref().and_then(Needs::absent),
            wait: needs.as_ref().and_then(|needs| needs.refused.clone()),
            needs,
            ..self.world.look(&members, &answers)
        };
        match self
            .backup
            .plan(&look, &RestoreInputs::default(), &PruneInputs::default())
        {
            Plan::Do(deeds) => deeds,
            Plan::Ask(questions) => panic!("it asks {questions:?}"),
        }
    }

    /// One look; what is told, `None` where nothing is written either.
    fn step(&mut self) -> Option<Vec<Event>> {
        let deeds = self.look();
        assert_eq!(deeds.requests, []);
        let before = self.backup.status.replace(deeds.status.clone());
        if before.as_ref() == Some(&deeds.status) {
            assert_eq!(deeds.events, []);
            return None;
        }
        let mut events = deeds.events;
        events.extend(newly_awaited(
            before.as_ref().map(|status| &status.common),
            &deeds.status.common,
        ));
        Some(events)
    }

    /// A look at these needs, and some more of them; what is told, `Warning NotReady: …`.
    fn finds(&mut self, words: &str) -> Vec<String> {
        self.needs = Some(needs(words));
        let differs = differ(&self.backup, self.needs.as_ref().unwrap());
        let told = self.step();
        assert_eq!(told.is_some(), differs, "{words}");
        for _ in 0..3 {
            self.world.pass(SignedDuration::from_mins(1));
            assert_eq!(self.step(), None, "{words}");
        }
        let show = |event: Event| {
            let type_ = if event.warning { "Warning" } else { "Normal" };
            format!("{type_} {}: {}", event.reason, event.message)
        };
        told.into_iter().flatten().map(show).collect()
    }

    /// `Ready=False/Refused Stalled=True/Refused`, in the order of the types that are asked for.
    fn shows(&self, types: &[&str]) -> String {
        let conditions = self.status().common.conditions;
        let find = |type_: &&str| conditions.iter().find(|condition| condition.type_ == **type_);
        let shown = types.iter().filter_map(find);
        let shown = shown.map(|one| format!("{}={}/{}", one.type_, one.status, one.reason));
        shown.collect::<Vec<_>>().join(" ")
    }

    fn stands(&self) -> String {
        self.shows(&["Ready", "Stalled", "Reconciling", "ReferencesResolved"])
    }
}

const WELL: &str = "Ready=True/Scheduled ReferencesResolved=True/Resolved";
const REFUSED: &str = "Ready=False/Refused Stalled=True/Refused ReferencesResolved=True/Resolved";
const NO_SECRET: &str = "Ready=False/SecretNotFound ReferencesResolved=False/SecretNotFound";
const NO_CLUSTER: &str = "Ready=False/ClusterNotFound ReferencesResolved=False/ClusterNotFound";

/// What is said after the time of the next run.
const NOT: &str = "Warning NotReady: the run that is due at 2028-02-29T11:00:00Z would not begin: ";
const AGAIN: &str =
    "Normal Ready: nothing keeps the next run from beginning any more; it is due at 2028-02-29T11:00:00Z";

#[test]
fn what_the_next_run_lacks_is_told_once_for_each_change_and_so_is_that_it_lacks_nothing_more() {
    let mut armed = Armed::new();
    let lost = "spec.secret: Invalid value: it has no key [secret-key-missing]";
    let off = "spec.cassandraCluster: Invalid value: it has no sidecar [sidecar-disabled]";
    let gone = "spec.secret: Not found: no such Secret [secret-not-found]";
    let nowhere = "spec.cassandraCluster: Not found: no such cluster [cluster-not-found]";
    for (words, stands, said) in [
        ("", WELL, vec![]),
        ("lost", REFUSED, vec![format!("{NOT}{lost}")]),
        ("lost off", REFUSED, vec![format!("{NOT}{lost}; {off}")]),
        ("off", REFUSED, vec![format!("{NOT}{off}")]),
        ("", WELL, vec![AGAIN.to_owned()]),
        ("nowhere", NO_CLUSTER, vec![format!("{NOT}{nowhere}")]),
        // The first of what is missing is told.
        ("gone nowhere", NO_CLUSTER, vec![]),
        ("gone", NO_SECRET, vec![format!("{NOT}{gone}")]),
        ("gone off", NO_SECRET, vec![]),
        ("", WELL, vec![AGAIN.to_owned()]),
    ] {
        assert_eq!(armed.finds(words), said, "{words}");
        assert_eq!(armed.stands(), stands, "{words}");
    }
}

#[test]
fn what_the_last_run_came_to_and_when_the_next_is_due_stays_whatever_that_one_lacks() {
    let mut armed = Armed::new();
    let mut before = armed.status();
    before.common.conditions.clear();
    for words in ["lost", "gone", "nowhere", ""] {
        armed.finds(words);
        let mut after = armed.status();
        after.common.conditions.clear();
        assert_eq!(after, before, "{words}");
    }
}

#[test]
fn what_nobody_can_look_up_changes_nothing() {
    for (told, then, stands) in [
        ("", "?", WELL),
        ("", "elsewhere?", WELL),
        ("gone", "?", NO_SECRET),
        ("lost", "?", REFUSED),
        ("lost", "elsewhere?", REFUSED),
        ("off", "elsewhere? ?", REFUSED),
        ("nowhere", "elsewhere?", NO_CLUSTER),
    ] {
        let mut armed = Armed::new();
        armed.finds(told);
        assert_eq!(armed.finds(then), [""; 0], "{told} {then}");
        assert_eq!(armed.stands(), stands, "{told} {then}");
    }
}

#[test]
fn a_secret_that_nobody_may_read_keeps_nothing_else_from_being_told() {
    let mut armed = Armed::new();
    armed.finds("?");
    assert_eq!(armed.finds("? nowhere").len(), 1);
    assert_eq!(armed.stands(), NO_CLUSTER);
    assert_eq!(armed.finds("?"), [AGAIN]);
    assert_eq!(armed.stands(), WELL);
    assert_eq!(armed.finds("? off").len(), 1);
    assert_eq!(armed.finds("?"), [AGAIN]);
}

#[test]
fn the_run_that_is_due_waits_for_what_was_told_and_does_not_tell_it_again() {
    for (words, reason) in [
        ("lost", "Refused"),
        ("gone", "SecretNotFound"),
        ("nowhere", "ClusterNotFound"),
    ] {
        let mut armed = Armed::new();
        assert_eq!(armed.finds(words).len(), 1, "{words}");
        armed.world.pass(SignedDuration::from_hours(1));
        assert_eq!(armed.step(), Some(vec![]), "{words}");
        assert_eq!(
            armed.shows(&["Reconciling"]),
            format!("Reconciling=True/{reason}")
        );
        assert_eq!(armed.shows(&["Stalled"]).is_empty(), words != "lost");
        assert_eq!(armed.step(), None, "{words}");
        // And when its time is over, the same is still lacking for the next one.
        armed.backup.spec.starting_deadline_seconds = Some(60);
        let next = armed.step().unwrap();
        let reasons: Vec<_> = next.iter().map(|event| event.reason).collect();
        assert_eq!(reasons, ["RunMissed"], "{words}");
        assert_eq!(
            armed.shows(&["Ready", "Reconciling"]),
            format!("Ready=False/{reason}")
        );
    }
}

#[test]
fn a_run_that_is_due_tells_what_was_not_told_before() {
    for before in ["", "off"] {
        let mut armed = Armed::new();
        armed.finds(before);
        armed.world.pass(SignedDuration::from_hours(1));
        armed.needs = Some(needs("lost"));
        let events = armed.step().unwrap();
        assert_eq!(
            (events.len(), events[0].reason.as_str()),
            (1, "Waiting"),
            "{before}"
        );
    }
}

#[test]
fn when_it_is_mended_the_run_that_waits_begins() {
    let mut armed = Armed::new();
    armed.finds("lost");
    armed.world.pass(SignedDuration::from_hours(1));
    armed.step();
    armed.needs = Some(needs(""));
    let (members, answers) = (armed.world.members(), Answers::new());
    let look = Observation {
        needs: armed.needs.clone(),
        ..armed.world.look(&members, &answers)
    };
    let plan = armed
        .backup
        .plan(&look, &RestoreInputs::default(), &PruneInputs::default());
    assert!(
        matches!(plan, Plan::Ask(_)),
        "it asks who is in the ring: {plan:?}"
    );
}

#[test]
fn an_edit_that_mends_it_is_told_with_the_edit() {
    let mut armed = Armed::new();
    armed.finds("gone");
    armed.backup.spec.secret = Some("other".to_owned());
    armed.backup.metadata.generation = Some(2);
    armed.needs = Some(needs(""));
    let events = armed.step().unwrap();
    assert_eq!((events.len(), events[0].reason.as_str()), (1, "Ready"));
    assert_eq!(armed.status().common.observed_generation, Some(2));
    assert_eq!(armed.stands(), WELL);
}

#[test]
fn a_schedule_that_rests_or_ends_or_runs_is_not_watched() {
    let armed = Armed::new();
    let now = armed.world.now;
    assert!(are_watched(&armed.backup, now));
    let mut suspended = armed.backup.clone();
    suspended.spec.suspend = Some(true);
    let mut deleted = armed.backup.clone();
    deleted.metadata.deletion_timestamp = Some(Time(now));
    let mut runs = armed.backup.clone();
    let condition = &mut runs.status.as_mut().unwrap().common.condition;
    condition.as_mut().unwrap().type_ = "RUNNING".to_owned();
    let mut once = armed.backup.clone();
    once.spec.schedule = None;
    for (backup, what) in [
        (suspended, "suspended"),
        (deleted, "deleted"),
        (runs, "runs"),
        (once, "once"),
    ] {
        assert!(!are_watched(&backup, now), "{what}");
    }
}

#[test]
fn a_long_list_of_what_is_refused_is_told_once_too() {
    let mut armed = Armed::new();
    assert_eq!(armed.finds("at-length").len(), 1);
    assert_eq!(told(&armed.status().common), armed.needs.unwrap().refused);
}

#[test]
fn old_snapshots_that_wait_for_the_same_do_not_keep_it_from_being_told() {
    let mut armed = Armed::new();
    armed.backup.spec.retention = Some(Retention {
        keep_last: Some(1),
        keep_days: None,
    });
    armed.backup.status.as_mut().unwrap().history = vec![run("1"), run("9")];
    armed.needs = Some(needs("off"));
    assert_eq!(armed.step().map(|events| events.len()), Some(1));
    let again = armed.look().again;
    assert_eq!(again, Some(SignedDuration::from_secs(10)), "the removal waits");
    assert_eq!(armed.step(), None);
    armed.needs = Some(needs(""));
    assert_eq!(armed.step().map(|events| events.len()), Some(1));
    assert_eq!(armed.stands(), WELL);
}

fn named(namespace: &str, secret: &str) -> CassandraBackup {
    let mut backup = CassandraBackup::new("nightly", CassandraBackupSpec::default());
    backup.metadata.namespace = Some(namespace.to_owned());
    backup.spec.secret = Some(secret.to_owned());
    backup
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_835_431_200 + seconds).unwrap()
}

#[test]
fn each_is_looked_at_once_in_ten_minutes_wherever_they_begin() {
    for number in 0..50 {
        let backup = named("ns", &format!("s{number}"));
        for begin in [0, 7, 599] {
            let mut looks = 0;
            for tick in 0..120 {
                looks += i32::from(are_due(
                    &backup,
                    after(begin + tick * 5),
                    after(begin + tick * 5 + 5),
                ));
            }
            assert_eq!(looks, 1, "{number} {begin}");
            assert!(
                are_due(&backup, after(begin), after(begin + 5_000)),
                "after a pause"
            );
            assert!(!are_due(&backup, after(begin), after(begin)));
        }
    }
}

#[test]
fn those_that_share_a_secret_are_looked_at_together_and_ten_thousand_secrets_are_not_read_at_once() {
    let due = |backup: &CassandraBackup, tick: i64| are_due(backup, after(tick * 5), after(tick * 5 + 5));
    let mut other = named("ns", "s3");
    other.metadata.name = Some("weekly".to_owned());
    for tick in 0..120 {
        assert_eq!(due(&other, tick), due(&named("ns", "s3"), tick));
    }
    let all: Vec<_> = (0..10_000)
        .map(|number| named(&format!("ns{}", number % 100), &format!("s{number}")))
        .collect();
    let most = (0..120).map(|tick| all.iter().filter(|backup| due(backup, tick)).count());
    let most = most.max().unwrap();
    assert!(
        most < 140,
        "{most} of 10 000 in five seconds, where 83 are the mean"
    );
}

#[test]
fn what_a_run_left_behind_is_not_taken_for_something_that_the_next_one_lacks() {
    let mut armed = Armed::new();
    let status = armed.backup.status.as_mut().unwrap();
    status.history.insert(
        0,
        PastRun {
            outcome: "FAILED".to_owned(),
            ..run("0")
        },
    );
    assert_eq!(told(&armed.status().common), None);
    armed.needs = None;
    assert_eq!(armed.step(), None);
    assert_eq!(armed.stands(), WELL);
}

#[test]
fn a_run_that_is_due_waits_for_what_could_not_be_looked_up_but_a_secret_that_the_sidecar_reads_itself() {
    for (found, waits_for) in [
        ("", None),
        ("?", None),
        ("gone", Some("SecretNotFound")),
        ("elsewhere?", Some("ClusterNotFound")),
        ("? elsewhere?", Some("ClusterNotFound")),
        ("? nowhere", Some("ClusterNotFound")),
    ] {
        let wait = needs(found).absent();
        assert_eq!(wait.map(|wait| wait.reason.as_str()), waits_for, "{found}");
    }
}
