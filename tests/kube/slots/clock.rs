//! Observes a reconciler and its API server: pending answers, during which simulated time stands still, and
//! everything that was written to each backup.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::runs::wire::Listener;
use crate::runs::world::now;
use crate::support::held_time::HeldTime;

/// Real time without any traffic after which simulated time continues anyway. A crowd of requests at one instant is
/// answered one by one, but a client that was told to retry later (429) waits by simulated time.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A run that was started.
#[derive(Debug, Clone)]
pub(super) struct Take {
    /// The slot that it was started for.
    pub(super) slot: Timestamp,
    /// The time of its start.
    pub(super) at: Timestamp,
    /// The time of its end.
    pub(super) ended: Option<Timestamp>,
    /// The name of its snapshot.
    pub(super) snapshot: String,
    /// The snapshots of its earlier attempts, which were not proven to be whole. A run begins again under a new name if it
    /// is unknown whether an upload arrived.
    pub(super) unproven: Vec<String>,
}

/// Everything that was written to a backup.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// The stored object.
    pub(super) object: Value,
    /// Its runs.
    pub(super) takes: Vec<Take>,
    /// The generations that were reconciled, each with its first time.
    pub(super) looks: Vec<(i64, Timestamp)>,
}

/// The listener to the wires of a world.
#[derive(Default)]
pub(super) struct Record(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    /// The number of pending answers.
    waits: isize,
    /// The newest version that was written, and the newest that the reconciler received.
    written: u64,
    reported: u64,
    /// The number of open watches. A watch that ended is opened again after some simulated time.
    watches: usize,
    held_time: HeldTime,
    histories: BTreeMap<String, History>,
}

impl Record {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns everything that was written to each backup, by `NAMESPACE/NAME`.
    pub(super) fn histories(&self) -> BTreeMap<String, History> {
        self.notes().histories.clone()
    }

    /// Returns the next time at which the reconciler has work, if it is idle now; `None` if never.
    ///
    /// # Errors
    /// The key of the backup that keeps it busy.
    pub(super) fn rest(&self) -> Result<Option<Timestamp>, String> {
        let mut next = None;
        for (key, history) in &self.notes().histories {
            let due = due(&history.object).map_err(|busy| format!("{key}: {busy}"))?;
            next = [next, due].into_iter().flatten().min();
        }
        Ok(next)
    }
}

/// Returns the next due time of a backup that needs no work now; `None` if never.
///
/// # Errors
/// The status, if the backup needs work.
fn due(backup: &Value) -> Result<Option<Timestamp>, String> {
    let status = &backup["status"];
    let state = status["condition"]["type"].as_str();
    if backup["spec"]["schedule"].is_null() && matches!(state, Some("COMPLETED" | "FAILED")) {
        return Ok(None);
    }
    let seen = status["observedGeneration"] == backup["metadata"]["generation"];
    let runs = matches!(state, Some("PENDING" | "RUNNING"))
        || (status["nodes"].is_array() && status["timeCompleted"].is_null());
    let next = time(&status["nextScheduleTime"]);
    let rests = seen && !runs && next.is_none_or(|next| next > now());
    if rests {
        Ok(next)
    } else {
        Err(format!("{status:#}"))
    }
}

/// Parses a time of a status.
pub(super) fn time(text: &Value) -> Option<Timestamp> {
    text.as_str()?.parse().ok()
}

impl Notes {
    /// Holds the time while an answer is pending.
    fn hold_time(&mut self) {
        let is_waiting = self.is_waiting();
        self.held_time.update(is_waiting, TIMEOUT);
    }

    /// Returns true if an answer is pending.
    fn is_waiting(&self) -> bool {
        self.waits > 0 || (self.watches > 0 && self.written > self.reported)
    }

    fn note(&mut self, backup: Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let version_of = |backup: &Value| text(&backup["metadata"]["resourceVersion"]).parse().unwrap_or(0);
        let (metadata, version) = (&backup["metadata"], version_of(&backup));
        let key = format!("{}/{}", text(&metadata["namespace"]), text(&metadata["name"]));
        self.written = self.written.max(version);
        let history = self.histories.entry(key).or_default();
        // With two writers, the answer of one may arrive after the other has written again.
        if version <= version_of(&history.object) {
            return;
        }
        let (status, before) = (&backup["status"], &history.object["status"]);
        if let Some(look) = status["observedGeneration"].as_i64()
            && before["observedGeneration"] != look
        {
            history.looks.push((look, now()));
        }
        if status["snapshotTag"] != before["snapshotTag"]
            && let Some(slot) = time(&status["lastScheduleTime"])
        {
            let snapshot = text(&status["snapshotTag"]);
            match history.takes.last_mut() {
                Some(take) if take.slot == slot && take.ended.is_none() => {
                    take.unproven
                        .push(std::mem::replace(&mut take.snapshot, snapshot));
                }
                _ => history.takes.push(Take {
                    slot,
                    at: now(),
                    ended: None,
                    snapshot,
                    unproven: Vec::new(),
                }),
            }
        }
        if let Some(take) = history.takes.last_mut()
            && status["timeCompleted"].is_string()
        {
            take.ended.get_or_insert_with(now);
        }
        history.object = backup;
    }
}

/// Returns true if this path is a watch of backups.
fn is_of_backups(path: &str) -> bool {
    path.ends_with("/cassandrabackups")
}

impl Listener for Record {
    fn waits(&self, more: isize) {
        let mut notes = self.notes();
        notes.waits += more;
        notes.hold_time();
    }

    fn written(&self, path: &str, answer: &[u8]) {
        if !path.contains("/cassandrabackups") {
            return;
        }
        let object: Value = serde_json::from_slice(answer).unwrap_or_default();
        if object["kind"] == "CassandraBackup" {
            let mut notes = self.notes();
            notes.note(object);
            notes.hold_time();
        }
    }

    fn watched(&self, path: &str, reported: &[u8]) {
        if !is_of_backups(path) {
            return;
        }
        let text = String::from_utf8_lossy(reported);
        let versions = text.split(r#""resourceVersion":""#).skip(1);
        let versions = versions.filter_map(|rest| rest.split('"').next()?.parse::<u64>().ok());
        let mut notes = self.notes();
        notes.reported = versions.fold(notes.reported, u64::max);
        // The API server sends a bookmark each minute; it does not answer a pending write.
        if !(text.contains(r#""type":"BOOKMARK""#) && notes.is_waiting()) {
            notes.hold_time();
        }
    }

    fn watches(&self, path: &str, begun: bool) {
        if is_of_backups(path) {
            let mut notes = self.notes();
            if begun {
                // The watch continues after a listing that contained everything until then.
                notes.reported = notes.written;
                notes.watches += 1;
            } else {
                notes.watches -= 1;
            }
            notes.hold_time();
        }
    }
}
