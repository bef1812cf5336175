//! The buckets as the sidecars write them: files, and manifests that name them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use cassgate::domain::entities::Table;
use cassgate::icarus::{Listing, SchemaChoice, Snapshot, StoredSnapshot};

use super::disk::{Download, Rows};

/// A file of a backup: table, generation and checksum. A file with the same name and content is stored once.
pub(super) type File = (Table, u32, u64);

/// The files of each snapshot.
pub(super) type Manifests = BTreeMap<String, Vec<File>>;

/// Returns the checksum of a file.
pub(super) fn checksum(rows: &Rows) -> u64 {
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    hasher.finish()
}

/// One node's share of a bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Share {
    pub(super) files: BTreeMap<File, Download>,
    pub(super) manifests: Manifests,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    /// The shares by location.
    pub(super) shares: BTreeMap<String, Share>,
    /// The names of the topology files.
    pub(super) topologies: BTreeSet<String>,
}

impl Store {
    pub(super) fn share(&mut self, location: &str) -> &mut Share {
        self.shares.entry(location.to_owned()).or_default()
    }

    /// Returns the files of the newest snapshot whose name begins with `prefix`.
    pub(super) fn manifest(
        &self,
        location: &str,
        snapshot: &Snapshot,
        current_schema: &str,
    ) -> Option<&Vec<File>> {
        let begins = match snapshot {
            Snapshot::Resolved(name) => name.to_string(),
            Snapshot::Newest { tag, schema } => match schema {
                SchemaChoice::Any => tag.to_string(),
                SchemaChoice::Current => format!("{tag}-{current_schema}"),
                SchemaChoice::Exactly(version) => format!("{tag}-{version}"),
            },
        };
        let manifests = &self.shares.get(location)?.manifests;
        manifests
            .iter()
            .filter(|(name, _)| name.starts_with(&begins))
            .max_by_key(|(name, _)| taken(name))
            .map(|(_, files)| files)
    }

    pub(super) fn list(&self, location: &str) -> Listing {
        let Some(share) = self.shares.get(location) else {
            return Listing::default();
        };
        let mut snapshots: Vec<StoredSnapshot> = share
            .manifests
            .iter()
            .map(|(name, files)| StoredSnapshot {
                name: name.clone(),
                files: files.len() as u64,
                size: files.len() as u64 * 1_000,
                taken: taken(name),
            })
            .collect();
        snapshots.sort_by_key(|snapshot| -snapshot.taken);
        let named: BTreeSet<&File> = share.manifests.values().flatten().collect();
        Listing {
            total_size: named.len() as u64 * 1_000,
            total_files: named.len() as u64,
            snapshots,
        }
    }

    /// Removes a manifest and the files that no other manifest of the cache names, as sidecars do on S3: they download no
    /// manifest for it.
    pub(super) fn remove(&mut self, location: &str, name: &str, cached: &mut Manifests) {
        let share = self.share(location);
        let Some(files) = cached.remove(name) else {
            return;
        };
        share.manifests.remove(name);
        for file in files {
            if !cached.values().any(|others| others.contains(&file)) {
                share.files.remove(&file);
            }
        }
    }

    pub(super) fn manifests_of(&self, host: &str) -> BTreeSet<String> {
        self.of(host)
            .flat_map(|share| share.manifests.keys().cloned())
            .collect()
    }

    pub(super) fn damage(&mut self, host: &str) {
        for (location, share) in &mut self.shares {
            if location.ends_with(host) {
                for file in share.files.values_mut() {
                    file.whole = false;
                }
            }
        }
    }

    fn of(&self, host: &str) -> impl Iterator<Item = &Share> {
        self.shares
            .iter()
            .filter(move |(location, _)| location.ends_with(host))
            .map(|(_, share)| share)
    }
}

/// Returns the number after the last hyphen.
fn taken(name: &str) -> i64 {
    name.rsplit('-')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}
