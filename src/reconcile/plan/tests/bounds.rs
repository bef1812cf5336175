//! The limit of every wait: a run ends, continues, or is reported as stalled with a remedy.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::harness::{BackupRun, Planned, RestoreRun, Run};
use super::world::{Fault, Presence, Rows, World, host_id};
use super::{Answers, Observation, Plan};
use crate::api::{ABANDON_ANNOTATION, BackRestStatus, NodeStatus, Reason, ReasonScope};
use crate::reconcile::plan::conditions::{self, Progress};
use crate::reconcile::plan::{NO_PROGRESS_TIMEOUT, Phase, Wait, WaitLimit, limit};

fn in_phase(phase: &str) -> RestoreRun {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.phase() == phase);
    run.step();
    run
}

/// Reconciles every ten seconds for this long, or until the object is over and released.
fn wait<O: Planned>(run: &mut Run<O>, time: SignedDuration) {
    let end = run.world.now.checked_add(time).unwrap();
    while run.world.now < end && run.object.meta_mut().finalizers.is_some() {
        run.step();
        run.world.advance(SignedDuration::from_secs(10));
    }
}

/// Makes the operations of every sidecar stay at `RUNNING`.
pub(super) fn hang<O: Planned>(run: &mut Run<O>, hangs: bool) {
    for node in &mut run.world.nodes {
        node.hangs = hangs;
    }
}

pub(super) fn stalled<O: Planned>(run: &Run<O>) -> (String, String) {
    run.reason("Stalled")
        .unwrap_or_else(|| panic!("{:?}", run.status()))
}

#[test]
fn a_node_that_leaves_after_its_import_is_reported_and_left_behind_by_an_abandoned_restore() {
    let mut run = in_phase("IMPORT");
    hang(&mut run, true);
    run.until(|run| {
        run.status()
            .common
            .nodes
            .iter()
            .all(|node| node.operation.is_some())
    });
    hang(&mut run, false);
    run.world.restart(1, 60);
    run.until(|run| run.status().common.nodes[0].is_completed());
    run.world.leave(0);
    wait(&mut run, SignedDuration::from_mins(30));
    assert_eq!(run.state(), "RUNNING");
    assert_eq!(
        stalled(&run),
        (
            "NodeAway".to_owned(),
            format!(
                "c1-dc1-rack1-0 has not been reached for 15 minutes: the containers of c1-dc1-rack1-0 do not run; the \
                 restore continues when the node is back; if it never comes back, remove it from the ring and set the \
                 annotation {ABANDON_ANNOTATION}"
            )
        )
    );
    run.delete();
    wait(&mut run, SignedDuration::from_hours(1));
    assert_eq!(run.state(), "RUNNING", "it is carried to its end");
    run.abandon();
    wait(&mut run, SignedDuration::from_hours(2));
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.object.metadata.finalizers, None);
    assert_eq!(run.reason("Failed").unwrap().0, "Abandoned");
    assert_eq!(
        run.world.nodes[1].rows,
        Rows::None,
        "a later restart loads nothing"
    );
    assert_eq!(run.world.violations, Vec::<String>::new());
}

#[test]
fn a_completed_node_whose_pod_comes_back_within_the_limit_holds_up_nothing() {
    let mut run = in_phase("IMPORT");
    run.world.restart(1, 60);
    run.until(|run| run.status().common.nodes[0].is_completed());
    run.world.nodes[0].presence = Presence::PodGone;
    wait(&mut run, SignedDuration::from_mins(10));
    assert_eq!(run.reason("Stalled"), None);
    assert_eq!(run.reason("Reconciling").unwrap().0, "PodNotRunning");
    run.world.nodes[0].presence = Presence::Present;
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    let nodes = run.status().common.nodes;
    assert!(
        nodes
            .iter()
            .all(|node| node.silent_since.is_none() && node.message.is_none()),
        "{nodes:?}"
    );
}

#[test]
fn an_abandoned_restore_ends_when_every_node_left_and_others_took_their_place() {
    for phase in ["TRUNCATE", "IMPORT"] {
        let mut run = in_phase(phase);
        run.world.leave(0);
        run.world.leave(1);
        run.world.join();
        run.world.nodes[2].presence = Presence::Present;
        run.abandon();
        wait(&mut run, SignedDuration::from_hours(2));
        assert_eq!(run.state(), "FAILED", "{phase}: {:?}", run.status());
        assert_eq!(run.object.metadata.finalizers, None, "{phase}");
        let mut arrived = run.world.arrived.iter();
        assert!(
            arrived.all(|(node, _)| *node < 2),
            "nothing is sent to the new ring"
        );
    }
}

