//! Stands between cassgate and kube-apiserver, and can make the API server slow, busy, forgetful or gone.

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

/// What an API server can be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it is.
    Well,
    /// Each answer begins so much later.
    Slow(Duration),
    /// Nothing but this status; watches that stand end without a word.
    Answers(u16),
    /// It knows nothing of the past: watches end with 410, and none can be begun.
    Forgetful,
    /// Every connection is cut.
    Gone,
}

/// A proxy before one API server.
pub(crate) struct Proxy {
    mood: watch::Sender<Mood>,
    asked: Asked,
    kubeconfig: PathBuf,
    _accepting: AbortOnDropHandle<()>,
}

/// The paths of all requests so far.
type Asked = Arc<Mutex<Vec<String>>>;

type Body = BoxBody<Bytes, hyper::Error>;

impl Proxy {
    /// Before the API server of these tests, as it is.
    pub(crate) fn before(servers: &Servers) -> Self {
        let endpoint = Endpoint::of(servers);
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (here, there) = (listener.local_addr().unwrap(), endpoint.address);
        let (mood, moods) = watch::channel(Mood::Well);
        let asked = Asked::default();
        let accept = accept(listener, endpoint, moods, Arc::clone(&asked));
        let accepting = AbortOnDropHandle::new(runtime().spawn(accept));
        let kubeconfig = fresh_directory("proxy").join("kubeconfig");
        let direct = std::fs::read_to_string(servers.gate_kubeconfig()).unwrap();
        let through = direct.replace(&format!("https://{there}"), &format!("http://{here}"));
        assert_ne!(direct, through);
        std::fs::write(&kubeconfig, through).unwrap();
        Self {
            mood,
            asked,
            kubeconfig,
            _accepting: accepting,
        }
    }

    /// Cassgate's own kubeconfig, with this proxy for the API server.
    pub(crate) fn kubeconfig(&self) -> String {
        self.kubeconfig.display().to_string()
    }

    /// Whether cassgate has asked for something whose path ends so.
    pub(crate) fn was_asked_for(&self, path: &str) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().any(|asked| asked.ends_with(path))
    }

    /// From now on the API server is like this.
    pub(crate) fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

async fn accept(listener: TcpListener, endpoint: Endpoint, moods: watch::Receiver<Mood>, asked: Asked) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        let (endpoint, asked) = (endpoint.clone(), Arc::clone(&asked));
        let (moods, mut gone) = (moods.clone(), moods.clone());
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let path = request.uri().path().to_owned();
                asked.lock().unwrap_or_else(PoisonError::into_inner).push(path);
                answer(&endpoint, &moods, request)
            });
            let served = server::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = gone.wait_for(|mood| *mood == Mood::Gone) => {}
                _ = served => {}
            }
        });
    }
}

async fn answer(
    endpoint: &Endpoint,
    moods: &watch::Receiver<Mood>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let watching = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch="));
    let mood = *moods.borrow();
    match mood {
        Mood::Answers(code) => return Ok(failure(code)),
        Mood::Forgetful if watching => return Ok(failure(410)),
        Mood::Slow(delay) => sleep(delay).await,
        Mood::Well | Mood::Forgetful | Mood::Gone => {}
    }
    let path = request.uri().path().to_owned();
    Ok(match forward(endpoint, moods.clone(), request, watching).await {
        Ok(response) => response,
        Err(why) => {
            eprintln!("proxy: {path}: {why}");
            failure(502)
        }
    })
}

async fn forward(
    endpoint: &Endpoint,
    moods: watch::Receiver<Mood>,
    request: Request<Incoming>,
    watching: bool,
) -> Result<Response<Body>, String> {
    let text = |error: hyper::Error| error.to_string();
    let stream = tls(endpoint.address, &endpoint.certificate_authority, &["http/1.1"]).await?;
    let (mut requests, connection) = client::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async { drop(connection.await) }));
    let (head, body) = requests.send_request(request).await.map_err(text)?.into_parts();
    // The connection lives as long as what comes on it.
    let frames = stream::unfold((body, connection), async |(mut body, connection)| {
        Some((body.frame().await?, (body, connection)))
    });
    let body = if watching {
        BodyExt::boxed(StreamBody::new(Box::pin(until_ended(frames, moods))))
    } else {
        BodyExt::boxed(StreamBody::new(Box::pin(frames)))
    };
    Ok(Response::from_parts(head, body))
}

/// The events of a watch, until the API server will have no more of it.
fn until_ended(
    events: impl stream::Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send + 'static,
    mut moods: watch::Receiver<Mood>,
) -> impl stream::Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send {
    let mut last = moods.clone();
    let ended = async move {
        let ends = |mood: &Mood| matches!(mood, Mood::Forgetful | Mood::Answers(_));
        // Never, when nobody can change it any more.
        if moods.wait_for(ends).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let last = stream::once(async move {
        let told = json!({"type": "ERROR", "object": status(410)}).to_string();
        let forgotten = *last.borrow_and_update() == Mood::Forgetful;
        forgotten.then(|| Ok(Frame::data(Bytes::from(told + "\n"))))
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
