//! The state of this replica, for `/readyz?verbose`.

use std::fmt;

/// The state of this replica with regard to the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseState {
    /// The Lease has not been read yet.
    Starting,
    /// The Lease cannot be read or written, for this reason. This replica does not reconcile.
    Unknown(String),
    /// Another replica holds the lease.
    Follows {
        /// The identity of the holder.
        holder: String,
    },
    /// This replica holds the lease and waits for requests of the former holder to end.
    Settles {
        /// The number of times that the lease has changed its holder.
        term: u32,
    },
    /// This replica holds the lease and reconciles.
    Leads {
        /// The number of times that the lease has changed its holder.
        term: u32,
    },
    /// This replica has released the lease and shuts down.
    Ended,
}

impl fmt::Display for LeaseState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => formatter.write_str("not read yet"),
            Self::Unknown(reason) => write!(formatter, "not known to be held by this replica: {reason}"),
            Self::Follows { holder } => write!(formatter, "held by {holder}"),
            Self::Settles { term } => write!(
                formatter,
                "held by this replica (term {term}), which waits until requests of a former holder have ended"
            ),
            Self::Leads { term } => write!(formatter, "held by this replica (term {term})"),
            Self::Ended => formatter.write_str("released: this replica shuts down"),
        }
    }
}
