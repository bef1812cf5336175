//! The steps of an operation on a Cassandra node, as Icarus and the status of an object name them.

/// A phase of a restore, as the sidecar knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RestorePhase {
    /// Checks that the backup is there. Changes nothing.
    Init,
    /// Fetches every file and checks its hash. Changes no table.
    Download,
    /// Empties the tables on every node of the ring. The sidecar does not check the downloads first, so a
    /// `TRUNCATE` that is sent too early destroys data.
    Truncate,
    /// Loads the downloaded files into the tables.
    Import,
    /// Removes the downloads, and the safety copies unless the request keeps them.
    Cleanup,
}

impl RestorePhase {
    /// Every phase, in the order in which a restore runs them.
    pub const ALL: [Self; 5] = [
        Self::Init,
        Self::Download,
        Self::Truncate,
        Self::Import,
        Self::Cleanup,
    ];

    /// Returns the name of the phase in requests, answers and the status of an object.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Download => "DOWNLOAD",
            Self::Truncate => "TRUNCATE",
            Self::Import => "IMPORT",
            Self::Cleanup => "CLEANUP",
        }
    }

    /// Parses the name of a phase. Returns `None` for any other text; case matters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }
}

/// The step that a node or the whole ring is in: a phase of a restore, or one of the operations that have no phases.
///
/// `status.phase` of a restore and `nodes[].phase` hold its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Uploads a snapshot.
    Backup,
    /// See [`RestorePhase::Init`].
    Init,
    /// See [`RestorePhase::Download`].
    Download,
    /// See [`RestorePhase::Truncate`].
    Truncate,
    /// See [`RestorePhase::Import`].
    Import,
    /// Makes Cassandra load the files that an incomplete `Import` left in the directory of a table.
    Refresh,
    /// See [`RestorePhase::Cleanup`].
    Cleanup,
    /// Removes an old snapshot from the node's folder of the bucket.
    Remove,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 8] = [
        Self::Backup,
        Self::Init,
        Self::Download,
        Self::Truncate,
        Self::Import,
        Self::Refresh,
        Self::Cleanup,
        Self::Remove,
    ];

    /// Returns the name of the phase in the status of an object.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "BACKUP",
            Self::Init => RestorePhase::Init.as_str(),
            Self::Download => RestorePhase::Download.as_str(),
            Self::Truncate => RestorePhase::Truncate.as_str(),
            Self::Import => RestorePhase::Import.as_str(),
            Self::Refresh => "REFRESH",
            Self::Cleanup => RestorePhase::Cleanup.as_str(),
            Self::Remove => "REMOVE",
        }
    }

    /// Parses the name of a phase. Returns `None` for any other text; case matters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Returns the phase of the sidecar's restore operation, or `None` for an operation of another kind.
    #[must_use]
    pub const fn restore_phase(self) -> Option<RestorePhase> {
        match self {
            Self::Init => Some(RestorePhase::Init),
            Self::Download => Some(RestorePhase::Download),
            Self::Truncate => Some(RestorePhase::Truncate),
            Self::Import => Some(RestorePhase::Import),
            Self::Cleanup => Some(RestorePhase::Cleanup),
            Self::Backup | Self::Refresh | Self::Remove => None,
        }
    }
}

impl From<RestorePhase> for Phase {
    fn from(phase: RestorePhase) -> Self {
        match phase {
            RestorePhase::Init => Self::Init,
            RestorePhase::Download => Self::Download,
            RestorePhase::Truncate => Self::Truncate,
            RestorePhase::Import => Self::Import,
            RestorePhase::Cleanup => Self::Cleanup,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, RestorePhase};

    #[test]
    fn every_phase_is_parsed_from_its_name() {
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(phase.as_str()), Some(phase));
        }
        for text in ["", "init", "INIT ", "CLUSTER_HEALTHCHECK"] {
            assert_eq!((Phase::parse(text), RestorePhase::parse(text)), (None, None));
        }
    }

    #[test]
    fn the_phases_of_a_restore_have_one_name_in_status_and_requests() {
        for phase in RestorePhase::ALL {
            assert_eq!(RestorePhase::parse(phase.as_str()), Some(phase));
            assert_eq!(Phase::from(phase).restore_phase(), Some(phase));
            assert_eq!(Phase::from(phase).as_str(), phase.as_str());
        }
        for phase in [Phase::Backup, Phase::Refresh, Phase::Remove] {
            assert_eq!(phase.restore_phase(), None);
            assert_eq!(RestorePhase::parse(phase.as_str()), None);
        }
    }
}
