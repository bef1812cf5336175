//! The sidecars of many rings, each at its own address, that answer at once and do nothing.
//!
//! A real sidecar and Cassandra take half a gigabyte per node. Only the API matters here, in the forms that were
//! observed on real ones.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cassgate::icarus::PORT;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Result;
use crate::operation::Operation;

const SCHEMA: &str = "168d568b-d346-3f61-968f-a2716307a6e4";

/// A request for an operation.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    /// The time of its arrival.
    pub(crate) at: Timestamp,
    /// The end of the operation.
    pub(crate) ends: Timestamp,
    /// The number of the ring that received it.
    pub(crate) ring: usize,
    /// The tag of a backup; `None` for other operations.
    pub(crate) tag: Option<String>,
}

/// All sidecars. Clones share their state.
#[derive(Debug, Clone)]
pub(crate) struct Sidecars {
    state: Arc<Mutex<State>>,
    /// The number of requests so far, for tasks that wait for one.
    posts: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    rings: Vec<Vec<Node>>,
    places: HashMap<IpAddr, (usize, usize)>,
    posts: Vec<Post>,
    operations: u32,
    /// Duration of a backup.
    lasts: Duration,
    /// Duration of the downloads of a restore.
    download: Duration,
    /// The times of the questions about operations.
    questions: Vec<Timestamp>,
}

#[derive(Debug)]
struct Node {
    address: IpAddr,
    operations: Vec<Operation>,
}

impl Sidecars {
    /// Creates an empty set; a backup takes `lasts`, and all other operations take no time.
    pub(crate) fn new(lasts: Duration) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                lasts,
                ..State::default()
            })),
            posts: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the sidecars of a ring and returns their addresses.
    ///
    /// # Errors
    /// An error if an address cannot be bound.
    pub(crate) async fn ring(&self, nodes: u8) -> Result<Vec<IpAddr>> {
        // Listeners of earlier measurements run until the bench ends.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (high, low) = (u8::try_from(64 + number / 250)?, u8::try_from(number % 250)?);
        let addresses: Vec<_> = (1..=nodes)
            .map(|node| IpAddr::from(Ipv4Addr::new(127, high, low, node)))
            .collect();
        let mut listeners = Vec::new();
        for address in &addresses {
            let at = SocketAddr::new(*address, PORT);
            let listener = TcpListener::bind(at).await;
            listeners.push(listener.map_err(|error| format!("{at}: {error}"))?);
        }
        let mut state = self.state();
        let ring = state.rings.len();
        for (number, address) in addresses.iter().enumerate() {
            state.places.insert(*address, (ring, number));
        }
        let nodes = addresses.iter().map(|address| Node {
            address: *address,
            operations: Vec::new(),
        });
        state.rings.push(nodes.collect());
        drop(state);
        for (listener, address) in listeners.into_iter().zip(&addresses) {
            tokio::spawn(self.clone().serve(listener, *address));
        }
        Ok(addresses)
    }

    /// Makes the downloads of restores take this long from now on.
    pub(crate) fn download_for(&self, duration: Duration) {
        self.state().download = duration;
    }

    /// Returns the times of the questions about operations since `begin`.
    pub(crate) fn questions(&self, begin: Timestamp) -> Vec<Timestamp> {
        let state = self.state();
        let later = state.questions.iter().filter(|time| **time >= begin);
        later.copied().collect()
    }

    /// Returns all requests so far.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.state().posts.clone()
    }

    /// Waits for the backup whose tag begins with `tag`.
    ///
    /// # Errors
    /// An error if it does not arrive in time.
    pub(crate) async fn backed_up(&self, tag: &str, within: Duration) -> Result<Post> {
        let begins = |post: &&Post| post.tag.as_ref().is_some_and(|sent| sent.starts_with(tag));
        let mut seen = self.posts.subscribe();
        let wait = async {
            loop {
                seen.borrow_and_update();
                if let Some(post) = self.state().posts.iter().find(begins) {
                    return Some(post.clone());
                }
                if seen.changed().await.is_err() {
                    return None;
                }
            }
        };
        let post = tokio::time::timeout(within, wait).await;
        post.ok()
            .flatten()
            .ok_or_else(|| format!("no sidecar was sent {tag} in {within:?}").into())
    }

    async fn serve(self, listener: TcpListener, address: IpAddr) {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            let sidecars = self.clone();
            let service = service_fn(move |request| sidecars.clone().answer(address, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client may close its connection at any time.
            tokio::spawn(async move { drop(connection.await) });
        }
    }

    async fn answer(
        self,
        at: IpAddr,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let body = request.into_body().collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let found = self.state().found(at, &method, uri.path(), uri.query(), &body);
        if method == Method::POST {
            self.posts.send_modify(|count| *count += 1);
        }
        let (status, body) = match found {
            Some(value) => (StatusCode::OK, value.to_string()),
            None => (StatusCode::INTERNAL_SERVER_ERROR, "HTTP 404 Not Found".to_owned()),
        };
        let mut answer = Response::new(Full::from(body));
        *answer.status_mut() = status;
        Ok(answer)
    }
}

