//! Objects by something else than their names: what a review asks about those around it.
//!
//! One ordered map for each question, by a text that has all that is asked for at its beginning. An answer takes the
//! first few behind that beginning, so it costs the same with ten objects and with ten thousand.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::iter;
use std::ops::Bound;
use std::sync::Arc;

use crate::domain::storage::StorageLocation;
use crate::rules::facts::{Alike, Around, MOST_NEIGHBOURS, StoredBackup, StoredRestore};

/// What is kept beside the objects of a kind. Everything that was added is taken out again by the same object.
pub trait Postings<T>: Default + Send + Sync + 'static {
    /// An object came.
    fn add(&mut self, namespace: &str, name: &str, object: &Arc<T>);
    /// An object went, or is about to be replaced.
    fn remove(&mut self, namespace: &str, name: &str, object: &Arc<T>);
}

/// Nothing is asked about the objects of this kind but by name.
impl<T> Postings<T> for () {
    fn add(&mut self, _: &str, _: &str, _: &Arc<T>) {}
    fn remove(&mut self, _: &str, _: &str, _: &Arc<T>) {}
}

/// Ends each part of a key. No name, tag or location has one.
const END: char = '\0';

/// The first text behind everything that [`END`] goes on with.
const AFTER_END: char = '\u{1}';

/// Objects in the order of a text.
#[derive(Debug)]
struct Tree<T>(BTreeMap<Box<str>, Arc<T>>);

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Tree<T> {
    fn add<S: AsRef<str>>(&mut self, parts: &[S], object: &Arc<T>) {
        self.0.insert(key(parts).into(), Arc::clone(object));
    }

    fn remove<S: AsRef<str>>(&mut self, parts: &[S]) {
        self.0.remove(key(parts).as_str());
    }

    /// Key and object of those whose key begins with these parts, in order. Most trees are empty most of the time:
    /// of such a one nothing is asked.
    fn beginning_with_parts<S: AsRef<str>>(
        &self,
        parts: &[S],
    ) -> impl DoubleEndedIterator<Item = (&str, &Arc<T>)> + use<'_, T, S> {
        let found = (!self.0.is_empty()).then(|| self.beginning_with(key(parts)));
        found.into_iter().flatten()
    }

    /// Key and object of those whose key begins with this text, in order.
    fn beginning_with(
        &self,
        mut text: String,
    ) -> impl DoubleEndedIterator<Item = (&str, &Arc<T>)> + use<'_, T> {
        let length = text.len();
        text.push(char::MAX);
        let (begin, _) = text.split_at(length);
        let range = (Bound::Included(begin), Bound::Excluded(text.as_str()));
        self.0
            .range::<str, _>(range)
            .map(|(key, object)| (&**key, object))
    }

    /// The last key that begins with `base` and comes before `bound`, which begins with it too: what follows `base`.
    fn last_before(&self, base: &str, bound: &str) -> Option<&str> {
        let range = (Bound::Included(base), Bound::Excluded(bound));
        let (key, _) = self.0.range::<str, _>(range).next_back()?;
        key.strip_prefix(base)
    }
}

/// With room for the end of a range.
fn key<S: AsRef<str>>(parts: &[S]) -> String {
    let length: usize = parts.iter().map(|part| part.as_ref().len() + 1).sum();
    let mut key = String::with_capacity(length + char::MAX.len_utf8());
    for part in parts {
        key.push_str(part.as_ref());
        key.push(END);
    }
    key
}

/// The backups that an object may meet.
#[derive(Debug, Default)]
pub struct BackupPostings {
    /// By cluster, location, tag, namespace, name.
    by_tag: Tree<StoredBackup>,
    /// The same, of those that have run: they come first, since refusals rest on them alone.
    run_by_tag: Tree<StoredBackup>,
    /// By namespace, cluster, location, tag, name: however many others there are, these are found.
    own_by_tag: Tree<StoredBackup>,
    /// The same, of those that have run.
    own_run_by_tag: Tree<StoredBackup>,
    /// Those with a schedule, by name and namespace.
    scheduled: Tree<StoredBackup>,
    /// Those that run, by namespace, cluster and name.
    running: Tree<StoredBackup>,
}

/// Where the namespace stands in a key of all, and in one of the own.
const OF_ALL: usize = 3;
const OF_OWN: usize = 0;

