//! What is told of the path, as text and as JSON.

use std::fmt::{self, Write};

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// A part of the path, in the order in which a request takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopName {
    /// The webhook configurations and the namespace.
    Configuration,
    /// The `caBundle`.
    Ca,
    /// The Service and its endpoints.
    Service,
    /// What the server shows.
    Certificate,
    /// Who answers.
    Server,
}

/// How a hop stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It works, with what was seen.
    Ok(String),
    /// It does not.
    Broken {
        /// What was seen.
        saw: String,
        /// What to do.
        todo: String,
    },
    /// It cannot be said, with the reason.
    Unknown(String),
}

/// A hop and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Which.
    pub name: HopName,
    /// How.
    pub state: State,
}

/// How the path stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where the objects were tried.
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
    /// Broken so, with what to do about it.
    pub(super) fn broken(saw: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::Broken {
            saw: saw.into(),
            todo: todo.into(),
        }
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

    /// Every hop, in the order of the path.
    #[must_use]
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// The server has answered both tries as it should, and no hop is broken. Something that may not be read does no
    /// harm then.
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

    /// One line for each hop, and one for the whole.
    ///
    /// # Errors
    /// Those of the writer.
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
                "Whether the path to cassgate is good in namespace {namespace} cannot be said: {}.",
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

/// Nothing that a server says may look like a line of ours.
fn one_line(text: &str) -> String {
    text.split(char::is_control)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
