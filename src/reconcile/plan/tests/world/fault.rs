//! The faults of requests.

/// The fault of the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Fault {
    /// None.
    None,
    /// The connection is refused.
    RefuseConnection,
    /// The request arrives, and its response is lost.
    DropResponse,
    /// The request is lost, and the planner cannot know that.
    DropRequest,
    /// The request arrives this many seconds later, and the planner cannot know that.
    Delay(i64),
    /// The sidecar rejects the request with this error.
    Reject(&'static str),
    /// The operation fails with this error.
    Fail(&'static str),
    /// The operation takes this many seconds, and reports its progress.
    Last(i64),
}
