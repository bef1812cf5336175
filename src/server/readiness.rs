//! Readiness: named gates, and ready when all are open.
//!
//! A part of the process that must work before requests may come holds a [`Gate`]. Whoever forgets one, ends or
//! panics drops it, and dropping closes it: the safe outcome. What people want to know beside that, and what no
//! request depends on, is a [`Note`].

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::sync::watch;

/// The gates of the process. A clone is another handle to the same ones.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<States>>);

#[derive(Debug, Default)]
struct States {
    gates: Vec<GateState>,
    notes: Vec<NoteState>,
}

/// One condition of readiness, held by the part that answers for it.
#[derive(Debug)]
#[must_use = "a gate that is dropped is closed for good"]
pub struct Gate {
    readiness: Readiness,
    place: usize,
}

/// Something to show beside the gates, which makes nothing ready or unready.
#[derive(Debug)]
pub struct Note {
    readiness: Readiness,
    place: usize,
}

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoteState {
    /// Its name, as `/readyz?verbose` shows it.
    #[serde(rename = "note")]
    pub name: &'static str,
    /// What is so, for people.
    pub text: String,
}

/// What is known of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateState {
    /// Its name, as `/readyz` shows it.
    #[serde(rename = "gate")]
    pub name: &'static str,
    /// Whether requests may come, as far as this gate is concerned.
    pub open: bool,
    /// Why it is closed; absent when it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Readiness {
    /// Readiness without a gate: ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A new gate, closed for `reason`.
    pub fn gate(&self, name: &'static str, reason: impl Into<String>) -> Gate {
        let gates = &mut self.now().gates;
        gates.push(GateState {
            name,
            open: false,
            reason: Some(reason.into()),
        });
        Gate {
            readiness: self.clone(),
            place: gates.len() - 1,
        }
    }

    /// A new note.
    pub fn note(&self, name: &'static str, text: impl Into<String>) -> Note {
        let notes = &mut self.now().notes;
        notes.push(NoteState {
            name,
            text: text.into(),
        });
        Note {
            readiness: self.clone(),
            place: notes.len() - 1,
        }
    }

    /// Whether every gate is open.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.now().gates.iter().all(|gate| gate.open)
    }

    /// The closed gates and why they are, in the order in which they were made; empty when ready.
    #[must_use]
    pub fn closed(&self) -> Vec<(&'static str, String)> {
        let states = self.now();
        let gates = states.gates.iter();
        gates
            .filter_map(|gate| Some((gate.name, gate.reason.clone()?)))
            .collect()
    }

    /// Every gate, in the order in which they were made.
    #[must_use]
    pub fn gates(&self) -> Vec<GateState> {
        self.now().gates.clone()
    }

    /// Every note, in the order in which they were made.
    #[must_use]
    pub fn notes(&self) -> Vec<NoteState> {
        self.now().notes.clone()
    }

    /// What a panicked holder left is whole: each change is one assignment.
    fn now(&self) -> MutexGuard<'_, States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(formatter)
    }
}

impl Gate {
    /// Requests may come, as far as this gate is concerned.
    pub fn open(&self) {
        self.set(None);
    }

    /// No requests, please: `reason` says why, for the person who reads `/readyz`.
    pub fn close(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    /// Opens the gate if `reason` is `None`, and closes it for `reason` otherwise.
    pub fn update(&self, reason: Option<&str>) {
        self.set(reason.map(str::to_owned));
    }

    /// Updates the gate with every state that `states` receives. `unready` returns the reason why a state is not ready.
    ///
    /// Returns when the sender is dropped; the gate is then closed for good.
    pub async fn follow<S>(self, mut states: watch::Receiver<S>, unready: impl Fn(&S) -> Option<&str>) {
        loop {
            self.update(unready(&states.borrow_and_update()));
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    fn set(&self, reason: Option<String>) {
        let mut states = self.readiness.now();
        if let Some(gate) = states.gates.get_mut(self.place) {
            gate.open = reason.is_none();
            gate.reason = reason;
        }
    }
}

impl Note {
    /// This is so now.
    pub fn say(&self, text: impl Into<String>) {
        if let Some(note) = self.readiness.now().notes.get_mut(self.place) {
            note.text = text.into();
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let mut states = self.readiness.now();
        if let Some(gate) = states.gates.get_mut(self.place)
            && gate.open
        {
            gate.open = false;
            gate.reason = Some("the part that answers for this has ended".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_every_gate_is_open() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let tls = readiness.gate("tls", "no certificate yet");
        let cache = readiness.gate("cache:backup", "not listed yet");
        assert_eq!(
            readiness.closed(),
            [
                ("tls", "no certificate yet".to_owned()),
                ("cache:backup", "not listed yet".to_owned())
            ]
        );
        tls.open();
        assert!(!readiness.is_ready());
        cache.open();
        assert!(readiness.is_ready());
        tls.close("expired");
        assert_eq!(readiness.closed(), [("tls", "expired".to_owned())]);
    }

    #[test]
    fn a_note_is_shown_and_makes_nothing_unready() {
        let readiness = Readiness::new();
        let note = readiness.note("lease", "not looked at yet");
        assert!(readiness.is_ready());
        note.say("held by another");
        assert!(readiness.is_ready());
        assert_eq!(readiness.closed(), []);
        let shown = NoteState {
            name: "lease",
            text: "held by another".to_owned(),
        };
        assert_eq!(readiness.notes(), [shown]);
    }

    #[test]
    fn a_gate_that_is_dropped_is_closed() {
        let readiness = Readiness::new();
        let gate = readiness.gate("tls", "no certificate yet");
        gate.open();
        drop(gate);
        assert_eq!(
            readiness.closed(),
            [("tls", "the part that answers for this has ended".to_owned())]
        );
    }

    #[test]
    fn a_gate_that_is_dropped_while_closed_keeps_its_reason() {
        let readiness = Readiness::new();
        drop(readiness.gate("tls", "no certificate yet"));
        assert_eq!(readiness.closed(), [("tls", "no certificate yet".to_owned())]);
    }

    #[test]
    fn a_panic_of_the_holder_closes_its_gate() {
        let readiness = Readiness::new();
        let gate = readiness.gate("tls", "no certificate yet");
        let holder = std::thread::spawn(move || {
            gate.open();
            panic!("the holder's own fault");
        });
        holder.join().unwrap_err();
        assert_eq!(
            readiness.closed(),
            [("tls", "the part that answers for this has ended".to_owned())]
        );
    }
}
