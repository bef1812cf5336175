//! Decodes a review.
//!
//! The envelope is decoded leniently: unknown fields are ignored, and only the fields that an answer needs are required.
//! Only parts of `metadata`, `spec` and `status` of an object are kept, because managed fields are most of its bytes.

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::api;
use crate::api::Kind;
use crate::evaluate::Object;
use crate::rules::facts::Caller;
use crate::rules::run_record;
use crate::rules::subject::{Metadata, is_read};
use crate::rules::tool::Tool;

/// The request of an `AdmissionReview`.
#[derive(Debug)]
pub(super) struct Review<'a> {
    /// The id of the request. The API server rejects an answer without it.
    pub(super) uid: Cow<'a, str>,
    /// The kind of the object.
    pub(super) kind: GroupVersionKind<'a>,
    /// The subresource, such as `status`; `None` for the object itself.
    pub(super) subresource: Option<Cow<'a, str>>,
    /// The operation on the object.
    pub(super) operation: Operation,
    /// The namespace.
    pub(super) namespace: Cow<'a, str>,
    /// The name of the object; `generateName` if the API server has not generated a name yet. The request itself has no
    /// name if it deletes a collection.
    pub(super) name: Cow<'a, str>,
    /// True if nothing will be stored.
    pub(super) dry_run: bool,
    /// The caller as JSON text. It is parsed only if it is needed.
    user: Option<&'a RawValue>,
    /// The object as it would be stored; `None` on DELETE.
    pub(super) object: Option<Object<'a>>,
    /// The stored object; `None` on CREATE.
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
    /// Returns the kind if cassgate judges it. v1alpha1 has the same schema as v2 wherever it is still served.
    pub(super) fn judged(&self) -> Option<Kind> {
        match (&*self.group, &*self.version, &*self.kind) {
            (api::GROUP, "v2" | "v1alpha1", "CassandraBackup") => Some(Kind::Backup),
            (api::GROUP, "v2" | "v1alpha1", "CassandraRestore") => Some(Kind::Restore),
            _ => None,
        }
    }
}

/// The operation on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// CREATE.
    Create,
    /// UPDATE; every patch and apply of a stored object is one.
    Update,
    /// DELETE.
    Delete,
    /// CONNECT, and future operations.
    Other,
}

impl Operation {
    fn parse(word: &str) -> Self {
        match word {
            "CREATE" => Self::Create,
            "UPDATE" => Self::Update,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// An error in the bytes of a review.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReviewError {
    /// The body is not JSON or has another form.
    #[error("the body is not an AdmissionReview of admission.k8s.io/v1: {0}")]
    Form(#[from] serde_json::Error),
    /// There is no request, for example because the body is an answer.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// The request has no uid to answer to.
    #[error("the request of the AdmissionReview has no uid")]
    NoUid,
    /// A text that every answer or log line repeats is too long.
    #[error("the {field} of the request has {length} bytes, and at most {MAX_TEXT_LENGTH} are read")]
    TooLong {
        /// The name of the text.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
}

/// The maximum length of each text that answers and log lines repeat, in bytes. 1024: Kubernetes accepts names of up to
/// 253 characters.
const MAX_TEXT_LENGTH: usize = 1024;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

/// A text that borrows from the body unless it has escapes.
///
/// The newtype is needed because serde borrows for a `Cow` but copies for an `Option<Cow>`.
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
    options: Option<WireOptions<'a>>,
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
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default)]
    labels: Option<Texts>,
    #[serde(default)]
    annotations: Option<Texts>,
}

/// The labels or annotations that rules read. The API server guarantees that values are texts.
#[derive(Debug, Default)]
struct Texts(Vec<(String, String)>);

impl Texts {
    /// Removes and returns the value of a key.
    fn take(&mut self, key: &str) -> Option<String> {
        let position = self.0.iter().position(|(own, _)| own == key)?;
        Some(self.0.swap_remove(position).1)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextsVisitor)
    }
}

/// Keeps the keys that rules read, so that memory does not follow what is sent.
struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        let mut kept = Vec::new();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if is_read(&key.0) {
                let value = map.next_value::<Option<String>>()?;
                kept.extend(value.map(|value| (key.0.into_owned(), value)));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Texts(kept))
    }
}

/// The options of a request, of which only the field manager matters.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireOptions<'a> {
    #[serde(borrow, default)]
    field_manager: Option<Text<'a>>,
}