#[test]
fn without_any_pod_an_abandoned_restore_says_what_ends_it() {
    let mut run = in_phase("IMPORT");
    for node in &mut run.world.nodes {
        node.presence = Presence::PodGone;
    }
    run.abandon();
    wait(&mut run, SignedDuration::from_mins(30));
    let (reason, message) = stalled(&run);
    assert_eq!(reason, "NodeAway");
    assert!(
        message.ends_with(
            "no pod of the cluster exists; the restore continues when they are back; if they never come back, delete the \
             CassandraCluster, then the restore ends"
        ),
        "{message}"
    );
    run.world.cluster_gone = true;
    wait(&mut run, SignedDuration::from_mins(20));
    assert_eq!(run.state(), "FAILED");
}

#[test]
fn an_upload_that_hangs_is_reported_after_six_hours_and_continues_when_its_sidecar_is_restarted() {
    let mut run = BackupRun::new(2);
    run.object.spec.storage_location = "s3://bucket".to_owned();
    hang(&mut run, true);
    let begun = run.world.now;
    wait_until_stalled(&mut run);
    let took = run.world.now.duration_since(begun);
    assert!(took >= NO_PROGRESS_TIMEOUT, "{took:#}");
    assert!(
        took <= NO_PROGRESS_TIMEOUT + SignedDuration::from_mins(2),
        "{took:#}"
    );
    let (reason, message) = stalled(&run);
    assert_eq!(reason, "NoProgress");
    let since = run.status().common.no_progress_since.unwrap().0;
    assert_eq!(
        message,
        format!(
            "neither the state nor the progress has changed since {since}: BACKUP on c1-dc1-rack1-0 at 0% (operation op1), BACKUP \
             on c1-dc1-rack1-1 at 0% (operation op2); nothing else begins on the cluster, because the operation may still write; \
             read the log of the container backrest-sidecar of that pod; if the operation hangs, restart that container, which \
             ends the operation: the run then continues, or ends"
        )
    );
    assert_eq!(
        run.state(),
        "RUNNING",
        "the queue is not freed: the operation may still write"
    );
    assert_eq!(run.event_reasons(), ["BackupInitiated"]);
    hang(&mut run, false);
    run.world.restart(0, 5);
    run.world.restart(1, 5);
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.reason("Stalled"), None);
    assert_eq!(run.status().common.no_progress_since, None);
}

pub(super) fn wait_until_stalled<O: Planned>(run: &mut Run<O>) {
    for _ in 0..2_000 {
        if run.reason("Stalled").is_some() {
            return;
        }
        run.step();
        run.world.advance(SignedDuration::from_mins(1));
    }
    panic!("it is never stalled: {:?}", run.status());
}

#[test]
fn the_limit_of_an_operation_without_progress_can_be_set_and_any_progress_begins_it_anew() {
    let mut run = RestoreRun::new(2);
    hang(&mut run, true);
    run.until(|run| run.status().common.nodes.iter().all(NodeStatus::is_active));
    let stalled_after = |run: &RestoreRun, time: SignedDuration| {
        let (members, mut answers) = (run.world.members(), Answers::new());
        loop {
            let observation = Observation {
                now: run.world.now.checked_add(time).unwrap(),
                no_progress_timeout: SignedDuration::from_hours(1),
                ..run.world.observation(&members, &answers)
            };
            match run.object.plan(&observation, &run.inputs) {
                Plan::Do(actions) => {
                    return actions.status.common.true_condition("Stalled").cloned();
                }
                Plan::Ask(questions) => answers.extend(questions.into_iter().map(|question| {
                    let answer = run.world.answer(&question);
                    (question, answer)
                })),
            }
        }
    };
    assert_eq!(stalled_after(&run, SignedDuration::from_mins(58)), None);
    run.step();
    let found = stalled_after(&run, SignedDuration::from_mins(61)).unwrap();
    assert_eq!(found.reason, "NoProgress");
    let node = &mut run.object.status.as_mut().unwrap().common.nodes[1];
    // The status knows less than what the sidecar reports.
    node.state = Some("PENDING".to_owned());
    assert_eq!(stalled_after(&run, SignedDuration::from_mins(61)), None);
}

