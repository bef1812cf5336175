//! Bytes to a review.
//!
//! The envelope is read leniently: what is unknown is ignored, and only what an answer cannot do without is
//! demanded. Of an object only `metadata`, `spec` and `status` are kept; managed fields are most of its bytes.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use std::collections::BTreeMap;

use crate::api;
use crate::rules::catalogue::Kinds;
use crate::rules::facts::Caller;
use crate::rules::subject::Metadata;

/// What is asked of a webhook.
#[derive(Debug)]
pub(super) struct Review<'a> {
    /// Repeated in the answer, or the API server does not take it.
    pub(super) uid: String,
    /// The kind that the object has, whichever it is.
    pub(super) kind: Kind,
    /// `status` and the like; `None` for the object itself.
    pub(super) subresource: Option<String>,
    /// What is done to the object.
    pub(super) operation: Operation,
    /// The namespace.
    pub(super) namespace: String,
    /// The name; empty when the API server will make one of `generateName`.
    pub(super) name: String,
    /// Whether nothing will be stored.
    pub(super) dry_run: bool,
    /// Who asks; text until somebody needs to know.
    user: Option<&'a RawValue>,
    /// The object as it would be stored; absent on DELETE.
    pub(super) object: Option<Object<'a>>,
    /// The stored object; absent on CREATE.
    pub(super) old: Option<Object<'a>>,
}

/// The kind of an object.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
}

impl Kind {
    /// The kind that we judge, if it is one. v1alpha1 has the same schema as v2 wherever it is still served.
    pub(super) fn judged(&self) -> Option<Kinds> {
        match (self.group.as_str(), self.version.as_str(), self.kind.as_str()) {
            (api::GROUP, "v2" | "v1alpha1", "CassandraBackup") => Some(Kinds::Backup),
            (api::GROUP, "v2" | "v1alpha1", "CassandraRestore") => Some(Kinds::Restore),
            _ => None,
        }
    }
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) enum Operation {
    /// CREATE.
    Create,
    /// UPDATE; every patch and apply of a stored object is one.
    Update,
    /// DELETE.
    Delete,
    /// CONNECT, and what Kubernetes may invent.
    Other,
}

impl From<String> for Operation {
    fn from(word: String) -> Self {
        match word.as_str() {
            "CREATE" => Self::Create,
            "UPDATE" => Self::Update,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// An object of a review: its `spec` and `status` as they came, and what is needed of its metadata.
///
/// The two are text until somebody looks into them: a typical review reads its spec once, into a type.
#[derive(Debug, Clone)]
pub(super) struct Object<'a> {
    /// What rules look at of its metadata.
    pub(super) meta: Metadata,
    /// The spec; `None` where there is none or null.
    pub(super) spec: Option<&'a RawValue>,
    /// The status; `None` where there is none or null.
    pub(super) status: Option<&'a RawValue>,
    /// Whether it is being deleted.
    pub(super) deleting: bool,
}

impl Object<'_> {
    /// `{"spec": …, "status": …}`, each only where it is there.
    ///
    /// The API server has read both before us. Should one of them hold what no tree can (a number beyond all bounds,
    /// half a surrogate pair), it is null in the tree; [`decode`](crate::rules::decode) then says so of the spec.
    pub(super) fn body(&self) -> Value {
        let tree = |text: &RawValue| serde_json::from_str(text.get()).unwrap_or(Value::Null);
        let mut body = Map::new();
        body.extend(self.spec.map(|spec| ("spec".to_owned(), tree(spec))));
        body.extend(self.status.map(|status| ("status".to_owned(), tree(status))));
        Value::Object(body)
    }
}

/// Why bytes are no review.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReviewError {
    /// Not JSON, or not of the form.
    #[error("the body is no AdmissionReview of admission.k8s.io/v1: {0}")]
    Form(#[from] serde_json::Error),
    /// An answer, or nothing at all.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// Nothing to answer to.
    #[error("the request of the AdmissionReview has no uid")]
    NoUid,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    sub_resource: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    operation: Operation,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(borrow, default)]
    user_info: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Option<WireObject<'a>>,
    #[serde(borrow, default)]
    old_object: Option<WireObject<'a>>,
}

#[derive(Deserialize)]
struct WireObject<'a> {
    #[serde(default)]
    metadata: Option<WireMetadata>,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireMetadata {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    generate_name: Option<String>,
    #[serde(default)]
    deletion_timestamp: Option<Value>,
    #[serde(default)]
    labels: Option<WireLabels>,
    #[serde(default)]
    annotations: Option<WireAnnotations>,
}

/// The labels that say something to us. The API server lets through only texts.
#[derive(Deserialize, Default)]
struct WireLabels {
    #[serde(rename = "velero.io/restore-name", default)]
    velero_restore: Option<String>,
}

/// The annotations that say something to us.
#[derive(Deserialize, Default)]
struct WireAnnotations {
    // `api::CONFIRM_ANNOTATION`; serde takes no constant here, a test holds the two together.
    #[serde(rename = "cassgate.db.orange.com/confirm", default)]
    confirm: Option<String>,
    // `api::ALLOW_ANNOTATION`; the same.
    #[serde(rename = "cassgate.db.orange.com/allow", default)]
    allow: Option<String>,
}

/// `userInfo`, as leniently as it goes: who cannot be made out may read nothing.
#[derive(Deserialize, Default)]
#[serde(default)]
struct WireUser {
    username: Option<String>,
    uid: Option<String>,
    groups: Option<Vec<String>>,
    extra: Option<BTreeMap<String, Vec<String>>>,
}

