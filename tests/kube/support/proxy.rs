//! A proxy between cassgate and kube-apiserver that can make the API server slow, overloaded, failing, without
//! history, or unreachable.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    client::conn::http1 as client,
    server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{
    api::{Endpoint, tls},
    gate::fresh_directory,
    http::runtime,
    servers::Servers,
};

/// The simulated condition of the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Unchanged.
    Healthy,
    /// Each answer is delayed by this duration.
    Slow(Duration),
    /// Every answer has this status; open watches end.
    Answers(u16),
    /// The history is lost: watches end with 410, and no watch can begin.
    Forgetful,
    /// Every connection is closed.
    Gone,
}

/// A proxy in front of one API server.
pub(crate) struct Proxy {
    condition: watch::Sender<Condition>,
    asked: Asked,
    kubeconfig: PathBuf,
    _accepting: AbortOnDropHandle<()>,
}

/// The paths of all requests so far.
type Asked = Arc<Mutex<Vec<String>>>;

type Body = BoxBody<Bytes, hyper::Error>;

impl Proxy {
    /// Starts a proxy in front of the API server of these tests, without faults.
    pub(crate) fn before(servers: &Servers) -> Self {
        let endpoint = Endpoint::of(servers);
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (here, there) = (listener.local_addr().unwrap(), endpoint.address);
        let (condition, conditions) = watch::channel(Condition::Healthy);
        let asked = Asked::default();
        let accept = accept(listener, endpoint, conditions, Arc::clone(&asked));
        let accepting = AbortOnDropHandle::new(runtime().spawn(accept));
        let kubeconfig = fresh_directory("proxy").join("kubeconfig");
        let direct = std::fs::read_to_string(servers.gate_kubeconfig()).unwrap();
        let through = direct.replace(&format!("https://{there}"), &format!("http://{here}"));
        assert_ne!(direct, through);
        std::fs::write(&kubeconfig, through).unwrap();
        Self {
            condition,
            asked,
            kubeconfig,
            _accepting: accepting,
        }
    }

    /// Returns cassgate's own kubeconfig with the address of this proxy.
    pub(crate) fn kubeconfig(&self) -> String {
        self.kubeconfig.display().to_string()
    }

    /// Returns true if cassgate has requested a path with this ending.
    pub(crate) fn was_asked_for(&self, path: &str) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().any(|asked| asked.ends_with(path))
    }

    /// Sets the condition of the API server.
    pub(crate) fn is(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }
}

async fn accept(
    listener: TcpListener,
    endpoint: Endpoint,
    conditions: watch::Receiver<Condition>,
    asked: Asked,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        let (endpoint, asked) = (endpoint.clone(), Arc::clone(&asked));
        let (conditions, mut gone) = (conditions.clone(), conditions.clone());
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let path = request.uri().path().to_owned();
                asked.lock().unwrap_or_else(PoisonError::into_inner).push(path);
                answer(&endpoint, &conditions, request)
            });
            let served = server::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = gone.wait_for(|condition| *condition == Condition::Gone) => {}
                _ = served => {}
            }
        });
    }
}

async fn answer(
    endpoint: &Endpoint,
    conditions: &watch::Receiver<Condition>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let watching = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch="));
    let condition = *conditions.borrow();
    match condition {
        Condition::Answers(code) => return Ok(failure(code)),
        Condition::Forgetful if watching => return Ok(failure(410)),
        Condition::Slow(delay) => sleep(delay).await,
        Condition::Healthy | Condition::Forgetful | Condition::Gone => {}
    }
    let path = request.uri().path().to_owned();
    Ok(
        match forward(endpoint, conditions.clone(), request, watching).await {
            Ok(response) => response,
            Err(why) => {
                eprintln!("proxy: {path}: {why}");
                failure(502)
            }
        },
    )
}

async fn forward(
    endpoint: &Endpoint,
    conditions: watch::Receiver<Condition>,
    request: Request<Incoming>,
    watching: bool,
) -> Result<Response<Body>, String> {
    let text = |error: hyper::Error| error.to_string();
    let stream = tls(endpoint.address, &endpoint.certificate_authority, &["http/1.1"]).await?;
    let (mut requests, connection) = client::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async { drop(connection.await) }));
    let (head, body) = requests.send_request(request).await.map_err(text)?.into_parts();
    // The connection lives as long as its response.
    let frames = stream::unfold((body, connection), async |(mut body, connection)| {
        Some((body.frame().await?, (body, connection)))
    });
    let body = if watching {
        BodyExt::boxed(StreamBody::new(Box::pin(until_ended(frames, conditions))))
    } else {
        BodyExt::boxed(StreamBody::new(Box::pin(frames)))
    };
    Ok(Response::from_parts(head, body))
}

/// Returns the events of a watch, until the condition ends it.
fn until_ended(
    events: impl stream::Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send + 'static,
    mut conditions: watch::Receiver<Condition>,
) -> impl stream::Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send {
    let mut last = conditions.clone();
    let ended = async move {
        let ends = |condition: &Condition| matches!(condition, Condition::Forgetful | Condition::Answers(_));
        // The sender is gone, so the condition cannot change any more.
        if conditions.wait_for(ends).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let last = stream::once(async move {
        let reported = json!({"type": "ERROR", "object": status(410)}).to_string();
        let forgotten = *last.borrow_and_update() == Condition::Forgetful;
        forgotten.then(|| Ok(Frame::data(Bytes::from(reported + "\n"))))
    });
    events
        .take_until(ended)
        .chain(last.filter_map(std::future::ready))
}

fn failure(code: u16) -> Response<Body> {
    let body = Full::new(Bytes::from(status(code).to_string()));
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(body.map_err(|never| match never {}).boxed())
        .unwrap()
}

fn status(code: u16) -> serde_json::Value {
    let reason = match code {
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": "made up by a test",
    })
}
