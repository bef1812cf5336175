//! Bytes to a review.
//!
//! The envelope is read leniently: what is unknown is ignored, and only what an answer cannot do without is
//! demanded. Of an object only `metadata`, `spec` and `status` are kept; managed fields are most of its bytes.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::api;
use crate::api::Kind;
use crate::api::{ALLOW_ANNOTATION, CONFIRM_ANNOTATION};
use crate::evaluate::Object;
use crate::rules::facts::Caller;
use crate::rules::subject::{Metadata, VELERO_RESTORE_LABEL};

/// What is asked of a webhook.
#[derive(Debug)]
pub(super) struct Review<'a> {
    /// Repeated in the answer, or the API server does not take it.
    pub(super) uid: Cow<'a, str>,
    /// The kind that the object has, whichever it is.
    pub(super) kind: GroupVersionKind<'a>,
    /// `status` and the like; `None` for the object itself.
    pub(super) subresource: Option<Cow<'a, str>>,
    /// What is done to the object.
    pub(super) operation: Operation,
    /// The namespace.
    pub(super) namespace: Cow<'a, str>,
    /// The name; empty when the API server will make one of `generateName`.
    pub(super) name: Cow<'a, str>,
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
pub(super) struct GroupVersionKind<'a> {
    #[serde(borrow)]
    pub(super) group: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) version: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) kind: Cow<'a, str>,
}

impl GroupVersionKind<'_> {
    /// The kind that we judge, if it is one. v1alpha1 has the same schema as v2 wherever it is still served.
    pub(super) fn judged(&self) -> Option<Kind> {
        match (&*self.group, &*self.version, &*self.kind) {
            (api::GROUP, "v2" | "v1alpha1", "CassandraBackup") => Some(Kind::Backup),
            (api::GROUP, "v2" | "v1alpha1", "CassandraRestore") => Some(Kind::Restore),
            _ => None,
        }
    }
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl Operation {
    fn read(word: &str) -> Self {
        match word {
            "CREATE" => Self::Create,
            "UPDATE" => Self::Update,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
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

/// A text, which is the body's own where nothing in it is escaped.
///
/// A type of its own since serde borrows a `Cow`, and copies the one of an `Option<Cow>`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: GroupVersionKind<'a>,
    #[serde(borrow, default)]
    sub_resource: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    operation: Cow<'a, str>,
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
    #[serde(borrow, default)]
    metadata: Option<WireMetadata<'a>>,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireMetadata<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    generate_name: Option<Text<'a>>,
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
    fn split(self, namespace: &str) -> (Object<'a>, Option<Cow<'a, str>>) {
        let metadata = self.metadata.unwrap_or_default();
        let mut annotations = metadata.annotations.unwrap_or_default();
        let mut labels = metadata.labels.unwrap_or_default();
        let name = metadata
            .name
            .as_ref()
            .map_or_else(String::new, |name| name.0.clone().into_owned());
        let object = Object {
            meta: Metadata::new(
                namespace.to_owned(),
                name,
                |annotation| match annotation {
                    CONFIRM_ANNOTATION => annotations.confirm.take(),
                    ALLOW_ANNOTATION => annotations.allow.take(),
                    _ => None,
                },
                |label| match label {
                    VELERO_RESTORE_LABEL => labels.velero_restore.take(),
                    _ => None,
                },
            ),
            spec: self.spec,
            status: self.status,
            deleting: metadata.deletion_timestamp.is_some(),
        };
        let name = metadata.name.or(metadata.generate_name);
        (object, name.map(|name| name.0))
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
        let namespace = request.namespace.map(|name| name.0).unwrap_or_default();
        let (object, own_name) = request.object.map(|object| object.split(&namespace)).unzip();
        let text = |text: Option<Text<'a>>| text.map(|text| text.0).filter(|text| !text.is_empty());
        let named = text(request.name);
        Ok(Self {
            uid: request.uid,
            kind: request.kind,
            subresource: text(request.sub_resource),
            operation: Operation::read(&request.operation),
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
    fn texts_with_escapes_are_read_as_well() {
        let body = br#"{"request":{"uid":"u\u0031","operation":"CRE\u0041TE","namespace":"pr\u006fd","name":"b\u002d",
            "kind":{"group":"db.orange.com","version":"v\u0032","kind":"CassandraBackup"},
            "object":{"metadata":{"name":"c\u002d"}}}}"#;
        let review = Review::decode(body).unwrap();
        assert_eq!(
            (&*review.uid, &*review.namespace, &*review.name),
            ("u1", "prod", "b-")
        );
        assert_eq!(review.operation, Operation::Create);
        assert!(review.kind.judged().is_some());
        assert_eq!(review.object.unwrap().meta.name, "c-");
    }

    #[test]
    fn a_name_to_be_made_shows_its_beginning() {
        let body = br#"{"request":{"uid":"u","operation":"CREATE","name":"","object":{"metadata":{"generateName":"b-"}}}}"#;
        assert_eq!(Review::decode(body).unwrap().name, "b-");
    }
}
