use std::time::Duration;

use tokio::time::Instant;

use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore, MISSING_REFERENCES_LABEL};
use crate::rules::facts::{Caller, FactSource, Freshness, Namespace, NeighbourQuery, Neighbours, Reference};
use crate::rules::policy::MissingReferences;

use super::apiserver::{ApiServer, Instead};
use super::*;

const C1: &str = "/apis/db.orange.com/v2/namespaces/prod/cassandraclusters/c1";
const B1: &str = "/apis/db.orange.com/v2/namespaces/prod/cassandrabackups/b1";

#[tokio::test(start_paused = true)]
async fn a_cached_object_is_not_read() {
    let server = ApiServer::new();
    server.put(CLUSTERS, &cluster("c1", "dc1"));
    server.put(BACKUPS, &backup("b1", "s3://b"));
    let world = World::synced(&server).await;
    let found = world.facts.cluster("prod", "c1", Freshness::Cached).await;
    assert_eq!(found, fact::<CassandraCluster>(&cluster("c1", "dc1")));
    let found = world.facts.backup("prod", "b1", Freshness::Cached).await;
    assert_eq!(found, fact::<CassandraBackup>(&backup("b1", "s3://b")));
    assert_eq!(server.requests(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_not_cached_is_read() {
    let server = ApiServer::new();
    let world = World::synced(&server).await;
    server.put_silently(CLUSTERS, &cluster("c1", "dc1"));
    let found = world.facts.cluster("prod", "c1", Freshness::Cached).await;
    assert_eq!(found, fact::<CassandraCluster>(&cluster("c1", "dc1")));
    assert_eq!(
        world.facts.backup("prod", "b1", Freshness::Cached).await,
        Reference::Absent
    );
    assert_eq!(server.requests(), [C1, B1]);
    assert!(world.metric(r#"cassgate_live_reads_total{kind="cluster",outcome="found"} 1"#));
    assert!(world.metric(r#"cassgate_live_reads_total{kind="backup",outcome="absent"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn a_live_call_reads_even_if_the_object_is_cached() {
    let server = ApiServer::new();
    server.put(CLUSTERS, &cluster("c1", "dc1"));
    server.put(BACKUPS, &backup("b1", "s3://old"));
    let world = World::synced(&server).await;
    server.put_silently(CLUSTERS, &cluster("c1", "dc2"));
    server.delete_silently(BACKUPS, &backup("b1", "s3://old"));
    let found = world.facts.cluster("prod", "c1", Freshness::Live).await;
    assert_eq!(found, fact::<CassandraCluster>(&cluster("c1", "dc2")));
    assert_eq!(
        world.facts.backup("prod", "b1", Freshness::Live).await,
        Reference::Absent
    );
    assert_eq!(server.requests(), [C1, B1]);
}

#[tokio::test(start_paused = true)]
async fn before_a_cache_is_complete_every_object_is_read() {
    let server = ApiServer::new();
    server.put(CLUSTERS, &cluster("c1", "dc1"));
    let world = World::without_caches(&server);
    for _ in 0..2 {
        let found = world.facts.cluster("prod", "c1", Freshness::Cached).await;
        assert_eq!(found, fact::<CassandraCluster>(&cluster("c1", "dc1")));
    }
    assert_eq!(server.requests(), [C1, C1]);
}

#[tokio::test(start_paused = true)]
async fn after_a_broken_watch_the_cache_is_trusted_for_a_minute() {
    let server = ApiServer::new();
    server.put(CLUSTERS, &cluster("c1", "dc1"));
    let world = World::synced(&server).await;
    let list = format!("/apis/db.orange.com/v2/{CLUSTERS}");
    for path in [format!("watch {list}"), list] {
        server.instead(&path, [Instead::Broken(std::io::ErrorKind::ConnectionRefused)]);
    }
    let broken = Instant::now();
    server.end_watches("");
    server.put_silently(CLUSTERS, &cluster("c1", "dc2"));
    let old = fact::<CassandraCluster>(&cluster("c1", "dc1"));
    tokio::time::sleep_until(broken + Duration::from_secs(59)).await;
    assert_eq!(world.facts.cluster("prod", "c1", Freshness::Cached).await, old);
    tokio::time::sleep_until(broken + Duration::from_secs(61)).await;
    let new = fact::<CassandraCluster>(&cluster("c1", "dc2"));
    assert_eq!(world.facts.cluster("prod", "c1", Freshness::Cached).await, new);
}

#[tokio::test(start_paused = true)]
async fn concurrent_cached_calls_share_a_read_and_live_calls_do_not() {
    let server = ApiServer::new();
    server.put(CLUSTERS, &cluster("c1", "dc1"));
    server.instead(C1, [Instead::Late(Duration::from_millis(50))]);
    let world = World::without_caches(&server);
    let ask = |freshness| world.facts.cluster("prod", "c1", freshness);
    let found = fact::<CassandraCluster>(&cluster("c1", "dc1"));
    let (first, second) = futures::join!(ask(Freshness::Cached), ask(Freshness::Cached));
    assert_eq!((&first, &second), (&found, &found));
    assert_eq!(server.requests().len(), 1);

    server.forget_requests();
    let (first, second, third) =
        futures::join!(ask(Freshness::Cached), ask(Freshness::Live), ask(Freshness::Live));
    assert_eq!((&first, &second, &third), (&found, &found, &found));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_does_not_cancel_a_shared_read() {
    let server = ApiServer::new();
    server.put(CLUSTERS, &cluster("c1", "dc1"));
    server.instead(C1, [Instead::Late(Duration::from_millis(50))]);
    let world = World::without_caches(&server);
    let impatient = tokio::time::timeout(
        Duration::from_millis(10),
        world.facts.cluster("prod", "c1", Freshness::Cached),
    );
    let (given_up, answered) =
        futures::join!(impatient, world.facts.cluster("prod", "c1", Freshness::Cached));
    assert!(given_up.is_err());
    assert_eq!(answered, fact::<CassandraCluster>(&cluster("c1", "dc1")));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn neighbours_come_from_the_caches_and_a_restore_is_read_live() {
    let server = ApiServer::new();
    let mut backup = backup("b1", "s3://b");
    backup["spec"]["snapshotTag"] = json!("daily");
    server.put(BACKUPS, &backup);
    let restore = json!({
        "metadata": {"namespace": "prod", "name": "r1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"cassandraCluster": "c1", "cassandraBackup": "b1"},
    });
    server.put("cassandrarestores", &restore);
    let world = World::synced(&server).await;
    let query = NeighbourQuery {
        namespace: "prod",
        name: "b2",
        restore: false,
        cluster: "c1",
        backup: "b2",
        location: "s3://b",
        tag: "daily-eu",
    };
    let found = world.facts.neighbours(query);
    assert_eq!(found.overlapping_backups[0].name, "b1");
    assert_eq!(found.restores_with_copies[0].name, "r1");
    assert_eq!(server.requests(), [""; 0]);
    let read = world.facts.restore("prod", "r1").await;
    assert_eq!(read, fact::<CassandraRestore>(&restore));
    assert_eq!(server.requests().len(), 1);
    let without_caches = World::without_caches(&server).facts.neighbours(query);
    assert_eq!(without_caches, Neighbours::default(), "no neighbours are known");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_has_its_deletion_and_its_policy_label() {
    let server = ApiServer::new();
    let namespace = json!({"metadata": {"name": "prod", "labels": {MISSING_REFERENCES_LABEL: "warn"},
                           "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    server.put("namespaces", &namespace);
    let expected = Reference::Found(Namespace {
        terminating: true,
        missing_references: Some(MissingReferences::Warn),
    });
    for world in [World::synced(&server).await, World::without_caches(&server)] {
        for freshness in [Freshness::Cached, Freshness::Live] {
            assert_eq!(world.facts.namespace("prod", freshness).await, expected);
        }
    }
    server.instead("/api/v1/namespaces/prod", [Instead::Status(403, "no")]);
    let read = World::without_caches(&server)
        .facts
        .namespace("prod", Freshness::Live)
        .await;
    assert_eq!(read, unknown("cassgate may not get namespaces (403)"));
}

#[tokio::test(start_paused = true)]
async fn the_right_to_read_a_secret_is_asked_of_the_api_server() {
    let server = ApiServer::new();
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let world = World::without_caches(&server);
    let jane = Caller {
        username: "jane".to_owned(),
        ..Caller::default()
    };
    for (status, expected) in [
        (json!({"allowed": true}), Reference::Found(true)),
        (json!({"allowed": false, "denied": true}), Reference::Found(false)),
    ] {
        let answer = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                            "spec": {}, "status": status});
        server.instead(path, [Instead::Text(201, answer.to_string())]);
        assert_eq!(world.facts.may_read_secret(&jane, "prod", "s3").await, expected);
    }
    server.instead(path, [Instead::Status(403, "no")]);
    let allowed = world.facts.may_read_secret(&jane, "prod", "s3").await;
    assert_eq!(allowed, unknown("cassgate lacks a right on the API server (403)"));
    assert!(world.metric(r#"cassgate_live_reads_total{kind="access",outcome="found"} 2"#));
}
