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

/// A backup or a restore of cluster `c1`; its state, or none.
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

/// Stores with who fills them.
struct World {
    neighbours: Neighbours,
    turns: Turns,
    backups: Writer<CassandraBackup>,
    restores: Writer<CassandraRestore>,
}

impl World {
    fn new() -> Self {
        let ((backups, of_backups), (restores, of_restores)) = (reflector::store(), reflector::store());
        let (neighbours, turns) = Neighbours::new(backups, restores, now);
        Self {
            neighbours,
            turns,
            backups: of_backups,
            restores: of_restores,
        }
    }

    fn listed() -> Self {
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
        self.neighbours.heard(&event);
    }

    fn restore(&mut self, restore: CassandraRestore) {
        let event = Event::Apply(restore);
        self.restores.apply_watcher_event(&event);
        self.neighbours.heard(&event);
    }

    /// Who was woken since.
    fn woken(&mut self) -> Vec<String> {
        let mut woken = Vec::new();
        while let Ok(backup) = self.turns.backups.try_recv() {
            woken.push(format!("backup {}/{}", backup.namespace.unwrap(), backup.name));
        }
        while let Ok(restore) = self.turns.restores.try_recv() {
            woken.push(format!("restore {}/{}", restore.namespace.unwrap(), restore.name));
        }
        woken
    }
}

/// An API server on which every object is this one, or none is there.
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

async fn turn_of(world: &World, client: &Client, name: &str) -> Option<String> {
    let wait = world
        .neighbours
        .turn(client, &backup(name, 9, None))
        .await
        .unwrap();
    wait.map(|wait| wait.message)
}

#[test]
fn before_both_kinds_were_listed_to_their_end_nothing_is_known() {
    let mut world = World::new();
    assert!(!world.neighbours.are_known());
    world.backups.apply_watcher_event(&Event::Init);
    world.backups.apply_watcher_event(&Event::InitDone);
    assert!(!world.neighbours.are_known());
    world.restores.apply_watcher_event(&Event::Init);
    assert!(!world.neighbours.are_known());
    world.restores.apply_watcher_event(&Event::InitDone);
    assert!(world.neighbours.are_known());
}

/// Two operations at once in a cluster would be the price of a watch that is behind.
#[tokio::test]
async fn whoever_began_last_is_read_anew_since_a_watch_may_be_behind() {
    let mut world = World::listed();
    world.backup(backup("a", 1, None));
    world.neighbours.begins(&backup("a", 1, Some("RUNNING")));
    let at_work = "backup a of cluster c1 is at work".to_owned();

    let client = server(Some(object("CassandraBackup", "a", 1, Some("RUNNING"))));
    assert_eq!(turn_of(&world, &client, "b").await, Some(at_work.clone()));

    let over = server(Some(object("CassandraBackup", "a", 1, Some("COMPLETED"))));
    assert_eq!(turn_of(&world, &over, "b").await, None);
    // It is the same when the watch still says that it runs.
    world.backup(backup("a", 1, Some("RUNNING")));
    assert_eq!(turn_of(&world, &over, "b").await, None);
    assert_eq!(turn_of(&world, &server(None), "b").await, None);

    // Somebody else's run is known by the watch alone.
    world.backup(backup("of-casskop", 0, Some("RUNNING")));
    let theirs = "backup of-casskop of cluster c1 is at work".to_owned();
    assert_eq!(turn_of(&world, &over, "b").await, Some(theirs));
}

#[tokio::test]
async fn whoever_began_last_itself_asks_nobody() {
    let mut world = World::listed();
    world.backup(backup("a", 1, None));
    world.neighbours.begins(&backup("a", 1, Some("RUNNING")));
    let refuses = Client::new(
        service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>(std::io::Error::other("nobody")) }),
        "team",
    );
    let asked = world.neighbours.turn(&refuses, &backup("a", 1, None)).await;
    assert_eq!(asked.unwrap(), None);
    assert!(
        world
            .neighbours
            .turn(&refuses, &backup("b", 2, None))
            .await
            .is_err()
    );
}

#[test]
fn when_the_last_one_is_over_the_next_one_is_woken_and_nobody_else() {
    let mut world = World::listed();
    world.backup(backup("a", 1, None));
    world.backup(backup("b", 2, None));
    world.backup(backup("c", 3, None));
    assert_eq!(world.woken(), Vec::<String>::new());
    world.neighbours.begins(&backup("a", 1, Some("RUNNING")));
    world.backup(backup("a", 1, Some("RUNNING")));
    assert_eq!(world.woken(), Vec::<String>::new());
    world.backup(backup("a", 1, Some("COMPLETED")));
    assert_eq!(world.woken(), ["backup team/b"]);

    world.restore(restore("monday", 4, None));
    world.neighbours.begins(&backup("b", 2, Some("RUNNING")));
    world.backup(backup("b", 2, Some("FAILED")));
    assert_eq!(world.woken(), ["restore team/monday"]);

    world.neighbours.begins(&restore("monday", 4, Some("RUNNING")));
    let event = Event::Delete(restore("monday", 4, Some("RUNNING")));
    world.restores.apply_watcher_event(&event);
    world.neighbours.heard(&event);
    assert_eq!(world.woken(), ["backup team/c"]);

    // Whoever did not begin last makes no room.
    world.backup(backup("a", 1, Some("COMPLETED")));
    assert_eq!(world.woken(), Vec::<String>::new());
}
