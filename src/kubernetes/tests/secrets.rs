//! Secrets: which are remembered and how long, and that no value leaks.

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tracing::Dispatch;

use crate::domain::credentials::{Credentials, Key};
use crate::rules::facts::{FactSource, Freshness, Reference};

use super::apiserver::{ApiServer, Instead};
use super::*;

const S3: &str = "/api/v1/namespaces/prod/secrets/s3";

/// `topsecret`.
const VALUE: &str = "dG9wc2VjcmV0";

fn good() -> Value {
    secret(
        "s3",
        &json!({"awsaccesskeyid": VALUE, "awssecretaccesskey": VALUE}),
    )
}

fn keys() -> Reference<Credentials> {
    let value = b"topsecret".as_slice();
    Reference::Found(Credentials::read([
        ("awsaccesskeyid", value),
        ("awssecretaccesskey", value),
    ]))
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_remembered_for_five_seconds() {
    let server = ApiServer::new();
    server.put(SECRETS, &good());
    let world = World::without_caches(&server);
    assert_eq!(world.facts.secret("prod", "s3", Freshness::Cached).await, keys());
    server.delete(SECRETS, &good());
    tokio::time::advance(Duration::from_millis(4_990)).await;
    assert_eq!(world.facts.secret("prod", "s3", Freshness::Cached).await, keys());
    assert_eq!(server.requests(), [S3]);
    tokio::time::advance(Duration::from_millis(10)).await;
    assert_eq!(
        world.facts.secret("prod", "s3", Freshness::Cached).await,
        Reference::Absent
    );
    assert_eq!(server.requests(), [S3, S3]);
}

#[tokio::test(start_paused = true)]
async fn a_live_call_reads_and_replaces_the_remembered_secret() {
    let server = ApiServer::new();
    server.put(SECRETS, &good());
    let world = World::without_caches(&server);
    assert_eq!(world.facts.secret("prod", "s3", Freshness::Cached).await, keys());
    server.delete(SECRETS, &good());
    assert_eq!(
        world.facts.secret("prod", "s3", Freshness::Live).await,
        Reference::Absent
    );
    assert_eq!(
        world.facts.secret("prod", "s3", Freshness::Cached).await,
        Reference::Absent
    );
    server.put(SECRETS, &good());
    assert_eq!(world.facts.secret("prod", "s3", Freshness::Live).await, keys());
    assert_eq!(world.facts.secret("prod", "s3", Freshness::Cached).await, keys());
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_absent_or_empty_is_read_each_time() {
    let server = ApiServer::new();
    let world = World::without_caches(&server);
    assert_eq!(
        world.facts.secret("prod", "s3", Freshness::Cached).await,
        Reference::Absent
    );
    server.put(SECRETS, &json!({"metadata": {"namespace": "prod", "name": "s3"}}));
    let empty = Reference::Found(Credentials::default());
    assert_eq!(world.facts.secret("prod", "s3", Freshness::Cached).await, empty);
    server.put(SECRETS, &good());
    assert_eq!(world.facts.secret("prod", "s3", Freshness::Cached).await, keys());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn concurrent_cached_calls_share_a_read_and_a_live_call_has_its_own() {
    let server = ApiServer::new();
    server.put(SECRETS, &good());
    server.instead(S3, [Instead::Late(Duration::from_millis(50))]);
    let world = World::without_caches(&server);
    let ask = |freshness| world.facts.secret("prod", "s3", freshness);
    let (first, second, live) = futures::join!(
        ask(Freshness::Cached),
        ask(Freshness::Cached),
        ask(Freshness::Live)
    );
    assert_eq!((first, second, live), (keys(), keys(), keys()));
    assert_eq!(server.requests().len(), 2);
    assert!(world.metric(r#"cassgate_live_reads_total{kind="secret",outcome="found"} 2"#));
}

#[tokio::test(start_paused = true)]
async fn values_are_decoded_and_checked() {
    let server = ApiServer::new();
    // `AKIA` with a line end, and an empty value.
    let values = json!({"awsaccesskeyid": "QUtJQQo=", "awsregion": ""});
    server.put(SECRETS, &secret("s3", &values));
    let world = World::without_caches(&server);
    let expected = Credentials::read([("awsaccesskeyid", b"AKIA\n".as_slice()), ("awsregion", b"")]);
    assert!(expected.defect(Key::AwsAccessKeyId).is_some());
    let found = world.facts.secret("prod", "s3", Freshness::Live).await;
    assert_eq!(found, Reference::Found(expected));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Records events of every level and of all crates.
fn everything(log: Log) -> Dispatch {
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    Dispatch::new(lines.with_writer(move || log.clone()).finish())
}

#[tokio::test(start_paused = true)]
async fn no_value_of_a_secret_is_logged_or_returned() {
    let log = Log::default();
    // Two dispatchers, although only one is used: with a single one, tracing caches per log line the decision of the
    // first thread that reaches it, so a test in another thread could disable a line.
    let [dispatch, _second] = [log.clone(), Log::default()].map(everything);
    let guard = tracing::dispatcher::set_default(&dispatch);
    tracing::callsite::rebuild_interest_cache();

    let server = ApiServer::new();
    let world = World::without_caches(&server);
    let mut texts = Vec::new();
    for object in [
        good(),
        // Neither base64 nor a map nor text: answers that the error of a decoder would quote.
        secret("s3", &json!({"awsaccesskeyid": "topsecret!"})),
        secret("s3", &json!(["topsecret"])),
        secret("s3", &json!({"awsaccesskeyid": {"topsecret": "topsecret"}})),
        secret("topsecret", &json!({"awsaccesskeyid": VALUE})),
    ] {
        server.instead(S3, [Instead::Text(200, object.to_string())]);
        texts.push(format!(
            "{:?}",
            world.facts.secret("prod", "s3", Freshness::Live).await
        ));
    }
    server.instead(S3, [Instead::Text(200, "topsecret".to_owned())]);
    texts.push(format!(
        "{:?}",
        world.facts.secret("prod", "s3", Freshness::Live).await
    ));
    texts.push(format!("{:?}", world.facts));
    texts.push(world.metrics.encode());
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("live read").count(), 6, "{log}");
    texts.push(log);
    for text in texts {
        assert!(!text.contains("topsecret") && !text.contains(VALUE), "{text}");
    }
}
