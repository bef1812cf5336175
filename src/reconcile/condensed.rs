//! An object of which only what two looks have in common is kept, from the moment on that it is decoded.
//!
//! A page of a list is many objects. Were they decoded as a whole and condensed afterwards, what is kept of them
//! would lie scattered in a heap many times its size, which the allocator could not give back.

use std::borrow::Cow;

use kube::Resource;
use kube::core::ObjectMeta;
use kube::runtime::watcher::Event;
use serde::{Deserialize, Deserializer};

use crate::reconcile::work::Work;

/// What is kept of an object, while a watch decodes it.
#[derive(Debug, Clone)]
pub(super) struct Condensed<K>(K);

/// What a watch tells, of the objects themselves.
pub(super) fn event<K: Work>(event: Event<Condensed<K>>) -> Event<K> {
    match event {
        Event::Apply(object) => Event::Apply(object.told()),
        Event::Delete(object) => Event::Delete(object.told()),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(object.told()),
        Event::InitDone => Event::InitDone,
    }
}

impl<K: Work> Condensed<K> {
    /// Without the resource version: the watch has gone on from it, whoever writes reads the object anew, and kube would
    /// keep four copies of it.
    fn told(self) -> K {
        let Self(mut object) = self;
        object.meta_mut().resource_version = None;
        object
    }
}

impl<'de, K: Work> Deserialize<'de> for Condensed<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = K::deserialize(deserializer)?;
        object.condense();
        Ok(Self(object))
    }
}

impl<K: Work> Resource for Condensed<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}
