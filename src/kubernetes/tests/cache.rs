use std::io::ErrorKind;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::apiserver::{ApiServer, Instead};
use super::*;
use crate::api::CassandraBackup;
use crate::kubernetes::{Cache, Cached, Undecodable};
use crate::rules::facts::StoredBackup;

const LIST: &str = "/apis/db.orange.com/v2/cassandrabackups";
const WATCH: &str = "watch /apis/db.orange.com/v2/cassandrabackups";
const GONE: &str = concat!(
    r#"{"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}"#,
    "\n"
);

/// A cache of backups that runs until this is dropped.
struct Running {
    state: watch::Receiver<CacheState>,
    cached: Cached<CassandraBackup>,
    undecodable: watch::Receiver<Undecodable>,
    metrics: Metrics,
    watch: JoinSet<()>,
}

impl Running {
    fn on(server: &ApiServer) -> Self {
        let metrics = Metrics::new();
        let cache = Cache::<CassandraBackup>::new(server.client(), metrics.clone());
        let (state, cached, undecodable) = (cache.state(), cache.reader(), cache.undecodable());
        let mut watch = JoinSet::new();
        watch.spawn(cache.run());
        Self {
            state,
            cached,
            undecodable,
            metrics,
            watch,
        }
    }

    async fn synced(server: &ApiServer) -> Self {
        let mut running = Self::on(server);
        running.until(|state| *state == CacheState::Synced).await;
        running
    }

    async fn until(&mut self, reached: impl FnMut(&CacheState) -> bool) {
        // In paused time: a test whose state is never reached fails.
        let reached = timeout(Duration::from_hours(1), self.state.wait_for(reached)).await;
        reached.unwrap().unwrap();
    }

    /// Runs all tasks until they are idle.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn location(&self, name: &str) -> Option<String> {
        let found: Arc<StoredBackup> = self.cached.get("prod", name, Instant::now())?;
        Some(found.spec.storage_location.clone())
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|found| found == line)
    }
}

