//! The target for the webhook: any bytes as the body of a request to both paths.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cassgate::admission::{Admission, router};
use cassgate::rules::policy::Policy;
use cassgate::telemetry::metrics::Metrics;
use http::{Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::script::Script;
use super::world::World;

/// The maximum size of an answer, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The maximum length of a warning, in characters.
const MAX_WARNING_LENGTH: usize = 256;

/// The maximum length of all warnings of an answer, in characters.
const MAX_WARNINGS_LENGTH: usize = 4096;

/// The value of every Secret of [`world`], which no answer may contain.
const TOP_SECRET: &str = "hunter2-hunter2";

/// Sends the bytes as they are, and also as a [`Script`] unless they start like JSON.
pub fn review(data: &[u8]) {
    let gate = Webhook::of(&Policy::default(), false, false);
    for path in ["/mutate", "/validate"] {
        raw(&gate, path, data);
    }
    if let Some(text) = super::text(data).filter(|text| !text.starts_with(['{', '['])) {
        scripted(&Script::read(text));
    }
}

/// A webhook with its facts.
struct Webhook {
    router: Router,
    runtime: Runtime,
}

thread_local! {
    /// The webhooks of earlier inputs, because building one takes longer than a request.
    static WEBHOOKS: RefCell<BTreeMap<String, Rc<Webhook>>> = const { RefCell::new(BTreeMap::new()) };
}

impl Webhook {
    /// Returns the webhook with a policy. `apart` is true if the status is a subresource, `reader` if the caller may read
    /// Secrets.
    fn of(policy: &Policy, apart: bool, reader: bool) -> Rc<Self> {
        let key = format!("{policy:?} {apart} {reader}");
        WEBHOOKS.with_borrow_mut(|gates| {
            let gate = gates.entry(key);
            Rc::clone(gate.or_insert_with(|| Rc::new(Self::new(policy, apart, reader))))
        })
    }

    fn new(policy: &Policy, apart: bool, reader: bool) -> Self {
        let admission = Admission {
            facts: Arc::new(world(reader)),
            policy: policy.clone(),
            metrics: Metrics::new(),
            status_is_subresource: Box::new(move |_| Some(apart)),
            now: || Timestamp::constant(1_795_000_000, 0),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        Self {
            router: router(Arc::new(admission)),
            runtime: runtime.expect("a runtime"),
        }
    }

    /// Sends a request and returns the status and the body of the answer.
    fn post(&self, path: &str, body: &[u8]) -> (StatusCode, Vec<u8>) {
        let request = Request::post(path)
            .body(Body::from(body.to_vec()))
            .expect("a request");
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("an answer");
            let status = response.status();
            let body = to_bytes(response.into_body(), usize::MAX)
                .await
                .expect("its body");
            (status, body.to_vec())
        })
    }

    /// Sends a well-formed review, checks the answer and returns its `response`.
    fn ask(&self, path: &str, review: &Value) -> Value {
        let (status, body) = self.post(path, review.to_string().as_bytes());
        assert_eq!(status, StatusCode::OK);
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        assert!(body.len() < MAX_ANSWER_BYTES, "{} bytes", body.len());
        assert!(!answer.to_string().contains(TOP_SECRET) || review.to_string().contains(TOP_SECRET));
        check_response(&answer["response"]);
        answer["response"].take()
    }
}

/// Builds a Kubernetes cluster in memory with every kind of object that rules read.
fn world(reader: bool) -> World {
    let cluster = |name: &str, icarus: &str, dcs: &[&str]| {
        let dcs: Vec<Value> = dcs
            .iter()
            .map(|dc| json!({"name": dc, "rack": [{"name": "r1"}]}))
            .collect();
        let image = format!("ghcr.io/cscetbon/instaclustr-icarus:{icarus}");
        json!({"kind": "CassandraCluster", "metadata": {"name": name, "namespace": "prod"},
               "spec": {"topology": {"dc": dcs}, "backRestSidecar": {"image": image}}})
    };
    let secret = |name: &str, keys: &[&str]| {
        let data: serde_json::Map<String, Value> = keys
            .iter()
            .map(|key| ((*key).to_owned(), json!(TOP_SECRET)))
            .collect();
        json!({"kind": "Secret", "metadata": {"name": name, "namespace": "prod"}, "stringData": data})
    };
    let backup = |namespace: &str, name: &str, more: Value, state: &str| {
        let mut spec = json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": name, "secret": "s3"});
        spec.as_object_mut()
            .expect("a map")
            .extend(more.as_object().cloned().unwrap_or_default());
        json!({"kind": "CassandraBackup", "metadata": {"name": name, "namespace": namespace}, "spec": spec,
               "status": {"condition": {"type": state}}})
    };
    let restore = |name: &str, backup: &str, state: &str| {
        json!({"kind": "CassandraRestore", "metadata": {"name": name, "namespace": "prod"},
               "spec": {"cassandraCluster": "c1", "cassandraBackup": backup},
               "status": {"condition": {"type": state}, "timeCompleted": "2026-01-02T00:00:00Z"}})
    };
    World {
        objects: vec![
            cluster("c1", "1.1.3", &["dc1", "dc2"]),
            cluster("c2", "2.0.4", &["dc1"]),
            cluster("c3", "3.0.0", &["dc1"]),
            secret("s3", &["awsaccesskeyid", "awssecretaccesskey", "awsregion"]),
            secret("half", &["awsaccesskeyid", "gcp", "awsendpoint"]),
            backup("prod", "tables", json!({"entities": "k1.t1,k2.t3"}), "COMPLETED"),
            backup("prod", "keyspaces", json!({"entities": "k1,k2"}), "COMPLETED"),
            backup("prod", "everything", json!({}), "COMPLETED"),
            backup("prod", "failed", json!({"datacenter": "dc1"}), "FAILED"),
            backup(
                "prod",
                "nightly",
                json!({"schedule": "@daily", "cassandraCluster": "c2"}),
                "RUNNING",
            ),
            backup("other", "weekly", json!({"schedule": "@weekly"}), "COMPLETED"),
            restore("waiting", "keyspaces", "PENDING"),
            restore("over", "tables", "FAILED"),
        ],
        reads_secrets: reader,
        ..World::default()
    }
}

