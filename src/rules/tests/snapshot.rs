//! The run of the backup that a restore uses.

use super::*;

/// Returns the finding about a restore of a backup without a state.
fn not_restorable(schedule: Option<&str>, executor: Executor) -> Finding {
    let mut backup = stored("k1.t1,k2.t3");
    backup.run = Run::Never;
    backup.spec.schedule = schedule.map(ToOwned::to_owned);
    let facts = Facts {
        backup: Some(Reference::Found(backup)),
        ..facts()
    };
    let findings = judge(&restore(&json!({})), &facts, &acting(executor));
    of_rule(&findings, "backup-not-restorable")
}

#[test]
fn a_schedule_without_a_record_may_have_run_under_casskop() {
    for executor in [Executor::Casskop, Executor::None] {
        let finding = not_restorable(Some("@daily"), executor);
        assert_eq!(
            (finding.severity, finding.path.as_str()),
            (Severity::Warn, "spec.cassandraBackup")
        );
        assert_eq!(
            finding.message,
            "no run of backup b1 is recorded; CassKop clears the record at each run, also if that run then fails to \
             start: check that the bucket has a snapshot with tag t1; without one the restore fails"
        );
    }
}

#[test]
fn a_restore_of_a_backup_that_surely_never_ran_is_denied() {
    for (schedule, executor) in [
        (None, Executor::Casskop),
        (None, Executor::None),
        (None, Executor::Cassgate),
        (Some("@daily"), Executor::Cassgate),
    ] {
        let finding = not_restorable(schedule, executor);
        assert_eq!(
            (finding.severity, finding.path.as_str()),
            (Severity::Deny, "spec.cassandraBackup")
        );
        assert_eq!(
            finding.message,
            "backup b1 has never run, so it has no complete data to restore; restore a backup that is COMPLETED"
        );
    }
}
