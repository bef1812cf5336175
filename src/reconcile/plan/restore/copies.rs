//! The copies of emptied tables (`truncated-…`), and the restores that still need them. Pure.

use super::RestorePlanner;
use super::tables::names;
use crate::api::{CassandraRestore, ConditionType, Phase, Reason, Truncation};

/// Returns the names of the other restores of the cluster whose copies have to stay, because a cleanup would delete the
/// copies of every restore: they may have emptied tables and did not complete, so that the copies may be all that is left
/// of the data, or they kept their copies when they completed.
#[must_use]
pub fn restores_with_copies<'a>(
    restores: impl IntoIterator<Item = &'a CassandraRestore>,
    cluster: &str,
    own: &str,
) -> Vec<String> {
    let of_cluster = restores
        .into_iter()
        .filter(|restore| restore.spec.cassandra_cluster == cluster);
    let names = of_cluster
        .filter(|restore| needs_copies(restore))
        .filter_map(|restore| restore.metadata.name.clone());
    names.filter(|name| name != own).collect()
}

/// Returns true if the copies of a restore have to stay. A restore of another executor has no record of what it emptied,
/// so it counts from its start on until it completed.
fn needs_copies(restore: &CassandraRestore) -> bool {
    let Some(status) = &restore.status else {
        return false;
    };
    let Some(state) = status.common.state() else {
        return false;
    };
    if state == ConditionType::Completed {
        let truncation = status.truncation.as_ref();
        let keeps =
            |truncation: &Truncation| truncation.has_repeated() || !truncation.joined_nodes.is_empty();
        return restore.spec.no_delete_truncates == Some(true) || truncation.is_some_and(keeps);
    }
    let is_own = status.source.is_some() || status.phase.is_some() || status.truncation.is_some();
    !is_own || status.may_have_emptied()
}

impl RestorePlanner<'_> {
    /// Returns true if a cleanup may delete the copies of the emptied tables: only the last one of a restore that ended
    /// well does, if no other restore needs them. If the tables were emptied more than once, they also hold what users wrote in
    /// between.
    pub(super) fn may_delete_copies(&self) -> bool {
        self.status.phase() == Some(Phase::Cleanup)
            && self.status.giving_up.is_none()
            && self.restore.spec.no_delete_truncates != Some(true)
            && self.inputs.restores_with_copies.is_empty()
            && !self.has_repeated()
            && self.joined_warning().is_none()
    }

    /// Returns true if tables were emptied more than once.
    fn has_repeated(&self) -> bool {
        let truncation = self.status.truncation.as_ref();
        truncation.is_some_and(Truncation::has_repeated)
    }

    /// Publishes where the copies of the emptied tables are and why, if the spec does not ask for them.
    pub(super) fn report_kept_copies(&mut self) {
        if self.restore.spec.no_delete_truncates == Some(true) {
            return;
        }
        let others = &self.inputs.restores_with_copies;
        let mut reasons = Vec::new();
        if self.rounds() > 1 {
            reasons.push(format!(
                "the tables were emptied {} times, and the copies also hold what was written in between",
                self.rounds()
            ));
        } else if self.has_repeated() {
            reasons.push(
                "TRUNCATE was sent again after it had emptied some tables, and the copies also hold what was written in between"
                    .to_owned(),
            );
        }
        if self.joined_warning().is_some() {
            reasons.push("nodes joined the ring while the rows were imported".to_owned());
        }
        if !others.is_empty() {
            reasons.push(format!(
                "a cleanup would also delete those of other restores of the cluster, which did not complete or kept theirs: \
                 {}; delete these objects when the copies are obsolete",
                names(others)
            ));
        }
        if reasons.is_empty() {
            return;
        }
        let message = format!(
            "The copies of the emptied tables, the snapshots truncated-<milliseconds>-<table>, are kept on every node: {}. \
             When they are obsolete, remove each by its name: nodetool clearsnapshot -t NAME KEYSPACE.",
            reasons.join("; ")
        );
        self.plan.warn(Reason::CopiesKept, message);
    }
}

#[cfg(test)]
mod tests {
    use super::restores_with_copies;
    use crate::api::{
        BackRestCondition, CassandraRestore, CassandraRestoreSpec, RestoreSource, RestoreStatus, Truncation,
    };

    fn restore(name: &str, cluster: &str, state: Option<&str>) -> CassandraRestore {
        let spec = CassandraRestoreSpec {
            cassandra_cluster: cluster.to_owned(),
            ..CassandraRestoreSpec::default()
        };
        let mut restore = CassandraRestore::new(name, spec);
        let mut status = RestoreStatus::default();
        status.common.condition = state.map(|state| BackRestCondition {
            type_: state.to_owned(),
            ..BackRestCondition::default()
        });
        restore.status = Some(status);
        restore
    }

    /// Returns a restore of cassgate's whose record of the tables has this state; `Err`: there is no record.
    fn own(name: &str, state: &str, tables: Result<Option<&str>, ()>) -> CassandraRestore {
        let mut restore = restore(name, "c1", Some(state));
        let status = restore.status.as_mut().unwrap();
        status.source = Some(RestoreSource::default());
        status.phase = Some("CLEANUP".to_owned());
        status.truncation = tables.ok().map(|state| Truncation {
            begun: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH),
            host_id: "h".to_owned(),
            rounds: 1,
            state: state.map(str::to_owned),
            failed_tables: Vec::new(),
            sent_again: None,
            other_nodes: Vec::new(),
            joined_nodes: Vec::new(),
        });
        restore
    }

    #[test]
    fn a_restore_that_did_not_complete_after_truncate_or_kept_its_copies_needs_them() {
        let mut restores = vec![
            own("completed-in-two-rounds", "COMPLETED", Ok(Some("EMPTIED"))),
            restore("completed-with-copies", "c1", Some("COMPLETED")),
            own("failed", "FAILED", Ok(Some("EMPTIED"))),
            own("failed-partly", "FAILED", Ok(Some("PARTLY_EMPTIED"))),
            own("failed-unknown", "FAILED", Ok(Some("ACCEPTED"))),
            own("failed-in-an-earlier-version", "FAILED", Ok(None)),
            own("stopped", "RUNNING", Ok(Some("EMPTIED"))),
            restore("of-casskop-failed", "c1", Some("FAILED")),
            restore("of-casskop-left-running", "c1", Some("RUNNING")),
            restore("of-casskop-cancelled", "c1", Some("CANCELLED")),
            own("untouched", "FAILED", Ok(Some("FAILED_UNTOUCHED"))),
            own("failed-in-download", "FAILED", Err(())),
            own("cancelled", "CANCELLED", Err(())),
            own("completed", "COMPLETED", Ok(Some("EMPTIED"))),
            own("monday", "RUNNING", Ok(Some("EMPTIED"))),
            restore("of-casskop-completed", "c1", Some("COMPLETED")),
            restore("waiting", "c1", None),
            restore("of-another-cluster", "c2", Some("FAILED")),
        ];
        restores[0]
            .status
            .as_mut()
            .unwrap()
            .truncation
            .as_mut()
            .unwrap()
            .rounds = 2;
        restores[1].spec.no_delete_truncates = Some(true);
        assert_eq!(
            restores_with_copies(&restores, "c1", "monday"),
            [
                "completed-in-two-rounds",
                "completed-with-copies",
                "failed",
                "failed-partly",
                "failed-unknown",
                "failed-in-an-earlier-version",
                "stopped",
                "of-casskop-failed",
                "of-casskop-left-running",
                "of-casskop-cancelled",
            ]
        );
    }
}