fn stale(state: &CacheState) -> Option<&str> {
    match state {
        CacheState::Stale { reason, .. } => Some(reason),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_synced_cache_has_all_pages_of_a_list() {
    let server = ApiServer::new();
    for number in 0..600 {
        server.put(BACKUPS, &backup(&format!("b{number}"), "s3://b"));
    }
    let mut running = Running::on(&server);
    assert_eq!(running.state.borrow().unready(), Some("not listed yet"));
    assert_eq!(running.location("b0"), None);
    running.until(|state| *state == CacheState::Synced).await;
    assert_eq!(running.state.borrow().unready(), None);
    assert_eq!(running.location("b599").as_deref(), Some("s3://b"));
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|request| request.contains("limit=50"))
            .count(),
        12
    );
    assert!(running.metric(r#"cassgate_cache_objects{kind="backup"} 600"#));
    assert!(running.metric(r#"cassgate_cache_synced{kind="backup"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn events_of_an_object_reach_the_cache() {
    let server = ApiServer::new();
    let running = Running::synced(&server).await;
    server.put(BACKUPS, &backup("b1", "s3://one"));
    running.settle().await;
    assert_eq!(running.location("b1").as_deref(), Some("s3://one"));
    server.put(BACKUPS, &backup("b1", "s3://two"));
    running.settle().await;
    assert_eq!(running.location("b1").as_deref(), Some("s3://two"));
    server.delete(BACKUPS, &backup("b1", "s3://two"));
    running.settle().await;
    assert_eq!(running.location("b1"), None);
    assert!(running.metric(r#"cassgate_cache_objects{kind="backup"} 0"#));
}

#[tokio::test(start_paused = true)]
async fn a_malformed_object_is_left_out_and_does_not_stop_the_watch() {
    let server = ApiServer::new();
    server.put(BACKUPS, &bad_backup("bad"));
    server.put(BACKUPS, &backup("b1", "s3://one"));
    let running = Running::synced(&server).await;
    assert_eq!(
        (running.location("bad"), running.location("b1").as_deref()),
        (None, Some("s3://one"))
    );
    let told = |running: &Running| running.undecodable.borrow().to_string();
    let counted = |count: u8| format!(r#"cassgate_cache_undecodable_objects{{kind="backup"}} {count}"#);
    assert!(
        told(&running).starts_with("1 left out; correct or delete: prod/bad ("),
        "{}",
        told(&running)
    );
    assert!(running.metric(&counted(1)));

    server.put(BACKUPS, &bad_backup("b1"));
    server.put(BACKUPS, &backup("b2", "s3://two"));
    running.settle().await;
    assert_eq!(
        (running.location("b1"), running.location("b2").as_deref()),
        (None, Some("s3://two"))
    );
    assert!(told(&running).contains("prod/b1 ("), "{}", told(&running));
    assert!(running.metric(&counted(2)));
    server.delete(BACKUPS, &bad_backup("bad"));
    server.put(BACKUPS, &backup("b1", "s3://again"));
    running.settle().await;
    assert_eq!(running.location("b1").as_deref(), Some("s3://again"));
    assert_eq!(told(&running), "none");
    assert!(running.metric(&counted(0)));
    assert_eq!(*running.state.borrow(), CacheState::Synced);
}

#[tokio::test(start_paused = true)]
async fn the_previous_objects_stay_until_a_second_list_is_complete() {
    let server = ApiServer::new();
    server.put(BACKUPS, &backup("old", "s3://old"));
    for number in 0..300 {
        server.put(BACKUPS, &backup(&format!("b{number}"), "s3://b"));
    }
    let mut running = Running::synced(&server).await;
    server.delete_silently(BACKUPS, &backup("old", "s3://old"));
    server.put_silently(BACKUPS, &backup("new", "s3://new"));
    // The first page is answered at once, the second after five seconds.
    server.instead(LIST, [Instead::Usual, Instead::Late(Duration::from_secs(5))]);
    server.end_watches(GONE);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(
        stale(&running.state.borrow()),
        Some("the API server has dropped that part of its history (410)")
    );
    assert_eq!(
        (running.location("old").as_deref(), running.location("new")),
        (Some("s3://old"), None)
    );
    assert!(running.metric(r#"cassgate_cache_synced{kind="backup"} 0"#));
    running.until(|state| *state == CacheState::Synced).await;
    assert_eq!(
        (running.location("old"), running.location("new").as_deref()),
        (None, Some("s3://new"))
    );
    assert!(running.metric(r#"cassgate_cache_objects{kind="backup"} 301"#));
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_cache_reports_its_reason_until_it_is_complete() {
    for (answer, reason) in [
        (
            Instead::Text(404, "404 page not found\n".to_owned()),
            "the CRD of CassandraBackup is not installed",
        ),
        (
            Instead::Status(403, "cassandrabackups is forbidden"),
            "cassgate may not list and watch cassandrabackups in all namespaces (403)",
        ),
        (
            Instead::Status(401, "Unauthorized"),
            "the API server does not accept cassgate's credentials (401)",
        ),
        (
            Instead::Broken(ErrorKind::ConnectionRefused),
            "connection refused by the API server",
        ),
        (
            Instead::Text(200, "<html>".to_owned()),
            "the API server's answer cannot be read",
        ),
    ] {
        let server = ApiServer::new();
        server.instead(LIST, [answer]);
        let mut running = Running::on(&server);
        running.until(|state| state.unready() == Some(reason)).await;
        assert!(running.metric(r#"cassgate_cache_synced{kind="backup"} 0"#));
        server.instead(LIST, [Instead::Usual]);
        running.until(|state| *state == CacheState::Synced).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_delays_between_attempts_grow_to_five_seconds() {
    let server = ApiServer::new();
    server.instead(LIST, [Instead::Broken(ErrorKind::ConnectionRefused)]);
    let _running = Running::on(&server);
    tokio::time::sleep(Duration::from_mins(10)).await;
    // Two or three attempts until a delay is five seconds long, then at most one hundred and twenty.
    let attempts = server.requests().len();
    assert!((119..=123).contains(&attempts), "{attempts}");
}

#[tokio::test(start_paused = true)]
async fn a_broken_watch_is_reported_and_closes_no_gate() {
    let server = ApiServer::new();
    server.put(BACKUPS, &backup("b1", "s3://one"));
    let mut running = Running::synced(&server).await;
    server.instead(WATCH, [Instead::Broken(ErrorKind::ConnectionRefused)]);
    server.end_watches("");
    running
        .until(|state| stale(state) == Some("connection refused by the API server"))
        .await;
    assert_eq!(running.state.borrow().unready(), None);
    assert!(running.metric(r#"cassgate_cache_synced{kind="backup"} 0"#));
    assert_eq!(running.location("b1").as_deref(), Some("s3://one"));

    // Another reason does not change the time at which the watch broke.
    let since = |state: &CacheState| match state {
        CacheState::Stale { since, .. } => *since,
        _ => panic!("{state:?}"),
    };
    let begun = since(&running.state.borrow());
    server.instead(WATCH, [Instead::Status(403, "no")]);
    running
        .until(|state| stale(state).is_some_and(|reason| reason.contains("may not list and watch")))
        .await;
    assert_eq!(since(&running.state.borrow()), begun);
}

#[tokio::test(start_paused = true)]
async fn a_reopened_watch_is_synced_without_an_event() {
    let server = ApiServer::new();
    let mut running = Running::synced(&server).await;
    server.instead(
        WATCH,
        [Instead::Broken(ErrorKind::ConnectionRefused), Instead::Usual],
    );
    server.end_watches("");
    running.until(|state| stale(state).is_some()).await;
    running.until(|state| *state == CacheState::Synced).await;
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|request| request.contains("watch=true"))
            .count(),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_was_broken_for_long_is_replaced_by_a_list() {
    let server = ApiServer::new();
    let mut running = Running::synced(&server).await;
    let away = Instead::Broken(ErrorKind::ConnectionRefused);
    server.instead(WATCH, [away.clone()]);
    server.instead(LIST, [away]);
    server.end_watches("");
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(stale(&running.state.borrow()).is_some());

    server.put_silently(BACKUPS, &backup("new", "s3://new"));
    server.instead(WATCH, [Instead::Usual]);
    server.instead(LIST, [Instead::Usual]);
    let back = Instant::now();
    running.until(|state| *state == CacheState::Synced).await;
    assert!(back.elapsed() <= Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(running.location("new").as_deref(), Some("s3://new"));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_cache_answers_nothing() {
    let server = ApiServer::new();
    server.put(BACKUPS, &backup("b1", "s3://one"));
    let mut running = Running::synced(&server).await;
    assert_eq!(running.location("b1").as_deref(), Some("s3://one"));
    running.watch.shutdown().await;
    assert_eq!(running.location("b1"), None);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_cannot_be_resumed_is_replaced_by_a_list() {
    let server = ApiServer::new();
    let mut running = Running::synced(&server).await;
    server.put_silently(BACKUPS, &backup("new", "s3://new"));
    server.instead(WATCH, [Instead::Status(410, "too old"), Instead::Usual]);
    server.end_watches("");
    running.until(|state| stale(state).is_some()).await;
    running.until(|state| *state == CacheState::Synced).await;
    assert_eq!(running.location("new").as_deref(), Some("s3://new"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_by_itself_is_resumed() {
    let server = ApiServer::new();
    let running = Running::synced(&server).await;
    server.put(BACKUPS, &backup("b1", "s3://one"));
    running.settle().await;
    server.end_watches("");
    running.settle().await;
    server.put(BACKUPS, &backup("b2", "s3://two"));
    running.settle().await;
    assert_eq!(running.location("b2").as_deref(), Some("s3://two"));
    assert_eq!(*running.state.borrow(), CacheState::Synced);
    let last = server.requests().pop().unwrap();
    assert!(
        last.contains("resourceVersion=1") && last.contains("timeoutSeconds=120"),
        "{last}"
    );
}
