//! Facts out of all given documents.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore, MISSING_REFERENCES_LABEL};
use crate::domain::credentials::Credentials;
use crate::domain::storage::StorageLocation;
use crate::rules::facts::{
    Alike, Around, Cluster, MOST_NEIGHBOURS, Namespace, Neighbours, Reference, Run, StoredBackup,
    StoredRestore,
};
use crate::rules::policy::MissingReferences;

use super::kustomize::GeneratedSecret;
use super::manifest::{ManifestKind, Resource};
use super::resources::Resources;
use super::{placeholder, secrets};

/// Characters of the hash that kustomize puts behind a name.
const HASH: usize = 10;

type ByName<T> = HashMap<String, HashMap<String, Reference<T>>>;

/// What the given documents say. A name that is not in it says nothing.
#[derive(Debug, Default)]
pub(super) struct Tree {
    clusters: ByName<Cluster>,
    backups: ByName<Arc<StoredBackup>>,
    secrets: ByName<Credentials>,
    namespaces: HashMap<String, Namespace>,
    generated: Vec<GeneratedSecret>,
    /// Names of Secrets that namespaces get by their labels.
    anywhere: HashSet<String>,
    /// Backups by cluster and location.
    stored: HashMap<(String, String), Vec<Alike>>,
    /// Backups of which a status says that they are under way, by namespace.
    running: HashMap<String, Vec<Arc<StoredBackup>>>,
    /// Restores of which a status says how they stand, by namespace.
    restores: HashMap<String, Vec<Arc<StoredRestore>>>,
    /// Namespaces of scheduled backups by name.
    scheduled: HashMap<String, Vec<Box<str>>>,
}

impl Tree {
    /// Reads all documents.
    pub(super) fn grow(all: &Resources) -> Self {
        let mut tree = Self {
            generated: all.generated.clone(),
            ..Self::default()
        };
        for placed in &all.facts {
            tree.add(placed, &all.names);
        }
        tree
    }

    fn add(&mut self, placed: &Resource, names: &[String]) {
        let manifest = &placed.manifest;
        let (namespace, name) = (placed.namespace.as_str(), placed.name());
        let file = names.get(manifest.file).map(String::as_str).unwrap_or_default();
        match manifest.kind {
            ManifestKind::Cluster => {
                let read = known(placed, |cluster: CassandraCluster| Cluster::from(&cluster));
                insert(&mut self.clusters, namespace, name, read, file);
            }
            ManifestKind::Backup => {
                let read = known(placed, |backup: CassandraBackup| {
                    let mut backup = StoredBackup::from(&backup);
                    backup.run = said(backup.run);
                    Arc::new(backup)
                });
                if let Reference::Found(backup) = &read {
                    self.remember(namespace, backup);
                }
                insert(&mut self.backups, namespace, name, read, file);
            }
            ManifestKind::Restore => {
                let read = known(placed, |restore: CassandraRestore| StoredRestore::from(&restore));
                if let Reference::Found(restore) = read
                    && said(restore.run.clone()) != Run::Unsaid
                {
                    self.restores
                        .entry(namespace.to_owned())
                        .or_default()
                        .push(Arc::new(restore));
                }
            }
            ManifestKind::Namespace => {
                let word = manifest
                    .node()
                    .text_at(&["metadata", "labels", MISSING_REFERENCES_LABEL]);
                let fact = Namespace {
                    terminating: false,
                    missing_references: word.and_then(MissingReferences::read),
                };
                self.namespaces.insert(name.to_owned(), fact);
            }
            ManifestKind::ClusterExternalSecret => {
                let (namespaces, chooses) = secrets::namespaces(manifest);
                for namespace in namespaces {
                    self.add_secrets(placed, namespace, file);
                }
                if chooses {
                    let names = secrets::of(manifest, name).into_iter().map(|(name, _)| name);
                    self.anywhere.extend(names);
                }
            }
            _ => self.add_secrets(placed, namespace, file),
        }
    }

