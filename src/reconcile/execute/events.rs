//! Publishes the events of a plan.

use kube::Client;
use kube::runtime::events::{Event as KubeEvent, EventType, Recorder, Reporter};

use crate::reconcile::object::ReconciledObject;
use crate::reconcile::plan::Event;

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
            tracing::warn!(%error, reason = event.reason.as_str(), "failed to publish an event");
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