/// The parts of a key by tag, of all and of the own.
fn tagged<'a>(
    namespace: &'a str,
    name: &'a str,
    backup: &'a StoredBackup,
    place: &'a str,
) -> Option<[[&'a str; 5]; 2]> {
    let cluster = backup.spec.cassandra_cluster.as_str();
    let tag = backup
        .spec
        .snapshot_tag
        .as_deref()
        .filter(|tag| !tag.is_empty())?;
    Some([
        [cluster, place, tag, namespace, name],
        [namespace, cluster, place, tag, name],
    ])
}

/// Where a location leads to; one that leads nowhere stands for itself.
fn place(location: &str) -> String {
    StorageLocation::parse(location).map_or_else(|_| location.to_owned(), |location| location.place())
}

impl Postings<StoredBackup> for BackupPostings {
    fn add(&mut self, namespace: &str, name: &str, backup: &Arc<StoredBackup>) {
        let place = place(&backup.spec.storage_location);
        if let Some([all, own]) = tagged(namespace, name, backup, &place) {
            self.by_tag.add(&all, backup);
            self.own_by_tag.add(&own, backup);
            if backup.run.state().is_some() {
                self.run_by_tag.add(&all, backup);
                self.own_run_by_tag.add(&own, backup);
            }
        }
        if backup.spec.is_scheduled() {
            self.scheduled.add(&[name, namespace], backup);
        }
        if backup.run.is_active() {
            let parts = [namespace, &backup.spec.cassandra_cluster, name];
            self.running.add(&parts, backup);
        }
    }

    fn remove(&mut self, namespace: &str, name: &str, backup: &Arc<StoredBackup>) {
        let place = place(&backup.spec.storage_location);
        if let Some([all, own]) = tagged(namespace, name, backup, &place) {
            self.by_tag.remove(&all);
            self.run_by_tag.remove(&all);
            self.own_by_tag.remove(&own);
            self.own_run_by_tag.remove(&own);
        }
        self.scheduled.remove(&[name, namespace]);
        self.running
            .remove(&[namespace, &backup.spec.cassandra_cluster, name]);
    }
}

impl BackupPostings {
    /// Backups whose tag begins with the one asked about, or is its beginning: those of the same namespace first, and
    /// of them and of all those that have run.
    pub(super) fn alike(&self, around: &Around<'_>) -> Vec<Alike> {
        let mut found: Vec<Alike> = Vec::new();
        if around.tag.is_empty() || around.location.is_empty() {
            return found;
        }
        if self.by_tag.0.is_empty() {
            return found;
        }
        let place = place(around.location);
        let all = key(&[around.cluster, &place]);
        let own = key(&[around.namespace, around.cluster, &place]);
        for (tree, base, at) in [
            (&self.own_run_by_tag, &own, OF_OWN),
            (&self.own_by_tag, &own, OF_OWN),
            (&self.run_by_tag, &all, OF_ALL),
            (&self.by_tag, &all, OF_ALL),
        ] {
            let room = found.len() + MOST_NEIGHBOURS;
            for (key, backup) in overlapping(tree, base, around.tag) {
                let namespace = key.split(END).nth(at).unwrap_or_default();
                if found.len() == room {
                    break;
                }
                let known = found
                    .iter()
                    .any(|other| *other.namespace == *namespace && other.backup.name == backup.name);
                let itself = namespace == around.namespace && backup.name == around.backup;
                if !known && !itself {
                    found.push(Alike {
                        namespace: namespace.into(),
                        backup: Arc::clone(backup),
                    });
                }
            }
        }
        found
    }

    /// Other namespaces with a scheduled backup of this name.
    pub(super) fn namesakes(&self, around: &Around<'_>) -> Vec<Box<str>> {
        self.scheduled
            .beginning_with_parts(&[around.name])
            .filter_map(|(key, _)| key.split(END).nth(1))
            .filter(|namespace| *namespace != around.namespace)
            .take(MOST_NEIGHBOURS)
            .map(Into::into)
            .collect()
    }

    /// Backups of this cluster that run.
    pub(super) fn running(&self, around: &Around<'_>) -> Vec<Arc<StoredBackup>> {
        let cluster = [around.namespace, around.cluster];
        let others = self.running.beginning_with_parts(&cluster);
        others
            .map(|(_, backup)| backup)
            .filter(|backup| around.restore || backup.name != around.name)
            .take(MOST_NEIGHBOURS)
            .map(Arc::clone)
            .collect()
    }
}

/// Everything behind `base` whose tag begins with this one, then everything whose tag is a beginning of it, with its
/// key.
fn overlapping<'a>(
    tree: &'a Tree<StoredBackup>,
    base: &str,
    tag: &str,
) -> impl Iterator<Item = (&'a str, &'a Arc<StoredBackup>)> + use<'a> {
    let longer = [base, tag].concat();
    let shorter = beginnings(tree, base, tag);
    iter::once(longer)
        .chain(shorter)
        .flat_map(|beginning| tree.beginning_with(beginning))
}

