//! Between a reconciler and everything that it acts on: counts its acts, and stops it at one of them.
//!
//! An act is a write to the API server or an operation that is sent to a sidecar. What only reads is let through.

use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cassgate::domain::image::Version;
use cassgate::domain::schema_version::SchemaVersion;
use cassgate::icarus::{
    NodeMode, Operation, OperationFilter, OperationId, OperationRequest, SidecarApi, SidecarError, Topology,
};
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use tokio::sync::Notify;
use tower::{BoxError, Service};

/// What happens at an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The process ends, and nobody ever hears of the act.
    StopBefore,
    /// The act has its effect, and the process ends before it hears the answer.
    StopAfter,
    /// The act does not get through, and the process is told so.
    FailBefore,
    /// The act has its effect, and the answer is lost.
    FailAfter,
    /// The process is not run any more, and the act goes out when it is again.
    FreezeBefore,
    /// The act has its effect, and the process is not run any more.
    FreezeAfter,
    /// The act has its effect, and from then on the CRDs are CassKop's.
    ForeignCrds,
}

impl Blow {
    fn is_after(self) -> bool {
        matches!(self, Self::StopAfter | Self::FailAfter)
    }

    fn stops(self) -> bool {
        matches!(self, Self::StopBefore | Self::StopAfter)
    }

    fn freezes(self) -> bool {
        matches!(self, Self::FreezeBefore | Self::FreezeAfter)
    }
}

/// Who hears what goes over a wire.
pub(crate) trait Listener: Send + Sync {
    /// So many more answers of the API server are waited for, or fewer.
    fn waits(&self, more: isize);

    /// The API server answered a write at this path.
    fn written(&self, path: &str, answer: &[u8]);

    /// A watch at this path told of a change.
    fn watched(&self, path: &str, told: &[u8]);

    /// A watch at this path was begun, or ended.
    fn watches(&self, path: &str, begun: bool);
}

/// The wire of one process after the other. A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    state: Arc<Mutex<State>>,
    listener: Option<Arc<dyn Listener>>,
    stopped: Arc<Notify>,
    thawed: Arc<Notify>,
    answered: Arc<Notify>,
}

#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a trouble of its own, and all can come together"
)]
struct State {
    acts: Vec<String>,
    blow: Option<(usize, Blow)>,
    dead: bool,
    gone: bool,
    frozen: bool,
    foreign: bool,
    under_way: usize,
}

