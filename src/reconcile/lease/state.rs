//! How we stand, for `/readyz?verbose`.

use std::fmt;

/// How this replica stands to the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseState {
    /// Nothing is known yet.
    Starting,
    /// The API server does not tell, or takes nothing, for this reason. This replica does not act.
    Unknown(String),
    /// Another replica holds it.
    Follows {
        /// Its identity.
        holder: String,
    },
    /// It is ours, and what a former holder began may still go on.
    Settles {
        /// How often the lease went to another holder.
        term: u32,
    },
    /// It is ours, and this replica acts.
    Leads {
        /// How often the lease went to another holder.
        term: u32,
    },
    /// It was given away, for good.
    Ended,
}

impl fmt::Display for LeaseState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => formatter.write_str("not looked at yet"),
            Self::Unknown(reason) => write!(formatter, "not ours, as far as is known: {reason}"),
            Self::Follows { holder } => write!(formatter, "held by {holder}"),
            Self::Settles { term } => write!(
                formatter,
                "held by this replica (term {term}), which waits until requests of a former holder have ended"
            ),
            Self::Leads { term } => write!(formatter, "held by this replica (term {term})"),
            Self::Ended => formatter.write_str("given away: this replica ends"),
        }
    }
}
