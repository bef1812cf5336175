//! The limits for the requests of all connections together: their number and the memory of their bodies.
//!
//! The size of one body and the number of connections are limited, but many large bodies at once, or many requests with
//! tiny heads on HTTP/2 connections, would still exceed the memory of a container. So over the limit of bytes the
//! largest body is cancelled, and over the limit of requests the oldest one whose body has not arrived. A usual review
//! has a few kilobytes and arrives in milliseconds.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::limits::RequestLimits;

/// The limits of one listener. A clone is another handle to the same limits.
#[derive(Debug, Clone)]
pub(super) struct BodyLimits {
    limits: RequestLimits,
    received: Arc<Mutex<Received>>,
}

#[derive(Debug, Default)]
struct Received {
    next_id: u64,
    total: usize,
    /// Ordered by arrival, without cancelled requests.
    requests: BTreeMap<u64, Request>,
}

#[derive(Debug)]
struct Request {
    size: usize,
    has_arrived: bool,
    cancelled: CancellationToken,
}

/// The body of one request. The request counts until this is dropped.
#[derive(Debug)]
pub(super) struct TrackedBody {
    shared: BodyLimits,
    id: u64,
    cancelled: CancellationToken,
    arrival: Mutex<Arrival>,
    arrived: Notify,
}

#[derive(Debug)]
struct Arrival {
    begun: Instant,
    last_frame: Instant,
    is_complete: bool,
}

impl BodyLimits {
    /// Returns the limits of a listener without requests.
    pub(super) fn new(limits: RequestLimits) -> Self {
        Self {
            limits,
            received: Arc::default(),
        }
    }

