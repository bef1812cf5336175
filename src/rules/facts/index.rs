//! Secondary indexes: which backups share a tag, which restores use a backup, what runs on a cluster.
//!
//! The caches of the API server and a tree of manifests answer these questions with the same two indexes. Each
//! question has one ordered map whose key begins with everything that the question names. An answer reads the first
//! few entries of that range, so its cost does not depend on the number of objects.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::iter;
use std::ops::Bound;
use std::sync::Arc;

use crate::domain::storage::StorageLocation;

use super::neighbours::{MAX_NEIGHBOURS, NeighbourQuery, Neighbours};
use super::objects::{StoredBackup, StoredRestore};

/// An index of the objects of one kind that finds neighbours.
///
/// An object is removed with the same namespace, name and content with which it was inserted.
pub trait NeighbourIndex<T>: Default + Send + Sync + 'static {
    /// Adds an object.
    fn insert(&mut self, namespace: &str, name: &str, object: &Arc<T>);
    /// Removes an object that was deleted or is about to be replaced.
    fn remove(&mut self, namespace: &str, name: &str, object: &Arc<T>);
}

/// For kinds that are no neighbours: their objects are found by name only.
impl<T> NeighbourIndex<T> for () {
    fn insert(&mut self, _: &str, _: &str, _: &Arc<T>) {}
    fn remove(&mut self, _: &str, _: &str, _: &Arc<T>) {}
}

/// Ends each part of a key. Names, tags and locations do not contain it.
const SEPARATOR: char = '\0';

/// The first text after every key that continues with [`SEPARATOR`].
const AFTER_SEPARATOR: char = '\u{1}';

/// Objects in the order of their keys.
#[derive(Debug)]
struct OrderedMap<T>(BTreeMap<Box<str>, Arc<T>>);

impl<T> Default for OrderedMap<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> OrderedMap<T> {
    fn insert<S: AsRef<str>>(&mut self, parts: &[S], object: &Arc<T>) {
        self.0.insert(key(parts).into(), Arc::clone(object));
    }

    fn remove<S: AsRef<str>>(&mut self, parts: &[S]) {
        self.0.remove(key(parts).as_str());
    }

    /// Returns the entries whose key begins with these parts, in order.
    ///
    /// Most maps are empty most of the time; no key is built for those.
    fn with_parts<S: AsRef<str>>(
        &self,
        parts: &[S],
    ) -> impl DoubleEndedIterator<Item = (&str, &Arc<T>)> + use<'_, T, S> {
        let entries = (!self.0.is_empty()).then(|| self.with_prefix(key(parts)));
        entries.into_iter().flatten()
    }

    /// Returns the entries whose key begins with `prefix`, in order.
    fn with_prefix(
        &self,
        mut prefix: String,
    ) -> impl DoubleEndedIterator<Item = (&str, &Arc<T>)> + use<'_, T> {
        let length = prefix.len();
        prefix.push(char::MAX);
        let (begin, _) = prefix.split_at(length);
        let range = (Bound::Included(begin), Bound::Excluded(prefix.as_str()));
        self.0
            .range::<str, _>(range)
            .map(|(key, object)| (&**key, object))
    }

    /// Returns the last key in `base..bound` without `base`. `bound` begins with `base`.
    fn last_before(&self, base: &str, bound: &str) -> Option<&str> {
        let range = (Bound::Included(base), Bound::Excluded(bound));
        let (key, _) = self.0.range::<str, _>(range).next_back()?;
        key.strip_prefix(base)
    }
}

/// Joins the parts, with capacity for the character that ends a range.
fn key<S: AsRef<str>>(parts: &[S]) -> String {
    let length: usize = parts.iter().map(|part| part.as_ref().len() + 1).sum();
    let mut key = String::with_capacity(length + char::MAX.len_utf8());
    for part in parts {
        key.push_str(part.as_ref());
        key.push(SEPARATOR);
    }
    key
}

/// The backups that can be neighbours of an object.
#[derive(Debug, Default)]
pub struct BackupIndex {
    /// All, by namespace, cluster, location, tag and name.
    by_tag: OrderedMap<StoredBackup>,
    /// Those that have run, by the same key. They come first because most denials rest on them.
    run_by_tag: OrderedMap<StoredBackup>,
    /// Those that are running, by namespace, cluster and name.
    running: OrderedMap<StoredBackup>,
}