    fn add_secrets(&mut self, placed: &Resource, namespace: &str, file: &str) {
        for (name, mut credentials) in secrets::of(&placed.manifest, placed.name()) {
            if let Some(why) = &placed.opaque {
                credentials = Reference::Unknown(why.clone());
            }
            insert(&mut self.secrets, namespace, &name, credentials, file);
        }
    }

    fn remember(&mut self, namespace: &str, backup: &Arc<StoredBackup>) {
        let place = (
            backup.spec.cassandra_cluster.clone(),
            location(&backup.spec.storage_location),
        );
        self.stored.entry(place).or_default().push(Alike {
            namespace: namespace.into(),
            backup: Arc::clone(backup),
        });
        if backup.run.is_active() {
            self.running
                .entry(namespace.to_owned())
                .or_default()
                .push(Arc::clone(backup));
        }
        if backup.spec.is_scheduled() {
            self.scheduled
                .entry(backup.name.clone())
                .or_default()
                .push(namespace.into());
        }
    }

    pub(super) fn cluster(&self, namespace: &str, name: &str) -> Option<Reference<Cluster>> {
        self.clusters.get(namespace)?.get(name).cloned()
    }

    pub(super) fn backup(&self, namespace: &str, name: &str) -> Option<Reference<StoredBackup>> {
        Some(match self.backups.get(namespace)?.get(name)? {
            Reference::Found(backup) => Reference::Found(StoredBackup::clone(backup)),
            Reference::Unknown(why) => Reference::Unknown(why.clone()),
            Reference::Absent => return None,
        })
    }

    pub(super) fn namespace(&self, name: &str) -> Option<Namespace> {
        self.namespaces.get(name).cloned()
    }

    /// A Secret by its name, or by the name that kustomize will give it.
    pub(super) fn secret(&self, namespace: &str, name: &str) -> Option<Reference<Credentials>> {
        let written = self.secrets.get(namespace).and_then(|secrets| secrets.get(name));
        let chosen = || {
            let why =
                "a ClusterExternalSecret of this name chooses namespaces by their labels, maybe this one";
            let maybe = self.anywhere.contains(name);
            maybe.then(|| Reference::Unknown(why.to_owned()))
        };
        written
            .cloned()
            .or_else(|| self.made(namespace, name))
            .or_else(chosen)
    }

    fn made(&self, namespace: &str, name: &str) -> Option<Reference<Credentials>> {
        let here = |made: &&GeneratedSecret| made.namespace.as_deref() == Some(namespace);
        let mut fitting = self.generated.iter().filter(here).filter(|made| fits(made, name));
        if let Some(made) = fitting.next() {
            if fitting.any(|other| other.keys != made.keys) {
                let why = "kustomizations in the given files make it more than once";
                return Some(Reference::Unknown(why.to_owned()));
            }
            return Some(match &made.keys {
                Ok(keys) => {
                    let keys = keys.iter().map(String::as_str);
                    Reference::Found(Credentials::default().and_named(keys))
                }
                Err(why) => Reference::Unknown(format!("{} makes it: {why}", made.file)),
            });
        }
        let unhashed = self
            .generated
            .iter()
            .filter(here)
            .find(|made| made.name == name)?;
        Some(Reference::Unknown(format!(
            "{} puts a hash behind this name, which does not get into a backup or restore by itself; set \
             disableNameSuffixHash: true there",
            unhashed.file
        )))
    }

