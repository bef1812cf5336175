//! The number of requests to the sidecars of a large ring that are under way at the same time.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;

use super::{BoundedSidecars, Listings, MAX_CONCURRENT_REQUESTS, OperationOwner, SidecarObserver};
use crate::domain::cassandra_directory::CassandraDirectory;
use crate::domain::node_location::Segment;
use crate::domain::schema_version::SchemaVersion;
use crate::domain::source_directory::SourceDirectory;
use crate::icarus::{
    NodeMode, Operation, OperationFilter, SidecarError, Topology, partial::PartialSidecarApi,
};
use crate::reconcile::plan::{Answer, PodMember, Question};

const NODES: usize = 200;

/// The sidecars of a large ring, of which all but some do not answer in time.
#[derive(Default)]
struct LargeRing {
    healthy: BTreeSet<SocketAddr>,
    asked: Mutex<Vec<SocketAddr>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

/// A request that is under way until it ends or is dropped.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LargeRing {
    async fn ask<T>(&self, at: SocketAddr, timeout: Duration, answer: T) -> Result<T, SidecarError> {
        self.asked.lock().unwrap().push(at);
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::Relaxed);
        let _ends = UnderWay(&self.under_way);
        let healthy = self.healthy.contains(&at);
        sleep(if healthy { Duration::from_secs(5) } else { timeout }).await;
        if healthy {
            Ok(answer)
        } else {
            Err(SidecarError::TimedOut(timeout))
        }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn most_under_way(&self) -> usize {
        self.most_under_way.load(Ordering::Relaxed)
    }
}

impl PartialSidecarApi for LargeRing {
    async fn operations(
        &self,
        at: SocketAddr,
        _: OperationFilter,
        timeout: Duration,
    ) -> Result<Vec<Operation>, SidecarError> {
        self.ask(at, timeout, Vec::new()).await
    }

    async fn mode(&self, at: SocketAddr, timeout: Duration) -> Result<NodeMode, SidecarError> {
        self.ask(at, timeout, NodeMode::Normal).await
    }

    async fn topology(&self, at: SocketAddr, timeout: Duration) -> Result<Topology, SidecarError> {
        let schema = SchemaVersion::parse("168d568b-d346-3f61-968f-a2716307a6e4").unwrap();
        let topology = Topology {
            cluster: Segment::parse("c1").unwrap(),
            schema: Some(schema),
            nodes: Vec::new(),
        };
        self.ask(at, timeout, topology).await
    }
}

fn members() -> Vec<PodMember> {
    let member = |number: usize| PodMember {
        pod: format!("pod-{number}"),
        address: Some(format!("10.0.0.{number}")),
        containers: None,
    };
    (0..NODES).map(member).collect()
}

fn at(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], crate::icarus::PORT))
}

/// Asks questions as a reconcile does.
async fn ask(ring: &LargeRing, questions: Vec<Question>) -> Vec<Answer> {
    let (members, listings, sidecars) = (members(), Listings::default(), BoundedSidecars::new(ring));
    let directory = CassandraDirectory::parse("/var/lib/cassandra").unwrap();
    let observer = SidecarObserver {
        sidecars: &sidecars,
        members: &members,
        owner: OperationOwner::Restore(SourceDirectory::of_restore(&directory, "r1").unwrap()),
        listings: &listings,
        listing_request: &|_, _| None,
    };
    join_all(questions.iter().map(|question| observer.ask(question))).await
}

#[tokio::test(start_paused = true)]
async fn questions_to_every_node_of_a_large_ring_are_asked_with_bounded_concurrency() {
    let ring = LargeRing::default();
    let pods = (0..NODES).map(|number| format!("pod-{number}"));
    let questions = pods.flat_map(|pod| [Question::Mode { pod: pod.clone() }, Question::Busy { pod }]);
    let answers = ask(&ring, questions.collect()).await;
    assert_eq!(answers.len(), 2 * NODES);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Answer::Unavailable(_)))
    );
    assert_eq!(ring.asked(), 2 * NODES, "one request for each question");
    assert_eq!(ring.most_under_way(), MAX_CONCURRENT_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn the_ring_is_asked_of_one_sidecar_while_that_is_healthy() {
    let ring = LargeRing {
        healthy: (0..200).map(at).collect(),
        ..LargeRing::default()
    };
    let answers = ask(&ring, vec![Question::Ring]).await;
    assert!(matches!(&answers[..], [Answer::Ring(_)]), "{answers:?}");
    assert_eq!(ring.asked(), 1);
    let answers = ask(&ring, vec![Question::RingViews]).await;
    assert!(matches!(&answers[..], [Answer::RingViews { views, .. }] if views.len() == 2));
    assert_eq!(ring.asked(), 3);
}

/// One after the other, 199 timeouts of 30 s would take more than an hour and a half.
#[tokio::test(start_paused = true)]
async fn sidecars_that_do_not_answer_are_not_waited_for_one_after_the_other() {
    for question in [Question::Ring, Question::RingViews] {
        let ring = LargeRing {
            healthy: [at(198), at(199)].into(),
            ..LargeRing::default()
        };
        let answers = ask(&ring, vec![question]).await;
        assert!(!matches!(&answers[..], [Answer::Unavailable(_)]), "{answers:?}");
        assert_eq!(ring.asked(), NODES);
        assert_eq!(ring.most_under_way(), MAX_CONCURRENT_REQUESTS);
        // Rounds of timeouts: the sidecars that are asked double each time.
        let mut asked = ring.asked.lock().unwrap().clone();
        asked.dedup();
        assert_eq!(asked.len(), NODES, "each is asked once");
    }
    let ring = LargeRing::default();
    let answers = ask(&ring, vec![Question::Ring]).await;
    let reason = "pod-0: no answer from the sidecar after 30s";
    assert_eq!(answers, [Answer::Unavailable(reason.to_owned())]);
}
