//! The needs of the next run, between two runs: their conditions and events.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::retention::run;
use super::world::World;
use crate::api::{
    BackRestCondition, BackupStatus, CassandraBackup, CassandraBackupSpec, NodeStatus, PastRun, Retention,
};
use crate::reconcile::object::Plannable;
use crate::reconcile::plan::needs::{Needs, recorded};
use crate::reconcile::plan::prune::PruneInputs;
use crate::reconcile::plan::readiness::{differs, is_checked, is_due};
use crate::reconcile::plan::restore::RestoreInputs;
use crate::reconcile::plan::{Actions, Answers, Event, Observation, Plan, wait_event};
use crate::rules::catalogue::{CLUSTER_NOT_FOUND, SECRET_KEY_MISSING, SECRET_NOT_FOUND, SIDECAR_DISABLED};
use crate::rules::finding::{Cause, Finding, Findings};

/// Builds the verdict of the rules: on the Secret `gone`, `lost` (a key) or `?`, on the cluster `nowhere`, `off` or `elsewhere?`.
fn needs(verdict: &str) -> Needs {
    let (secret, cluster) = ("spec.secret", "spec.cassandraCluster");
    let mut found = Findings::default();
    for finding in verdict.split_whitespace() {
        found.push(match finding {
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
    Needs::from_findings(&found)
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

    fn plan(&mut self) -> Actions<BackupStatus> {
        let (members, answers) = (self.world.members(), Answers::new());
        let needs = self.needs.clone();
        let observation = Observation {
            missing: needs.as_ref().and_then(Needs::missing_or_unchecked),
            wait: needs.as_ref().and_then(|needs| needs.refused.clone()),
            needs,
            ..self.world.observation(&members, &answers)
        };
        match self
            .backup
            .plan(&observation, &RestoreInputs::default(), &PruneInputs::default())
        {
            Plan::Do(actions) => actions,
            Plan::Ask(questions) => panic!("the plan asks {questions:?}"),
        }
    }

    /// Reconciles once. Returns the events; `None` if nothing was written either.
    fn step(&mut self) -> Option<Vec<Event>> {
        let actions = self.plan();
        assert_eq!(actions.requests, []);
        let before = self.backup.status.replace(actions.status.clone());
        if before.as_ref() == Some(&actions.status) {
            assert_eq!(actions.events, []);
            return None;
        }
        let mut events = actions.events;
        events.extend(wait_event(
            before.as_ref().map(|status| &status.common),
            &actions.status.common,
        ));
        Some(events)
    }

    /// Reconciles a few times with these findings. Returns the events as text, `Warning NotReady: …`.
    fn judge(&mut self, verdict: &str) -> Vec<String> {
        self.needs = Some(needs(verdict));
        let changed = differs(&self.backup, self.needs.as_ref().unwrap());
        let events = self.step();
        assert_eq!(events.is_some(), changed, "{verdict}");
        for _ in 0..3 {
            self.world.advance(SignedDuration::from_mins(1));
            assert_eq!(self.step(), None, "{verdict}");
        }
        let text = |event: Event| {
            let type_ = if event.warning { "Warning" } else { "Normal" };
            format!("{type_} {}: {}", event.reason, event.message)
        };
        events.into_iter().flatten().map(text).collect()
    }

    /// Returns the conditions of these types as text, `Ready=False/Refused Stalled=True/Refused`.
    fn show(&self, types: &[&str]) -> String {
        let conditions = self.status().common.conditions;
        let find = |type_: &&str| conditions.iter().find(|condition| condition.type_ == **type_);
        let shown = types.iter().filter_map(find);
        let shown = shown.map(|one| format!("{}={}/{}", one.type_, one.status, one.reason));
        shown.collect::<Vec<_>>().join(" ")
    }

    fn conditions(&self) -> String {
        self.show(&["Ready", "Stalled", "Reconciling", "ReferencesResolved"])
    }
}

const WELL: &str = "Ready=True/Scheduled ReferencesResolved=True/Resolved";
const REFUSED: &str = "Ready=False/Refused Stalled=True/Refused ReferencesResolved=True/Resolved";
const NO_SECRET: &str = "Ready=False/SecretNotFound ReferencesResolved=False/SecretNotFound";
const NO_CLUSTER: &str = "Ready=False/ClusterNotFound ReferencesResolved=False/ClusterNotFound";

/// The event for a verdict that changed, up to the needs.
const NOT: &str = "Warning NotReady: the run that is due at 2028-02-29T11:00:00Z would not begin: ";
const AGAIN: &str =
    "Normal Ready: the next run has everything that it needs again; it is due at 2028-02-29T11:00:00Z";

#[test]
fn unmet_needs_are_published_once_for_each_change_and_so_is_their_end() {
    let mut armed = Armed::new();
    let lost = "spec.secret: it has no key [cassgate secret-key-missing]";
    let off = "spec.cassandraCluster: it has no sidecar [cassgate sidecar-disabled]";
    let gone = "spec.secret: no such Secret [cassgate secret-not-found]";
    let nowhere = "spec.cassandraCluster: no such cluster [cassgate cluster-not-found]";
    for (verdict, conditions, events) in [
        ("", WELL, vec![]),
        ("lost", REFUSED, vec![format!("{NOT}{lost}")]),
        ("lost off", REFUSED, vec![format!("{NOT}{lost}; {off}")]),
        ("off", REFUSED, vec![format!("{NOT}{off}")]),
        ("", WELL, vec![AGAIN.to_owned()]),
        ("nowhere", NO_CLUSTER, vec![format!("{NOT}{nowhere}")]),
        // Only the first missing object is reported.
        ("gone nowhere", NO_CLUSTER, vec![]),
        ("gone", NO_SECRET, vec![format!("{NOT}{gone}")]),
        ("gone off", NO_SECRET, vec![]),
        ("", WELL, vec![AGAIN.to_owned()]),
    ] {
        assert_eq!(armed.judge(verdict), events, "{verdict}");
        assert_eq!(armed.conditions(), conditions, "{verdict}");
    }
}

#[test]
fn unmet_needs_change_neither_the_last_run_nor_the_next_time() {
    let mut armed = Armed::new();
    let mut before = armed.status();
    before.common.conditions.clear();
    for verdict in ["lost", "gone", "nowhere", ""] {
        armed.judge(verdict);
        let mut after = armed.status();
        after.common.conditions.clear();
        assert_eq!(after, before, "{verdict}");
    }
}

#[test]
fn a_failed_lookup_changes_nothing() {
    for (first, then, conditions) in [
        ("", "?", WELL),
        ("", "elsewhere?", WELL),
        ("gone", "?", NO_SECRET),
        ("lost", "?", REFUSED),
        ("lost", "elsewhere?", REFUSED),
        ("off", "elsewhere? ?", REFUSED),
        ("nowhere", "elsewhere?", NO_CLUSTER),
    ] {
        let mut armed = Armed::new();
        armed.judge(first);
        assert_eq!(armed.judge(then), [""; 0], "{first} {then}");
        assert_eq!(armed.conditions(), conditions, "{first} {then}");
    }
}

#[test]
fn an_unreadable_secret_does_not_hide_other_needs() {
    let mut armed = Armed::new();
    armed.judge("?");
    assert_eq!(armed.judge("? nowhere").len(), 1);
    assert_eq!(armed.conditions(), NO_CLUSTER);
    assert_eq!(armed.judge("?"), [AGAIN]);
    assert_eq!(armed.conditions(), WELL);
    assert_eq!(armed.judge("? off").len(), 1);
    assert_eq!(armed.judge("?"), [AGAIN]);
}

#[test]
fn the_run_that_is_due_waits_for_the_reported_need_and_does_not_report_it_again() {
    for (verdict, reason) in [
        ("lost", "Refused"),
        ("gone", "SecretNotFound"),
        ("nowhere", "ClusterNotFound"),
    ] {
        let mut armed = Armed::new();
        assert_eq!(armed.judge(verdict).len(), 1, "{verdict}");
        armed.world.advance(SignedDuration::from_hours(1));
        assert_eq!(armed.step(), Some(vec![]), "{verdict}");
        assert_eq!(armed.show(&["Reconciling"]), format!("Reconciling=True/{reason}"));
        assert_eq!(armed.show(&["Stalled"]).is_empty(), verdict != "lost");
        assert_eq!(armed.step(), None, "{verdict}");
        // When its deadline is over, the next run has the same need.
        armed.backup.spec.starting_deadline_seconds = Some(60);
        let next = armed.step().unwrap();
        let reasons: Vec<_> = next.iter().map(|event| event.reason).collect();
        assert_eq!(reasons, ["RunMissed"], "{verdict}");
        assert_eq!(
            armed.show(&["Ready", "Reconciling"]),
            format!("Ready=False/{reason}")
        );
    }
}

#[test]
fn a_run_that_is_due_reports_a_need_that_was_not_reported_before() {
    for before in ["", "off"] {
        let mut armed = Armed::new();
        armed.judge(before);
        armed.world.advance(SignedDuration::from_hours(1));
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
fn a_waiting_run_begins_when_its_needs_are_met() {
    let mut armed = Armed::new();
    armed.judge("lost");
    armed.world.advance(SignedDuration::from_hours(1));
    armed.step();
    armed.needs = Some(needs(""));
    let (members, answers) = (armed.world.members(), Answers::new());
    let observation = Observation {
        needs: armed.needs.clone(),
        ..armed.world.observation(&members, &answers)
    };
    let plan = armed
        .backup
        .plan(&observation, &RestoreInputs::default(), &PruneInputs::default());
    assert!(matches!(plan, Plan::Ask(_)), "it asks for the ring: {plan:?}");
}

#[test]
fn an_edit_that_meets_the_needs_is_reported_with_the_edit() {
    let mut armed = Armed::new();
    armed.judge("gone");
    armed.backup.spec.secret = Some("other".to_owned());
    armed.backup.metadata.generation = Some(2);
    armed.needs = Some(needs(""));
    let events = armed.step().unwrap();
    assert_eq!((events.len(), events[0].reason.as_str()), (1, "Ready"));
    assert_eq!(armed.status().common.observed_generation, Some(2));
    assert_eq!(armed.conditions(), WELL);
}

#[test]
fn a_schedule_that_is_suspended_deleted_or_running_is_not_checked() {
    let armed = Armed::new();
    let now = armed.world.now;
    assert!(is_checked(&armed.backup, now));
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
        assert!(!is_checked(&backup, now), "{what}");
    }
}

#[test]
fn a_long_list_of_denials_is_reported_once() {
    let mut armed = Armed::new();
    assert_eq!(armed.judge("at-length").len(), 1);
    assert_eq!(recorded(&armed.status().common), armed.needs.unwrap().refused);
}

#[test]
fn old_snapshots_that_wait_for_the_same_need_do_not_hide_it() {
    let mut armed = Armed::new();
    armed.backup.spec.retention = Some(Retention {
        keep_last: Some(1),
        keep_days: None,
    });
    armed.backup.status.as_mut().unwrap().history = vec![run("1"), run("9")];
    armed.needs = Some(needs("off"));
    assert_eq!(armed.step().map(|events| events.len()), Some(1));
    let again = armed.plan().requeue_after;
    assert_eq!(again, Some(SignedDuration::from_secs(10)), "the removal waits");
    assert_eq!(armed.step(), None);
    armed.needs = Some(needs(""));
    assert_eq!(armed.step().map(|events| events.len()), Some(1));
    assert_eq!(armed.conditions(), WELL);
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
fn every_backup_is_checked_once_in_ten_minutes() {
    for number in 0..50 {
        let backup = named("ns", &format!("s{number}"));
        for begin in [0, 7, 599] {
            let mut checks = 0;
            for tick in 0..120 {
                checks += i32::from(is_due(
                    &backup,
                    after(begin + tick * 5),
                    after(begin + tick * 5 + 5),
                ));
            }
            assert_eq!(checks, 1, "{number} {begin}");
            assert!(
                is_due(&backup, after(begin), after(begin + 5_000)),
                "after a pause"
            );
            assert!(!is_due(&backup, after(begin), after(begin)));
        }
    }
}

#[test]
fn backups_that_share_a_secret_are_checked_together_and_ten_thousand_secrets_are_not_read_at_once() {
    let due = |backup: &CassandraBackup, tick: i64| is_due(backup, after(tick * 5), after(tick * 5 + 5));
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
fn conditions_of_the_last_run_are_not_needs_of_the_next_one() {
    let mut armed = Armed::new();
    let status = armed.backup.status.as_mut().unwrap();
    status.history.insert(
        0,
        PastRun {
            outcome: "FAILED".to_owned(),
            ..run("0")
        },
    );
    assert_eq!(recorded(&armed.status().common), None);
    armed.needs = None;
    assert_eq!(armed.step(), None);
    assert_eq!(armed.conditions(), WELL);
}

#[test]
fn a_run_that_is_due_waits_for_a_failed_lookup_except_that_of_a_secret() {
    for (found, waits_for) in [
        ("", None),
        ("?", None),
        ("gone", Some("SecretNotFound")),
        ("elsewhere?", Some("ClusterNotFound")),
        ("? elsewhere?", Some("ClusterNotFound")),
        ("? nowhere", Some("ClusterNotFound")),
    ] {
        let wait = needs(found).missing_or_unchecked();
        assert_eq!(wait.map(|wait| wait.reason.as_str()), waits_for, "{found}");
    }
}