/// Returns the parts of the key of `by_tag`; `None` for a backup without a tag.
fn tag_key<'a>(
    namespace: &'a str,
    name: &'a str,
    backup: &'a StoredBackup,
    place: &'a str,
) -> Option<[&'a str; 5]> {
    let cluster = backup.spec.cassandra_cluster.as_str();
    let tag = backup
        .spec
        .snapshot_tag
        .as_deref()
        .filter(|tag| !tag.is_empty())?;
    Some([namespace, cluster, place, tag, name])
}

/// Returns the bucket or directory of a location; the text itself if it is malformed.
fn place(location: &str) -> String {
    StorageLocation::parse(location).map_or_else(|_| location.to_owned(), |location| location.place())
}

impl NeighbourIndex<StoredBackup> for BackupIndex {
    fn insert(&mut self, namespace: &str, name: &str, backup: &Arc<StoredBackup>) {
        let place = place(&backup.spec.storage_location);
        if let Some(parts) = tag_key(namespace, name, backup, &place) {
            self.by_tag.insert(&parts, backup);
            if backup.run.state().is_some() {
                self.run_by_tag.insert(&parts, backup);
            }
        }
        if backup.run.is_active() {
            let parts = [namespace, &backup.spec.cassandra_cluster, name];
            self.running.insert(&parts, backup);
        }
    }

    fn remove(&mut self, namespace: &str, name: &str, backup: &Arc<StoredBackup>) {
        let place = place(&backup.spec.storage_location);
        if let Some(parts) = tag_key(namespace, name, backup, &place) {
            self.by_tag.remove(&parts);
            self.run_by_tag.remove(&parts);
        }
        self.running
            .remove(&[namespace, &backup.spec.cassandra_cluster, name]);
    }
}

impl BackupIndex {
    /// Writes the backups among the neighbours of an object into `neighbours`.
    pub fn find(&self, query: &NeighbourQuery<'_>, neighbours: &mut Neighbours) {
        neighbours.overlapping_backups = self.overlapping_backups(query);
        neighbours.running_backups = self.running(query);
    }

    /// Returns the backups whose tag begins with the object's tag or is a beginning of it, those that have run first.
    fn overlapping_backups(&self, query: &NeighbourQuery<'_>) -> Vec<Arc<StoredBackup>> {
        let mut found: Vec<Arc<StoredBackup>> = Vec::new();
        if query.tag.is_empty() || query.location.is_empty() || self.by_tag.0.is_empty() {
            return found;
        }
        let base = key(&[query.namespace, query.cluster, &place(query.location)]);
        for map in [&self.run_by_tag, &self.by_tag] {
            let limit = found.len() + MAX_NEIGHBOURS;
            for backup in overlapping(map, &base, query.tag) {
                if found.len() == limit {
                    break;
                }
                let known = found.iter().any(|other| other.name == backup.name);
                if !known && backup.name != query.backup {
                    found.push(Arc::clone(backup));
                }
            }
        }
        found
    }

    /// Returns the backups of this cluster that are running.
    fn running(&self, query: &NeighbourQuery<'_>) -> Vec<Arc<StoredBackup>> {
        let cluster = [query.namespace, query.cluster];
        let others = self.running.with_parts(&cluster);
        others
            .map(|(_, backup)| backup)
            .filter(|backup| query.restore || backup.name != query.name)
            .take(MAX_NEIGHBOURS)
            .map(Arc::clone)
            .collect()
    }
}

/// Returns the backups after `base` whose tag begins with `tag`, then those whose tag is a beginning of it.
fn overlapping<'a>(
    map: &'a OrderedMap<StoredBackup>,
    base: &str,
    tag: &str,
) -> impl Iterator<Item = &'a Arc<StoredBackup>> + use<'a> {
    let longer = [base, tag].concat();
    let shorter = shorter_tags(map, base, tag);
    iter::once(longer)
        .chain(shorter)
        .flat_map(|prefix| map.with_prefix(prefix))
        .map(|(_, backup)| backup)
}

/// Returns a key prefix for each tag after `base` that is a beginning of `tag`, the shortest first.
///
/// The search goes backwards through the keys. What the key before the current bound has in common with `tag` is the
/// longest tag that can come next, so every step skips all tags that differ.
fn shorter_tags(map: &OrderedMap<StoredBackup>, base: &str, tag: &str) -> Vec<String> {
    let mut prefixes = Vec::new();
    let mut bound = [base, tag].concat();
    while let Some(before) = map.last_before(base, &bound) {
        let theirs = before.split(SEPARATOR).next().unwrap_or_default();
        let common = common_length(theirs, tag);
        bound.truncate(base.len() + common);
        if theirs.len() == common {
            prefixes.push(format!("{bound}{SEPARATOR}"));
        } else {
            // After every key of the tag in common, before every tag that continues differently.
            bound.push(AFTER_SEPARATOR);
        }
    }
    prefixes.reverse();
    prefixes
}