/// The beginnings of `tag` that are tags behind `base` themselves, each with which its keys begin, the shortest first.
///
/// It looks only where one can be: the key before all that is done with shares with `tag` what the next one may have.
fn beginnings(tree: &Tree<StoredBackup>, base: &str, tag: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut bound = [base, tag].concat();
    while let Some(before) = tree.last_before(base, &bound) {
        let theirs = before.split(END).next().unwrap_or_default();
        let common = common_length(theirs, tag);
        bound.truncate(base.len() + common);
        if theirs.len() == common {
            found.push(format!("{bound}{END}"));
        } else {
            // Behind every key of the tag that is shared, before all that goes on otherwise.
            bound.push(AFTER_END);
        }
    }
    found.reverse();
    found
}

fn common_length(one: &str, other: &str) -> usize {
    let common = one
        .chars()
        .zip(other.chars())
        .take_while(|(one, other)| one == other);
    common.map(|(character, _)| character.len_utf8()).sum()
}

/// The restores that an object may meet.
#[derive(Debug, Default)]
pub struct RestorePostings {
    /// Those that are not over, by namespace, cluster, precedence and name.
    unfinished: Tree<StoredRestore>,
    /// Those that are not over, by namespace, backup and name.
    users: Tree<StoredRestore>,
    /// Those that are over, by namespace, cluster, time and name.
    ended: Tree<StoredRestore>,
}

/// Seconds since the epoch in a form that sorts; nobody knows when: before everything.
fn sortable(restore: &StoredRestore) -> String {
    let seconds = restore.ended.map_or(0, |time| time.as_second().max(0));
    format!("{seconds:020}")
}

/// Its precedence in a form that sorts.
fn precedence(restore: &StoredRestore) -> String {
    let (waits, Reverse(created)) = restore.precedence();
    let younger = i64::MAX.saturating_sub(created.as_second());
    format!("{}{younger:020}", u8::from(waits))
}

impl Postings<StoredRestore> for RestorePostings {
    fn add(&mut self, namespace: &str, name: &str, restore: &Arc<StoredRestore>) {
        if restore.run.is_unfinished() {
            let parts = [namespace, &restore.cluster, &precedence(restore), name];
            self.unfinished.add(&parts, restore);
            self.users.add(&[namespace, &restore.backup, name], restore);
        } else {
            let parts = [namespace, &restore.cluster, &sortable(restore), name];
            self.ended.add(&parts, restore);
        }
    }

    fn remove(&mut self, namespace: &str, name: &str, restore: &Arc<StoredRestore>) {
        self.unfinished
            .remove(&[namespace, &restore.cluster, &precedence(restore), name]);
        self.users.remove(&[namespace, &restore.backup, name]);
        self.ended
            .remove(&[namespace, &restore.cluster, &sortable(restore), name]);
    }
}

impl RestorePostings {
    /// Restores of this cluster that are not over, in the order of their precedence.
    pub(super) fn unfinished(&self, around: &Around<'_>) -> Vec<Arc<StoredRestore>> {
        let cluster = [around.namespace, around.cluster];
        let others = self.unfinished.beginning_with_parts(&cluster);
        others
            .map(|(_, restore)| restore)
            .filter(|restore| !around.restore || restore.name != around.name)
            .take(MOST_NEIGHBOURS)
            .map(Arc::clone)
            .collect()
    }

    /// Restores of this backup that are not over; none where a restore asks.
    pub(super) fn users(&self, around: &Around<'_>) -> Vec<Arc<StoredRestore>> {
        if around.restore {
            return Vec::new();
        }
        let backup = [around.namespace, around.backup];
        let users = self.users.beginning_with_parts(&backup);
        users
            .map(|(_, restore)| Arc::clone(restore))
            .take(MOST_NEIGHBOURS)
            .collect()
    }

    /// The restore of this cluster that ended last.
    pub(super) fn last(&self, around: &Around<'_>) -> Option<Arc<StoredRestore>> {
        let cluster = [around.namespace, around.cluster];
        let last = self.ended.beginning_with_parts(&cluster).next_back();
        last.map(|(_, restore)| Arc::clone(restore))
    }
}

#[cfg(test)]
mod tests;
