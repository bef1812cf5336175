//! The objects of one kind, by namespace and name.
//!
//! Plain data behind a lock: a watch drives it through [`Writer`], tests do so without a runtime. Every change goes
//! through [`Objects`], which keeps the [`Postings`] beside the objects in step with them.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::postings::Postings;

/// What is known of the objects of one kind. Readers never see a list that is half read.
#[derive(Debug)]
pub(super) struct Index<T, P = ()>(RwLock<Objects<T, P>>);

/// The writing end of an [`Index`]. There is one.
#[derive(Debug)]
pub(super) struct Writer<T, P = ()> {
    index: Arc<Index<T, P>>,
    /// The list that is being read; the index shows the old one meanwhile.
    listing: Option<Objects<T, P>>,
}

/// The namespace is stored once for all of its objects, and names are as long as they have to be: there may be
/// tens of thousands.
#[derive(Debug)]
struct Objects<T, P> {
    by_name: HashMap<Box<str>, HashMap<Box<str>, Arc<T>>>,
    postings: P,
}

impl<T, P: Postings<T>> Index<T, P> {
    /// The object of this name, or nothing, which does not mean that there is none.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.read(|objects| objects.get(namespace, name).cloned())
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.read(Objects::len)
    }

    /// An answer of the postings.
    pub(super) fn ask<R>(&self, question: impl FnOnce(&P) -> R) -> R {
        self.read(|objects| question(&objects.postings))
    }

    fn read<R>(&self, look: impl FnOnce(&Objects<T, P>) -> R) -> R {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<R>(&self, change: impl FnOnce(&mut Objects<T, P>) -> R) -> R {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T, P: Postings<T>> Default for Index<T, P> {
    fn default() -> Self {
        Self(RwLock::new(Objects::default()))
    }
}

impl<T: PartialEq, P: Postings<T>> Writer<T, P> {
    /// Writes an index that is empty so far.
    pub(super) fn new(index: Arc<Index<T, P>>) -> Self {
        Self { index, listing: None }
    }

    /// What is written.
    pub(super) fn index(&self) -> &Arc<Index<T, P>> {
        &self.index
    }

    /// Whether a list is being read.
    pub(super) fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    /// A list begins. One that was not finished is forgotten.
    pub(super) fn begin_list(&mut self) {
        self.listing = Some(Objects::default());
    }

    /// An object of the list. One that is known already and has not changed is kept, so that a list that is read
    /// again does not double the memory.
    pub(super) fn list(&mut self, namespace: &str, name: &str, object: T) {
        let known = self.index.get(namespace, name).filter(|known| **known == object);
        let listing = self.listing.get_or_insert_default();
        listing.insert(namespace, name, known.unwrap_or_else(|| Arc::new(object)));
    }

    /// The list is complete: it is all there is, from now on.
    pub(super) fn finish_list(&mut self) {
        let Some(mut listed) = self.listing.take() else {
            return;
        };
        listed.shrink();
        let old = self.index.change(|objects| std::mem::replace(objects, listed));
        // Outside of the lock: freeing ten thousand objects takes a while.
        drop(old);
    }

    /// An object was created or changed.
    pub(super) fn apply(&mut self, namespace: &str, name: &str, object: T) {
        let object = Arc::new(object);
        self.index
            .change(|objects| objects.insert(namespace, name, object));
    }

    /// An object was deleted, or cannot be read any more.
    pub(super) fn delete(&mut self, namespace: &str, name: &str) {
        self.index.change(|objects| objects.remove(namespace, name));
    }
}

impl<T, P: Postings<T>> Objects<T, P> {
    fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.by_name.get(namespace)?.get(name)
    }

    fn len(&self) -> usize {
        self.by_name.values().map(HashMap::len).sum()
    }

    fn insert(&mut self, namespace: &str, name: &str, object: Arc<T>) {
        if let Some(old) = self.get(namespace, name).map(Arc::clone) {
            self.postings.remove(namespace, name, &old);
        }
        self.postings.add(namespace, name, &object);
        // Not by `entry`: it would need the names as boxes before it is known whether they are new.
        let Some(names) = self.by_name.get_mut(namespace) else {
            self.by_name
                .insert(namespace.into(), HashMap::from([(name.into(), object)]));
            return;
        };
        match names.get_mut(name) {
            Some(old) => *old = object,
            None => {
                names.insert(name.into(), object);
            }
        }
    }

    fn remove(&mut self, namespace: &str, name: &str) {
        let Some(names) = self.by_name.get_mut(namespace) else {
            return;
        };
        if let Some(old) = names.remove(name) {
            self.postings.remove(namespace, name, &old);
        }
        if names.is_empty() {
            self.by_name.remove(namespace);
        }
    }

    fn shrink(&mut self) {
        self.by_name.values_mut().for_each(HashMap::shrink_to_fit);
        self.by_name.shrink_to_fit();
    }
}

impl<T, P: Postings<T>> Default for Objects<T, P> {
    fn default() -> Self {
        Self {
            by_name: HashMap::new(),
            postings: P::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer<&'static str> {
        Writer::new(Arc::default())
    }

    fn seen(writer: &Writer<&'static str>, namespace: &str, name: &str) -> Option<&'static str> {
        writer.index().get(namespace, name).map(|object| *object)
    }

    #[test]
    fn an_object_is_found_by_namespace_and_name() {
        let mut writer = writer();
        writer.apply("prod", "c1", "one");
        writer.apply("test", "c1", "another");
        assert_eq!(seen(&writer, "prod", "c1"), Some("one"));
        assert_eq!(seen(&writer, "test", "c1"), Some("another"));
        assert_eq!(seen(&writer, "prod", "c2"), None);
        assert_eq!(writer.index().len(), 2);
    }

    #[test]
    fn a_change_replaces_and_a_deletion_removes() {
        let mut writer = writer();
        writer.apply("prod", "c1", "one");
        writer.apply("prod", "c1", "two");
        assert_eq!(
            (seen(&writer, "prod", "c1"), writer.index().len()),
            (Some("two"), 1)
        );
        writer.delete("prod", "c1");
        writer.delete("prod", "never there");
        writer.delete("nowhere", "c1");
        assert_eq!((seen(&writer, "prod", "c1"), writer.index().len()), (None, 0));
    }

    #[test]
    fn a_list_shows_all_at_once_when_it_is_complete() {
        let mut writer = writer();
        writer.apply("prod", "old", "old");
        writer.begin_list();
        writer.list("prod", "new", "new");
        assert!(writer.is_listing());
        assert_eq!(
            (seen(&writer, "prod", "old"), seen(&writer, "prod", "new")),
            (Some("old"), None)
        );
        writer.finish_list();
        assert!(!writer.is_listing());
        assert_eq!(
            (seen(&writer, "prod", "old"), seen(&writer, "prod", "new")),
            (None, Some("new"))
        );
    }

    #[test]
    fn a_list_that_breaks_off_changes_nothing() {
        let mut writer = writer();
        writer.apply("prod", "old", "old");
        writer.begin_list();
        writer.list("prod", "half", "half");
        writer.begin_list();
        writer.list("prod", "new", "new");
        writer.finish_list();
        assert_eq!(
            (seen(&writer, "prod", "half"), seen(&writer, "prod", "new")),
            (None, Some("new"))
        );
        assert_eq!(writer.index().len(), 1);
    }

    #[test]
    fn what_a_second_list_repeats_is_not_stored_twice() {
        let mut writer = writer();
        writer.apply("prod", "same", "same");
        writer.apply("prod", "other", "before");
        let same = writer.index().get("prod", "same").unwrap();
        writer.begin_list();
        writer.list("prod", "same", "same");
        writer.list("prod", "other", "after");
        writer.finish_list();
        assert!(Arc::ptr_eq(&same, &writer.index().get("prod", "same").unwrap()));
        assert_eq!(seen(&writer, "prod", "other"), Some("after"));
    }
}
