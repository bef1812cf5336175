//! Scheduled backups against a ring: run after run.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::world::{Mishap, World};
use super::{MOST_LOOKS, decide};
use crate::api::{
    BackRestCondition, BackupStatus, CassandraBackup, CassandraBackupSpec, ConcurrencyPolicy,
    UNSCHEDULE_FINALIZER,
};
use crate::reconcile::plan::backup::plan;
use crate::reconcile::plan::{Actions, Finalizer, Phase, record};

struct Scheduled {
    world: World,
    backup: CassandraBackup,
    /// The reasons of its events.
    told: Vec<&'static str>,
}

impl Scheduled {
    fn new() -> Self {
        let world = World::new(2);
        let spec = CassandraBackupSpec {
            cassandra_cluster: "c1".to_owned(),
            storage_location: "file:///backups/bucket/c/d/n".to_owned(),
            snapshot_tag: Some("nightly".to_owned()),
            schedule: Some("@every 1m".to_owned()),
            ..CassandraBackupSpec::default()
        };
        let mut backup = CassandraBackup::new("nightly", spec);
        backup.metadata.generation = Some(1);
        backup.metadata.creation_timestamp = Some(Time(world.now));
        Self {
            world,
            backup,
            told: Vec::new(),
        }
    }

    fn status(&self) -> BackupStatus {
        self.backup.status.clone().unwrap_or_default()
    }

    fn step(&mut self) -> Actions<BackupStatus> {
        let deeds = decide(&self.world, None, |look| plan(&self.backup, look));
        let mut status = deeds.status.clone();
        self.backup.status = Some(status.clone());
        for request in &deeds.requests {
            let outcome = self.world.send(request);
            record(&mut status.common.nodes, &request.host_id, &outcome);
        }
        self.backup.status = Some(status);
        self.told
            .extend(deeds.events.iter().map(|event| event.reason.as_str()));
        deeds
    }

    fn until(&mut self, wanted: impl Fn(&BackupStatus) -> bool) {
        for _ in 0..MOST_LOOKS {
            if wanted(&self.status()) {
                return;
            }
            let again = self.step().again.unwrap_or(SignedDuration::from_secs(1));
            self.world.pass(again.max(SignedDuration::from_millis(200)));
        }
        panic!("it hangs: {:?}", self.status());
    }

    fn condition(&self, type_: &str) -> Option<(String, String)> {
        let conditions = self.status().common.conditions;
        let condition = conditions
            .into_iter()
            .find(|condition| condition.type_ == type_)?;
        Some((condition.status, condition.reason))
    }
}

fn outcomes(status: &BackupStatus) -> Vec<&str> {
    status.history.iter().map(|run| run.outcome.as_str()).collect()
}

#[test]
fn it_runs_again_and_again_under_names_of_their_own_and_is_ready_in_between() {
    let mut run = Scheduled::new();
    run.until(|status| status.history.len() == 3);
    let status = run.status();
    assert_eq!(outcomes(&status), ["COMPLETED"; 3]);
    assert!(status.history[0].snapshot > status.history[1].snapshot);
    assert_eq!(Some(&status.history[0].snapshot), status.snapshot_tag.as_ref());
    assert_eq!(run.world.counts()[&Phase::Backup], 6);
    assert_eq!(status.missed_runs, None);
    assert_eq!(status.common.condition.unwrap().type_, "COMPLETED");
    assert_eq!(
        run.condition("Ready").unwrap(),
        ("True".to_owned(), "Scheduled".to_owned())
    );
    assert_eq!(run.world.wrongs, Vec::<String>::new());
}

#[test]
fn a_run_that_fails_is_remembered_and_the_next_one_comes() {
    let mut run = Scheduled::new();
    run.world.mishaps = vec![Mishap::Fails("Bucket b does not exist.")];
    run.until(|status| status.history.len() == 1);
    assert_eq!(run.condition("Failed").unwrap().0, "True");
    assert_eq!(run.condition("Ready").unwrap().0, "True");
    assert_eq!(run.condition("Stalled"), None);
    run.until(|status| status.history.len() == 2);
    assert_eq!(outcomes(&run.status()), ["COMPLETED", "FAILED"]);
    assert_eq!(run.condition("Failed"), None);
    assert_eq!(run.status().common.condition.unwrap().failure_cause, []);
}

#[test]
fn an_edit_is_for_the_next_run() {
    let mut run = Scheduled::new();
    run.until(|status| !status.common.nodes.is_empty());
    run.backup.spec.storage_location = "file:///backups/other/c/d/n".to_owned();
    run.backup.spec.entities = Some("k1".to_owned());
    let began = run.status().run.unwrap();
    assert_eq!(began.storage_location, "file:///backups/bucket/c/d/n");
    run.until(|status| status.history.len() == 1);
    assert_eq!(run.status().run.unwrap(), began);
    run.until(|status| status.history.len() == 2);
    let places: Vec<_> = run
        .status()
        .history
        .into_iter()
        .filter_map(|run| run.storage_location)
        .collect();
    assert_eq!(
        places,
        ["file:///backups/other/c/d/n", "file:///backups/bucket/c/d/n"]
    );
    assert_eq!(run.status().run.unwrap().entities.as_deref(), Some("k1"));
}

#[test]
fn a_run_is_replaced_only_where_nothing_of_it_is_under_way() {
    let mut run = Scheduled::new();
    run.backup.spec.concurrency_policy = Some(ConcurrencyPolicy::Replace);
    // One node refuses every connection until the next run is due.
    run.world.mishaps = vec![Mishap::None];
    run.world.mishaps.extend([Mishap::Refused; 6]);
    run.until(|status| !status.history.is_empty());
    assert_eq!(outcomes(&run.status()), ["CANCELLED"]);
    run.until(|status| status.history.len() == 2);
    assert_eq!(outcomes(&run.status())[1], "CANCELLED");
    assert!(run.told.contains(&"BackupReplaced"), "{:?}", run.told);
    assert!(!run.told.contains(&"BackupFailed"), "{:?}", run.told);
    assert_eq!(run.world.wrongs, Vec::<String>::new());
}

#[test]
fn what_is_deleted_loses_casskops_finalizer_at_once_and_is_not_run() {
    let mut run = Scheduled::new();
    run.step();
    run.backup.metadata.finalizers = Some(vec!["a.b/c".to_owned(), UNSCHEDULE_FINALIZER.to_owned()]);
    run.backup.metadata.deletion_timestamp = Some(Time(run.world.now));
    run.world.pass(SignedDuration::from_hours(1));
    let deeds = run.step();
    assert_eq!(deeds.finalizer, Finalizer::Release);
    run.backup.metadata.finalizers = Some(vec!["a.b/c".to_owned()]);
    let deeds = run.step();
    assert_eq!(deeds.finalizer, Finalizer::Keep);
    assert_eq!(run.world.arrived, []);
}

#[test]
fn what_casskop_left_running_is_followed_and_then_scheduled() {
    let mut run = Scheduled::new();
    let mut status = BackupStatus::default();
    status.common.condition = Some(BackRestCondition {
        type_: "RUNNING".to_owned(),
        ..BackRestCondition::default()
    });
    run.backup.status = Some(status);
    run.step();
    assert_eq!(run.status().common.condition.unwrap().type_, "FAILED");
    assert_eq!(run.condition("Ready").unwrap().1, "Scheduled");
    assert_eq!(run.world.arrived, []);
    run.until(|status| status.history.len() == 1);
    assert_eq!(outcomes(&run.status()), ["COMPLETED"]);
}