    /// Registers a request of whose body nothing has been received yet.
    ///
    /// Over the limit of requests, the oldest one whose body has not arrived is cancelled. Returns `None` if all bodies
    /// have arrived.
    pub(super) fn track(&self) -> Option<TrackedBody> {
        let mut received = self.lock();
        if received.requests.len() >= self.limits.requests && !received.cancel_oldest_unfinished() {
            return None;
        }
        let cancelled = CancellationToken::new();
        let id = received.next_id;
        received.next_id += 1;
        let request = Request {
            size: 0,
            has_arrived: false,
            cancelled: cancelled.clone(),
        };
        received.requests.insert(id, request);
        drop(received);
        let begun = Instant::now();
        Some(TrackedBody {
            shared: self.clone(),
            id,
            cancelled,
            arrival: Mutex::new(Arrival {
                begun,
                last_frame: begun,
                is_complete: false,
            }),
            arrived: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Received> {
        lock(&self.received)
    }
}

impl Received {
    /// Cancels the request with the largest body, and the oldest among equals. Returns false if there is none.
    fn cancel_largest(&mut self) -> bool {
        let sizes = self
            .requests
            .iter()
            .map(|(id, request)| (request.size, Reverse(*id)));
        let largest = sizes.max().map(|(_, Reverse(id))| id);
        largest.is_some_and(|id| self.cancel(id))
    }

    fn cancel_oldest_unfinished(&mut self) -> bool {
        let mut requests = self.requests.iter();
        let oldest = requests.find(|(_, request)| !request.has_arrived);
        oldest.map(|(id, _)| *id).is_some_and(|id| self.cancel(id))
    }

    fn cancel(&mut self, id: u64) -> bool {
        let Some(request) = self.requests.remove(&id) else {
            return false;
        };
        self.total -= request.size;
        request.cancelled.cancel();
        true
    }
}

impl TrackedBody {
    /// Adds the `bytes` of a frame to the total; over the limit, cancels the request with the largest body.
    pub(super) fn add(&self, bytes: usize) {
        lock(&self.arrival).last_frame = Instant::now();
        let mut received = self.shared.lock();
        let Some(request) = received.requests.get_mut(&self.id) else {
            return;
        };
        request.size += bytes;
        received.total += bytes;
        while received.total > self.shared.limits.total_body_size {
            if !received.cancel_largest() {
                return;
            }
        }
    }

    /// Records that the whole body has arrived.
    pub(super) fn finish(&self) {
        lock(&self.arrival).is_complete = true;
        if let Some(request) = self.shared.lock().requests.get_mut(&self.id) {
            request.has_arrived = true;
        }
        self.arrived.notify_one();
    }

    /// Returns a token that is cancelled when the request must be dropped.
    pub(super) fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Returns when the body misses one of its timeouts; never if it arrives in time.
    pub(super) async fn is_late(&self) {
        let limits = &self.shared.limits;
        loop {
            let deadline = {
                let arrival = lock(&self.arrival);
                if arrival.is_complete {
                    None
                } else {
                    Some(
                        (arrival.last_frame + limits.body_idle_timeout)
                            .min(arrival.begun + limits.body_timeout),
                    )
                }
            };
            let Some(deadline) = deadline else {
                return std::future::pending().await;
            };
            if deadline <= Instant::now() {
                return;
            }
            tokio::select! {
                () = self.arrived.notified() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        let mut received = self.shared.lock();
        if let Some(request) = received.requests.remove(&self.id) {
            received.total -= request.size;
        }
    }
}

/// Locks a mutex, also after a panic of a holder: at worst a number is wrong until its body is dropped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    /// Returns limits of 100 bytes and of `requests`.
    fn limits_of(requests: usize) -> BodyLimits {
        BodyLimits::new(RequestLimits {
            total_body_size: 100,
            requests,
            ..RequestLimits::default()
        })
    }

    fn tracked(limits: &BodyLimits) -> TrackedBody {
        limits.track().unwrap()
    }

    fn cancelled(bodies: &[TrackedBody]) -> Vec<bool> {
        bodies
            .iter()
            .map(|body| body.cancelled().is_cancelled())
            .collect()
    }

    #[test]
    fn the_largest_body_is_cancelled_whichever_exceeds_the_limit() {
        let limits = limits_of(1000);
        let bodies = [tracked(&limits), tracked(&limits), tracked(&limits)];
        bodies[0].add(30);
        bodies[1].add(60);
        bodies[2].add(10);
        assert_eq!(cancelled(&bodies), [false, false, false]);
        bodies[2].add(1);
        assert_eq!(cancelled(&bodies), [false, true, false]);
    }

    #[test]
    fn of_equal_bodies_the_oldest_is_cancelled() {
        let limits = limits_of(1000);
        let bodies = [tracked(&limits), tracked(&limits)];
        bodies[1].add(50);
        bodies[0].add(50);
        assert_eq!(cancelled(&bodies), [false, false]);
        let last = tracked(&limits);
        last.add(1);
        assert_eq!(cancelled(&bodies), [true, false]);
        assert!(!last.cancelled().is_cancelled());
    }

    #[test]
    fn dropped_and_cancelled_bodies_count_no_longer() {
        let limits = limits_of(1000);
        for _ in 0..10 {
            tracked(&limits).add(90);
        }
        let alone = tracked(&limits);
        alone.add(101);
        assert!(alone.cancelled().is_cancelled());
        alone.add(1000);
        let next = tracked(&limits);
        next.add(100);
        assert!(!next.cancelled().is_cancelled());
        drop(alone);
        next.add(1);
        assert!(next.cancelled().is_cancelled());
        drop(next);
        assert_eq!(limits.lock().total, 0);
    }

    #[test]
    fn over_the_limit_of_requests_the_oldest_whose_body_has_not_arrived_is_cancelled() {
        let limits = limits_of(3);
        let bodies = [tracked(&limits), tracked(&limits), tracked(&limits)];
        bodies[0].finish();
        let next = tracked(&limits);
        assert_eq!(cancelled(&bodies), [false, true, false]);
        next.finish();
        bodies[2].finish();
        assert!(limits.track().is_none(), "each of the three is being answered");
        drop(next);
        assert!(limits.track().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_late_without_a_frame_or_after_its_total_time() {
        let limits = limits_of(1000);
        let silent = tracked(&limits);
        assert!(
            timeout(Duration::from_millis(1_999), silent.is_late())
                .await
                .is_err()
        );
        assert!(timeout(Duration::from_millis(2), silent.is_late()).await.is_ok());

        let slow = tracked(&limits);
        let begun = Instant::now();
        let dripping = async {
            loop {
                sleep(Duration::from_secs(1)).await;
                slow.add(1);
            }
        };
        tokio::select! {
            () = slow.is_late() => {}
            () = dripping => {}
        }
        assert_eq!(begun.elapsed().as_secs(), 10);

        let complete = tracked(&limits);
        let (late, ()) = tokio::join!(timeout(Duration::from_hours(1), complete.is_late()), async {
            sleep(Duration::from_secs(1)).await;
            complete.finish();
        });
        assert!(late.is_err());
    }
}
