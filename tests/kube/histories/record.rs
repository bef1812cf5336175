//! Listens to all requests to the API server: simulated time stands still until each is answered and each change has reached
//! the watches, and every status is checked when it is written.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::progress::Track;
use super::safety::Safety;
use crate::runs::wire::Listener;
use crate::runs::world::world_time;
use crate::stand_in::Ring;
use crate::support::held_time::HeldTime;

/// Real time without any traffic after which simulated time continues anyway. A client that was told to retry later (429)
/// waits by simulated time.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The kinds that the reconciler watches.
const PLURALS: [&str; 3] = ["cassandrabackups", "cassandrarestores", "cassandraclusters"];

/// An object as it was last written.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) object: Value,
    /// True if it does not exist any more.
    pub(super) is_gone: bool,
    track: Track,
}

/// The number of writes, and of writes that showed progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Activity {
    pub(super) writes: usize,
    pub(super) advances: usize,
}

/// The listener to the wires of a history.
pub(super) struct Record {
    ring: Ring,
    notes: Mutex<Notes>,
}

/// The changes of a kind that its watches have to report.
#[derive(Debug, Default)]
struct Changes {
    /// The newest version that was written, and the newest that the watches reported.
    written: u64,
    reported: u64,
    /// The answered deletions without those that the watches reported. The answer to a deletion does not have the version of
    /// its event, and may come after it.
    deletions: isize,
    /// The number of open watches.
    watches: usize,
}

impl Changes {
    fn is_pending(&self) -> bool {
        self.watches > 0 && (self.written > self.reported || self.deletions > 0)
    }
}

#[derive(Default)]
struct Notes {
    /// The number of pending answers.
    waits: isize,
    changes: BTreeMap<&'static str, Changes>,
    held_time: HeldTime,
    /// The objects by kind and name.
    objects: BTreeMap<(String, String), Stored>,
    activity: Activity,
    safety: Safety,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn version_of(object: &Value) -> u64 {
    text(&object["metadata"]["resourceVersion"])
        .parse()
        .unwrap_or_default()
}

/// Returns the watched kind of a path.
fn plural(path: &str) -> Option<&'static str> {
    let is_of = |plural: &&&str| path.split('/').any(|part| part == **plural);
    PLURALS.iter().find(is_of).copied()
}

impl Record {
    pub(super) fn new(ring: Ring) -> Self {
        Self {
            ring,
            notes: Mutex::default(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an object; `None` if it was never written.
    pub(super) fn get(&self, kind: &str, name: &str) -> Option<Stored> {
        self.notes()
            .objects
            .get(&(kind.to_owned(), name.to_owned()))
            .cloned()
    }

    /// Returns the names of the objects of a kind, the oldest first.
    pub(super) fn names(&self, kind: &str) -> Vec<String> {
        let notes = self.notes();
        let keys = notes.objects.keys();
        keys.filter(|(of, _)| of == kind)
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// Returns all objects.
    pub(super) fn all(&self) -> Vec<Stored> {
        self.notes().objects.values().cloned().collect()
    }

    /// Returns the number of snapshots and of restores that completed.
    pub(super) fn completed(&self) -> (usize, usize) {
        self.notes().safety.completed()
    }

    pub(super) fn activity(&self) -> Activity {
        self.notes().activity
    }

    /// Checks all objects at the present.
    ///
    /// # Errors
    /// Returns the first broken property.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut violations = self.ring.violations();
        let mut notes = self.notes();
        violations.extend(notes.safety.violations().iter().cloned());
        if !violations.is_empty() {
            return Err(violations.join("; "));
        }
        let now = world_time();
        let objects = notes.objects.values_mut();
        for stored in objects.filter(|stored| !stored.is_gone) {
            stored.track.check(&stored.object, now)?;
        }
        Ok(())
    }
}

impl Notes {
    /// Holds the time while an answer or an event is pending.
    fn hold_time(&mut self) {
        let is_waiting = self.waits > 0 || self.changes.values().any(Changes::is_pending);
        self.held_time.update(is_waiting, TIMEOUT);
    }

    fn note(&mut self, ring: &Ring, plural: &'static str, object: Value) {
        let version = version_of(&object);
        let changes = self.changes.entry(plural).or_default();
        changes.written = changes.written.max(version);
        let metadata = &object["metadata"];
        let is_gone = metadata["deletionTimestamp"].is_string()
            && metadata["finalizers"].as_array().is_none_or(Vec::is_empty);
        if is_gone {
            changes.deletions += 1;
        }
        if plural == "cassandraclusters" {
            return;
        }
        self.activity.writes += 1;
        let key = (text(&object["kind"]), text(&metadata["name"]));
        let stored = self.objects.entry(key).or_insert_with(|| Stored {
            object: Value::Null,
            is_gone: false,
            track: Track::new(world_time()),
        });
        if version < version_of(&stored.object) {
            return;
        }
        self.safety.note(ring, &stored.object, &object);
        self.activity.advances += usize::from(stored.track.observe(&object, world_time()));
        stored.object = object;
        stored.is_gone |= is_gone;
    }
}

impl Listener for Record {
    fn waits(&self, more: isize) {
        let mut notes = self.notes();
        notes.waits += more;
        notes.hold_time();
    }

    fn written(&self, path: &str, answer: &[u8]) {
        let Some(plural) = plural(path) else {
            return;
        };
        let object: Value = serde_json::from_slice(answer).unwrap_or_default();
        let mut notes = self.notes();
        match (object["kind"].as_str(), object["status"].as_str()) {
            // The answer to a deletion of an object without finalizers.
            (Some("Status"), Some("Success")) => {
                notes.changes.entry(plural).or_default().deletions += 1;
                let name = path.rsplit('/').next().unwrap_or_default();
                let mut objects = notes.objects.iter_mut();
                let found = objects
                    .find(|((kind, of), _)| of == name && plural == format!("{}s", kind.to_lowercase()));
                if let Some((_, stored)) = found {
                    stored.is_gone = true;
                }
            }
            (Some("Status"), _) => {}
            _ => notes.note(&self.ring, plural, object),
        }
        notes.hold_time();
    }

    fn watched(&self, path: &str, reported: &[u8]) {
        let Some(plural) = plural(path) else {
            return;
        };
        let reported = String::from_utf8_lossy(reported);
        let versions = reported.split(r#""resourceVersion":""#).skip(1);
        let versions = versions.filter_map(|rest| rest.split('"').next()?.parse::<u64>().ok());
        let mut notes = self.notes();
        let is_bookmark = reported.contains(r#""type":"BOOKMARK""#);
        let changes = notes.changes.entry(plural).or_default();
        changes.reported = versions.fold(changes.reported, u64::max);
        if reported.contains(r#""type":"DELETED""#) {
            changes.deletions -= 1;
        }
        // The API server sends a bookmark each minute; it does not answer a pending write.
        if !(is_bookmark && changes.is_pending()) {
            notes.hold_time();
        }
    }

    fn watches(&self, path: &str, begun: bool) {
        let Some(plural) = plural(path) else {
            return;
        };
        let mut notes = self.notes();
        let changes = notes.changes.entry(plural).or_default();
        if begun {
            // The watch continues after a listing that contained everything until then.
            changes.reported = changes.written;
            changes.deletions = 0;
            changes.watches += 1;
        } else {
            changes.watches -= 1;
        }
        notes.hold_time();
    }
}
