//! What a restore finds of its backup's runs.

use super::*;

/// What is said of a restore of a backup without a state.
fn said(schedule: Option<&str>, executor: Executor) -> Finding {
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
        let finding = said(Some("@daily"), executor);
        assert_eq!(
            (finding.severity, finding.path.as_str()),
            (Severity::Warn, "spec.cassandraBackup")
        );
        assert_eq!(
            finding.message,
            "no run of backup b1 is recorded; CassKop clears the record at each run, and leaves it so where that one \
             fails to begin: look in the bucket for what is under tag t1; the restore fails if nothing is"
        );
    }
}

#[test]
fn what_has_certainly_never_run_is_refused() {
    for (schedule, executor) in [
        (None, Executor::Casskop),
        (None, Executor::None),
        (None, Executor::Cassgate),
        (Some("@daily"), Executor::Cassgate),
    ] {
        let finding = said(schedule, executor);
        assert_eq!(
            (finding.severity, finding.path.as_str()),
            (Severity::Deny, "spec.cassandraBackup")
        );
        assert_eq!(
            finding.message,
            "backup b1 has never run, so there is nothing complete to bring back; restore a backup that is COMPLETED"
        );
    }
}