impl Wire {
    /// One to which somebody listens.
    pub(crate) fn heard_by(listener: Arc<dyn Listener>) -> Self {
        Self {
            listener: Some(listener),
            ..Self::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts from nothing; the act of this number, from 0, gets the blow.
    pub(crate) fn arm(&self, blow: Option<(usize, Blow)>) {
        let mut state = self.state();
        state.acts.clear();
        state.blow = blow;
    }

    /// The acts since it was armed.
    pub(crate) fn acts(&self) -> Vec<String> {
        self.state().acts.clone()
    }

    /// Whether a blow is still to come.
    pub(crate) fn is_armed(&self) -> bool {
        self.state().blow.is_some()
    }

    /// Returns when the process was stopped, and what it had asked before was answered.
    pub(crate) async fn stopped(&self) {
        self.stopped.notified().await;
        self.answered().await;
    }

    /// Returns when no answer of the API server is waited for. A process that ends earlier may leave an act behind that
    /// has its effect, and of which no listener hears.
    pub(crate) async fn answered(&self) {
        loop {
            let answered = self.answered.notified();
            if !self.is_busy() {
                return;
            }
            answered.await;
        }
    }

    /// Another process begins.
    pub(crate) fn revive(&self) {
        self.state().dead = false;
    }

    /// Whether the API server cannot be reached.
    pub(crate) fn be_gone(&self, gone: bool) {
        self.state().gone = gone;
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.state().gone
    }

    /// Whether the CRDs are CassKop's.
    pub(crate) fn is_foreign(&self) -> bool {
        self.state().foreign
    }

    pub(crate) fn be_foreign(&self, foreign: bool) {
        self.state().foreign = foreign;
    }

    /// Whether the process is not run.
    pub(crate) fn is_frozen(&self) -> bool {
        self.state().frozen
    }

    /// The process is run again.
    pub(crate) fn thaw(&self) {
        self.state().frozen = false;
        self.thawed.notify_waiters();
    }

    async fn freeze(&self) {
        let thawed = self.thawed.notified();
        self.state().frozen = true;
        thawed.await;
    }

    /// Runs a process except while it is frozen.
    pub(crate) async fn run<T>(&self, process: impl Future<Output = T>) -> T {
        let mut process = Box::pin(process);
        loop {
            let done = poll_fn(|context| {
                if self.is_frozen() {
                    return Poll::Ready(None);
                }
                process.as_mut().poll(context).map(Some)
            });
            match done.await {
                Some(done) => return done,
                None => self.thawed.notified().await,
            }
        }
    }

    /// Whether an answer of the API server is waited for.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.state();
        state.under_way > 0 && !state.frozen
    }

    /// What becomes of the next act.
    fn act(&self, what: String) -> Option<Blow> {
        let mut state = self.state();
        let number = state.acts.len();
        state.acts.push(what);
        let blow = state.blow.take_if(|(at, _)| *at == number);
        match blow?.1 {
            Blow::ForeignCrds => {
                state.foreign = true;
                None
            }
            blow => Some(blow),
        }
    }

    fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// The end of the process: it neither sends nor hears anything more.
    async fn stop<T>(&self) -> T {
        self.state().dead = true;
        self.stopped.notify_one();
        pending().await
    }

    fn under_way(&self) -> UnderWay {
        self.count_under_way(1);
        UnderWay(self.clone())
    }

    fn count_under_way(&self, more: isize) {
        let mut state = self.state();
        state.under_way = state.under_way.checked_add_signed(more).unwrap();
        self.answered.notify_waiters();
        if let Some(listener) = &self.listener {
            listener.waits(more);
        }
    }
}

/// What the API server is asked.
struct Asked {
    path: String,
    writes: bool,
    watches: bool,
}

impl Asked {
    fn of<B>(request: &Request<B>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        Self {
            path: request.uri().path().to_owned(),
            writes: *request.method() != Method::GET,
            watches: query.contains("watch=true"),
        }
    }
}

/// A watch that goes on.
struct Watch(Wire, Asked);

impl Watch {
    fn begin(wire: &Wire, asked: Asked) -> Self {
        let watch = Self(wire.clone(), asked);
        watch.tell(|listener, path| listener.watches(path, true));
        watch
    }

    fn tell(&self, what: impl FnOnce(&dyn Listener, &str)) {
        if let Some(listener) = &self.0.listener {
            what(listener.as_ref(), &self.1.path);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tell(|listener, path| listener.watches(path, false));
    }
}

/// An answer of the API server.
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// The whole of an answer, or a watch that goes on, line by line.
async fn received<R>(wire: &Wire, asked: Asked, answer: Response<R>) -> Result<Answer, BoxError>
where
    R: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    let (head, body) = answer.into_parts();
    if !asked.watches {
        let bytes = body.collect().await?.to_bytes();
        if let Some(listener) = wire.listener.as_ref().filter(|_| asked.writes) {
            listener.written(&asked.path, &bytes);
        }
        let body = Full::new(bytes).map_err(|never| match never {});
        return Ok(Response::from_parts(head, body.boxed_unsync()));
    }
    let (watch, mut line) = (Watch::begin(wire, asked), Vec::new());
    let body = body.map_frame(move |frame| {
        for byte in frame.data_ref().into_iter().flatten() {
            line.push(*byte);
            if *byte == b'\n' {
                watch.tell(|listener, path| listener.watched(path, &line));
                line.clear();
            }
        }
        frame
    });
    Ok(Response::from_parts(head, body.boxed_unsync()))
}

/// A request whose answer is still to come.
struct UnderWay(Wire);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.count_under_way(-1);
    }
}

/// The API server behind the wire.
pub(crate) struct Tapped<S> {
    pub(crate) server: S,
    pub(crate) wire: Wire,
}

