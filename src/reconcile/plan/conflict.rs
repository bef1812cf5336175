//! Signs that somebody else acts on an object whose run is ours: the run is stopped, and a human decides.
//!
//! The API server keeps in `metadata.managedFields` who wrote what. When a run begins, everything in its status that
//! somebody wrote before becomes ours ([`taken_over`]); whoever owns a field there from then on that only an executor
//! writes is a sign, without any time being compared. With our CRDs `CassKop` cannot write the status: there its own
//! name in the metadata is a sign, and an operation in a sidecar that nobody of us sent.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value};

use super::builder::PlanBuilder;
use super::conditions::{self, Progress};
use super::{Finalizer, Wait, is_held_by, moment};
use crate::api::conditions::{COMPLETE, FAILED, STALLED};
use crate::api::{
    BackRestStatus, BackupStatus, ConditionType, GO_ON_ANNOTATION, RESTORE_FINALIZER, Reason, RestoreStatus,
};

/// Who writes what we write.
pub const FIELD_MANAGER: &str = "cassgate";

/// Under which name `CassKop` writes: that of its program, since it says no other.
const CASSKOP: &str = "casskop";

/// What only an executor writes.
const COORDINATORS: [&str; 3] = ["condition", "id", "coordinatorMember"];

/// How long until it is looked at again whether the notes of a run are back.
const UNTIL_BACK: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// A sign that somebody else acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConflictEvidence {
    /// Somebody wrote to the object.
    Wrote {
        /// Under this name.
        manager: String,
        /// This.
        what: String,
    },
    /// A sidecar has an operation that we did not send.
    Sent {
        /// The pod of the sidecar.
        pod: String,
        /// The operation.
        id: String,
    },
    /// What we wrote of each node is not there: the CRD does not have our fields, or did not have them when somebody
    /// wrote the object.
    Cut,
}

/// How a run stands towards others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ownership {
    /// It goes on.
    Ours,
    /// It is stopped, for this sign; `None`: since long.
    Stopped(Option<ConflictEvidence>),
    /// It was stopped, and a human says that it may go on.
    Resumed,
}

/// The status of either kind.
pub(in crate::reconcile) trait RunStatus {
    fn common(&self) -> &BackRestStatus;

    fn common_mut(&mut self) -> &mut BackRestStatus;

    /// Whether we ended the run ourselves. What others write to the object from then on does not matter.
    fn is_ended(&self) -> bool;
}

impl RunStatus for BackupStatus {
    fn common(&self) -> &BackRestStatus {
        &self.common
    }

    fn common_mut(&mut self) -> &mut BackRestStatus {
        &mut self.common
    }

    fn is_ended(&self) -> bool {
        let last = self.snapshot_tag.as_ref();
        last.is_some_and(|last| self.history.iter().any(|run| run.snapshot == *last))
    }
}

impl RunStatus for RestoreStatus {
    fn common(&self) -> &BackRestStatus {
        &self.common
    }

    fn common_mut(&mut self) -> &mut BackRestStatus {
        &mut self.common
    }

    fn is_ended(&self) -> bool {
        let mut ends = [COMPLETE, FAILED].into_iter();
        ends.any(|end| self.common.true_condition(end).is_some())
    }
}

/// Whether somebody else acts on it, so that its state is not to be believed.
pub(in crate::reconcile) fn is_contested(meta: &ObjectMeta, status: Option<&impl RunStatus>) -> bool {
    status.is_some_and(|status| stand(meta, status) != Ownership::Ours)
}

/// Whether it was stopped. It keeps its place at the cluster.
pub(in crate::reconcile) fn is_stopped(common: &BackRestStatus) -> bool {
    stopped(common).is_some()
}

/// How the run stands towards others.
pub(super) fn stand(meta: &ObjectMeta, status: &impl RunStatus) -> Ownership {
    let common = status.common();
    if status.is_ended() || !is_begun(meta, common) {
        return Ownership::Ours;
    }
    if let Some(stopped) = stopped(common) {
        return if cleared(meta) == Some(stopped.last_transition_time.0) {
            Ownership::Resumed
        } else {
            Ownership::Stopped(None)
        };
    }
    let sign = other_writer(meta).or_else(|| common.nodes.is_empty().then_some(ConflictEvidence::Cut));
    sign.map_or(Ownership::Ours, |sign| Ownership::Stopped(Some(sign)))
}

/// Until when a human has looked at what others did, by the annotation that lets a stopped run go on.
pub(super) fn cleared(meta: &ObjectMeta) -> Option<Timestamp> {
    let annotations = meta.annotations.as_ref()?;
    annotations.get(GO_ON_ANNOTATION)?.trim().parse().ok()
}

