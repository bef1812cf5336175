//! The webhook itself: bytes in, an answer out, both paths.

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

/// The most bytes of an answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The most characters of a warning, and of all of them.
const LONGEST_WARNING: usize = 256;
const LONGEST_WARNINGS: usize = 4096;

/// The value of every Secret of [`world`]: it is in no answer.
const TOP_SECRET: &str = "hunter2-hunter2";

/// Bytes as they are; and, unless they begin as JSON does, a [`Script`].
pub fn review(data: &[u8]) {
    let gate = Gate::of(&Policy::default(), false, false);
    for path in ["/mutate", "/validate"] {
        raw(&gate, path, data);
    }
    if let Some(text) = super::text(data).filter(|text| !text.starts_with(['{', '['])) {
        scripted(&Script::read(text));
    }
}

/// A webhook with its facts.
struct Gate {
    router: Router,
    runtime: Runtime,
}

thread_local! {
    /// The webhooks that were asked for before: to make one takes longer than to ask it.
    static GATES: RefCell<BTreeMap<String, Rc<Gate>>> = const { RefCell::new(BTreeMap::new()) };
}

impl Gate {
    /// The webhook of a policy, of a cluster whose status is `apart` or not, asked by who may read Secrets or not.
    fn of(policy: &Policy, apart: bool, reader: bool) -> Rc<Self> {
        let key = format!("{policy:?} {apart} {reader}");
        GATES.with_borrow_mut(|gates| {
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

    /// The code and the bytes of an answer.
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

    /// The `response` of the answer to a well-formed review, looked at.
    fn ask(&self, path: &str, review: &Value) -> Value {
        let (status, body) = self.post(path, review.to_string().as_bytes());
        assert_eq!(status, StatusCode::OK);
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        assert!(body.len() < LONGEST_ANSWER, "{} bytes", body.len());
        assert!(!answer.to_string().contains(TOP_SECRET) || review.to_string().contains(TOP_SECRET));
        told(&answer["response"]);
        answer["response"].take()
    }
}

/// A cluster in memory, with something of everything that rules ask for.
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

fn raw(gate: &Gate, path: &str, body: &[u8]) {
    let (status, answer) = gate.post(path, body);
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    if status == StatusCode::OK {
        // Valid JSON, or it was no review. What it says of itself comes back, whatever it is.
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        if !asked.is_null() {
            assert_eq!(answer["response"]["uid"], asked["request"]["uid"]);
        }
        told(&answer["response"]);
    } else {
        assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(400)));
        assert_eq!(
            (&answer["kind"], &answer["status"]),
            (&json!("Status"), &json!("Failure"))
        );
    }
}

/// What holds for every answer.
fn told(response: &Value) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut total = 0;
    for warning in list(&response["warnings"]) {
        let text = warning.as_str().expect("a text");
        let length = text.chars().count();
        assert!((1..=LONGEST_WARNING).contains(&length), "{text:?}");
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(
            text.ends_with(']') || text.ends_with(" more warnings of cassgate"),
            "{text:?}"
        );
        total += length;
    }
    assert!(total <= LONGEST_WARNINGS, "{total}");
    let causes = list(&response["status"]["details"]["causes"]);
    assert_eq!(response["allowed"], causes.is_empty(), "a refusal says why");
    for cause in causes {
        let text = cause["message"].as_str().expect("a text");
        // What stands behind the causes that fit is of no rule.
        let rest = text.starts_with("and ") && text.contains(" more; ");
        assert!(rest || text.ends_with(']'), "{text:?}");
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

/// The mutating side, then the validating side, as the API server asks them.
fn scripted(script: &Script) {
    let gate = Gate::of(&script.policy, script.apart, script.reader);
    let came = script.review(&script.object);
    let as_it_came = gate.ask("/validate", &came);
    if script.operation == "DELETE" {
        assert_eq!(gate.ask("/mutate", &came)["patch"], Value::Null);
        return;
    }
    let answer = gate.ask("/mutate", &came);
    assert_eq!(answer["allowed"], true, "the mutating side never refuses");
    let object = patched(&script.object, &answer);
    let again = gate.ask("/mutate", &script.review(&object));
    assert_eq!(
        again["patch"],
        Value::Null,
        "applied twice it changes nothing more"
    );
    let filled = gate.ask("/validate", &script.review(&object));
    // A status that was carried in is stripped, so only the rest is judged alike.
    if script.operation == "CREATE" && script.object["status"].is_null() {
        assert_eq!(
            rules(&filled),
            rules(&as_it_came),
            "a defaulted object is judged as before"
        );
    }
    assert_eq!(
        gate.ask("/validate", &script.review(&object)),
        filled,
        "asked again, answered alike"
    );
}

/// The rules that refuse.
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

/// The object with the patch, which adds what was absent, and mends a status.
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
        let mends = at == "/status" || at.starts_with("/status/");
        let fills = at.starts_with("/spec/") && change["op"] == "add" && object.pointer(at).is_none();
        assert!(mends || fills, "{change}");
    }
    let patch: json_patch::Patch = serde_json::from_slice(&bytes).expect("a patch");
    json_patch::patch(&mut object, &patch).expect("a patch of this object");
    object
}
