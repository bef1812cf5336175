//! The objects in the caches of the controllers: trimmed while a watch decodes them.
//!
//! A page of a list is many objects. If they were decoded in full and trimmed afterwards, the parts that stay would be
//! scattered over a heap many times their size, which the allocator could not give back.
//!
//! The caches of the rules (`kubernetes`) replace an object by facts about it. These caches keep the object itself,
//! because plans are made of objects.

use std::borrow::Cow;

use kube::Resource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Deserializer};

use super::guarded::{Guarded, UndecodableObject};
use super::reconciled::ReconciledObject;
use crate::reconcile::plan::conflict::{self, RunStatus};

/// The annotation in which kubectl keeps a second copy of the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object that keeps only what the queue, the metrics and [`next_wake`](super::Plannable::next_wake) need.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct CachedObject<K>(Guarded<K>);

impl<K: ReconciledObject> CachedObject<K> {
    /// Returns the object without its resource version. The watch has used it already, every write starts from a live
    /// read, and kube would keep four copies of it.
    ///
    /// # Errors
    /// The object cannot be decoded.
    pub(in crate::reconcile) fn into_object(self) -> Result<K, Box<UndecodableObject>> {
        let mut object = self.0.into_result()?;
        object.meta_mut().resource_version = None;
        Ok(object)
    }
}

/// Drops the fields that only a reconcile needs, which reads the object anew. Ten thousand objects stay in memory
/// between two reconciles.
pub(super) fn trim<K: ReconciledObject>(object: &mut K) {
    let has_nodes = object
        .status()
        .is_some_and(|status| !status.common().nodes.is_empty());
    if let Some(status) = object.status_mut() {
        // After the end of a run, an action on its nodes is no evidence of a conflict.
        if status.is_ended() {
            status.common_mut().nodes = Vec::new();
        }
        status.condense();
    }
    let meta = object.meta_mut();
    conflict::condense(meta, has_nodes);
    meta.labels = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

impl<'de, K: ReconciledObject> Deserialize<'de> for CachedObject<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Guarded::<K>::deserialize(deserializer)?;
        if let Guarded::Decoded(object) = &mut object {
            trim(object.as_mut());
        }
        Ok(Self(object))
    }
}

impl<K: ReconciledObject> Resource for CachedObject<K> {
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
