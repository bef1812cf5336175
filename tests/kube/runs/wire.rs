//! A layer between a reconciler and everything that it acts on. It counts acts and injects a fault at one of them.
//!
//! An act is a write to the API server or an operation that is sent to a sidecar. Reads pass unchanged.

use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
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

/// A fault that is injected at an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process stops, and the act never arrives.
    StopBefore,
    /// The act takes effect, and the process stops before it receives the answer.
    StopAfter,
    /// The act does not arrive, and the process receives an error.
    FailBefore,
    /// The act takes effect, and the answer is lost.
    FailAfter,
    /// The process freezes, and the act is sent when it thaws.
    FreezeBefore,
    /// The act takes effect, and the process freezes.
    FreezeAfter,
    /// The act takes effect, and from then on the CRDs are CassKop's.
    ForeignCrds,
}

impl Fault {
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

/// A listener to the traffic of a wire.
pub(crate) trait Listener: Send + Sync {
    /// The number of pending answers of the API server changed by `more`.
    fn waits(&self, more: isize);

    /// The API server answered a write at this path.
    fn written(&self, path: &str, answer: &[u8]);

    /// A watch at this path delivered a change.
    fn watched(&self, path: &str, reported: &[u8]);

    /// A watch at this path began or ended.
    fn watches(&self, path: &str, begun: bool);
}

/// The wire of successive processes. Clones share their state.
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
    fault: Option<(usize, Fault)>,
    dead: bool,
    gone: bool,
    frozen: bool,
    foreign: bool,
    under_way: usize,
}

impl Wire {
    /// Returns a wire with this listener.
    pub(crate) fn with_listener(listener: Arc<dyn Listener>) -> Self {
        Self {
            listener: Some(listener),
            ..Self::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resets the counter; the act with this number, from 0, gets the fault.
    pub(crate) fn arm(&self, fault: Option<(usize, Fault)>) {
        let mut state = self.state();
        state.acts.clear();
        state.fault = fault;
    }

    /// Returns the acts since the wire was armed.
    pub(crate) fn acts(&self) -> Vec<String> {
        self.state().acts.clone()
    }

    /// Returns true if the fault is still pending.
    pub(crate) fn is_armed(&self) -> bool {
        self.state().fault.is_some()
    }

    /// Returns when the process has stopped and its earlier requests are answered.
    pub(crate) async fn stopped(&self) {
        self.stopped.notified().await;
        self.answered().await;
    }

    /// Returns when no answer of the API server is pending. A process that ends earlier may leave an act behind that
    /// takes effect without any listener.
    pub(crate) async fn answered(&self) {
        loop {
            let answered = self.answered.notified();
            if !self.is_busy() {
                return;
            }
            answered.await;
        }
    }

    /// Starts counting for the next process.
    pub(crate) fn start_next(&self) {
        self.state().dead = false;
    }

    /// Makes the API server unreachable, or reachable again.
    pub(crate) fn set_unreachable(&self, gone: bool) {
        self.state().gone = gone;
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.state().gone
    }

    /// Returns true if the CRDs are CassKop's.
    pub(crate) fn is_foreign(&self) -> bool {
        self.state().foreign
    }

    pub(crate) fn use_foreign_crds(&self, foreign: bool) {
        self.state().foreign = foreign;
    }

    /// Returns true if the process is frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        self.state().frozen
    }

    /// Continues a frozen process.
    pub(crate) fn thaw(&self) {
        self.state().frozen = false;
        self.thawed.notify_waiters();
    }

    async fn freeze(&self) {
        let thawed = self.thawed.notified();
        self.state().frozen = true;
        thawed.await;
    }

    /// Polls a process except while it is frozen.
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

    /// Returns true if an answer of the API server is pending.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.state();
        state.under_way > 0 && !state.frozen
    }

    /// Returns the fault for the next act.
    fn act(&self, what: String) -> Option<Fault> {
        let mut state = self.state();
        let number = state.acts.len();
        state.acts.push(what);
        let fault = state.fault.take_if(|(at, _)| *at == number);
        match fault?.1 {
            Fault::ForeignCrds => {
                state.foreign = true;
                None
            }
            fault => Some(fault),
        }
    }

    fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Ends the process: it neither sends nor receives anything from now on.
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

/// A request to the API server.
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

/// An open watch.
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

/// Returns the whole of an answer, or an open watch line by line.
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

/// A request whose answer is pending.
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
        let fault = if *request.method() == Method::GET {
            None
        } else {
            wire.act(format!("{} {}", request.method(), request.uri().path()))
        };
        if let Some(fault) = fault.filter(|fault| !fault.is_after() && !fault.freezes()) {
            return Box::pin(async move {
                if fault.stops() {
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
            if fault == Some(Fault::FreezeBefore) {
                wire.freeze().await;
            }
            let answer = match answer.await {
                Ok(answer) => received(&wire, asked, answer).await,
                Err(error) => Err(error),
            };
            drop(under_way);
            match fault {
                Some(fault) if fault.stops() => wire.stop().await,
                Some(Fault::FreezeAfter) => {
                    wire.freeze().await;
                    answer
                }
                Some(Fault::FailAfter) => Err("broken before it was answered, says a test".into()),
                _ => answer,
            }
        })
    }
}

/// The sidecars behind the wire, of any implementation.
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
        let fault = self.wire.act(format!("{what} to {at}"));
        match fault {
            Some(Fault::StopBefore) => return self.wire.stop().await,
            Some(Fault::FreezeBefore) => self.wire.freeze().await,
            Some(Fault::FailBefore) => return Err(SidecarError::Unreachable("a test says so".to_owned())),
            _ => {}
        }
        let answer = self.ring.submit(at, request, within).await;
        match fault {
            Some(Fault::StopAfter) => self.wire.stop().await,
            Some(Fault::FreezeAfter) => {
                self.wire.freeze().await;
                answer
            }
            Some(Fault::FailAfter) => Err(SidecarError::TimedOut(within)),
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

    async fn schema_version(&self, at: SocketAddr, within: Duration) -> Result<SchemaVersion, SidecarError> {
        self.ring.schema_version(at, within).await
    }

    async fn mode(&self, at: SocketAddr, within: Duration) -> Result<NodeMode, SidecarError> {
        self.ring.mode(at, within).await
    }

    async fn topology(&self, at: SocketAddr, within: Duration) -> Result<Topology, SidecarError> {
        self.ring.topology(at, within).await
    }
}