    /// What stands around an object. Of a state only what a status says counts: a manifest without one says nothing
    /// about what has run.
    pub(super) fn neighbours(&self, around: Around<'_>) -> Neighbours {
        let place = (around.cluster.to_owned(), location(around.location));
        let overlaps = |other: &&Alike| {
            let tag = other.backup.spec.snapshot_tag.as_deref().unwrap_or_default();
            let itself = *other.namespace == *around.namespace && other.backup.name == around.backup;
            let both = !tag.is_empty() && !around.tag.is_empty();
            !itself && both && (tag.starts_with(around.tag) || around.tag.starts_with(tag))
        };
        // Those of the own namespace have room of their own, and so have those that ran: refusals rest on them.
        let alike = |own: bool, ran: bool| {
            let stored = self.stored.get(&place).into_iter().flatten();
            stored
                .filter(move |other| {
                    (*other.namespace == *around.namespace) == own
                        && other.backup.run.state().is_some() == ran
                })
                .filter(overlaps)
                .take(MOST_NEIGHBOURS)
        };
        let namesakes = self.scheduled.get(around.name).into_iter().flatten();
        let running = self.running.get(around.namespace).into_iter().flatten();
        let other = |restore: &&Arc<StoredRestore>| !(around.restore && restore.name == around.name);
        let restores = || {
            self.restores
                .get(around.namespace)
                .into_iter()
                .flatten()
                .filter(other)
        };
        let of_cluster = || restores().filter(|restore| restore.cluster == around.cluster);
        let mut unfinished: Vec<_> = of_cluster()
            .filter(|restore| restore.run.is_active())
            .cloned()
            .collect();
        unfinished.sort_by_key(|restore| restore.precedence());
        unfinished.truncate(MOST_NEIGHBOURS);
        Neighbours {
            running_backups: running
                .filter(|backup| backup.spec.cassandra_cluster == around.cluster)
                .filter(|backup| around.restore || backup.name != around.name)
                .take(MOST_NEIGHBOURS)
                .cloned()
                .collect(),
            unfinished_restores: unfinished,
            last_restore: of_cluster()
                .filter(|restore| !restore.run.is_active())
                .max_by_key(|restore| restore.ended)
                .cloned(),
            alike: [(true, true), (true, false), (false, true), (false, false)]
                .into_iter()
                .flat_map(|(own, ran)| alike(own, ran))
                .cloned()
                .collect(),
            namesakes: namesakes
                .filter(|namespace| ***namespace != *around.namespace)
                .take(MOST_NEIGHBOURS)
                .cloned()
                .collect(),
            ..Neighbours::default()
        }
    }

    /// Whether the files hold this backup.
    pub(super) fn has_backup(&self, namespace: &str, name: &str) -> bool {
        self.backups
            .get(namespace)
            .is_some_and(|backups| backups.contains_key(name))
    }
}

/// Whether a Secret that kustomize makes has this name in the end.
fn fits(made: &GeneratedSecret, name: &str) -> bool {
    let Some(rest) = name.strip_prefix(made.name.as_str()) else {
        return false;
    };
    let is_hash = |hash: &str| hash.len() == HASH && hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if made.hashed {
        rest.strip_prefix('-').is_some_and(is_hash)
    } else {
        rest.is_empty()
    }
}

/// What a status says; nothing without one, where a stored object would never have run.
fn said(run: Run) -> Run {
    if run == Run::Never { Run::Unsaid } else { run }
}

/// The bucket, however its location is written.
fn location(text: &str) -> String {
    StorageLocation::parse(text).map_or_else(|_| text.to_owned(), |location| location.place())
}

/// A typed object, unless something keeps it from being known.
fn known<K: DeserializeOwned, T>(placed: &Resource, read: impl FnOnce(K) -> T) -> Reference<T> {
    let manifest = &placed.manifest;
    if let Some(why) = &placed.opaque {
        return Reference::Unknown(why.clone());
    }
    if manifest.node().get("spec").is_some_and(placeholder::is_below) {
        return Reference::Unknown("it has placeholders in the given files; render them first".to_owned());
    }
    match serde_json::from_value(manifest.node().to_json()) {
        Ok(object) => Reference::Found(read(object)),
        Err(error) => Reference::Unknown(format!("it cannot be read in the given files: {error}")),
    }
}

/// Two documents of the same name that say the same are one; else nobody knows which will be applied.
fn insert<T: PartialEq>(into: &mut ByName<T>, namespace: &str, name: &str, read: Reference<T>, file: &str) {
    let known = into.entry(namespace.to_owned()).or_default();
    match known.get_mut(name) {
        Some(other) if *other == read => {}
        Some(other) => {
            *other = Reference::Unknown(format!(
                "it stands in the given files more than once ({file} is one of them)"
            ));
        }
        None => drop(known.insert(name.to_owned(), read)),
    }
}
