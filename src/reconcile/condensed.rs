//! An object of which only what two looks have in common is kept, from the moment on that it is decoded.
//!
//! A page of a list is many objects. Were they decoded as a whole and condensed afterwards, what is kept of them
//! would lie scattered in a heap many times its size, which the allocator could not give back.

use std::borrow::Cow;

use kube::Resource;
use kube::core::ObjectMeta;
use kube::runtime::watcher::Event;
use serde::{Deserialize, Deserializer};

use super::work::Work;

/// What is kept of an object, while a watch decodes it.
#[derive(Debug, Clone)]
pub(super) struct Condensed<K>(K);

/// What a watch tells, of the objects themselves.
pub(super) fn event<K>(event: Event<Condensed<K>>) -> Event<K> {
    match event {
        Event::Apply(object) => Event::Apply(object.0),
        Event::Delete(object) => Event::Delete(object.0),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(object.0),
        Event::InitDone => Event::InitDone,
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
