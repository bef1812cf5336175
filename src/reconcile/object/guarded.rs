//! Objects as they are watched and listed: one that cannot be decoded must not break the watch of all others.
//!
//! Such an object was stored under another CRD, or another client has edited its status. What the rest of the
//! reconciler has to know of it is read from its plain fields: the cluster, the state, and the snapshots that a restore
//! names. Whatever cannot be read counts as the dangerous case.

use std::borrow::Cow;

use jiff::Timestamp;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::reconciled::ReconciledObject;
use crate::api::ConditionType;

/// An object, or what is known of one that cannot be decoded.
#[derive(Debug, Clone)]
pub(in crate::reconcile) enum Guarded<K> {
    /// The object.
    Decoded(Box<K>),
    /// An object that cannot be decoded.
    Undecodable(Box<UndecodableObject>),
}

/// An object that cannot be decoded.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct UndecodableObject {
    meta: ObjectMeta,
    fields: Value,
    error: String,
}

/// The part of the metadata that every object of the API server has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl<K> Guarded<K> {
    /// Returns the object, or an object that cannot be decoded.
    pub(in crate::reconcile) fn into_result(self) -> Result<K, Box<UndecodableObject>> {
        match self {
            Self::Decoded(object) => Ok(*object),
            Self::Undecodable(object) => Err(object),
        }
    }
}

impl UndecodableObject {
    fn new(fields: Value, error: String) -> Option<Self> {
        let Identity {
            name,
            namespace,
            uid,
            resource_version,
        } = Identity::deserialize(fields.get("metadata")?).ok()?;
        Some(Self {
            meta: ObjectMeta {
                name,
                namespace,
                uid,
                resource_version,
                ..ObjectMeta::default()
            },
            fields,
            error,
        })
    }

    /// Returns the namespace; empty if the object has none.
    pub(in crate::reconcile) fn namespace(&self) -> &str {
        self.meta.namespace.as_deref().unwrap_or_default()
    }

    /// Returns the name.
    pub(in crate::reconcile) fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or_default()
    }

    /// Returns the reason why the object cannot be decoded.
    pub(in crate::reconcile) fn error(&self) -> &str {
        &self.error
    }

    /// Returns the time of its creation.
    pub(in crate::reconcile) fn created(&self) -> Timestamp {
        let created = self.text("/metadata/creationTimestamp");
        let created = created.and_then(|text| text.parse().ok());
        created.unwrap_or(Timestamp::MIN)
    }

    /// Returns the name of its cluster; `None` if that cannot be read.
    pub(in crate::reconcile) fn cluster(&self) -> Option<&str> {
        self.text("/spec/cassandraCluster")
    }

    /// Returns true unless it has certainly not begun.
    pub(in crate::reconcile) fn has_begun(&self) -> bool {
        self.value("/status/condition").is_some()
    }

    /// Returns true unless it has certainly not begun, or is certainly over.
    pub(in crate::reconcile) fn may_be_running(&self) -> bool {
        let state = self.text("/status/condition/type").map(ConditionType::parse);
        self.has_begun() && !state.is_some_and(ConditionType::is_terminal)
    }

    /// Returns the snapshots that a restore may use until it is over, by whole names or beginnings of names. A name that
    /// cannot be read may be any, so its beginning is empty.
    pub(in crate::reconcile) fn snapshots_in_use(&self) -> Vec<String> {
        if self.has_begun() && !self.may_be_running() {
            return Vec::new();
        }
        let named = ["/spec/snapshot", "/status/source/snapshotTag"].map(|path| self.value(path));
        let named = named.into_iter().flatten();
        named
            .map(|name| name.as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Returns an object of its kind with its name and nothing else.
    pub(in crate::reconcile) fn placeholder<K: ReconciledObject>(&self) -> K {
        let mut object = K::unspecified();
        *object.meta_mut() = self.meta.clone();
        object
    }

    /// Returns a value that is neither absent nor null.
    fn value(&self, path: &str) -> Option<&Value> {
        self.fields.pointer(path).filter(|value| !value.is_null())
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.value(path).and_then(Value::as_str)
    }
}

impl<'de, K: ReconciledObject> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Value::deserialize(deserializer)?;
        match K::deserialize(&fields) {
            Ok(object) => Ok(Self::Decoded(Box::new(object))),
            Err(error) => {
                let error = error.to_string();
                let object = UndecodableObject::new(fields, error.clone());
                let object = object.ok_or_else(|| de::Error::custom(error))?;
                Ok(Self::Undecodable(Box::new(object)))
            }
        }
    }
}

impl<K: ReconciledObject> Resource for Guarded<K> {
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
        match self {
            Self::Decoded(object) => object.meta(),
            Self::Undecodable(object) => &object.meta,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Decoded(object) => object.meta_mut(),
            Self::Undecodable(object) => &mut object.meta,
        }
    }
}
