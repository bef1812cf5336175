//! Reviews in process, one after another, without a connection: the work of the handler alone.
//!
//! Meant for counting. Instructions and allocations do not depend on other activity of the machine: run `valgrind
//! --tool=callgrind` or `--tool=dhat` with `BENCH handler --reviews 2000` and with 1000; the difference is the cost
//! of a thousand reviews.
//!
//! Times do depend on it. Consecutive reviews find their code and data in the CPU caches, which a review every few
//! milliseconds does not; `--cold` is closer to that.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, Uri, header};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cassgate::admission::{self, Admission};
use cassgate::api::{CassandraBackup, CassandraCluster, CassandraRestore};
use cassgate::kubernetes::{Cache, CacheState, Cached, ClusterFacts, Readers, WatchedKind};
use cassgate::rules::policy::Policy;
use cassgate::server::harden::harden;
use cassgate::telemetry::metrics::Metrics;
use http_body_util::BodyExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::Service;

use crate::Result;
use crate::load::REVIEW;
use crate::report::median;

const OBJECTS: &str = include_str!("objects.yaml");

/// The number of reviews, and the handler.
#[derive(Debug, clap::Args)]
pub(crate) struct Handler {
    #[arg(long, default_value_t = 1000)]
    reviews: u32,
    /// Path of the requests
    #[arg(long, default_value = "/validate")]
    path: String,
    /// Use the handler with a constant answer
    #[arg(long)]
    constant: bool,
    /// Write this many KiB of other memory before each review, and print the time of a review
    #[arg(long)]
    cold: Option<usize>,
}

/// The memory that evicts a review from the CPU caches, and the times of reviews after that.
struct Cold {
    memory: Vec<u8>,
    micros: Vec<f64>,
}

impl Cold {
    fn new(kib: usize) -> Self {
        Self {
            memory: vec![0; kib * 1024],
            micros: Vec::new(),
        }
    }

    /// Writes a byte of each cache line.
    fn begin(&mut self) -> Instant {
        for byte in self.memory.iter_mut().step_by(64) {
            *byte = byte.wrapping_add(1);
        }
        black_box(&self.memory);
        Instant::now()
    }

    fn end(&mut self, begun: Instant) {
        self.micros.push(begun.elapsed().as_secs_f64() * 1e6);
    }
}

/// # Errors
/// An error if a review is not allowed.
pub(crate) fn run(handler: &Handler) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(reviews(handler))
}

async fn reviews(handler: &Handler) -> Result<()> {
    let mut watches = JoinSet::new();
    let mut router = if handler.constant {
        constant()
    } else {
        cassgate(&mut watches).await?
    };
    let mut cold = Cold::new(handler.cold.unwrap_or_default());
    for _ in 0..handler.reviews {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}?timeout=10s", handler.path))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(REVIEW))?;
        let begun = cold.begin();
        let answer = router.call(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        cold.end(begun);
        if status != StatusCode::OK || !body.windows(14).any(|part| part == br#""allowed":true"#) {
            return Err(format!("{status}: {}", body.escape_ascii()).into());
        }
    }
    if handler.cold.is_some() {
        println!("median {:.1} µs", median(cold.micros));
    }
    Ok(())
}

fn constant() -> Router {
    let answer = Bytes::from_static(
        br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"00000000-0000-4000-8000-000000000000","allowed":true}}"#,
    );
    let handler = move |_body: Bytes| {
        let answer = answer.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], answer) }
    };
    let router = Router::new().route("/validate", post(handler));
    harden(router, Metrics::new()).with_state(())
}

/// Wires cassgate as `cassgate run` does, with an API server that is a function.
async fn cassgate(watches: &mut JoinSet<()>) -> Result<Router> {
    let objects: Arc<Vec<Value>> = Arc::new(serde_saphyr::from_multiple(OBJECTS)?);
    let client = Client::new(
        tower::service_fn(move |request: Request<kube::client::Body>| {
            let answer = answer(&objects, request.uri());
            async move { Ok::<_, Infallible>(answer) }
        }),
        "default",
    );
    let metrics = Metrics::new();
    let readers = Readers {
        clusters: filled::<CassandraCluster>(&client, &metrics, watches).await?,
        backups: filled::<CassandraBackup>(&client, &metrics, watches).await?,
        restores: filled::<CassandraRestore>(&client, &metrics, watches).await?,
        namespaces: filled::<Namespace>(&client, &metrics, watches).await?,
    };
    let admission = Admission {
        facts: Arc::new(ClusterFacts::new(client, readers, metrics.clone())),
        policy: Policy::default(),
        metrics: metrics.clone(),
        status_is_subresource: Box::new(|_| Some(false)),
        now: Timestamp::now,
    };
    Ok(harden(admission::router(Arc::new(admission)), metrics).with_state(()))
}

async fn filled<K: WatchedKind>(
    client: &Client,
    metrics: &Metrics,
    watches: &mut JoinSet<()>,
) -> Result<Cached<K>> {
    let cache = Cache::<K>::new(client.clone(), metrics.clone());
    let (reader, mut state) = (cache.reader(), cache.state());
    watches.spawn(cache.run());
    state.wait_for(|state| *state == CacheState::Synced).await?;
    Ok(reader)
}

/// Returns a list, a Secret, or a watch without events.
fn answer(objects: &[Value], asked: &Uri) -> Response<Body> {
    let (path, query) = (asked.path(), asked.query().unwrap_or_default());
    let last = path.rsplit('/').next().unwrap_or_default();
    if query.contains("watch=true") {
        let silence = futures::stream::pending::<std::result::Result<Bytes, Infallible>>();
        return Response::new(Body::from_stream(silence));
    }
    let is_asked_for = |object: &&Value| {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        is_of(object, "secrets") && name == Some(last)
    };
    let secret = objects.iter().find(is_asked_for);
    let everything = || {
        let items: Vec<&Value> = objects.iter().filter(|object| is_of(object, last)).collect();
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})
    };
    let answer = secret.cloned().map_or_else(everything, with_data);
    Response::new(Body::from(answer.to_string()))
}

fn is_of(object: &Value, plural: &str) -> bool {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    kind.to_lowercase() + "s" == plural
}

/// Encodes the values in base64 as the API server does.
fn with_data(mut secret: Value) -> Value {
    let Some(Value::Object(texts)) = secret.get("stringData").cloned() else {
        return secret;
    };
    let data = texts.into_iter().map(|(key, text)| {
        let text = STANDARD.encode(text.as_str().unwrap_or_default());
        (key, Value::String(text))
    });
    let data = Value::Object(data.collect());
    if let Some(fields) = secret.as_object_mut() {
        fields.insert("data".to_owned(), data);
    }
    secret
}