#[test]
fn a_cleanup_whose_answers_are_lost_is_sent_eight_times() {
    for given_up in [false, true] {
        let mut run = RestoreRun::new(2);
        let before_cleanup = if given_up { Phase::Download } else { Phase::Import };
        run.until(|run| run.world.counts().get(&before_cleanup) == Some(&2));
        if given_up {
            run.delete();
        }
        run.world.faults = vec![Fault::DropRequest; 1_000];
        let before = run.world.sent;
        run.until(|run| run.object.metadata.finalizers.is_none());
        let sent = run.world.sent - before;
        assert!((4..=16).contains(&sent), "{sent} requests to two nodes");
        assert_eq!(run.state(), if given_up { "CANCELLED" } else { "COMPLETED" });
        assert_eq!(run.rows(), [if given_up { Rows::Users } else { Rows::Backup }; 2]);
    }
}

#[test]
fn a_node_that_was_never_sent_a_request_and_whose_pod_is_gone_is_reported() {
    let mut run = RestoreRun::new(2);
    run.step();
    run.world.nodes[0].hangs = true;
    run.until(|run| run.status().common.nodes[1].is_completed());
    run.world.nodes[1].presence = Presence::PodGone;
    run.world.nodes[0].hangs = false;
    run.until(|run| run.phase() == "DOWNLOAD");
    assert_eq!(run.status().common.nodes[1].sent, None);
    run.until(|run| run.reason("Stalled").is_some());
    let (reason, message) = stalled(&run);
    assert_eq!(reason, "NodeAway");
    assert!(
        message.ends_with("delete the restore to give it up: no table was touched"),
        "{message}"
    );
}

#[test]
fn a_run_that_cannot_begin_is_reported_with_a_remedy() {
    let mut run = RestoreRun::new(2);
    run.world.nodes[1].presence = Presence::PodGone;
    run.until(|run| run.reason("Stalled").is_some());
    let since = run.status().common.no_progress_since.unwrap().0;
    assert_eq!(
        stalled(&run),
        (
            "PodNotFound".to_owned(),
            format!(
                "node {} of the ring has the address 10.0.0.1, which no pod of the cluster has; the run continues when the pod \
                 is back; the run has made no progress since {since}: see why the pod does not run (kubectl describe pod); \
                 every node of the ring has to be a pod of the CassandraCluster",
                host_id(1)
            )
        )
    );
    run.world.nodes[1].presence = Presence::Present;
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
}

#[test]
fn a_truncate_that_is_rejected_again_and_again_is_sent_less_and_less_often_and_reported() {
    let mut run = RestoreRun::new(2);
    run.until(|run| run.world.counts().get(&Phase::Download) == Some(&2));
    run.world.faults = vec![Fault::Reject("Cassandra is not ready"); 10_000];
    let before = run.world.sent;
    let mut rejected = Vec::new();
    for _ in 0..4 {
        wait(&mut run, SignedDuration::from_hours(6));
        rejected.push(run.world.sent - before);
    }
    assert!(
        rejected[3] - rejected[0] <= 40,
        "{rejected:?} requests every 6 hours"
    );
    let (reason, message) = stalled(&run);
    assert_eq!(reason, "NodeFails");
    assert_eq!(
        message,
        "TRUNCATE on c1-dc1-rack1-0: Cassandra is not ready; read the log of the container backrest-sidecar of \
         c1-dc1-rack1-0; the operation is retried, in the end every 30 minutes, and delete the restore to give it up: no table \
         was touched"
    );
    run.world.faults.clear();
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.rows(), [Rows::Backup; 2]);
}

#[test]
fn before_a_table_is_emptied_a_request_that_is_always_lost_ends_the_restore() {
    for (phase, answered) in [(Phase::Init, 0), (Phase::Download, 2)] {
        let mut run = RestoreRun::new(2);
        run.world.faults = vec![Fault::None; answered];
        run.world.faults.extend(vec![Fault::DropRequest; 10_000]);
        run.until(|run| run.reason("Stalled").is_some());
        assert_eq!(stalled(&run).0, "NodeFails", "{phase:?}");
        let begun = run.world.now;
        run.finish();
        assert!(run.world.now.duration_since(begun) < SignedDuration::from_hours(3));
        assert_eq!(run.state(), "FAILED", "{phase:?}");
        assert_eq!(run.rows(), [Rows::Users; 2]);
    }
}

