//! Runs that a user resumes although another executor wrote their end.

use jiff::SignedDuration;

use super::conflict::{condition_by, own_entry, resume};
use super::harness::{BackupRun, RestoreRun};
use super::world::Rows;
use crate::api::conditions::STALLED;
use crate::api::{ConditionType, GO_ON_ANNOTATION, RESTORE_FINALIZER};
use crate::reconcile::plan::Finalizer;
use crate::reconcile::plan::conflict::{is_contested, is_stopped};

#[test]
fn a_state_that_another_executor_wrote_ends_nothing() {
    for (phase, written) in ["INIT", "DOWNLOAD", "TRUNCATE", "IMPORT", "CLEANUP"]
        .into_iter()
        .flat_map(|phase| ["COMPLETED", "FAILED", "CANCELED"].map(|written| (phase, written)))
    {
        let mut run = RestoreRun::new(2);
        run.until(|run| run.phase() == phase);
        run.object.metadata.managed_fields = Some(vec![own_entry(), condition_by("casskop")]);
        let common = &mut run.object.status.as_mut().unwrap().common;
        common.condition.as_mut().unwrap().type_ = written.to_owned();
        common.time_completed = Some("2028-02-29T10:00:00Z".to_owned());
        assert!(is_contested(&run.object.metadata, run.object.status.as_ref()));
        let actions = run.step();
        assert_eq!(actions.finalizer, Finalizer::Keep, "it keeps its finalizer");
        assert!(is_stopped(&actions.status.common));
        run.object.metadata.managed_fields = Some(vec![own_entry()]);
        resume(&mut run);
        run.step();
        // The run is under way. The webhook refuses a write that sets an end back.
        let common = run.status().common;
        assert_eq!(run.state(), written, "{phase}");
        assert_eq!(common.state(), Some(ConditionType::Running), "{phase} {written}");
        assert_eq!((common.is_terminal(), common.time_completed), (false, None));
        let since = run.world.now.duration_since(common.resumed_since.unwrap().0);
        assert!(since < SignedDuration::from_secs(1), "{phase} {written}: {since}");
        run.finish();
        assert_eq!(
            (run.state().as_str(), run.rows()),
            ("COMPLETED", vec![Rows::Backup; 2]),
            "{phase} {written}"
        );
        assert_eq!(run.status().common.resumed_since, None, "{phase} {written}");
        assert!(
            !run.object
                .metadata
                .finalizers
                .iter()
                .flatten()
                .any(|one| one == RESTORE_FINALIZER)
        );
    }
}

#[test]
fn a_resumed_backup_keeps_the_end_that_another_executor_wrote_until_its_own() {
    for written in ["COMPLETED", "FAILED"] {
        let mut run = BackupRun::new(2);
        run.until(|run| run.world.counts().len() == 1);
        run.object.metadata.managed_fields = Some(vec![own_entry(), condition_by("casskop")]);
        let common = &mut run.object.status.as_mut().unwrap().common;
        common.condition.as_mut().unwrap().type_ = written.to_owned();
        run.step();
        let stalled = run.condition(STALLED).unwrap().last_transition_time.0;
        run.object.metadata.managed_fields = Some(vec![own_entry()]);
        run.object.metadata.annotations = Some([(GO_ON_ANNOTATION.to_owned(), stalled.to_string())].into());
        run.step();
        assert_eq!(run.state(), written);
        assert!(!run.status().common.is_terminal(), "{written}");
        run.finish();
        assert_eq!(run.state(), "COMPLETED", "{written}");
        assert_eq!(run.status().common.resumed_since, None);
        assert_eq!(run.status().history.len(), 1);
    }
}

#[test]
fn a_resumed_backup_that_loses_a_part_begins_again_and_is_under_way() {
    let mut run = BackupRun::new(2);
    run.object.spec.storage_location = "s3://bucket".to_owned();
    run.until(|run| run.world.counts().len() == 1);
    run.object.metadata.managed_fields = Some(vec![own_entry(), condition_by("casskop")]);
    let common = &mut run.object.status.as_mut().unwrap().common;
    common.condition.as_mut().unwrap().type_ = "COMPLETED".to_owned();
    run.step();
    let stalled = run.condition(STALLED).unwrap().last_transition_time.0;
    run.object.metadata.managed_fields = Some(vec![own_entry()]);
    run.object.metadata.annotations = Some([(GO_ON_ANNOTATION.to_owned(), stalled.to_string())].into());
    run.step();
    let tag = run.status().snapshot_tag;
    run.world.restart(0, 5);
    run.until(|run| run.status().snapshot_tag != tag);
    assert!(!run.status().common.is_terminal());
    run.finish();
    assert_eq!(run.state(), "COMPLETED");
    assert_eq!(run.status().common.resumed_since, None);
}
