use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use kube::client::Body;
use kube::runtime::reflector::{self, store::Writer};
use serde_json::{Value, json};
use tower::service_fn;

use super::*;

fn now() -> Timestamp {
    "2028-02-29T12:00:00Z".parse().unwrap()
}

/// Returns a backup or restore of cluster `c1`, with a status if it has a state.
fn object(kind: &str, name: &str, created: u8, state: Option<&str>) -> Value {
    let status =
        state.map(|state| json!({ "condition": { "type": state }, "timeCreated": "2028-02-29T11:00:00Z" }));
    json!({
        "apiVersion": "db.orange.com/v2", "kind": kind,
        "metadata": {
            "name": name, "namespace": "team", "uid": name,
            "creationTimestamp": format!("2028-02-29T10:00:{created:02}Z"),
        },
        "spec": { "cassandraCluster": "c1", "cassandraBackup": "b", "storageLocation": "s3://b" },
        "status": status,
    })
}

fn backup(name: &str, created: u8, state: Option<&str>) -> CassandraBackup {
    serde_json::from_value(object("CassandraBackup", name, created, state)).unwrap()
}

fn restore(name: &str, created: u8, state: Option<&str>) -> CassandraRestore {
    serde_json::from_value(object("CassandraRestore", name, created, state)).unwrap()
}

/// A queue with its stores and their writers.
struct World {
    queue: OperationQueue,
    wake_ups: WakeUps,
    backups: Writer<CassandraBackup>,
    restores: Writer<CassandraRestore>,
}

impl World {
    fn new() -> Self {
        let ((backups, of_backups), (restores, of_restores)) = (reflector::store(), reflector::store());
        let (queue, wake_ups) = OperationQueue::new(backups, restores, now);
        Self {
            queue,
            wake_ups,
            backups: of_backups,
            restores: of_restores,
        }
    }

    fn synced() -> Self {
        let mut world = Self::new();
        world.backups.apply_watcher_event(&Event::Init);
        world.backups.apply_watcher_event(&Event::InitDone);
        world.restores.apply_watcher_event(&Event::Init);
        world.restores.apply_watcher_event(&Event::InitDone);
        world
    }

    fn backup(&mut self, backup: CassandraBackup) {
        let event = Event::Apply(backup);
        self.backups.apply_watcher_event(&event);
        self.queue.handle_event(&event);
    }

    fn restore(&mut self, restore: CassandraRestore) {
        let event = Event::Apply(restore);
        self.restores.apply_watcher_event(&event);
        self.queue.handle_event(&event);
    }

    /// Returns the objects that were woken since the last call.
    fn woken(&mut self) -> Vec<String> {
        let mut woken = Vec::new();
        while let Ok(backup) = self.wake_ups.backups.try_recv() {
            woken.push(format!("backup {}/{}", backup.namespace.unwrap(), backup.name));
        }
        while let Ok(restore) = self.wake_ups.restores.try_recv() {
            woken.push(format!("restore {}/{}", restore.namespace.unwrap(), restore.name));
        }
        woken
    }
}

/// Returns a client of an API server that answers every request with this object, or with 404.
fn server(object: Option<Value>) -> Client {
    let answer = move |_: Request<Body>| {
        let missing = json!({ "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound" });
        let code = object.as_ref().map_or(StatusCode::NOT_FOUND, |_| StatusCode::OK);
        let body = object.as_ref().unwrap_or(&missing);
        let answer = Response::builder()
            .status(code)
            .body(Body::from(body.to_string().into_bytes()));
        async move { Ok::<_, Infallible>(answer.unwrap()) }
    };
    Client::new(service_fn(answer), "team")
}

async fn reason_of(world: &World, client: &Client, name: &str) -> Option<String> {
    let wait = world
        .queue
        .reason_to_wait(client, &backup(name, 9, None))
        .await
        .unwrap();
    wait.map(|wait| wait.message)
}

#[test]
fn the_queue_is_synced_when_both_kinds_were_listed_in_full() {
    let mut world = World::new();
    assert!(!world.queue.is_synced());
    world.backups.apply_watcher_event(&Event::Init);
    world.backups.apply_watcher_event(&Event::InitDone);
    assert!(!world.queue.is_synced());
    world.restores.apply_watcher_event(&Event::Init);
    assert!(!world.queue.is_synced());
    world.restores.apply_watcher_event(&Event::InitDone);
    assert!(world.queue.is_synced());
}

/// Trusting a watch that lags behind would run two operations on a cluster at once.
#[tokio::test]
async fn the_object_that_started_last_is_read_live() {
    let mut world = World::synced();
    world.backup(backup("a", 1, None));
    world.queue.record_start(&backup("a", 1, Some("RUNNING")));
    let running = "backup a of cluster c1 is running".to_owned();

    let client = server(Some(object("CassandraBackup", "a", 1, Some("RUNNING"))));
    assert_eq!(reason_of(&world, &client, "b").await, Some(running));

    let over = server(Some(object("CassandraBackup", "a", 1, Some("COMPLETED"))));
    assert_eq!(reason_of(&world, &over, "b").await, None);
    // The result is the same while the watch still reports it as running.
    world.backup(backup("a", 1, Some("RUNNING")));
    assert_eq!(reason_of(&world, &over, "b").await, None);
    assert_eq!(reason_of(&world, &server(None), "b").await, None);

    // A run that another executor started is known from the watch alone.
    world.backup(backup("of-casskop", 0, Some("RUNNING")));
    let foreign = "backup of-casskop of cluster c1 is running".to_owned();
    assert_eq!(reason_of(&world, &over, "b").await, Some(foreign));
}

