//! The evidence of a conflict, and a person's review of it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::GO_ON_ANNOTATION;

/// The evidence that another executor acts on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::reconcile::plan) enum ConflictEvidence {
    /// Another manager wrote to the object.
    Wrote {
        /// The name of the manager.
        manager: String,
        /// The field that it wrote.
        field: String,
    },
    /// A sidecar has an operation that cassgate did not send.
    Sent {
        /// The pod of the sidecar.
        pod: String,
        /// The id of the operation.
        id: String,
    },
    /// `status.nodes` is missing: the CRD does not have cassgate's fields, or did not have them when another client
    /// wrote the object.
    NodesMissing,
}

impl ConflictEvidence {
    /// Returns the sentence for people.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Wrote { manager, field } => format!(
                "{manager} wrote {field} while cassgate runs this: another executor may act on it, and cassgate sends \
                 nothing more"
            ),
            Self::Sent { pod, id } => format!(
                "the sidecar of {pod} has operation {id}, which cassgate did not send: another executor may act on \
                 the same tables, and cassgate sends nothing more"
            ),
            Self::NodesMissing => {
                "status.nodes, the record of what each node has done, is missing: either CassKop's CRDs are installed and \
                 hide it, or the object was written while they were installed and it was deleted. cassgate sends \
                 nothing. Install cassgate's CRDs: if status.nodes reappears, the run continues. Otherwise check the \
                 data, delete this object, remove cassgate's finalizer by hand, and create it again under another name"
                    .to_owned()
            }
        }
    }
}

/// Returns the time up to which a person has reviewed the acts of another executor, from the annotation that resumes a
/// stopped run.
pub(in crate::reconcile::plan) fn reviewed_until(meta: &ObjectMeta) -> Option<Timestamp> {
    let annotations = meta.annotations.as_ref()?;
    annotations.get(GO_ON_ANNOTATION)?.trim().parse().ok()
}