#[test]
fn a_sidecar_that_always_runs_another_restore_is_reported() {
    let error = "We can not run two normal restoration requests simultaneously.";
    let mut run = RestoreRun::new(2);
    run.world.failing = Some((Phase::Download, error, 10_000));
    run.until(|run| run.reason("Stalled").is_some());
    let (reason, message) = stalled(&run);
    assert_eq!(reason, "NodeFails");
    assert!(
        message.contains("wait for its end, or restart the container backrest-sidecar of c1-dc1-rack1-"),
        "{message}"
    );
    run.world.failing = None;
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
}

#[test]
fn an_abandoned_import_whose_files_are_gone_from_the_bucket_ends() {
    let missing = "Some local files were corrupted or they are missing, please consult the logs";
    let mut run = RestoreRun::new(2);
    run.world.failing = Some((Phase::Import, missing, 2));
    run.until(|run| run.world.counts().get(&Phase::Import) == Some(&2));
    run.world.failing = Some((Phase::Download, "Access Denied", 10_000));
    run.until(|run| run.reason("Stalled").is_some());
    run.abandon();
    wait(&mut run, SignedDuration::from_hours(24));
    assert_eq!(run.state(), "FAILED");
    assert_eq!(run.rows(), [Rows::None; 2]);
}

#[test]
fn a_clock_that_was_ahead_for_one_reconcile_holds_up_nothing() {
    let days = SignedDuration::from_hours(24 * 20);
    let mut backup = BackupRun::new(2);
    let mut restore = in_phase("DOWNLOAD");
    restore.world.restart(1, 60);
    backup.world.faults = vec![Fault::RefuseConnection; 4];
    jump(&mut backup, days);
    jump(&mut restore, days);
    let (backup_from, restore_from) = (backup.world.now, restore.world.now);
    backup.finish();
    restore.finish();
    assert_eq!(
        (backup.state(), restore.state()),
        ("COMPLETED".to_owned(), "COMPLETED".to_owned())
    );
    let hour = SignedDuration::from_hours(1);
    assert!(backup.world.now.duration_since(backup_from) < hour);
    assert!(restore.world.now.duration_since(restore_from) < hour);
}

/// Reconciles once with a clock that is ahead of the world's.
fn jump<O: Planned>(run: &mut Run<O>, time: SignedDuration) {
    run.world.clock_error = time;
    run.step();
    run.world.clock_error = SignedDuration::ZERO;
}

#[test]
fn every_reason_of_a_wait_has_a_limit_with_a_remedy() {
    let (mut world, answers) = (World::new(1), Answers::new());
    let since = Time(Timestamp::from_second(world.now.as_second()).unwrap());
    let mut limited = 0;
    for &reason in Reason::ALL {
        let (time, remedy) = match limit(reason) {
            WaitLimit::Short(remedy) => (SignedDuration::from_mins(15), remedy),
            WaitLimit::Operation(remedy) => (NO_PROGRESS_TIMEOUT, remedy),
            WaitLimit::Never if reason.scope() == ReasonScope::Events => continue,
            WaitLimit::Planner | WaitLimit::OtherRun | WaitLimit::User | WaitLimit::Never => {
                assert_ne!(reason.scope(), ReasonScope::Events, "{reason}");
                continue;
            }
        };
        limited += 1;
        assert!(remedy.split(' ').count() >= 4, "{reason}: {remedy}");
        for (waited, is_stalled) in [(time, true), (time - SignedDuration::from_secs(1), false)] {
            let mut common = BackRestStatus {
                no_progress_since: Some(since.clone()),
                ..BackRestStatus::default()
            };
            world.now = since.0.checked_add(waited).unwrap();
            let observation = world.observation(&[], &answers);
            let waits = Progress::Waiting(Wait::new(reason, "it is not there"));
            conditions::set_progress(&mut common, Some(1), &waits, &observation);
            let found = common.true_condition("Stalled");
            assert_eq!(found.is_some(), is_stalled, "{reason}");
            if let Some(found) = found {
                assert_eq!(
                    found.message,
                    format!(
                        "it is not there; the run has made no progress since {}: {remedy}",
                        since.0
                    )
                );
            }
        }
    }
    assert!(limited >= 10, "{limited}");
}
