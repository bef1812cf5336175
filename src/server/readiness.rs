//! Readiness as a set of named gates: the process is ready while all of them are open.
//!
//! A part of the process that must work before reviews may arrive holds a [`Gate`]. If the part ends or panics, its gate
//! is dropped, and a dropped gate is closed, which is the safe outcome. A [`Note`] is shown beside the gates and does not
//! affect readiness.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::sync::watch;

/// The gates and notes of the process. A clone is another handle to the same ones.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<States>>);

#[derive(Debug, Default)]
struct States {
    gates: Vec<GateState>,
    notes: Vec<NoteState>,
}

/// One condition of readiness, held by the part of the process that is responsible for it.
#[derive(Debug)]
#[must_use = "a gate that is dropped is closed for good"]
pub struct Gate {
    readiness: Readiness,
    index: usize,
}

/// A text that is shown beside the gates and does not affect readiness.
#[derive(Debug)]
pub struct Note {
    readiness: Readiness,
    index: usize,
}

/// The state of a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoteState {
    /// The name, as `/readyz?verbose` shows it.
    #[serde(rename = "note")]
    pub name: &'static str,
    /// The text.
    pub text: String,
}

/// The state of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateState {
    /// The name, as `/readyz` shows it.
    #[serde(rename = "gate")]
    pub name: &'static str,
    /// True if the gate is open.
    pub open: bool,
    /// The reason why it is closed; absent if it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Readiness {
    /// Returns a readiness without gates, which is ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a gate, which is closed for `reason`.
    pub fn gate(&self, name: &'static str, reason: impl Into<String>) -> Gate {
        let gates = &mut self.lock().gates;
        gates.push(GateState {
            name,
            open: false,
            reason: Some(reason.into()),
        });
        Gate {
            readiness: self.clone(),
            index: gates.len() - 1,
        }
    }

    /// Adds a note.
    pub fn note(&self, name: &'static str, text: impl Into<String>) -> Note {
        let notes = &mut self.lock().notes;
        notes.push(NoteState {
            name,
            text: text.into(),
        });
        Note {
            readiness: self.clone(),
            index: notes.len() - 1,
        }
    }

    /// Returns true if every gate is open.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.lock().gates.iter().all(|gate| gate.open)
    }

    /// Returns the closed gates and their reasons, in the order of their creation; empty if ready.
    #[must_use]
    pub fn closed(&self) -> Vec<(&'static str, String)> {
        let states = self.lock();
        let gates = states.gates.iter();
        gates
            .filter_map(|gate| Some((gate.name, gate.reason.clone()?)))
            .collect()
    }

    /// Returns every gate, in the order of their creation.
    #[must_use]
    pub fn gates(&self) -> Vec<GateState> {
        self.lock().gates.clone()
    }

    /// Returns every note, in the order of their creation.
    #[must_use]
    pub fn notes(&self) -> Vec<NoteState> {
        self.lock().notes.clone()
    }

    /// Locks the state, also after a panic of a holder: each change is one assignment, so the state is consistent.
    fn lock(&self) -> MutexGuard<'_, States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().fmt(formatter)
    }
}

impl Gate {
    /// Opens the gate.
    pub fn open(&self) {
        self.set(None);
    }

    /// Closes the gate. `/readyz` shows the reason.
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
        let mut states = self.readiness.lock();
        if let Some(gate) = states.gates.get_mut(self.index) {
            gate.open = reason.is_none();
            gate.reason = reason;
        }
    }
}

impl Note {
    /// Replaces the text.
    pub fn set(&self, text: impl Into<String>) {
        if let Some(note) = self.readiness.lock().notes.get_mut(self.index) {
            note.text = text.into();
        }
    }

    /// Shows every state that `states` receives. Does not return, not even when the sender is dropped: the last state
    /// stays.
    pub async fn follow<S: fmt::Display>(self, mut states: watch::Receiver<S>) {
        loop {
            let text = states.borrow_and_update().to_string();
            self.set(text);
            if states.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let mut states = self.readiness.lock();
        if let Some(gate) = states.gates.get_mut(self.index)
            && gate.open
        {
            gate.open = false;
            gate.reason = Some("the part of cassgate that is responsible for this has ended".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_ready_while_every_gate_is_open() {
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
    fn a_note_is_shown_and_does_not_affect_readiness() {
        let readiness = Readiness::new();
        let note = readiness.note("lease", "not looked at yet");
        assert!(readiness.is_ready());
        note.set("held by another");
        assert!(readiness.is_ready());
        assert_eq!(readiness.closed(), []);
        let shown = NoteState {
            name: "lease",
            text: "held by another".to_owned(),
        };
        assert_eq!(readiness.notes(), [shown]);
    }

    #[test]
    fn a_dropped_gate_is_closed() {
        let readiness = Readiness::new();
        let gate = readiness.gate("tls", "no certificate yet");
        gate.open();
        drop(gate);
        assert_eq!(
            readiness.closed(),
            [(
                "tls",
                "the part of cassgate that is responsible for this has ended".to_owned()
            )]
        );
    }

    #[test]
    fn a_closed_gate_that_is_dropped_keeps_its_reason() {
        let readiness = Readiness::new();
        drop(readiness.gate("tls", "no certificate yet"));
        assert_eq!(readiness.closed(), [("tls", "no certificate yet".to_owned())]);
    }

    #[test]
    fn a_panic_of_the_holder_closes_the_gate() {
        let readiness = Readiness::new();
        let gate = readiness.gate("tls", "no certificate yet");
        let holder = std::thread::spawn(move || {
            gate.open();
            panic!("a bug of the holder");
        });
        holder.join().unwrap_err();
        assert_eq!(
            readiness.closed(),
            [(
                "tls",
                "the part of cassgate that is responsible for this has ended".to_owned()
            )]
        );
    }
}