impl<'a> WireObject<'a> {
    /// The object, and the name that its metadata say.
    fn split(self, namespace: &str) -> (Object<'a>, Option<String>) {
        let metadata = self.metadata.unwrap_or_default();
        let annotations = metadata.annotations.unwrap_or_default();
        let object = Object {
            meta: Metadata {
                namespace: namespace.to_owned(),
                name: metadata.name.clone().unwrap_or_default(),
                confirms: annotations.confirm,
                allows: annotations.allow,
                velero_restore: metadata.labels.and_then(|labels| labels.velero_restore),
            },
            spec: self.spec,
            status: self.status,
            deleting: metadata.deletion_timestamp.is_some(),
        };
        (object, metadata.name.or(metadata.generate_name))
    }
}

impl<'a> Review<'a> {
    /// Reads the body of a request.
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, ReviewError> {
        // Text that is known to be text is read faster. What is none gets its error from the other way.
        let envelope: Envelope<'a> = match str::from_utf8(body) {
            Ok(text) => serde_json::from_str(text)?,
            Err(_) => serde_json::from_slice(body)?,
        };
        let request = envelope.request.ok_or(ReviewError::NoRequest)?;
        if request.uid.is_empty() {
            return Err(ReviewError::NoUid);
        }
        let namespace = request.namespace.unwrap_or_default();
        let (object, own_name) = request.object.map(|object| object.split(&namespace)).unzip();
        let named = request.name.filter(|name| !name.is_empty());
        Ok(Self {
            uid: request.uid,
            kind: request.kind,
            subresource: request.sub_resource.filter(|name| !name.is_empty()),
            operation: request.operation,
            name: named.or_else(|| own_name.flatten()).unwrap_or_default(),
            dry_run: request.dry_run.unwrap_or_default(),
            user: request.user_info,
            object,
            old: request.old_object.map(|old| old.split(&namespace).0),
            namespace,
        })
    }

    /// Who asks; nobody in particular where the API server does not say.
    pub(super) fn caller(&self) -> Caller {
        let user: WireUser = self
            .user
            .and_then(|user| serde_json::from_str(user.get()).ok())
            .unwrap_or_default();
        Caller {
            username: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        }
    }

    /// Whether the object is on its way out. Nothing may stand in the way of a finalizer's removal.
    pub(super) fn deleting(&self) -> bool {
        [&self.object, &self.old]
            .into_iter()
            .flatten()
            .any(|object| object.deleting)
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, Review};

    #[test]
    fn bytes_that_are_no_review_say_why() {
        for (body, error) in [
            (
                "",
                "the body is no AdmissionReview of admission.k8s.io/v1: EOF while parsing",
            ),
            (
                "[]",
                "the body is no AdmissionReview of admission.k8s.io/v1: invalid length 0",
            ),
            ("{}", "the AdmissionReview has no request"),
            (r#"{"response":{}}"#, "the AdmissionReview has no request"),
            (
                r#"{"request":{"operation":"CREATE"}}"#,
                "the request of the AdmissionReview has no uid",
            ),
            (
                r#"{"request":{"uid":"u"}}"#,
                "the body is no AdmissionReview of admission.k8s.io/v1: missing field",
            ),
            (
                r#"{"request":{"uid":"u","operation":"CREATE","object":5}}"#,
                "the body is no AdmissionReview",
            ),
        ] {
            let text = Review::decode(body.as_bytes()).unwrap_err().to_string();
            assert!(text.starts_with(error), "{body}: {text}");
        }
    }

    #[test]
    fn unknown_operations_kinds_and_fields_are_read() {
        let body =
            br#"{"request":{"uid":"u","operation":"INVENT","new":[1],"kind":{"kind":"X"},"userInfo":{}}}"#;
        let review = Review::decode(body).unwrap();
        assert_eq!((review.operation, review.kind.judged()), (Operation::Other, None));
    }

    #[test]
    fn what_rules_look_at_of_the_metadata_is_read() {
        let body = format!(
            r#"{{"request":{{"uid":"u","operation":"CREATE","namespace":"prod",
                "userInfo":{{"username":"jane","groups":["dev"],"extra":{{"scopes":["a"]}}}},
                "object":{{"metadata":{{"name":"r1","annotations":{{"{}":"a, b","{}":"c","x":"y"}},
                "labels":{{"velero.io/restore-name":"w"}}}}}}}}}}"#,
            crate::api::CONFIRM_ANNOTATION,
            crate::api::ALLOW_ANNOTATION
        );
        let review = Review::decode(body.as_bytes()).unwrap();
        let meta = &review.object.as_ref().unwrap().meta;
        assert_eq!((meta.namespace.as_str(), meta.name.as_str()), ("prod", "r1"));
        assert_eq!(meta.confirms.as_deref(), Some("a, b"));
        assert_eq!(meta.allows.as_deref(), Some("c"));
        assert_eq!(meta.velero_restore.as_deref(), Some("w"));
        let caller = review.caller();
        assert_eq!(
            (caller.username.as_str(), caller.groups.as_slice()),
            ("jane", &["dev".to_owned()][..])
        );
        assert_eq!(caller.extra["scopes"], ["a"]);
    }

    #[test]
    fn a_name_to_be_made_shows_its_beginning() {
        let body = br#"{"request":{"uid":"u","operation":"CREATE","name":"","object":{"metadata":{"generateName":"b-"}}}}"#;
        assert_eq!(Review::decode(body).unwrap().name, "b-");
    }
}