impl<S, B, R> Service<Request<B>> for Tapped<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = BoxError>,
    S::Future: Send + 'static,
    R: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.server.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let wire = self.wire.clone();
        if wire.is_dead() {
            return Box::pin(pending());
        }
        if wire.state().gone {
            return Box::pin(async { Err("connection refused, says a test".into()) });
        }
        let blow = if *request.method() == Method::GET {
            None
        } else {
            wire.act(format!("{} {}", request.method(), request.uri().path()))
        };
        if let Some(blow) = blow.filter(|blow| !blow.is_after() && !blow.freezes()) {
            return Box::pin(async move {
                if blow.stops() {
                    wire.stop().await
                } else {
                    Err("broken before it was sent, says a test".into())
                }
            });
        }
        let under_way = wire.under_way();
        let asked = Asked::of(&request);
        let answer = self.server.call(request);
        Box::pin(async move {
            if blow == Some(Blow::FreezeBefore) {
                wire.freeze().await;
            }
            let answer = match answer.await {
                Ok(answer) => received(&wire, asked, answer).await,
                Err(error) => Err(error),
            };
            drop(under_way);
            match blow {
                Some(blow) if blow.stops() => wire.stop().await,
                Some(Blow::FreezeAfter) => {
                    wire.freeze().await;
                    answer
                }
                Some(Blow::FailAfter) => Err("broken before it was answered, says a test".into()),
                _ => answer,
            }
        })
    }
}

/// The sidecars behind the wire, of whatever kind.
#[derive(Clone)]
pub(crate) struct Sidecars<S> {
    pub(crate) ring: S,
    pub(crate) wire: Wire,
}

impl<S: SidecarApi> SidecarApi for Sidecars<S> {
    async fn submit(
        &self,
        at: SocketAddr,
        request: &OperationRequest,
        within: Duration,
    ) -> Result<Operation, SidecarError> {
        if self.wire.is_dead() {
            return pending().await;
        }
        let what = match request {
            OperationRequest::Restore(restore) => format!("{:?}", restore.phase),
            OperationRequest::Backup(_) => "Backup".to_owned(),
            _ => "another operation".to_owned(),
        };
        let blow = self.wire.act(format!("{what} to {at}"));
        match blow {
            Some(Blow::StopBefore) => return self.wire.stop().await,
            Some(Blow::FreezeBefore) => self.wire.freeze().await,
            Some(Blow::FailBefore) => return Err(SidecarError::Unreachable("a test says so".to_owned())),
            _ => {}
        }
        let answer = self.ring.submit(at, request, within).await;
        match blow {
            Some(Blow::StopAfter) => self.wire.stop().await,
            Some(Blow::FreezeAfter) => {
                self.wire.freeze().await;
                answer
            }
            Some(Blow::FailAfter) => Err(SidecarError::TimedOut(within)),
            _ => answer,
        }
    }

    async fn operation(
        &self,
        at: SocketAddr,
        id: &OperationId,
        within: Duration,
    ) -> Result<Operation, SidecarError> {
        self.ring.operation(at, id, within).await
    }

    async fn operations(
        &self,
        at: SocketAddr,
        filter: OperationFilter,
        within: Duration,
    ) -> Result<Vec<Operation>, SidecarError> {
        self.ring.operations(at, filter, within).await
    }

    async fn node_mode(&self, at: SocketAddr, within: Duration) -> Result<NodeMode, SidecarError> {
        self.ring.node_mode(at, within).await
    }

    async fn version(&self, at: SocketAddr, within: Duration) -> Result<Version, SidecarError> {
        self.ring.version(at, within).await
    }

    async fn cassandra_version(&self, at: SocketAddr, within: Duration) -> Result<Version, SidecarError> {
        self.ring.cassandra_version(at, within).await
    }

    async fn schema_version(&self, at: SocketAddr, within: Duration) -> Result<SchemaVersion, SidecarError> {
        self.ring.schema_version(at, within).await
    }

    async fn topology(&self, at: SocketAddr, within: Duration) -> Result<Topology, SidecarError> {
        self.ring.topology(at, within).await
    }
}
