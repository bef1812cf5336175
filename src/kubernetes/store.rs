//! The objects of one kind, by namespace and name.
//!
//! Plain data behind a lock: a watch drives it through [`Writer`], tests do so without a runtime. Every change goes
//! through [`Objects`], which keeps the [`NeighbourIndex`] in step with the objects.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::rules::facts::NeighbourIndex;

/// The known objects of one kind. Readers never see a partial list.
#[derive(Debug)]
pub(super) struct Store<T, I = ()>(RwLock<Objects<T, I>>);

/// The only writer of a [`Store`].
#[derive(Debug)]
pub(super) struct Writer<T, I = ()> {
    store: Arc<Store<T, I>>,
    /// The list that is being read; readers see the previous one until it is complete.
    listing: Option<Objects<T, I>>,
}

/// The objects and their index. The namespace is stored once for all of its objects and names have no spare capacity,
/// because there may be tens of thousands of objects.
#[derive(Debug)]
struct Objects<T, I> {
    by_name: HashMap<Box<str>, HashMap<Box<str>, Arc<T>>>,
    index: I,
}

impl<T, I: NeighbourIndex<T>> Store<T, I> {
    /// Returns the object of this name. `None` does not mean that the API server has none.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.read(|objects| objects.get(namespace, name).cloned())
    }

    /// Returns the number of objects.
    pub(super) fn len(&self) -> usize {
        self.read(Objects::len)
    }

    /// Asks the index.
    pub(super) fn ask<R>(&self, question: impl FnOnce(&I) -> R) -> R {
        self.read(|objects| question(&objects.index))
    }

    fn read<R>(&self, read: impl FnOnce(&Objects<T, I>) -> R) -> R {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<R>(&self, change: impl FnOnce(&mut Objects<T, I>) -> R) -> R {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T, I: NeighbourIndex<T>> Default for Store<T, I> {
    fn default() -> Self {
        Self(RwLock::new(Objects::default()))
    }
}

impl<T: PartialEq, I: NeighbourIndex<T>> Writer<T, I> {
    /// Returns the writer of a store that is still empty.
    pub(super) fn new(store: Arc<Store<T, I>>) -> Self {
        Self { store, listing: None }
    }

    /// Returns the store that is written.
    pub(super) fn store(&self) -> &Arc<Store<T, I>> {
        &self.store
    }

    /// Returns true while a list is being read.
    pub(super) fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    /// Begins a list. A previous list that was not finished is dropped.
    pub(super) fn begin_list(&mut self) {
        self.listing = Some(Objects::default());
    }

    /// Adds an object to the list. An unchanged object is shared with the current list, so that a relist does not
    /// double the memory.
    pub(super) fn list(&mut self, namespace: &str, name: &str, object: T) {
        let known = self.store.get(namespace, name).filter(|known| **known == object);
        let listing = self.listing.get_or_insert_default();
        listing.insert(namespace, name, known.unwrap_or_else(|| Arc::new(object)));
    }

    /// Replaces all objects by those of the list.
    pub(super) fn finish_list(&mut self) {
        let Some(mut listed) = self.listing.take() else {
            return;
        };
        listed.shrink();
        let old = self.store.change(|objects| std::mem::replace(objects, listed));
        // Outside of the lock: freeing ten thousand objects takes a while.
        drop(old);
    }

    /// Adds or replaces an object.
    pub(super) fn apply(&mut self, namespace: &str, name: &str, object: T) {
        let object = Arc::new(object);
        self.store
            .change(|objects| objects.insert(namespace, name, object));
    }

    /// Removes an object that was deleted or can no longer be decoded.
    pub(super) fn delete(&mut self, namespace: &str, name: &str) {
        self.store.change(|objects| objects.remove(namespace, name));
    }
}

impl<T, I: NeighbourIndex<T>> Objects<T, I> {
    fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.by_name.get(namespace)?.get(name)
    }

    fn len(&self) -> usize {
        self.by_name.values().map(HashMap::len).sum()
    }

    fn insert(&mut self, namespace: &str, name: &str, object: Arc<T>) {
        if let Some(old) = self.get(namespace, name).map(Arc::clone) {
            self.index.remove(namespace, name, &old);
        }
        self.index.insert(namespace, name, &object);
        // `entry` would allocate both names before it is known whether they are new.
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
            self.index.remove(namespace, name, &old);
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

impl<T, I: NeighbourIndex<T>> Default for Objects<T, I> {
    fn default() -> Self {
        Self {
            by_name: HashMap::new(),
            index: I::default(),
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
        writer.store().get(namespace, name).map(|object| *object)
    }

    #[test]
    fn an_object_is_found_by_namespace_and_name() {
        let mut writer = writer();
        writer.apply("prod", "c1", "one");
        writer.apply("test", "c1", "another");
        assert_eq!(seen(&writer, "prod", "c1"), Some("one"));
        assert_eq!(seen(&writer, "test", "c1"), Some("another"));
        assert_eq!(seen(&writer, "prod", "c2"), None);
        assert_eq!(writer.store().len(), 2);
    }

    #[test]
    fn a_change_replaces_and_a_deletion_removes() {
        let mut writer = writer();
        writer.apply("prod", "c1", "one");
        writer.apply("prod", "c1", "two");
        assert_eq!(
            (seen(&writer, "prod", "c1"), writer.store().len()),
            (Some("two"), 1)
        );
        writer.delete("prod", "c1");
        writer.delete("prod", "never there");
        writer.delete("nowhere", "c1");
        assert_eq!((seen(&writer, "prod", "c1"), writer.store().len()), (None, 0));
    }

    #[test]
    fn a_list_becomes_visible_when_it_is_complete() {
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
    fn an_unfinished_list_changes_nothing() {
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
        assert_eq!(writer.store().len(), 1);
    }

    #[test]
    fn an_unchanged_object_of_a_second_list_is_shared() {
        let mut writer = writer();
        writer.apply("prod", "same", "same");
        writer.apply("prod", "other", "before");
        let same = writer.store().get("prod", "same").unwrap();
        writer.begin_list();
        writer.list("prod", "same", "same");
        writer.list("prod", "other", "after");
        writer.finish_list();
        assert!(Arc::ptr_eq(&same, &writer.store().get("prod", "same").unwrap()));
        assert_eq!(seen(&writer, "prod", "other"), Some("after"));
    }
}
