//! Other backups and restores that an object can conflict with.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Reference;
use super::objects::{StoredBackup, StoredRestore};
use crate::rules::finding::Findings;

/// The maximum number of neighbours of each sort.
///
/// A message names one of them, and each costs a live read before a denial.
pub const MAX_NEIGHBOURS: usize = 8;

/// The query for the neighbours of an object: its name and what they have in common with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourQuery<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name. The object is not a neighbour of itself.
    pub name: &'a str,
    /// True if it is a restore.
    pub restore: bool,
    /// Its cluster.
    pub cluster: &'a str,
    /// The backup whose tag is compared: the backup itself, or the backup of a restore.
    pub backup: &'a str,
    /// The storage location of that backup; empty if it is unknown.
    pub location: &'a str,
    /// The tag of that backup; empty if it is unknown.
    pub tag: &'a str,
}

/// The neighbours of an object, as last seen. All are in its namespace.
///
/// CassKop runs once in each namespace: with an empty `WATCH_NAMESPACE` it sends nothing (observed at 40f5dfa9). Two
/// clusters share no folder in a bucket, because the folders are host ids. So objects of different namespaces do not
/// conflict, and no caller learns about a namespace that it may not read.
///
/// Each list has at most [`MAX_NEIGHBOURS`] items, and `overlapping_backups` twice as many. A list is empty if the source
/// does not know; no denial rests on the absence of a neighbour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Other backups of the same cluster to the same location, with a tag that begins with the tag of the object or is
    /// a beginning of it.
    pub overlapping_backups: Vec<Arc<StoredBackup>>,
    /// Backups of the same cluster that are running.
    pub running_backups: Vec<Arc<StoredBackup>>,
    /// Unfinished restores of the same cluster, sorted by [`precedence`](StoredRestore::precedence).
    pub restores_with_copies: Vec<Arc<StoredRestore>>,
    /// Unfinished restores that use this backup.
    pub users: Vec<Arc<StoredRestore>>,
    /// Finished restores that name this backup.
    pub past_users: Vec<Arc<StoredRestore>>,
    /// The restore of the same cluster that ended last.
    pub last_restore: Option<Arc<StoredRestore>>,
    /// The neighbours that could not be read again, as [`NeighbourRef::about`] names them. A denial that rests on one
    /// becomes a warning.
    pub unreadable: Vec<String>,
}

/// A reference to a neighbour, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeighbourRef {
    /// A backup.
    Backup(String),
    /// A restore.
    Restore(String),
}

impl NeighbourRef {
    /// Returns the name that findings use: [`Finding::related_objects`](crate::rules::finding::Finding::related_objects).
    #[must_use]
    pub fn about(&self) -> String {
        match self {
            Self::Backup(name) => format!("CassandraBackup/{name}"),
            Self::Restore(name) => format!("CassandraRestore/{name}"),
        }
    }
}

impl Neighbours {
    /// Returns the neighbours that a denial in `findings` rests on, each once.
    #[must_use]
    pub fn behind_denials(&self, findings: &Findings) -> Vec<NeighbourRef> {
        let backups = self.overlapping_backups.iter();
        let backups = backups.map(|other| NeighbourRef::Backup(other.name.clone()));
        let restores = self.restores_with_copies.iter().chain(&self.users);
        let restores = restores.map(|other| NeighbourRef::Restore(other.name.clone()));
        let mut all: Vec<NeighbourRef> = backups.chain(restores).collect();
        all.sort();
        all.dedup();
        let related: BTreeSet<&str> = findings
            .denials()
            .flat_map(|finding| finding.related_objects.iter().map(String::as_str))
            .collect();
        all.retain(|neighbour| related.contains(&*neighbour.about()));
        all
    }

    /// Replaces a backup by what a live read returned.
    pub fn update_backup(&mut self, name: &str, read: Reference<StoredBackup>, about: String) {
        let others = &mut self.overlapping_backups;
        match read {
            Reference::Found(backup) => {
                let backup = Arc::new(backup);
                for other in others.iter_mut().filter(|other| other.name == name) {
                    *other = Arc::clone(&backup);
                }
            }
            Reference::Absent => others.retain(|other| other.name != name),
            Reference::Unknown(_) => self.unreadable.push(about),
        }
    }

    /// Replaces a restore by what a live read returned. A finished restore is removed.
    pub fn update_restore(&mut self, name: &str, read: Reference<StoredRestore>, about: String) {
        let unfinished = match read {
            Reference::Found(restore) if restore.run.is_unfinished() => Some(Arc::new(restore)),
            Reference::Found(_) | Reference::Absent => None,
            Reference::Unknown(_) => return self.unreadable.push(about),
        };
        for list in [&mut self.restores_with_copies, &mut self.users] {
            match &unfinished {
                Some(restore) => {
                    for other in list.iter_mut().filter(|other| other.name == name) {
                        *other = Arc::clone(restore);
                    }
                }
                None => list.retain(|other| other.name != name),
            }
        }
    }
}