fn is_begun(meta: &ObjectMeta, common: &BackRestStatus) -> bool {
    !common.nodes.is_empty() || are_notes_cut(meta, common)
}

/// Whether a run of ours has lost what it wrote of each node. The API server shows no field that the CRD does not
/// have, and still tells that we own it.
fn are_notes_cut(meta: &ObjectMeta, common: &BackRestStatus) -> bool {
    let is_restore = is_held_by(RESTORE_FINALIZER, meta);
    let noted = entries(meta).any(|entry| is_ours(entry) && owned(entry).any(|field| field == "f:nodes"));
    // Whoever restores needs the notes to the end. A backup that is over by anybody's word leaves nothing undone.
    let over = common.is_terminal() && !(is_restore && other_writer(meta).is_some());
    common.nodes.is_empty() && !over && (noted || (is_restore && common.has_started()))
}

fn other_writer(meta: &ObjectMeta) -> Option<ConflictEvidence> {
    let others = entries(meta).filter(|entry| !is_ours(entry));
    others.into_iter().find_map(|entry| {
        let manager = entry.manager.clone().unwrap_or_default();
        let word = |field: &str| {
            COORDINATORS
                .into_iter()
                .find(|name| field.strip_prefix("f:") == Some(name))
        };
        let what = match owned(entry).find_map(word) {
            Some(field) => format!("status.{field}"),
            None if manager == CASSKOP => "the metadata".to_owned(),
            None => return None,
        };
        Some(ConflictEvidence::Wrote { manager, what })
    })
}

fn stopped(common: &BackRestStatus) -> Option<&Condition> {
    common
        .true_condition(STALLED)
        .filter(|known| Reason::AnotherExecutor == *known.reason)
}

fn entries(meta: &ObjectMeta) -> impl Iterator<Item = &ManagedFieldsEntry> {
    meta.managed_fields.iter().flatten()
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
}

/// The fields of the status that an entry owns, as they are written there: `f:condition`.
fn owned(entry: &ManagedFieldsEntry) -> impl Iterator<Item = &str> {
    let fields = entry
        .fields_v1
        .as_ref()
        .and_then(|fields| fields.0.get("f:status"));
    let fields = fields.and_then(Value::as_object).into_iter();
    fields.flat_map(|fields| fields.keys().map(String::as_str))
}

/// Leaves of the managed fields what [`is_contested`] looks at: whole, they are the larger half of an object.
/// `noted`: whether the status says what each node has done.
pub(in crate::reconcile) fn condense(meta: &mut ObjectMeta, noted: bool) {
    let telling = |entry: &ManagedFieldsEntry, field: &str| {
        let name = field.strip_prefix("f:").unwrap_or_default();
        if is_ours(entry) {
            !noted && name == "nodes"
        } else {
            COORDINATORS.contains(&name)
        }
    };
    let kept = entries(meta).filter_map(|entry| {
        let fields = owned(entry).filter(|field| telling(entry, field));
        let fields: Map<_, _> = fields.map(|field| (field.to_owned(), Value::Null)).collect();
        let is_casskops = entry.manager.as_deref() == Some(CASSKOP);
        (is_casskops || !fields.is_empty()).then(|| ManagedFieldsEntry {
            manager: entry.manager.clone(),
            fields_v1: Some(FieldsV1(serde_json::json!({ "f:status": fields }))),
            ..ManagedFieldsEntry::default()
        })
    });
    let kept: Vec<_> = kept.collect();
    meta.managed_fields = (!kept.is_empty()).then_some(kept);
}

/// Whether anything is to be taken over before a run of ours begins.
pub(super) fn is_shared(meta: &ObjectMeta) -> bool {
    let of_others = |entry: &ManagedFieldsEntry| {
        owned(entry).next().is_some() || entry.manager.as_deref() == Some(CASSKOP)
    };
    entries(meta).any(|entry| !is_ours(entry) && of_others(entry))
}

