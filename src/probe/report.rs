//! The report on the hops, as text and as JSON.

use std::fmt::{self, Write};

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// The hops, in the order of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopName {
    /// The webhook configurations and the namespace.
    Configuration,
    /// The `caBundle`.
    Ca,
    /// The Service and its endpoints.
    Service,
    /// The certificate of the server.
    Certificate,
    /// The answers of the server.
    Server,
}

/// The state of a hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It works, with the evidence.
    Ok(String),
    /// It is broken.
    Broken {
        /// The evidence.
        saw: String,
        /// The remedy.
        todo: String,
    },
    /// It could not be observed, with the reason.
    Unknown(String),
}

/// A hop and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The hop.
    pub name: HopName,
    /// Its state.
    pub state: State,
}

/// The states of all hops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The namespace of the dry runs.
    namespace: String,
    hops: Vec<Hop>,
}

impl HopName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Ca => "ca",
            Self::Service => "service",
            Self::Certificate => "certificate",
            Self::Server => "server",
        }
    }
}

impl State {
    /// Creates a broken state from the evidence and the remedy.
    pub(super) fn broken(saw: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::Broken {
            saw: saw.into(),
            todo: todo.into(),
        }
    }

    /// Returns the first broken state, else the first state. A hop reports one problem at a time.
    pub(super) fn most_severe(states: Vec<Self>) -> Option<Self> {
        let broken = states
            .iter()
            .position(|state| matches!(state, Self::Broken { .. }));
        states.into_iter().nth(broken.unwrap_or(0))
    }

    fn as_str(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Broken { .. } => "broken",
            Self::Unknown(_) => "unknown",
        }
    }

    fn saw(&self) -> &str {
        match self {
            Self::Ok(saw) | Self::Broken { saw, .. } | Self::Unknown(saw) => saw,
        }
    }

    fn todo(&self) -> Option<&str> {
        match self {
            Self::Broken { todo, .. } => Some(todo),
            _ => None,
        }
    }
}

impl Report {
    pub(super) fn new(namespace: String, hops: Vec<Hop>) -> Self {
        Self { namespace, hops }
    }

    /// Returns all hops, in the order of a request.
    #[must_use]
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// Returns true if the server has answered both dry runs correctly and no hop is broken. Hops that the user may not
    /// read do not matter then.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let broken = self
            .hops
            .iter()
            .any(|hop| matches!(hop.state, State::Broken { .. }));
        let answered = self
            .hops
            .iter()
            .any(|hop| hop.name == HopName::Server && matches!(hop.state, State::Ok(_)));
        answered && !broken
    }

    /// Writes one line for each hop, and one for the whole path.
    ///
    /// # Errors
    /// Returns the error of the writer.
    pub fn text(&self, into: &mut impl Write) -> fmt::Result {
        for hop in &self.hops {
            let (name, state) = (hop.name.as_str(), hop.state.as_str());
            write!(into, "{name:<13}  {state:<7}  {}", one_line(hop.state.saw()))?;
            if let Some(todo) = hop.state.todo() {
                write!(into, "; {}", one_line(todo))?;
            }
            writeln!(into)?;
        }
        writeln!(into, "{}", self.conclusion())
    }

    fn conclusion(&self) -> String {
        let named = |wanted: &str| {
            let names = self.hops.iter().filter(|hop| hop.state.as_str() == wanted);
            names.map(|hop| hop.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let namespace = &self.namespace;
        let broken = named("broken");
        if self.is_good() {
            format!("The path to cassgate is good in namespace {namespace}.")
        } else if broken.is_empty() {
            format!(
                "The path to cassgate could not be verified in namespace {namespace}; unknown: {}.",
                named("unknown")
            )
        } else {
            format!("The path to cassgate is broken in namespace {namespace}: {broken}.")
        }
    }
}

impl Serialize for Hop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Hop", 4)?;
        fields.serialize_field("hop", self.name.as_str())?;
        fields.serialize_field("state", self.state.as_str())?;
        fields.serialize_field("saw", self.state.saw())?;
        fields.serialize_field("todo", &self.state.todo())?;
        fields.end()
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Report", 4)?;
        fields.serialize_field("version", env!("CARGO_PKG_VERSION"))?;
        fields.serialize_field("namespace", &self.namespace)?;
        fields.serialize_field("good", &self.is_good())?;
        fields.serialize_field("hops", &self.hops)?;
        fields.end()
    }
}

/// Replaces control characters by spaces, so that no text of a server looks like a line of the report.
fn one_line(text: &str) -> String {
    text.split(char::is_control)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
