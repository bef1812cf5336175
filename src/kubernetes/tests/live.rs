//! Live reads that fail.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::CassandraBackup;
use crate::rules::facts::{FactSource, Freshness, NO_TURN, Reference};

use super::apiserver::{ApiServer, Instead};
use super::*;

const C1: &str = "/apis/db.orange.com/v2/namespaces/prod/cassandraclusters/c1";
const B1: &str = "/apis/db.orange.com/v2/namespaces/prod/cassandrabackups/b1";
const S3: &str = "/api/v1/namespaces/prod/secrets/s3";

/// Reads a cluster from an API server with this answer.
async fn cluster_when(answer: Instead) -> Reference<crate::rules::facts::Cluster> {
    let server = ApiServer::new();
    server.instead(C1, [answer]);
    let world = World::without_caches(&server);
    let read = world.facts.cluster("prod", "c1", Freshness::Live).await;
    assert_eq!(world.facts.cluster("prod", "c1", Freshness::Cached).await, read);
    read
}

#[tokio::test(start_paused = true)]
async fn only_a_not_found_that_names_the_object_is_absent() {
    let server = ApiServer::new();
    let world = World::without_caches(&server);
    assert_eq!(
        world.facts.cluster("prod", "c1", Freshness::Live).await,
        Reference::Absent
    );
    assert_eq!(
        world.facts.secret("prod", "s3", Freshness::Live).await,
        Reference::Absent
    );

    let no_kind = "the API server does not know the kind CassandraCluster; is its CRD installed?";
    let page = Instead::Text(404, "404 page not found\n".to_owned());
    assert_eq!(cluster_when(page).await, unknown(no_kind));
    let nameless = Instead::Status(404, "the server could not find the requested resource");
    assert_eq!(cluster_when(nameless).await, unknown(no_kind));
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_kind_names_the_missing_right() {
    assert_eq!(
        cluster_when(Instead::Status(403, "cassandraclusters is forbidden")).await,
        unknown("cassgate may not get cassandraclusters in namespace prod (403)")
    );
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_secret_names_the_command_that_grants_the_right() {
    let server = ApiServer::new();
    let world = World::without_caches(&server);
    let message = r#"secrets "s3" is forbidden: User "system:serviceaccount:cassgate-system:cassgate" cannot get resource "secrets" in API group "" in the namespace "prod""#;
    server.instead(S3, [Instead::Status(403, message)]);
    assert_eq!(
        world.facts.secret("prod", "s3", Freshness::Live).await,
        unknown(
            "cassgate may not read it; allow it: kubectl -n prod create rolebinding cassgate-secrets \
             --clusterrole=cassgate-secrets --serviceaccount=cassgate-system:cassgate"
        )
    );
    let person = r#"secrets "s3" is forbidden: User "jane; rm -rf /" cannot get resource "secrets""#;
    server.instead(S3, [Instead::Status(403, person)]);
    assert_eq!(
        world.facts.secret("prod", "s3", Freshness::Live).await,
        unknown("cassgate's user may not get secrets in namespace prod (403)")
    );
    let odd = r#"secrets "s3" is forbidden: User "system:serviceaccount:a b:$(c)" cannot get"#;
    server.instead(S3, [Instead::Status(403, odd)]);
    assert_eq!(
        world.facts.secret("prod", "s3", Freshness::Live).await,
        unknown("cassgate's user may not get secrets in namespace prod (403)")
    );
}

#[tokio::test(start_paused = true)]
async fn a_malformed_object_is_unknown_and_its_field_is_named() {
    let server = ApiServer::new();
    let world = World::without_caches(&server);
    server.put(BACKUPS, &bad_backup("b1"));
    assert_eq!(
        world.facts.backup("prod", "b1", Freshness::Live).await,
        unknown("the stored CassandraBackup cannot be read: spec.cassandraCluster")
    );
    let mut broken = cluster("c1", "dc1");
    broken["spec"]["topology"]["dc"][0]["name"] = json!(7);
    server.put(CLUSTERS, &broken);
    assert_eq!(
        world.facts.cluster("prod", "c1", Freshness::Live).await,
        unknown("the stored CassandraCluster cannot be read: spec.topology.dc[0].name")
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_object_is_unknown() {
    for text in ["", "<html>", "{}", "null", r#"{"kind": "Status", "code": 200}"#] {
        let read = cluster_when(Instead::Text(200, text.to_owned())).await;
        assert_eq!(read, unknown("the API server's answer cannot be read"), "{text}");
    }
    let another = Instead::Text(200, cluster("c2", "dc1").to_string());
    assert_eq!(
        cluster_when(another).await,
        unknown("the API server's answer cannot be read")
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_is_unknown_with_a_reason_of_one_line() {
    for (answer, reason) in [
        (
            Instead::Status(500, "etcd at https://10.0.0.1"),
            "the API server answered with an error (500)",
        ),
        (
            Instead::Status(429, "slow down"),
            "the API server is too busy (429)",
        ),
        (
            Instead::Status(401, "Unauthorized"),
            "the API server does not accept cassgate's credentials (401)",
        ),
        (
            Instead::Text(502, "<html>bad gateway".to_owned()),
            "the API server answered with an error (502)",
        ),
        (
            Instead::Broken(ErrorKind::ConnectionRefused),
            "connection refused by the API server",
        ),
        (
            Instead::Broken(ErrorKind::ConnectionReset),
            "the connection to the API server broke",
        ),
    ] {
        assert_eq!(cluster_when(answer).await, unknown(reason));
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_without_an_answer_is_unknown_after_five_seconds() {
    let begun = Instant::now();
    let server = ApiServer::new();
    server.instead(C1, [Instead::Silence]);
    let world = World::without_caches(&server);
    let read = world.facts.cluster("prod", "c1", Freshness::Live).await;
    assert_eq!(read, unknown("the API server did not answer within 5 s"));
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert!(world.metric(r#"cassgate_live_reads_total{kind="cluster",outcome="unknown"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn a_transient_error_is_retried() {
    let server = ApiServer::new();
    server.put(BACKUPS, &backup("b1", "s3://b"));
    let trouble = Instead::Status(500, "etcdserver: leader changed");
    let broken = Instead::Broken(ErrorKind::ConnectionRefused);
    server.instead(B1, [trouble, broken, Instead::Usual]);
    let world = World::without_caches(&server);
    let read = world.facts.backup("prod", "b1", Freshness::Live).await;
    assert_eq!(read, fact::<CassandraBackup>(&backup("b1", "s3://b")));
    assert_eq!(server.requests(), [B1, B1, B1]);
    assert!(world.metric(r#"cassgate_live_reads_total{kind="backup",outcome="found"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_read_counts_as_unknown() {
    let server = ApiServer::new();
    server.instead(C1, [Instead::Silence]);
    let world = World::without_caches(&server);
    let read = world.facts.cluster("prod", "c1", Freshness::Live);
    assert!(
        tokio::time::timeout(Duration::from_millis(10), read)
            .await
            .is_err()
    );
    assert!(world.metric(r#"cassgate_live_reads_total{kind="cluster",outcome="unknown"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn an_invalid_name_never_becomes_a_path() {
    let server = ApiServer::new();
    let world = World::without_caches(&server);
    for (namespace, name) in [
        ("prod", "../secrets/s3"),
        ("prod", ""),
        ("prod/x", "c1"),
        ("", "c1"),
        ("prod", "a?b"),
    ] {
        let read = world.facts.cluster(namespace, name, Freshness::Cached).await;
        assert_eq!(
            read,
            unknown("no object can have this name"),
            "{namespace} {name}"
        );
    }
    assert_eq!(server.requests(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn concurrent_reads_are_bounded() {
    let server = ApiServer::new();
    server.instead(C1, [Instead::Late(Duration::from_millis(10))]);
    let world = World::without_caches(&server);
    let begun = Instant::now();
    let reads = (0..320).map(|_| world.facts.cluster("prod", "c1", Freshness::Live));
    let read = futures::future::join_all(reads).await;
    assert!(read.iter().all(|read| *read == Reference::Absent));
    assert_eq!(begun.elapsed(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_read_without_a_turn_is_told_from_a_slow_api_server() {
    let slow = "the API server did not answer within 5 s";
    for (answer, expected) in [
        (Instead::Late(Duration::from_millis(4_900)), (32, 33, 0)),
        (Instead::Silence, (0, 0, 65)),
    ] {
        let server = ApiServer::new();
        server.instead(C1, [answer]);
        let world = World::without_caches(&server);
        // Two rounds of reads have their turns, the second one late, and the last read has none.
        let reads = (0..65).map(|_| world.facts.cluster("prod", "c1", Freshness::Live));
        let read = futures::future::join_all(reads).await;
        let count = |expected| read.iter().filter(|read| **read == expected).count();
        let counts = (
            count(Reference::Absent),
            count(unknown(NO_TURN)),
            count(unknown(slow)),
        );
        assert_eq!(counts, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_with_a_late_turn_is_short_of_turns_until_its_review_ends() {
    let server = ApiServer::new();
    server.instead(C1, [Instead::Late(Duration::from_secs(1))]);
    let world = World::without_caches(&server);
    let reads = (0..33).map(|_| world.facts.cluster("prod", "c1", Freshness::Live));
    let mut reads = std::pin::pin!(futures::future::join_all(reads));
    let passed = tokio::time::timeout(Duration::from_millis(1_500), &mut reads).await;
    assert!(passed.is_err(), "the last read has its turn after one second");
    assert!(world.facts.has_no_turn("prod") && !world.facts.has_no_turn("other"));
    let read = reads.await;
    assert!(read.iter().all(|read| *read == Reference::Absent));
}

#[tokio::test(start_paused = true)]
async fn reads_have_no_turn_only_while_the_api_server_answers_others() {
    let server = ApiServer::new();
    server.instead(C1, [Instead::Silence]);
    let world = World::without_caches(&server);
    let reads = (0..33).map(|_| world.facts.cluster("prod", "c1", Freshness::Live));
    let mut reads = std::pin::pin!(futures::future::join_all(reads));
    assert!(futures::poll!(&mut reads).is_pending());
    assert!(!world.facts.has_no_turn("prod"));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(
        world.facts.cluster("other", "c1", Freshness::Live).await,
        Reference::Absent
    );
    assert!(world.facts.has_no_turn("prod") && !world.facts.has_no_turn("other"));
}