/// `userInfo`. Fields that are missing stay empty, and a user without a name may read nothing.
#[derive(Deserialize, Default)]
#[serde(default)]
struct WireUser {
    username: Option<String>,
    uid: Option<String>,
    groups: Option<Vec<String>>,
    extra: Option<BTreeMap<String, Vec<String>>>,
}

impl<'a> WireObject<'a> {
    /// Returns the object, and its name or `generateName`.
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
                |annotation| annotations.take(annotation),
                |label| labels.take(label),
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
    /// Decodes the body of a request.
    ///
    /// # Errors
    /// Returns an error if the body is not a review or has no uid.
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, ReviewError> {
        // serde_json parses valid UTF-8 faster. Other bytes get their error from `from_slice`.
        let envelope: Envelope<'a> = match str::from_utf8(body) {
            Ok(text) => serde_json::from_str(text)?,
            Err(_) => serde_json::from_slice(body)?,
        };
        let request = envelope.request.ok_or(ReviewError::NoRequest)?;
        if request.uid.is_empty() {
            return Err(ReviewError::NoUid);
        }
        let namespace = request.namespace.map(|name| name.0).unwrap_or_default();
        let manager = request.options.and_then(|options| options.field_manager);
        let (mut object, own_name) = request.object.map(|object| object.split(&namespace)).unzip();
        let (old, old_name) = request.old_object.map(|old| old.split(&namespace)).unzip();
        if let (Some(object), Some(manager)) = (&mut object, manager) {
            let meta = &mut object.meta;
            meta.tool = meta.tool.or_else(|| Tool::of_manager(&manager.0));
        }
        let text = |text: Option<Text<'a>>| text.map(|text| text.0).filter(|text| !text.is_empty());
        let named = text(request.name);
        Self {
            uid: request.uid,
            kind: request.kind,
            subresource: text(request.sub_resource),
            operation: Operation::parse(&request.operation),
            name: named
                .or_else(|| own_name.flatten())
                .or_else(|| old_name.flatten())
                .unwrap_or_default(),
            dry_run: request.dry_run.unwrap_or_default(),
            user: request.user_info,
            object,
            old,
            namespace,
        }
        .with_bounded_texts()
    }

    /// Rejects a review with a text over [`MAX_TEXT_LENGTH`], so that the sizes of answers and log lines are bounded.
    fn with_bounded_texts(self) -> Result<Self, ReviewError> {
        let texts: [(&'static str, &str); 7] = [
            ("uid", &self.uid),
            ("name", &self.name),
            ("namespace", &self.namespace),
            ("group", &self.kind.group),
            ("version", &self.kind.version),
            ("kind", &self.kind.kind),
            ("subresource", self.subresource.as_deref().unwrap_or_default()),
        ];
        let long = texts.into_iter().find(|(_, text)| text.len() > MAX_TEXT_LENGTH);
        if let Some((field, text)) = long {
            let length = text.len();
            return Err(ReviewError::TooLong { field, length });
        }
        Ok(self)
    }

    /// Returns the caller; all fields are empty if the API server names none.
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

    /// Returns true if the object is being deleted and cannot run any more. Such a request is always admitted, so that
    /// finalizers can be removed.
    ///
    /// CassKop does not look at the deletion of a restore: it starts a restore that waits for the finalizer of another program
    /// with the spec that it has then, and starts it again if the record of its run is lost.
    pub(super) fn is_exempt(&self, kind: Kind) -> bool {
        let (old, new) = (self.old.as_ref(), self.object.as_ref());
        let deleting = [old, new].into_iter().flatten().any(|object| object.deleting);
        deleting
            && match (kind, old, new) {
                (Kind::Restore, Some(old), Some(new)) => {
                    let (old, new) = (old.body(), new.body());
                    run_record::exists(&old) && run_record::lost(&old, &new).is_none()
                }
                _ => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, Review};
    use crate::rules::tool::Tool;

    #[test]
    fn bytes_that_are_no_review_have_an_error_with_the_reason() {
        for (body, error) in [
            (
                "",
                "the body is not an AdmissionReview of admission.k8s.io/v1: EOF while parsing",
            ),
            (
                "[]",
                "the body is not an AdmissionReview of admission.k8s.io/v1: invalid length 0",
            ),
            ("{}", "the AdmissionReview has no request"),
            (r#"{"response":{}}"#, "the AdmissionReview has no request"),
            (
                r#"{"request":{"operation":"CREATE"}}"#,
                "the request of the AdmissionReview has no uid",
            ),
            (
                r#"{"request":{"uid":"u"}}"#,
                "the body is not an AdmissionReview of admission.k8s.io/v1: missing field",
            ),
            (
                r#"{"request":{"uid":"u","operation":"CREATE","object":5}}"#,
                "the body is not an AdmissionReview",
            ),
        ] {
            let text = Review::decode(body.as_bytes()).unwrap_err().to_string();
            assert!(text.starts_with(error), "{body}: {text}");
        }
    }

    #[test]
    fn a_text_that_answers_and_log_lines_repeat_is_bounded() {
        let body = |fields: &str| {
            format!(r#"{{"request":{{"uid":"u","operation":"CREATE",{fields}}}}}"#)
                .replace("LONG", &"é".repeat(513))
        };
        for (field, fields) in [
            ("uid", r#""uid":"LONG""#),
            ("name", r#""name":"LONG""#),
            ("name", r#""object":{"metadata":{"name":"LONG"}}"#),
            ("name", r#""object":{"metadata":{"generateName":"LONG"}}"#),
            ("name", r#""oldObject":{"metadata":{"name":"LONG"}}"#),
            ("namespace", r#""namespace":"LONG""#),
            ("group", r#""kind":{"group":"LONG"}"#),
            ("version", r#""kind":{"version":"LONG"}"#),
            ("kind", r#""kind":{"kind":"LONG"}"#),
            ("subresource", r#""subResource":"LONG""#),
        ] {
            let body = body(fields).replacen(
                r#""uid":"u","#,
                if field == "uid" { "" } else { r#""uid":"u","# },
                1,
            );
            let error = Review::decode(body.as_bytes()).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("the {field} of the request has 1026 bytes, and at most 1024 are read")
            );
        }
        assert!(
            Review::decode(
                body(r#""operation":"LONG""#)
                    .replacen(r#""operation":"CREATE","#, "", 1)
                    .as_bytes()
            )
            .is_ok()
        );
    }

    #[test]
    fn unknown_operations_kinds_and_fields_are_accepted() {
        let body =
            br#"{"request":{"uid":"u","operation":"INVENT","new":[1],"kind":{"kind":"X"},"userInfo":{}}}"#;
        let review = Review::decode(body).unwrap();
        assert_eq!((review.operation, review.kind.judged()), (Operation::Other, None));
    }

    #[test]
    fn the_metadata_that_rules_read_is_decoded() {
        let body = format!(
            r#"{{"request":{{"uid":"u","operation":"CREATE","namespace":"prod",
                "userInfo":{{"username":"jane","groups":["dev"],"extra":{{"scopes":["a"]}}}},
                "object":{{"metadata":{{"name":"r1","annotations":{{"{}":"a, b","{}":"c","{}":"d","x":"y"}},
                "labels":{{"velero.io/restore-name":"w"}}}}}},"options":{{"fieldManager":"kustomize-controller","dryRun":[]}}}}}}"#,
            crate::api::CONFIRM_ANNOTATION,
            crate::api::ALLOW_ANNOTATION,
            crate::api::REQUIRES_ANNOTATION
        );
        let review = Review::decode(body.as_bytes()).unwrap();
        let meta = &review.object.as_ref().unwrap().meta;
        assert_eq!((meta.namespace.as_str(), meta.name.as_str()), ("prod", "r1"));
        assert_eq!(meta.confirms.as_deref(), Some("a, b"));
        assert_eq!(meta.allows.as_deref(), Some("c"));
        assert_eq!(meta.requires.as_deref(), Some("d"));
        assert_eq!(meta.velero_restore.as_deref(), Some("w"));
        assert_eq!(meta.tool, Some(Tool::Flux));
        let caller = review.caller();
        assert_eq!(
            (caller.username.as_str(), caller.groups.as_slice()),
            ("jane", &["dev".to_owned()][..])
        );
        assert_eq!(caller.extra["scopes"], ["a"]);
    }

    #[test]
    fn texts_with_escapes_are_decoded() {
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
    fn an_object_without_a_name_has_its_generate_name() {
        let body = br#"{"request":{"uid":"u","operation":"CREATE","name":"","object":{"metadata":{"generateName":"b-"}}}}"#;
        assert_eq!(Review::decode(body).unwrap().name, "b-");
    }

    #[test]
    fn an_object_of_a_deleted_collection_has_its_own_name() {
        let body = br#"{"request":{"uid":"u","operation":"DELETE","name":"","oldObject":{"metadata":{"name":"b1"}}}}"#;
        assert_eq!(Review::decode(body).unwrap().name, "b1");
    }
}