/// The managed fields when everything in the status is ours and `CassKop`'s name is nowhere. What we do not write any
/// more is then removed by our next write, whoever wrote it first.
pub(in crate::reconcile) fn taken_over(meta: &ObjectMeta) -> Vec<ManagedFieldsEntry> {
    let (mut own, others): (Vec<_>, Vec<_>) = entries(meta)
        .cloned()
        .partition(|entry| is_ours(entry) && entry.subresource.as_deref() == Some("status"));
    let mut status = Value::Object(Map::new());
    let mut kept = Vec::new();
    let mut last = None;
    for mut entry in others {
        let fields = entry
            .fields_v1
            .as_mut()
            .and_then(|fields| fields.0.as_object_mut());
        if let Some(theirs) = fields.and_then(|fields| fields.remove("f:status")) {
            unite(&mut status, theirs);
            last = Some(entry.clone());
        }
        let is_empty = entry
            .fields_v1
            .as_ref()
            .is_none_or(|fields| fields.0.as_object().is_none_or(Map::is_empty));
        if !is_empty && entry.manager.as_deref() != Some(CASSKOP) {
            kept.push(entry);
        }
    }
    let fields = serde_json::json!({ "f:status": status });
    match (own.first_mut(), last) {
        (_, None) => {}
        (Some(own), Some(_)) => {
            let mut united = own.fields_v1.take().map_or(Value::Null, |fields| fields.0);
            unite(&mut united, fields);
            own.fields_v1 = Some(FieldsV1(united));
        }
        (None, Some(theirs)) => own.push(ManagedFieldsEntry {
            manager: Some(FIELD_MANAGER.to_owned()),
            operation: Some("Apply".to_owned()),
            subresource: Some("status".to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..theirs
        }),
    }
    own.extend(kept);
    own
}

/// Adds the fields of one tree to another one.
fn unite(one: &mut Value, other: Value) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            for (field, below) in other {
                unite(one.entry(field).or_insert(Value::Null), below);
            }
        }
        (one, other) if one.is_null() => *one = other,
        _ => {}
    }
}

/// Stops the run: only its conditions change, and nothing is sent. `status` is the stored one.
pub(super) fn stop(
    making: &mut PlanBuilder<'_>,
    meta: &ObjectMeta,
    status: &mut impl RunStatus,
    sign: Option<&ConflictEvidence>,
) {
    making.close();
    making.events.clear();
    making.finalizer = Finalizer::Keep;
    making.take_over = false;
    let now = making.look.now;
    let common = status.common_mut();
    if sign == Some(&ConflictEvidence::Cut) {
        // A write would lose for good what may only be hidden, and so would letting go of it.
        making.warn_again(Reason::CrdNotOurs, ConflictEvidence::Cut.words());
        making.look_again(UNTIL_BACK);
    } else if meta.deletion_timestamp.is_some() {
        if is_held_by(RESTORE_FINALIZER, meta) {
            let message = "deleted after it was stopped: cassgate leaves everything as it is; what was fetched may \
                           still lie on the nodes, and tables that were emptied are empty";
            making.say(true, Reason::AnotherExecutor, message.to_owned());
            making.finalizer = Finalizer::Release;
        }
    } else if let Some(sign) = sign {
        let message = format!(
            "{}; fence it off, and look at the operations of the sidecars and at the data; then delete this object, \
             or let cassgate go on with the annotation {GO_ON_ANNOTATION}: \"{}\" (docs/executor.md)",
            sign.words(),
            moment(now).0
        );
        common.conditions.retain(|known| known.type_ != STALLED);
        let wait = Wait::stalled(Reason::AnotherExecutor, message.clone());
        conditions::tell(common, meta.generation, &Progress::Stalls(wait), now);
        making.say(true, Reason::AnotherExecutor, message);
    }
}

/// Lets a run go on that was stopped: what others wrote to its state does not count.
pub(super) fn resume(making: &mut PlanBuilder<'_>, meta: &ObjectMeta, common: &mut BackRestStatus) {
    making.take_over = is_shared(meta);
    common.conditions.retain(|known| known.type_ != STALLED);
    if !common.nodes.is_empty() {
        conditions::stand(common, ConditionType::Running, Vec::new(), making.look.now);
        common.time_completed = None;
    }
}

impl ConflictEvidence {
    fn words(&self) -> String {
        match self {
            Self::Wrote { manager, what } => format!(
                "{manager} wrote {what} while cassgate runs this: another executor may act on it, and cassgate sends \
                 nothing more"
            ),
            Self::Sent { pod, id } => format!(
                "the sidecar of {pod} has operation {id}, which cassgate did not send: another executor may act on \
                 the same tables, and cassgate sends nothing more"
            ),
            Self::Cut => "status.nodes is gone, which says what each node has done: either CassKop's CRDs are \
                          installed, which hide it, or somebody wrote this object while they were; nothing is sent. \
                          Install cassgate's CRDs: it goes on if status.nodes comes back. If it does not, look at \
                          the data, delete this object, remove cassgate's finalizer by hand, and create it again under \
                          another name"
                .to_owned(),
        }
    }
}
