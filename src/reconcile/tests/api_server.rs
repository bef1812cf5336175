//! An API server in memory that records the requests: reads, lists, watches, and the patches that cassgate sends.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

/// The time from a request to its answer.
const LATENCY: Duration = Duration::from_millis(2);

/// The API server; clones share their state.
#[derive(Clone, Default)]
pub(super) struct ApiServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<Place, Value>,
    version: u64,
    watches: Vec<(Place, mpsc::UnboundedSender<String>)>,
    requests: Vec<(Method, String)>,
    events: Vec<Value>,
    /// The number of status writes so far.
    status_writes: usize,
    /// The status writes that fail, counted from 0.
    failing_writes: Range<usize>,
}

/// An object, or with an empty name a collection. Without a namespace the collection has the objects of all namespaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    plural: String,
    namespace: Option<String>,
    name: String,
}

impl Place {
    /// Parses a path. Returns the place and the subresource.
    fn parse(path: &str) -> (Self, Option<&str>) {
        let mut parts = path.trim_matches('/').split('/');
        let group_parts = if parts.next() == Some("api") { 1 } else { 2 };
        let mut parts = parts.skip(group_parts).peekable();
        let namespace = parts.next_if_eq(&"namespaces").and_then(|_| parts.next());
        let place = Self {
            plural: parts.next().unwrap_or("namespaces").to_owned(),
            namespace: namespace.map(str::to_owned),
            name: parts.next().unwrap_or_default().to_owned(),
        };
        (place, parts.next())
    }

    fn has(&self, other: &Self) -> bool {
        self.plural == other.plural && (self.namespace.is_none() || self.namespace == other.namespace)
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

impl ApiServer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        let answer = move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        };
        Client::new(service_fn(answer), "team")
    }

    /// Stores an object and notifies the watches.
    pub(super) fn put(&self, plural: &str, object: Value) {
        let text = |name: &str| object["metadata"][name].as_str().map(str::to_owned);
        let place = Place {
            plural: plural.to_owned(),
            namespace: text("namespace"),
            name: text("name").unwrap(),
        };
        self.state().store(place, object);
    }

    /// Stores an object of the namespace `team` that no watch reports.
    pub(super) fn put_unseen(&self, plural: &str, object: Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.state().objects.insert(at(plural, name), object);
    }

    /// Deletes an object of the namespace `team` and notifies the watches.
    pub(super) fn delete(&self, plural: &str, name: &str) {
        let mut state = self.state();
        let object = state.objects.remove(&at(plural, name)).unwrap();
        state.notify(&at(plural, name), "DELETED", &object);
    }

    /// Returns an object of the namespace `team`.
    pub(super) fn get(&self, plural: &str, name: &str) -> Value {
        self.state()
            .objects
            .get(&at(plural, name))
            .cloned()
            .unwrap_or_default()
    }

    /// Returns the number of reads, without watches, and the writes.
    pub(super) fn requests(&self) -> (Vec<String>, Vec<String>) {
        let requests = self.state().requests.clone();
        let of = |read: bool| {
            let of = requests
                .iter()
                .filter(|(method, _)| (*method == Method::GET) == read);
            of.map(|(_, path)| path.clone()).collect::<Vec<_>>()
        };
        let (mut reads, writes) = (of(true), of(false));
        reads.retain(|path| !path.contains("watch=true"));
        (reads, writes)
    }

    /// Lets these status writes fail, counted from the begin.
    pub(super) fn fail_status_writes(&self, writes: Range<usize>) {
        self.state().failing_writes = writes;
    }

    /// Returns the number of status writes, also of those that failed.
    pub(super) fn status_writes(&self) -> usize {
        self.state().status_writes
    }

    /// Returns the reason and the note of every event.
    pub(super) fn events(&self) -> Vec<(String, String)> {
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let state = self.state();
        state
            .events
            .iter()
            .map(|event| (text(event, "reason"), text(event, "note")))
            .collect()
    }

    pub(super) fn forget_requests(&self) {
        self.state().requests.clear();
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        tokio::time::sleep(LATENCY).await;
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let (place, subresource) = Place::parse(head.uri.path());
        let mut state = self.state();
        state.requests.push((head.method.clone(), head.uri.to_string()));
        if head.method != Method::GET {
            let body: Value = serde_json::from_slice(&body).unwrap();
            if place.plural == "events" {
                state.events.push(body.clone());
                return whole(StatusCode::CREATED, &body);
            }
            if subresource == Some("status") {
                let number = state.status_writes;
                state.status_writes += 1;
                if state.failing_writes.contains(&number) {
                    return failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
                }
            }
            return state.patch(&place, subresource, &body);
        }
        if !place.name.is_empty() {
            return match state.objects.get(&place) {
                Some(object) => whole(StatusCode::OK, object),
                None => failure(StatusCode::NOT_FOUND, "NotFound"),
            };
        }
        if query.contains("watch=true") {
            return state.watch(place);
        }
        let selected = |object: &Value| {
            let label = object["metadata"]["labels"]["cassandracluster"].as_str();
            let wanted = format!("cassandracluster%3D{}", label.unwrap_or_default());
            !query.contains("labelSelector") || query.split('&').any(|part| part.ends_with(&wanted))
        };
        let items = state.objects.iter().filter(|(other, _)| place.has(other));
        let items: Vec<_> = items
            .map(|(_, object)| object)
            .filter(|object| selected(object))
            .collect();
        let metadata = json!({ "resourceVersion": state.version.to_string() });
        whole(
            StatusCode::OK,
            &json!({ "apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items }),
        )
    }
}

impl State {
    fn store(&mut self, place: Place, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let event = if self.objects.contains_key(&place) {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.notify(&place, event, &object);
        self.objects.insert(place, object.clone());
        object
    }

    fn notify(&mut self, place: &Place, event: &str, object: &Value) {
        let line = json!({ "type": event, "object": object });
        self.watches.retain(|(watched, watch)| {
            !watched.has(place) || watch.unbounded_send(format!("{line}\n")).is_ok()
        });
    }

    fn watch(&mut self, place: Place) -> Answer {
        let (sender, receiver) = mpsc::unbounded::<String>();
        self.watches.push((place, sender));
        let lines = receiver.map(|line| Ok(Frame::data(Bytes::from(line))));
        Response::new(StreamBody::new(lines).boxed_unsync())
    }

    /// Applies a status, or merges a patch of the metadata. Both carry the version that they are based on.
    fn patch(&mut self, place: &Place, subresource: Option<&str>, body: &Value) -> Answer {
        let Some(mut object) = self.objects.get(place).cloned() else {
            return failure(StatusCode::NOT_FOUND, "NotFound");
        };
        for precondition in ["uid", "resourceVersion"] {
            let expected = &body["metadata"][precondition];
            if !expected.is_null() && *expected != object["metadata"][precondition] {
                return failure(StatusCode::CONFLICT, "Conflict");
            }
        }
        if subresource == Some("status") {
            object["status"] = body["status"].clone();
        } else {
            for (field, value) in body["metadata"].as_object().unwrap() {
                if field != "annotations" {
                    object["metadata"][field] = value.clone();
                }
            }
        }
        whole(StatusCode::OK, &self.store(place.clone(), object))
    }
}

fn at(plural: &str, name: &str) -> Place {
    Place {
        plural: plural.to_owned(),
        namespace: Some("team".to_owned()),
        name: name.to_owned(),
    }
}

fn failure(code: StatusCode, reason: &str) -> Answer {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": reason,
    });
    whole(code, &status)
}

fn whole(code: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::from(body.to_string()).boxed_unsync());
    *answer.status_mut() = code;
    answer
}
