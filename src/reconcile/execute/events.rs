//! Publishes the events of a plan.

use kube::Client;
use kube::runtime::events::{Event as KubeEvent, EventType, Recorder, Reporter};

use crate::reconcile::object::ReconciledObject;
use crate::reconcile::plan::Event;
use crate::telemetry::api_error::{is_namespace_terminating, log_text};

/// The limit of the events API for a note, in bytes.
const MAX_NOTE_LENGTH: usize = 1024;

/// Publishes events. A failure is only logged, because the status has the same facts.
///
/// kube's recorder merges events of one reason within six minutes and drops the message of the second one. If two
/// snapshots were removed, only the first would be reported. So every event gets a recorder of its own, and a plan
/// reports each fact once. `repeated_events` merges on purpose: it is for events that every reconcile reports anew,
/// because the status that would record them cannot be written.
pub(in crate::reconcile) async fn publish<K: ReconciledObject>(
    client: &Client,
    repeated_events: &Recorder,
    object: &K,
    events: &[Event],
) {
    let reference = object.object_ref(&());
    for event in events {
        let kube_event = KubeEvent {
            type_: if event.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: event.reason.as_str().to_owned(),
            note: Some(truncate(&event.message)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let recorder = if event.repeated {
            repeated_events.clone()
        } else {
            Recorder::new(client.clone(), Reporter::from("cassgate"))
        };
        if let Err(error) = recorder.publish(&kube_event, &reference).await {
            let (reason, error_text) = (event.reason.as_str(), log_text(&error));
            // A namespace that is being deleted accepts no event, and its objects are deleted one after the other.
            if is_namespace_terminating(&error) {
                tracing::debug!(
                    error = error_text,
                    reason,
                    "the namespace of an event is being deleted"
                );
            } else {
                tracing::warn!(error = error_text, reason, "failed to publish an event");
            }
        }
    }
}

fn truncate(message: &str) -> String {
    let mut end = message.len().min(MAX_NOTE_LENGTH);
    while !message.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    message.get(..end).unwrap_or_default().to_owned()
}
