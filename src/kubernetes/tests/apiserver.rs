//! An API server in memory, behind kube's client.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
    future::pending,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, channel::mpsc};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::{Client, client::Body};
use serde_json::{Value, json};

const GROUP: &str = "/apis/db.orange.com/v2";

#[derive(Clone, Default)]
pub(super) struct ApiServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Objects by plural, namespace and name.
    objects: BTreeMap<(String, String, String), Value>,
    /// Scripted answers by path, or by `watch` and path. The last one repeats.
    instead: HashMap<String, VecDeque<Instead>>,
    /// The requested paths with their queries, in order.
    requests: Vec<String>,
    /// Open watches by plural.
    watches: Vec<(String, mpsc::UnboundedSender<String>)>,
    version: u64,
}

#[derive(Clone)]
pub(super) enum Instead {
    /// A `Status` with this code and message.
    Status(u16, &'static str),
    /// These bytes, with this code.
    Text(u16, String),
    /// No answer at all.
    Silence,
    /// The usual answer, after this time.
    Late(Duration),
    /// The usual answer.
    Usual,
    /// No connection.
    Broken(io::ErrorKind),
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

impl ApiServer {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        Client::new(
            tower::service_fn(move |request: Request<Body>| {
                let server = server.clone();
                let asked = request.uri().clone();
                async move { server.answer(&asked).await }
            }),
            "default",
        )
    }

    /// Stores the object and notifies the watches.
    pub(super) fn put(&self, plural: &str, object: &Value) {
        self.change(plural, object, "MODIFIED", |objects, key, object| {
            objects.insert(key, object);
        });
    }

    /// Deletes the object and notifies the watches.
    pub(super) fn delete(&self, plural: &str, object: &Value) {
        self.change(plural, object, "DELETED", |objects, key, _| {
            objects.remove(&key);
        });
    }

    /// Stores the object without notifying watches, as if a watch had missed the event.
    pub(super) fn put_silently(&self, plural: &str, object: &Value) {
        self.now().objects.insert(key(plural, object), object.clone());
    }

    pub(super) fn delete_silently(&self, plural: &str, object: &Value) {
        self.now().objects.remove(&key(plural, object));
    }

    /// Scripts the next answers; the last one repeats.
    pub(super) fn instead(&self, path: &str, answers: impl IntoIterator<Item = Instead>) {
        self.now()
            .instead
            .insert(path.to_owned(), answers.into_iter().collect());
    }

    /// Sends a line to all watches and ends them.
    pub(super) fn end_watches(&self, line: &str) {
        for (_, watch) in self.now().watches.drain(..) {
            let _ = watch.unbounded_send(line.to_owned());
        }
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.now().requests.clone()
    }

    pub(super) fn forget_requests(&self) {
        self.now().requests.clear();
    }

    fn now(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn change(
        &self,
        plural: &str,
        object: &Value,
        event: &str,
        change: impl FnOnce(&mut BTreeMap<(String, String, String), Value>, (String, String, String), Value),
    ) {
        let mut state = self.now();
        state.version += 1;
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        change(&mut state.objects, key(plural, &object), object.clone());
        let line = json!({"type": event, "object": object});
        state.watches.retain(|(watched, watch)| {
            watched != plural || watch.unbounded_send(format!("{line}\n")).is_ok()
        });
    }

    async fn answer(&self, asked: &Uri) -> io::Result<Answer> {
        let (path, query) = (asked.path(), asked.query().unwrap_or_default());
        self.now().requests.push(asked.to_string());
        let instead = if query.contains("watch=true") {
            format!("watch {path}")
        } else {
            path.to_owned()
        };
        match self.next_instead(&instead) {
            Instead::Status(code, message) => return Ok(status(code, message, &json!({}))),
            Instead::Text(code, text) => return Ok(whole(code, text)),
            Instead::Silence => pending().await,
            Instead::Broken(kind) => return Err(kind.into()),
            Instead::Late(time) => tokio::time::sleep(time).await,
            Instead::Usual => {}
        }
        Ok(self.usual(path, query))
    }

    fn next_instead(&self, asked: &str) -> Instead {
        let mut state = self.now();
        let Some(row) = state.instead.get_mut(asked) else {
            return Instead::Usual;
        };
        if row.len() > 1 {
            row.pop_front().unwrap()
        } else {
            row[0].clone()
        }
    }

    fn usual(&self, path: &str, query: &str) -> Answer {
        let parts: Vec<&str> = path
            .strip_prefix(GROUP)
            .unwrap_or(path)
            .split('/')
            .skip(1)
            .collect();
        match parts[..] {
            ["namespaces", namespace, plural, name]
            | ["api", "v1", "namespaces", namespace, plural, name] => {
                let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
                match self.now().objects.get(&key) {
                    Some(object) => whole(200, object.to_string()),
                    None => status(404, "not found", &json!({"name": name, "kind": plural})),
                }
            }
            ["api", "v1", plural, name] => {
                match self
                    .now()
                    .objects
                    .get(&(plural.to_owned(), String::new(), name.to_owned()))
                {
                    Some(object) => whole(200, object.to_string()),
                    None => status(404, "not found", &json!({"name": name, "kind": plural})),
                }
            }
            [plural] | ["api", "v1", plural] if query.contains("watch=true") => self.watch(plural),
            [plural] | ["api", "v1", plural] => self.list(plural, query),
            _ => whole(404, "404 page not found\n".to_owned()),
        }
    }

    fn watch(&self, plural: &str) -> Answer {
        let (sender, receiver) = mpsc::unbounded::<String>();
        self.now().watches.push((plural.to_owned(), sender));
        let lines = receiver.map(|line| Ok(Frame::data(Bytes::from(line))));
        Response::new(StreamBody::new(lines).boxed_unsync())
    }

    /// Returns a page of `limit` objects; the token is the number of objects before it.
    fn list(&self, plural: &str, query: &str) -> Answer {
        let state = self.now();
        let number = |name: &str| -> Option<usize> {
            query
                .split('&')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        };
        let (from, limit) = (
            number("continue").unwrap_or(0),
            number("limit").unwrap_or(usize::MAX),
        );
        let all: Vec<&Value> = state
            .objects
            .iter()
            .filter(|((kind, ..), _)| kind == plural)
            .map(|(_, object)| object)
            .collect();
        let items: Vec<&&Value> = all.iter().skip(from).take(limit).collect();
        let end = from + items.len();
        let token = if end < all.len() {
            end.to_string()
        } else {
            String::new()
        };
        let metadata = json!({"resourceVersion": (state.version + 1).to_string(), "continue": token});
        whole(
            200,
            json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items}).to_string(),
        )
    }
}

fn key(plural: &str, object: &Value) -> (String, String, String) {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (plural.to_owned(), text("namespace"), text("name"))
}

/// A `Status` as the API server sends it.
fn status(code: u16, message: &str, details: &Value) -> Answer {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        410 => "Expired",
        500 => "InternalError",
        _ => "Unknown",
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message, "details": details,
    });
    whole(code, status.to_string())
}

fn whole(code: u16, text: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response
}
