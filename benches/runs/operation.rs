//! An operation of a modelled sidecar: accepted, finished after a while, and shown in the form of Icarus 2.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

/// One operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// Its number among all sidecars.
    pub(crate) number: u32,
    /// The request.
    pub(crate) body: Value,
    /// The time of the request.
    pub(crate) created: Timestamp,
    /// Its duration.
    pub(crate) lasts: Duration,
}

impl Operation {
    pub(crate) fn id(&self) -> String {
        format!("d8bbb89e-1b2a-404d-b4b2-{:012x}", self.number)
    }

    /// Returns a text field of the request.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.body.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn ends(&self) -> Timestamp {
        self.created + self.lasts
    }

    /// Returns the answer to `GET /operations/ID`; `listed` are the snapshots of a listing.
    pub(crate) fn shown(&self, listed: &[String]) -> Value {
        let now = Timestamp::now();
        let over = now >= self.ends();
        let mut shown = self.body.clone();
        let reported = json!({
            "id": self.id(),
            "state": if over { "COMPLETED" } else { "RUNNING" },
            "progress": if over { 1.0 } else { 0.5 },
            "errors": [],
            "creationTime": self.created.to_string(),
            "startTime": self.created.to_string(),
        });
        if let (Some(shown), Value::Object(reported)) = (shown.as_object_mut(), reported) {
            shown.extend(reported);
            if over {
                shown.insert("completionTime".to_owned(), json!(self.ends().to_string()));
            }
            if self.text("type") == "list" {
                shown.insert("response".to_owned(), listing(listed));
            }
        }
        shown
    }
}

fn listing(snapshots: &[String]) -> Value {
    let reports: Vec<_> = snapshots
        .iter()
        .map(|name| json!({"name": name, "files": 3, "size": 3_000, "unixtimestamp": 0}))
        .collect();
    json!({"totalSize": 3_000, "totalFiles": 3, "reports": reports})
}
