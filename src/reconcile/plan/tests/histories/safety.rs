//! The property of each history that no row and no file is lost without a word.

use kube::ResourceExt;

use super::history::{History, Subjected};
use crate::api::{CassandraBackup, CassandraRestore, ConditionType, NodeStatus, PastRun};
use crate::reconcile::object::ReconciledObject;
use crate::reconcile::plan::tests::world::{Rows, World};
use crate::reconcile::plan::{Actions, Phase, Task};

/// Checks the requests of a plan: a restore that is given up before it emptied a table empties none.
pub(super) fn check_requests<K: Subjected>(
    world: &World,
    object: &K,
    actions: &Actions<<K as ReconciledObject>::Status>,
) -> Result<(), String> {
    let truncate = Task::Phase(Phase::Truncate);
    if !actions.requests.iter().any(|request| request.task == truncate) {
        return Ok(());
    }
    let restore = object.as_restore();
    let given_up = restore
        .and_then(|restore| restore.status.as_ref())
        .is_some_and(|status| status.giving_up.is_some());
    if given_up && world.truncated == 0 {
        return Err("gives up, and empties tables that were never emptied".to_owned());
    }
    if world.is_pending(&truncate) {
        return Err("sends TRUNCATE while one is under way".to_owned());
    }
    Ok(())
}

/// Checks a restore after a reconcile: what it begins and what it ends.
pub(super) fn check_restore(
    world: &mut World,
    before: &CassandraRestore,
    after: &CassandraRestore,
) -> Result<(), String> {
    let begins = |restore: &CassandraRestore| {
        let status = restore.status.as_ref();
        status.is_some_and(|status| status.source.is_some())
    };
    let is_over = |restore: &CassandraRestore| {
        let status = restore.status.as_ref();
        status.is_some_and(|status| status.common.is_terminal())
    };
    if begins(after) && !begins(before) {
        world.begin_restore();
    }
    if is_over(after) && !is_over(before) {
        end_restore(world, after)?;
    }
    Ok(())
}

/// Checks the history of the backup after a reconcile.
pub(super) fn check_backup(
    history: &mut History,
    before: &CassandraBackup,
    after: &CassandraBackup,
) -> Result<(), String> {
    let Some(status) = &after.status else {
        return Ok(());
    };
    let runs = |backup: &CassandraBackup| -> Vec<String> {
        let status = backup.status.iter();
        status
            .flat_map(|status| &status.history)
            .map(|run| run.snapshot.clone())
            .collect()
    };
    if runs(before) == runs(after) {
        return Ok(());
    }
    for run in &status.history {
        if !run.is_completed() || history.good_runs.contains(&run.snapshot) {
            continue;
        }
        check_parts(&history.world, &status.common.nodes, &run.snapshot)?;
        history.good_runs.push(run.snapshot.clone());
    }
    let keep = after
        .spec
        .retention
        .and_then(|retention| retention.keep_last)
        .unwrap_or(1);
    let keep = usize::try_from(keep).unwrap();
    for snapshot in history.good_runs.iter().rev().take(keep) {
        if !status
            .history
            .iter()
            .any(|run: &PastRun| run.snapshot == *snapshot)
        {
            return Err(format!(
                "retention removes snapshot {snapshot}, one of the newest {keep} good ones"
            ));
        }
    }
    Ok(())
}

/// Checks that a completed snapshot has all files of these nodes.
pub(super) fn check_parts(world: &World, nodes: &[NodeStatus], snapshot: &str) -> Result<(), String> {
    let mut nodes = nodes.iter();
    if nodes.all(|node| world.has_whole_part(&node.host_id, snapshot)) {
        return Ok(());
    }
    Err(format!("snapshot {snapshot} is COMPLETED without all files"))
}

/// Every snapshot of the history has its files.
pub(super) fn check_files(history: &History) -> Result<(), String> {
    let backup = &history.backup.object;
    let runs = backup.status.iter().flat_map(|status| &status.history);
    for run in runs.filter(|run| run.is_completed()) {
        let record = backup.run_record(&run.snapshot);
        for node in record.map(|record| record.nodes.to_vec()).unwrap_or_default() {
            if !history.world.has_whole_part(&node.host_id, &run.snapshot) {
                return Err(format!("the files of snapshot {} are gone", run.snapshot));
            }
        }
    }
    Ok(())
}

/// Checks the tables at the end of a restore. Then the users go on to write.
fn end_restore(world: &mut World, restore: &CassandraRestore) -> Result<(), String> {
    let Some(status) = &restore.status else {
        return Ok(());
    };
    let name = restore.name_any();
    let rows_of = |host_id: &str| {
        world
            .ring_members()
            .find(|node| node.host == host_id)
            .map(|node| node.rows)
    };
    if status.common.state() == Some(ConditionType::Completed) {
        for node in &status.common.nodes {
            if rows_of(&node.host_id).is_some_and(|rows| rows != Rows::Backup) {
                return Err(format!(
                    "{name} is COMPLETED, and node {} lacks its rows",
                    node.host_id
                ));
            }
        }
    } else if !status.may_have_emptied() && world.ring_members().any(|node| node.rows != Rows::Users) {
        return Err(format!("{name} says that no table was touched, and one is empty"));
    }
    world.end_restore();
    Ok(())
}
