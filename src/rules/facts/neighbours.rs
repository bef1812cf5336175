//! Other backups and restores that an object may get in the way of.

use std::sync::Arc;

use super::Reference;
use super::objects::{StoredBackup, StoredRestore};
use crate::rules::finding::Findings;

/// The most neighbours of one sort that are looked at: a message names one, and each costs a read before a refusal.
pub const MOST_NEIGHBOURS: usize = 8;

/// What stands around which object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name; it is no neighbour of itself.
    pub name: &'a str,
    /// Whether it is a restore.
    pub restore: bool,
    /// Its cluster.
    pub cluster: &'a str,
    /// The backup whose tag is compared: a backup's own name, or the one that a restore takes.
    pub backup: &'a str,
    /// Where that backup is stored; empty where nobody knows.
    pub location: &'a str,
    /// That backup's tag; empty where nobody knows.
    pub tag: &'a str,
}

/// Another backup of the same cluster's name and location, whose tag begins like the one asked about, or is its
/// beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    /// Its namespace.
    pub namespace: Box<str>,
    /// The backup.
    pub backup: Arc<StoredBackup>,
}

/// What was seen around an object lately: at most [`MOST_NEIGHBOURS`] of each; of those alike twice as many of the own
/// namespace and twice as many of all. Empty where nobody could say: no refusal rests on their absence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Backups with a tag that overlaps, those of the own namespace first, then of all.
    pub alike: Vec<Alike>,
    /// Other namespaces that have a scheduled backup of the same name.
    pub namesakes: Vec<Box<str>>,
    /// Backups of the same cluster that are running.
    pub running_backups: Vec<Arc<StoredBackup>>,
    /// Restores of the same cluster that are not over, the first by
    /// [`precedence`](StoredRestore::precedence).
    pub unfinished_restores: Vec<Arc<StoredRestore>>,
    /// Restores that take this backup and are not over.
    pub users: Vec<Arc<StoredRestore>>,
    /// The restore of the same cluster that ended last.
    pub last_restore: Option<Arc<StoredRestore>>,
    /// What findings call those that could not be read again: what rests on them warns, and refuses nothing.
    pub doubtful: Vec<String>,
}

/// A neighbour that a refusal rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Witness {
    /// A backup, by namespace and name.
    Backup(String, String),
    /// A restore of the same namespace, by name.
    Restore(String),
}

impl Witness {
    /// What findings call it: [`Finding::about`](crate::rules::finding::Finding::about).
    #[must_use]
    pub fn about(&self, namespace: &str) -> String {
        match self {
            Self::Backup(theirs, name) if theirs == namespace => format!("CassandraBackup/{name}"),
            Self::Backup(theirs, name) => format!("CassandraBackup/{theirs}/{name}"),
            Self::Restore(name) => format!("CassandraRestore/{name}"),
        }
    }
}

impl Neighbours {
    /// Those that a refusal among `findings` rests on, each once. `namespace` is that of the object.
    #[must_use]
    pub fn witnesses(&self, findings: &Findings, namespace: &str) -> Vec<Witness> {
        let backups = self.alike.iter().map(|other| {
            let (namespace, name) = (other.namespace.to_string(), other.backup.name.clone());
            Witness::Backup(namespace, name)
        });
        let restores = self.unfinished_restores.iter().chain(&self.users);
        let restores = restores.map(|other| Witness::Restore(other.name.clone()));
        let mut all: Vec<Witness> = backups.chain(restores).collect();
        all.sort();
        all.dedup();
        all.retain(|witness| {
            let about = witness.about(namespace);
            findings.denials().any(|finding| finding.about.contains(&about))
        });
        all
    }

    /// What was read of a backup just now.
    pub fn read_backup(&mut self, namespace: &str, name: &str, read: Reference<StoredBackup>, about: String) {
        let is_it = |other: &Alike| *other.namespace == *namespace && other.backup.name == name;
        match read {
            Reference::Found(backup) => {
                let backup = Arc::new(backup);
                for other in self.alike.iter_mut().filter(|other| is_it(other)) {
                    other.backup = Arc::clone(&backup);
                }
            }
            Reference::Absent => self.alike.retain(|other| !is_it(other)),
            Reference::Unknown(_) => self.doubtful.push(about),
        }
    }

    /// What was read of a restore just now. One that is over has left the way.
    pub fn read_restore(&mut self, name: &str, read: Reference<StoredRestore>, about: String) {
        let known = match read {
            Reference::Found(restore) if restore.run.is_unfinished() => Some(Arc::new(restore)),
            Reference::Found(_) | Reference::Absent => None,
            Reference::Unknown(_) => return self.doubtful.push(about),
        };
        for list in [&mut self.unfinished_restores, &mut self.users] {
            match &known {
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
