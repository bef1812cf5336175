//! The Kubernetes cluster of `check --live`.

use futures::future::BoxFuture;
use serde_json::Value;

use crate::api::Kind;
use crate::domain::object_name::is_object_name;
use crate::rules::facts::{FactSource, Reference};

use super::manifest::Resource;

/// Reads stored backups and restores whole.
pub trait StoredObjects: Send + Sync {
    /// Reads an object from the API server.
    fn stored<'a>(&'a self, kind: Kind, namespace: &'a str, name: &'a str)
    -> BoxFuture<'a, Reference<Value>>;
}

/// A Kubernetes cluster.
#[derive(Clone, Copy)]
pub struct Live<'a> {
    /// Answers for objects that are not in the files.
    pub facts: &'a dyn FactSource,
    /// The stored versions of the objects in the files.
    pub objects: &'a dyn StoredObjects,
}

impl Live<'_> {
    /// Returns the stored version of a resource. A name that is generated or not final has none.
    pub(super) async fn stored(&self, kind: Kind, resource: &Resource) -> Reference<Value> {
        let object = resource.manifest.object();
        let is_generated = object.node.text_at(&["metadata", "name"]).is_none();
        let (namespace, name) = (resource.namespace.as_str(), resource.name());
        if is_generated || !is_object_name(namespace) || !is_object_name(name) {
            return Reference::Absent;
        }
        self.objects.stored(kind, namespace, name).await
    }
}
