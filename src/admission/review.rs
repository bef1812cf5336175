//! Decodes a review.
//!
//! The envelope is decoded leniently: unknown fields are ignored, and only the fields that an answer needs are required.
//! Only parts of `metadata`, `spec` and `status` of an object are kept, because managed fields are most of its bytes.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::api;
use crate::api::Kind;
use crate::evaluate::Object;
use crate::rules::facts::Caller;
use crate::rules::json_size::JsonLimits;
use crate::rules::run_record;
use crate::rules::subject::Metadata;
use crate::rules::tool::Tool;

use super::texts::{Finalizers, Text, Texts};

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
    pub(super) group: Text<'a>,
    #[serde(borrow)]
    pub(super) version: Text<'a>,
    #[serde(borrow)]
    pub(super) kind: Text<'a>,
}

impl GroupVersionKind<'_> {
    /// Returns the kind if cassgate judges it. v1alpha1 has the same schema as v2 wherever it is still served.
    pub(super) fn judged(&self) -> Option<Kind> {
        match (&*self.group.0, &*self.version.0, &*self.kind.0) {
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    uid: Text<'a>,
    #[serde(borrow, default)]
    kind: GroupVersionKind<'a>,
    #[serde(borrow, default)]
    sub_resource: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    operation: Text<'a>,
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
    finalizers: Option<Finalizers>,
    #[serde(default)]
    labels: Option<Texts>,
    #[serde(default)]
    annotations: Option<Texts>,
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
            has_unschedule_finalizer: metadata
                .finalizers
                .is_some_and(|finalizers| finalizers.has_unschedule),
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
        if request.uid.0.is_empty() {
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
            uid: request.uid.0,
            kind: request.kind,
            subresource: text(request.sub_resource),
            operation: Operation::parse(&request.operation.0),
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
            ("group", &self.kind.group.0),
            ("version", &self.kind.version.0),
            ("kind", &self.kind.kind.0),
            ("subresource", self.subresource.as_deref().unwrap_or_default()),
        ];
        let long = texts.into_iter().find(|(_, text)| text.len() > MAX_TEXT_LENGTH);
        if let Some((field, text)) = long {
            let length = text.len();
            return Err(ReviewError::TooLong { field, length });
        }
        Ok(self)
    }

    /// Returns the caller; all fields are empty if the API server names none, or if its text exceeds the limits.
    pub(super) fn caller(&self) -> Caller {
        let user: WireUser = self
            .user
            .filter(|user| JsonLimits::USER.check(user.get()).is_ok())
            .and_then(|user| serde_json::from_str(user.get()).ok())
            .unwrap_or_default();
        Caller {
            username: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        }
    }

    /// Returns the number of bytes of the specs, which rules read whole.
    pub(super) fn spec_length(&self) -> usize {
        let objects = [&self.object, &self.old].into_iter().flatten();
        objects
            .filter_map(|object| object.spec)
            .map(|spec| spec.get().len())
            .sum()
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
                    let (old, new) = (old.run_state(), new.run_state());
                    run_record::exists(&old) && run_record::lost(&old, &new).is_none()
                }
                _ => true,
            }
    }
}

#[cfg(test)]
mod tests;