/// Returns the length in bytes of the longest common beginning.
fn common_length(one: &str, other: &str) -> usize {
    let common = one
        .chars()
        .zip(other.chars())
        .take_while(|(one, other)| one == other);
    common.map(|(character, _)| character.len_utf8()).sum()
}

/// The restores that can be neighbours of an object.
#[derive(Debug, Default)]
pub struct RestoreIndex {
    /// Unfinished ones, by namespace, cluster, precedence and name.
    unfinished: OrderedMap<StoredRestore>,
    /// Unfinished ones, by namespace, backup and name.
    users: OrderedMap<StoredRestore>,
    /// Finished ones, by namespace, cluster, end and name.
    ended: OrderedMap<StoredRestore>,
    /// Finished ones, by namespace, backup and name.
    past_users: OrderedMap<StoredRestore>,
}

/// Returns the end in seconds since the epoch, in a form that sorts; an unknown end comes first.
fn end_key(restore: &StoredRestore) -> String {
    let seconds = restore.ended.map_or(0, |time| time.as_second().max(0));
    format!("{seconds:020}")
}

/// Returns [`StoredRestore::precedence`] in a form that sorts.
fn precedence_key(restore: &StoredRestore) -> String {
    let (waits, Reverse(created)) = restore.precedence();
    let younger = i64::MAX.saturating_sub(created.as_second());
    format!("{}{younger:020}", u8::from(waits))
}

impl NeighbourIndex<StoredRestore> for RestoreIndex {
    fn insert(&mut self, namespace: &str, name: &str, restore: &Arc<StoredRestore>) {
        if restore.run.is_unfinished() {
            let parts = [namespace, &restore.cluster, &precedence_key(restore), name];
            self.unfinished.insert(&parts, restore);
            self.users.insert(&[namespace, &restore.backup, name], restore);
        } else {
            let parts = [namespace, &restore.cluster, &end_key(restore), name];
            self.ended.insert(&parts, restore);
            self.past_users
                .insert(&[namespace, &restore.backup, name], restore);
        }
    }

    fn remove(&mut self, namespace: &str, name: &str, restore: &Arc<StoredRestore>) {
        self.unfinished
            .remove(&[namespace, &restore.cluster, &precedence_key(restore), name]);
        self.users.remove(&[namespace, &restore.backup, name]);
        self.past_users.remove(&[namespace, &restore.backup, name]);
        self.ended
            .remove(&[namespace, &restore.cluster, &end_key(restore), name]);
    }
}

impl RestoreIndex {
    /// Writes the restores among the neighbours of an object into `neighbours`.
    pub fn find(&self, query: &NeighbourQuery<'_>, neighbours: &mut Neighbours) {
        neighbours.restores_with_copies = self.unfinished(query);
        neighbours.users = users(&self.users, query);
        neighbours.past_users = users(&self.past_users, query);
        neighbours.last_restore = self.last(query);
    }

    /// Returns the unfinished restores of this cluster in the order of their precedence.
    fn unfinished(&self, query: &NeighbourQuery<'_>) -> Vec<Arc<StoredRestore>> {
        let cluster = [query.namespace, query.cluster];
        let others = self.unfinished.with_parts(&cluster);
        others
            .map(|(_, restore)| restore)
            .filter(|restore| !is_itself(restore, query))
            .take(MAX_NEIGHBOURS)
            .map(Arc::clone)
            .collect()
    }

    /// Returns the restore of this cluster that ended last.
    fn last(&self, query: &NeighbourQuery<'_>) -> Option<Arc<StoredRestore>> {
        let cluster = [query.namespace, query.cluster];
        let mut ended = self.ended.with_parts(&cluster);
        let last = ended.rfind(|(_, restore)| !is_itself(restore, query));
        last.map(|(_, restore)| Arc::clone(restore))
    }
}

/// Returns the restores of this backup; none if the object is a restore.
fn users(restores: &OrderedMap<StoredRestore>, query: &NeighbourQuery<'_>) -> Vec<Arc<StoredRestore>> {
    if query.restore {
        return Vec::new();
    }
    let users = restores.with_parts(&[query.namespace, query.backup]);
    users
        .map(|(_, restore)| Arc::clone(restore))
        .take(MAX_NEIGHBOURS)
        .collect()
}

/// Returns true if `restore` is the object whose neighbours are asked for.
fn is_itself(restore: &StoredRestore, query: &NeighbourQuery<'_>) -> bool {
    query.restore && restore.name == query.name
}

#[cfg(test)]
mod tests;
