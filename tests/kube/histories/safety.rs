//! The property of each history that no row and no file is lost in silence, checked at the moment of each status.

use std::collections::{BTreeMap, BTreeSet};

use cassgate::api::{BackRestStatus, CassandraBackup, CassandraRestore, ConditionType};
use serde_json::Value;

use crate::stand_in::{Key, Ring};

/// The rows of each table of a node.
type Tables = BTreeMap<String, BTreeSet<Key>>;

/// The facts of a history that later checks need.
#[derive(Default)]
pub(super) struct Safety {
    /// The rows of each node when a restore began.
    before: BTreeMap<String, Vec<Tables>>,
    /// The completed runs of each backup, the oldest first.
    good_runs: BTreeMap<String, Vec<String>>,
    /// The number of completed restores.
    completed_restores: usize,
    violations: Vec<String>,
}

fn is(common: &BackRestStatus, state: ConditionType<'_>) -> bool {
    common.state() == Some(state)
}

impl Safety {
    /// Returns the broken guarantees so far.
    pub(super) fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Returns the number of snapshots and of restores that completed.
    pub(super) fn completed(&self) -> (usize, usize) {
        let snapshots = self.good_runs.values().map(Vec::len).sum();
        (snapshots, self.completed_restores)
    }

    /// Checks a status that was just written.
    pub(super) fn note(&mut self, ring: &Ring, before: &Value, after: &Value) {
        match after["kind"].as_str() {
            Some("CassandraBackup") => {
                let decode = |object: &Value| serde_json::from_value::<CassandraBackup>(object.clone());
                self.note_backup(ring, &decode(after).unwrap());
            }
            Some("CassandraRestore") => {
                let decode = |object: &Value| serde_json::from_value::<CassandraRestore>(object.clone());
                self.note_restore(ring, decode(before).ok().as_ref(), &decode(after).unwrap());
            }
            _ => {}
        }
    }

    fn note_backup(&mut self, ring: &Ring, backup: &CassandraBackup) {
        let Some(status) = &backup.status else {
            return;
        };
        let name = backup.metadata.name.clone().unwrap_or_default();
        let known = self.good_runs.entry(name.clone()).or_default();
        let current = status.snapshot_tag.as_ref();
        let current = current.filter(|_| is(&status.common, ConditionType::Completed));
        let history = status.history.iter().filter(|run| run.is_completed());
        let good: Vec<String> = history.map(|run| &run.snapshot).chain(current).cloned().collect();
        for snapshot in good {
            if known.contains(&snapshot) {
                continue;
            }
            let lost = lost_parts(ring, backup, &snapshot);
            if !lost.is_empty() {
                let error = format!("{name} is COMPLETED without all files: {snapshot} on {lost:?}");
                self.violations.push(error);
            }
            known.push(snapshot);
        }
        let keep = backup.spec.retention.and_then(|retention| retention.keep_last);
        let keep = usize::try_from(keep.unwrap_or(1)).unwrap();
        for snapshot in known.iter().rev().take(keep) {
            let is_kept = status.history.iter().any(|run| run.snapshot == *snapshot);
            if !is_kept && status.snapshot_tag.as_ref() != Some(snapshot) {
                let error = format!("retention removes {snapshot}, one of the newest {keep} good ones");
                self.violations.push(error);
            }
        }
    }

    fn note_restore(&mut self, ring: &Ring, before: Option<&CassandraRestore>, after: &CassandraRestore) {
        let Some(status) = &after.status else {
            return;
        };
        let name = after.metadata.name.clone().unwrap_or_default();
        if status.source.is_some() && !self.before.contains_key(&name) {
            let tables = (0..ring.size()).map(|node| ring.tables_of(node));
            self.before.insert(name.clone(), tables.collect());
        }
        let was_over = before
            .and_then(|before| before.status.as_ref())
            .is_some_and(|status| status.common.is_terminal());
        if was_over || !status.common.is_terminal() {
            return;
        }
        if is(&status.common, ConditionType::Completed) {
            self.completed_restores += 1;
            let snapshot = status
                .source
                .as_ref()
                .and_then(|source| source.snapshot_tag.as_deref());
            let snapshot = snapshot.unwrap_or_default();
            for node in &status.common.nodes {
                let receiver = ring.node_of(&node.host_id);
                let giver = ring.node_of(node.bucket_host_id());
                let part = giver.and_then(|giver| ring.part(giver, snapshot));
                let is_lacking = |receiver: usize| {
                    ring.is_present(receiver).1 && part.as_ref() != Some(&ring.tables_of(receiver))
                };
                if receiver.is_some_and(is_lacking) {
                    let rows = receiver.map(|receiver| counts(&ring.tables_of(receiver)));
                    let wanted = part.as_ref().map(counts);
                    let error = format!(
                        "{name} is COMPLETED, and node {} lacks its rows: it has {rows:?} of {wanted:?}",
                        node.host_id
                    );
                    self.violations.push(error);
                }
            }
        } else if !status.may_have_emptied() {
            let before = self.before.get(&name).into_iter().flatten().enumerate();
            for (node, tables) in before {
                if ring.is_present(node).1 && *tables != ring.tables_of(node) {
                    let error = format!("{name} says that no table was touched, and one of node {node} was");
                    self.violations.push(error);
                }
            }
        }
    }

    /// Checks that every snapshot of the history has its files.
    ///
    /// # Errors
    /// Returns the snapshot whose files are gone.
    pub(super) fn check_files(ring: &Ring, object: &Value) -> Result<(), String> {
        let Ok(backup) = serde_json::from_value::<CassandraBackup>(object.clone()) else {
            return Ok(());
        };
        let runs = backup.status.iter().flat_map(|status| &status.history);
        for run in runs.filter(|run| run.is_completed()) {
            let lost = lost_parts(ring, &backup, &run.snapshot);
            if !lost.is_empty() {
                return Err(format!(
                    "the files of snapshot {} are gone on {lost:?}",
                    run.snapshot
                ));
            }
        }
        Ok(())
    }
}

fn counts(tables: &Tables) -> Vec<(String, usize)> {
    tables
        .iter()
        .map(|(table, rows)| (table.clone(), rows.len()))
        .collect()
}

/// Returns the nodes of a run whose part of the snapshot is not whole.
fn lost_parts(ring: &Ring, backup: &CassandraBackup, snapshot: &str) -> Vec<String> {
    let record = backup.run_record(snapshot);
    let nodes = record.map(|record| record.nodes.to_vec()).unwrap_or_default();
    let hosts = nodes.into_iter().map(|node| node.host_id);
    hosts
        .filter(|host| {
            ring.node_of(host)
                .is_none_or(|node| ring.part(node, snapshot).is_none())
        })
        .collect()
}
