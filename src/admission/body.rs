//! Reads the body of a request, and limits the reviews that take much memory.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures::FutureExt;
use http_body_util::{BodyExt, LengthLimitError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

/// An error while a body is received.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The body exceeds the limit of the server, which replaces this text.
    #[error("the body is longer than cassgate reads")]
    TooLong,
    /// The client ended the body or the connection too early.
    #[error("the body did not arrive completely")]
    Incomplete,
    /// The body did not arrive within [`TIMEOUT`].
    #[error("the body did not arrive within {} s", TIMEOUT.as_secs())]
    TooSlow,
}

/// The time in which a body has to arrive. The API server sends a review at once. 10 s is shorter than the drain at a shutdown
/// (20 s), so a client that sends slowly, or more parts than cassgate can read, does not hold it up.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The capacity for which a body grows at a time, in bytes. Doubling it would hold a large body twice while it moves.
const GROWTH: usize = 1024 * 1024;

/// The maximum capacity that an announced length reserves, in bytes. Memory that is not written takes no page.
const MAX_RESERVED: usize = 8 * 1024 * 1024;

/// Receives a body.
///
/// Each part is copied at once, because a part of one byte costs a hundred bytes while it is kept as a part. A body of one
/// part, as the API server sends nearly every review, is not copied.
///
/// # Errors
/// Returns an error if the body is too long, incomplete, or not there within [`TIMEOUT`].
pub(super) async fn receive(body: Body) -> Result<Bytes, BodyError> {
    let mut body = pin!(parts_joined(body));
    // A review of usual size is there already and needs no timer.
    if let Some(received) = body.as_mut().now_or_never() {
        return received;
    }
    timeout(TIMEOUT, body).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn parts_joined(mut body: Body) -> Result<Bytes, BodyError> {
    let Some(first) = next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = next(&mut body).await? else {
        return Ok(first);
    };
    let received = first.len() + second.len();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(MAX_RESERVED);
    let mut whole = Vec::with_capacity(received + announced.min(MAX_RESERVED));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    drop((first, second));
    while let Some(part) = next(&mut body).await? {
        if whole.capacity() - whole.len() < part.len() && whole.len() >= GROWTH {
            whole.reserve_exact(part.len().max(GROWTH));
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.into())
}

/// Returns the next part that has data.
async fn next(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| of_error(&error))?;
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn of_error(error: &axum::Error) -> BodyError {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return BodyError::TooLong;
        }
        source = error.source();
    }
    BodyError::Incomplete
}

/// The length above which a body is large, in bytes. A usual review has a few kilobytes.
const LARGE_BODY: usize = 64 * 1024;

/// The length above which the specs of a review are large, in bytes.
const LARGE_SPEC: usize = 8 * 1024;

/// The number of reviews with large specs that are judged at the same time. Each takes a few megabytes: values of the specs,
/// and a finding for each item of a list.
const MAX_LARGE_REVIEWS: usize = 4;

/// The turns of large reviews.
#[derive(Debug)]
pub(super) struct Turns {
    decoding: Semaphore,
    judging: Semaphore,
}

/// The permission to continue with a review; `None` if it is not large.
pub(super) type Turn<'a> = Option<SemaphorePermit<'a>>;

/// The limit because of which a review has no verdict.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTurn {
    /// No turn for a review with large specs was free before the deadline.
    #[error("cassgate is judging as many large objects as its memory allows; apply the object again")]
    Large,
    /// Reads had no turn, and without them an error in the restore would pass as a warning.
    #[error(
        "cassgate limits its own reads, and those for this restore had no turn; a restore empties tables, so it is not admitted \
         without them; apply it again"
    )]
    Reads,
}

impl Turns {
    /// Returns the turns of a process.
    pub(super) fn new() -> Self {
        Self {
            decoding: Semaphore::new(1),
            judging: Semaphore::new(MAX_LARGE_REVIEWS),
        }
    }

    /// Waits for the turn to decode a body of this length. Large bodies are decoded one after the other: a key with escapes
    /// takes twice its length, and other tasks run in between.
    pub(super) async fn decoding(&self, length: usize) -> Turn<'_> {
        if length <= LARGE_BODY {
            return None;
        }
        // The semaphore is never closed.
        self.decoding.acquire().await.ok()
    }

    /// Waits for the turn to judge a review whose specs have this length.
    ///
    /// # Errors
    /// Returns an error if there is no turn until `deadline`.
    pub(super) async fn judging(&self, length: usize, deadline: Instant) -> Result<Turn<'_>, NoTurn> {
        if length <= LARGE_SPEC {
            return Ok(None);
        }
        match timeout_at(deadline, self.judging.acquire()).await {
            Ok(permit) => Ok(permit.ok()),
            Err(_) => Err(NoTurn::Large),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use axum::body::{Body, Bytes};
    use futures::{StreamExt, stream};
    use http_body_util::Limited;
    use tokio::time::{Instant, sleep};

    use super::{BodyError, LARGE_SPEC, MAX_LARGE_REVIEWS, TIMEOUT, Turns, receive};

    fn body(parts: &[&'static str]) -> Body {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| Ok::<_, Infallible>(Bytes::from_static(part.as_bytes())))
            .collect();
        Body::from_stream(stream::iter(parts))
    }

    #[tokio::test]
    async fn the_parts_of_a_body_are_joined() {
        for (parts, whole) in [
            (&[][..], ""),
            (&["a"][..], "a"),
            (&["", "a", ""][..], "a"),
            (&["a", "", "b", "cd"][..], "abcd"),
        ] {
            assert_eq!(receive(body(parts)).await.unwrap(), whole);
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_and_a_broken_body_are_told_apart() {
        let long = Body::new(Limited::new(body(&["abc", "def"]), 5));
        assert!(matches!(receive(long).await, Err(BodyError::TooLong)));
        let broken = stream::iter([Ok(Bytes::from_static(b"a")), Err(std::io::Error::other("reset"))]);
        assert!(matches!(
            receive(Body::from_stream(broken)).await,
            Err(BodyError::Incomplete)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_whose_parts_go_on_arriving_has_ten_seconds() {
        let slow = |number: usize| {
            Body::from_stream(stream::iter(0..number).then(async |_| {
                sleep(Duration::from_millis(100)).await;
                Ok::<_, Infallible>(Bytes::from_static(b"a"))
            }))
        };
        assert_eq!(receive(slow(99)).await.unwrap().len(), 99);
        let begun = Instant::now();
        let error = receive(slow(1_000)).await.unwrap_err();
        assert_eq!(error.to_string(), "the body did not arrive within 10 s");
        assert_eq!(begun.elapsed(), TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn large_specs_wait_for_a_turn_and_small_ones_do_not() {
        let turns = Turns::new();
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut held = Vec::new();
        for _ in 0..MAX_LARGE_REVIEWS {
            held.push(turns.judging(LARGE_SPEC + 1, deadline).await.unwrap());
        }
        assert!(turns.judging(LARGE_SPEC, deadline).await.unwrap().is_none());
        assert!(turns.judging(LARGE_SPEC + 1, deadline).await.is_err());
        held.pop();
        assert!(turns.judging(LARGE_SPEC + 1, deadline).await.unwrap().is_some());
    }
}
