//! What is heard of a reconciler and its API server: whether anybody waits for an answer, so that the made up time
//! stands still, and what was written of each backup.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::runs::wire::Listener;
use crate::runs::world::now;

/// How long, in our time, nothing may be heard before the made up time goes on all the same. A crowd that asks at one
/// instant is answered one by one; but a client that was told to come back later (429) waits by the made up time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A run that was begun.
#[derive(Debug, Clone)]
pub(super) struct Take {
    /// The time of the schedule that it was begun for.
    pub(super) slot: Timestamp,
    /// When it was begun.
    pub(super) at: Timestamp,
    /// When it was over.
    pub(super) ended: Option<Timestamp>,
    /// The name of its snapshot.
    pub(super) snapshot: String,
}

/// What was written of a backup.
#[derive(Debug, Clone, Default)]
pub(super) struct Story {
    /// As it is stored now.
    pub(super) object: Value,
    /// Its runs.
    pub(super) takes: Vec<Take>,
    /// Which generation of it was looked at, from when on.
    pub(super) looks: Vec<(i64, Timestamp)>,
}

/// Listens to the wires of a world.
#[derive(Default)]
pub(super) struct Record(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    /// How many answers are waited for.
    waits: isize,
    /// The newest version that was written, and the newest that the reconciler was told of.
    written: u64,
    told: u64,
    /// How many there are to be told. A watch that ended is begun anew after a while of the made up time.
    watches: usize,
    /// Dropped, it lets the time go on. It is told whenever something is heard.
    brake: Option<Sender<()>>,
    stories: BTreeMap<String, Story>,
}

impl Record {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written of each backup, by `NAMESPACE/NAME`.
    pub(super) fn stories(&self) -> BTreeMap<String, Story> {
        self.notes().stories.clone()
    }

    /// When something is to be done again, if the reconciler has nothing to do now: never, it may be.
    ///
    /// # Errors
    /// Who keeps it busy.
    pub(super) fn rest(&self) -> Result<Option<Timestamp>, String> {
        let mut next = None;
        for (key, story) in &self.notes().stories {
            let due = due(&story.object).map_err(|busy| format!("{key}: {busy}"))?;
            next = [next, due].into_iter().flatten().min();
        }
        Ok(next)
    }
}

/// When the next run of a backup is due that nothing is to be done for now; `None`: never.
///
/// # Errors
/// The status: something is to be done.
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

/// A time in a status.
pub(super) fn time(text: &Value) -> Option<Timestamp> {
    text.as_str()?.parse().ok()
}

impl Notes {
    /// Holds the time for as long as anybody waits. While a blocking task runs, tokio does not move a time that is
    /// paused; else it goes to the next timer as soon as nobody has anything to do.
    fn brake(&mut self) {
        match &self.brake {
            _ if !self.holds() => self.brake = None,
            // It may have lost its patience.
            Some(brake) => drop(brake.send(())),
            None => {
                let (brake, heard) = channel();
                drop(spawn_blocking(move || {
                    let mut last = Ok(());
                    while last.is_ok() {
                        last = heard.recv_timeout(PATIENCE);
                    }
                    if last == Err(RecvTimeoutError::Timeout) {
                        eprintln!("an answer or a watch event did not come for {PATIENCE:?}");
                    }
                }));
                self.brake = Some(brake);
            }
        }
    }

    /// Whether anybody waits.
    fn holds(&self) -> bool {
        self.waits > 0 || (self.watches > 0 && self.written > self.told)
    }

    fn note(&mut self, backup: Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let version_of = |backup: &Value| text(&backup["metadata"]["resourceVersion"]).parse().unwrap_or(0);
        let (metadata, version) = (&backup["metadata"], version_of(&backup));
        let key = format!("{}/{}", text(&metadata["namespace"]), text(&metadata["name"]));
        self.written = self.written.max(version);
        let story = self.stories.entry(key).or_default();
        // Of two writers one may hear its answer late, when the other one has written over it.
        if version <= version_of(&story.object) {
            return;
        }
        let (status, before) = (&backup["status"], &story.object["status"]);
        if let Some(look) = status["observedGeneration"].as_i64()
            && before["observedGeneration"] != look
        {
            story.looks.push((look, now()));
        }
        if status["snapshotTag"] != before["snapshotTag"]
            && let Some(slot) = time(&status["lastScheduleTime"])
        {
            story.takes.push(Take {
                slot,
                at: now(),
                ended: None,
                snapshot: text(&status["snapshotTag"]),
            });
        }
        if let Some(take) = story.takes.last_mut()
            && status["timeCompleted"].is_string()
        {
            take.ended.get_or_insert_with(now);
        }
        story.object = backup;
    }
}

/// Whether backups are watched at this path.
fn is_of_backups(path: &str) -> bool {
    path.ends_with("/cassandrabackups")
}

impl Listener for Record {
    fn waits(&self, more: isize) {
        let mut notes = self.notes();
        notes.waits += more;
        notes.brake();
    }

    fn written(&self, path: &str, answer: &[u8]) {
        if !path.contains("/cassandrabackups") {
            return;
        }
        let object: Value = serde_json::from_slice(answer).unwrap_or_default();
        if object["kind"] == "CassandraBackup" {
            let mut notes = self.notes();
            notes.note(object);
            notes.brake();
        }
    }

    fn watched(&self, path: &str, told: &[u8]) {
        if !is_of_backups(path) {
            return;
        }
        let text = String::from_utf8_lossy(told);
        let versions = text.split(r#""resourceVersion":""#).skip(1);
        let versions = versions.filter_map(|rest| rest.split('"').next()?.parse::<u64>().ok());
        let mut notes = self.notes();
        notes.told = versions.fold(notes.told, u64::max);
        // The API server tells each minute how far it is; that is no answer to whoever waits for one.
        if !(text.contains(r#""type":"BOOKMARK""#) && notes.holds()) {
            notes.brake();
        }
    }

    fn watches(&self, path: &str, begun: bool) {
        if is_of_backups(path) {
            let mut notes = self.notes();
            if begun {
                // It tells what came after a listing, which had everything until then.
                notes.told = notes.written;
                notes.watches += 1;
            } else {
                notes.watches -= 1;
            }
            notes.brake();
        }
    }
}