#[tokio::test]
async fn the_object_that_started_last_needs_no_request() {
    let mut world = World::synced();
    world.backup(backup("a", 1, None));
    world.queue.record_start(&backup("a", 1, Some("RUNNING")));
    let failing = Client::new(
        service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>(std::io::Error::other("refused")) }),
        "team",
    );
    let wait = world.queue.reason_to_wait(&failing, &backup("a", 1, None)).await;
    assert_eq!(wait.unwrap(), None);
    assert!(
        world
            .queue
            .reason_to_wait(&failing, &backup("b", 2, None))
            .await
            .is_err()
    );
}

/// The run of a cluster that ends hands its turn over without a read, unless the watch contradicts.
#[tokio::test]
async fn an_end_that_this_leader_stored_needs_no_request() {
    let mut world = World::synced();
    world.backup(backup("a", 1, None));
    world.queue.record_start(&backup("a", 1, Some("RUNNING")));
    world.queue.record_stored(&backup("a", 1, Some("RUNNING")));
    let running = server(Some(object("CassandraBackup", "a", 1, Some("RUNNING"))));
    let message = Some("backup a of cluster c1 is running".to_owned());
    assert_eq!(reason_of(&world, &running, "b").await, message, "it is not over");

    world.queue.record_stored(&backup("a", 1, Some("COMPLETED")));
    world.backup(backup("a", 1, Some("COMPLETED")));
    let failing = Client::new(
        service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>(std::io::Error::other("refused")) }),
        "team",
    );
    assert_eq!(reason_of(&world, &failing, "b").await, None);

    // The watch lags behind, or another client has started it again: the API server knows.
    world.backup(backup("a", 1, Some("RUNNING")));
    let wait = world.queue.reason_to_wait(&failing, &backup("b", 9, None)).await;
    assert!(wait.is_err());
    assert_eq!(reason_of(&world, &running, "b").await, message);
    let over = server(Some(object("CassandraBackup", "a", 1, Some("COMPLETED"))));
    assert_eq!(reason_of(&world, &over, "b").await, None);
}

#[test]
fn the_end_of_the_last_run_wakes_only_the_next_object() {
    let mut world = World::synced();
    world.backup(backup("a", 1, None));
    world.backup(backup("b", 2, None));
    world.backup(backup("c", 3, None));
    assert_eq!(world.woken(), Vec::<String>::new());
    world.queue.record_start(&backup("a", 1, Some("RUNNING")));
    world.backup(backup("a", 1, Some("RUNNING")));
    assert_eq!(world.woken(), Vec::<String>::new());
    world.backup(backup("a", 1, Some("COMPLETED")));
    assert_eq!(world.woken(), ["backup team/b"]);

    world.restore(restore("monday", 4, None));
    world.queue.record_start(&backup("b", 2, Some("RUNNING")));
    world.backup(backup("b", 2, Some("FAILED")));
    assert_eq!(world.woken(), ["restore team/monday"]);

    world.queue.record_start(&restore("monday", 4, Some("RUNNING")));
    let event = Event::Delete(restore("monday", 4, Some("RUNNING")));
    world.restores.apply_watcher_event(&event);
    world.queue.handle_event(&event);
    assert_eq!(world.woken(), ["backup team/c"]);

    // The end of an earlier run wakes nothing.
    world.backup(backup("a", 1, Some("COMPLETED")));
    assert_eq!(world.woken(), Vec::<String>::new());
}

/// A schedule between two runs is written too, with the state of its last run.
#[test]
fn only_the_end_of_a_run_proves_the_parts_of_a_deleted_backup() {
    let in_directory = |name: &str, state: &str| {
        let mut object = object("CassandraBackup", name, 1, Some(state));
        let location = "file:///backups/bucket/c/d/n";
        object["spec"]["storageLocation"] = json!(location);
        object["status"]["run"] = json!({ "cassandraCluster": "c1", "storageLocation": location });
        object["status"]["nodes"] =
            json!([{ "hostId": "a", "state": state, "sent": "2028-02-29T10:00:00Z", "attempts": 1 }]);
        serde_json::from_value::<CassandraBackup>(object).unwrap()
    };
    let world = World::synced();
    let (deleted, nightly) = (
        in_directory("once", "RUNNING"),
        in_directory("nightly", "COMPLETED"),
    );
    world.queue.handle_event(&Event::Delete(deleted));
    assert_eq!(world.queue.unproven_elsewhere(&nightly).len(), 1);
    world.queue.record_stored(&nightly);
    assert_eq!(world.queue.unproven_elsewhere(&nightly).len(), 1);
    world.queue.record_completed(&nightly);
    assert_eq!(world.queue.unproven_elsewhere(&nightly), []);
}
