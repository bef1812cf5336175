//! The kinds that cassgate judges and runs.

/// The kind of an object that is judged and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `CassandraBackup`.
    Backup,
    /// `CassandraRestore`.
    Restore,
}

impl Kind {
    /// Returns the kind as in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "CassandraBackup",
            Self::Restore => "CassandraRestore",
        }
    }

    /// Returns the noun for messages: `backup` or `restore`.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
        }
    }

    /// Returns the kind with this name, as in a manifest.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "CassandraBackup" => Some(Self::Backup),
            "CassandraRestore" => Some(Self::Restore),
            _ => None,
        }
    }
}