fn raw(gate: &Webhook, path: &str, body: &[u8]) {
    let (status, answer) = gate.post(path, body);
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    if status == StatusCode::OK {
        // The answer to a valid review repeats its uid, whatever that is.
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        if !asked.is_null() {
            assert_eq!(answer["response"]["uid"], asked["request"]["uid"]);
        }
        check_response(&answer["response"]);
    } else {
        assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(400)));
        assert_eq!(
            (&answer["kind"], &answer["status"]),
            (&json!("Status"), &json!("Failure"))
        );
    }
}

/// Checks the properties of every answer.
fn check_response(response: &Value) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut total = 0;
    for warning in list(&response["warnings"]) {
        let text = warning.as_str().expect("a text");
        let length = text.chars().count();
        assert!((1..=MAX_WARNING_LENGTH).contains(&length), "{text:?}");
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(
            text.ends_with(" more warnings [cassgate]")
                || text.contains(" [cassgate ") && text.ends_with(']'),
            "{text:?}"
        );
        total += length;
    }
    assert!(total <= MAX_WARNINGS_LENGTH, "{total}");
    let causes = list(&response["status"]["details"]["causes"]);
    assert_eq!(response["allowed"], causes.is_empty(), "a denial has causes");
    for cause in causes {
        let text = cause["message"].as_str().expect("a text");
        // The note on the causes that do not fit has no rule.
        let rest = text.starts_with("and ") && text.ends_with(" [cassgate]");
        let has_rule = text.contains(" [cassgate ") && text.ends_with(']');
        assert!(rest || has_rule, "{text:?}");
        assert!(!text.contains(char::is_control), "{text:?}");
        let field = cause["field"].as_str().expect("a field");
        assert!(
            !field.is_empty() && !field.contains(char::is_control),
            "{field:?}"
        );
    }
    if response["allowed"] == false {
        assert!(response["patch"].is_null());
        let message = response["status"]["message"].as_str().expect("a message");
        assert!(!message.contains(char::is_control), "{message:?}");
        assert!(matches!(response["status"]["code"].as_u64(), Some(422 | 403)));
    }
}

/// Sends a script to the mutating and then to the validating webhook, as the API server does.
fn scripted(script: &Script) {
    let gate = Webhook::of(&script.policy, script.apart, script.reader);
    let came = script.review(&script.object);
    let as_it_came = gate.ask("/validate", &came);
    if script.operation == "DELETE" {
        assert_eq!(gate.ask("/mutate", &came)["patch"], Value::Null);
        return;
    }
    let answer = gate.ask("/mutate", &came);
    assert_eq!(answer["allowed"], true, "the mutating webhook never denies");
    let object = patched(&script.object, &answer);
    let again = gate.ask("/mutate", &script.review(&object));
    assert_eq!(
        again["patch"],
        Value::Null,
        "a second application changes nothing"
    );
    let filled = gate.ask("/validate", &script.review(&object));
    // The mutating webhook removes a status on CREATE, so only an object without one has the same verdict.
    if script.operation == "CREATE" && script.object["status"].is_null() {
        assert_eq!(
            rules(&filled),
            rules(&as_it_came),
            "an object has the same verdict with its defaults"
        );
    }
    assert_eq!(
        gate.ask("/validate", &script.review(&object)),
        filled,
        "the same review has the same answer"
    );
}

/// Returns the rules that deny.
fn rules(response: &Value) -> BTreeSet<String> {
    let causes = response["status"]["details"]["causes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let rule = |cause: &Value| {
        cause["message"]
            .as_str()?
            .rsplit_once('[')
            .map(|(_, rule)| rule.to_owned())
    };
    causes.iter().filter_map(rule).collect()
}

/// Applies the patch of an answer and checks that it only adds absent fields and restores a status.
fn patched(object: &Value, answer: &Value) -> Value {
    let mut object = object.clone();
    let Some(patch) = answer["patch"].as_str() else {
        return object;
    };
    assert_eq!(answer["patchType"], "JSONPatch");
    let bytes = STANDARD.decode(patch).expect("base64");
    let changes: Vec<Value> = serde_json::from_slice(&bytes).expect("a patch");
    for change in &changes {
        let at = change["path"].as_str().expect("a path");
        let restores = at == "/status" || at.starts_with("/status/");
        let fills = at.starts_with("/spec/") && change["op"] == "add" && object.pointer(at).is_none();
        assert!(restores || fills, "{change}");
    }
    let patch: json_patch::Patch = serde_json::from_slice(&bytes).expect("a patch");
    json_patch::patch(&mut object, &patch).expect("a patch of this object");
    object
}