impl State {
    fn found(
        &mut self,
        at: IpAddr,
        method: &Method,
        path: &str,
        query: Option<&str>,
        body: &[u8],
    ) -> Option<Value> {
        let (ring, node) = self.places.get(&at).copied()?;
        if *method == Method::POST {
            return self.taken_up(ring, node, serde_json::from_slice(body).ok()?);
        }
        if path.starts_with("/operations") {
            self.questions.push(Timestamp::now());
        }
        match path {
            "/status" => Some(json!({"nodeState": "NORMAL"})),
            "/version" => Some(json!({"version": "instaclustr-icarus 2.0.4"})),
            "/version/schema" => Some(json!({"schemaVersion": SCHEMA})),
            "/version/cassandra" => Some(json!({"major": 4, "minor": 1, "patch": 9})),
            "/topology" => Some(self.topology(ring)?),
            "/operations" => {
                let operations = &self.rings.get(ring)?.get(node)?.operations;
                let shown = operations.iter().rev().map(|one| one.shown(&[]));
                let filters =
                    ["type", "state"].map(|field| (field, values(query.unwrap_or_default(), field)));
                let is_wanted = |one: &Value| {
                    filters.iter().all(|(field, values)| {
                        let value = one.get(*field).and_then(Value::as_str).unwrap_or_default();
                        values.is_empty() || values.contains(&value)
                    })
                };
                Some(shown.filter(is_wanted).collect())
            }
            _ => {
                let id = path.strip_prefix("/operations/")?;
                let operations = &self.rings.get(ring)?.get(node)?.operations;
                let operation = operations.iter().find(|operation| operation.id() == id)?;
                Some(operation.shown(&self.snapshots(ring)))
            }
        }
    }

    fn taken_up(&mut self, ring: usize, node: usize, body: Value) -> Option<Value> {
        self.operations += 1;
        let mut operation = Operation {
            number: self.operations,
            body,
            created: Timestamp::now(),
            lasts: Duration::ZERO,
        };
        let tag = (operation.text("type") == "backup").then(|| operation.text("snapshotTag").to_owned());
        if tag.is_some() {
            operation.lasts = self.lasts;
        } else if operation.text("restorationPhase") == "DOWNLOAD" {
            operation.lasts = self.download;
        }
        self.posts.push(Post {
            at: operation.created,
            ends: operation.ends(),
            ring,
            tag,
        });
        let shown = operation.shown(&self.snapshots(ring));
        let node = self.rings.get_mut(ring)?.get_mut(node)?;
        node.operations.push(operation);
        Some(shown)
    }

    /// Returns the snapshots of a ring: every node has all of them.
    fn snapshots(&self, ring: usize) -> Vec<String> {
        let posts = self.posts.iter().filter(|post| post.ring == ring);
        posts.filter_map(|post| post.tag.clone()).collect()
    }

    fn topology(&self, ring: usize) -> Option<Value> {
        let nodes = self.rings.get(ring)?.iter().enumerate();
        let nodes: Vec<_> = nodes
            .map(|(number, node)| {
                json!({
                    "hostname": node.address, "cluster": format!("ring-{ring}"), "dc": "dc1", "rack": "rack1",
                    "nodeId": format!("9da86270-7a5c-4a0b-9e9b-{ring:06x}{number:06x}"), "ipAddress": node.address,
                })
            })
            .collect();
        Some(json!({"clusterName": format!("ring-{ring}"), "schemaVersion": SCHEMA, "topology": nodes}))
    }
}

/// Returns the values of a parameter of a query. Of several, as in Icarus, one has to match.
fn values<'q>(query: &'q str, parameter: &str) -> Vec<&'q str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let of_parameter = pairs.filter(|(name, _)| *name == parameter);
    of_parameter.map(|(_, value)| value).collect()
}
