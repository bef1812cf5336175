//! Scheduled backups of `CassKop` that cassgate takes over, returns, and takes over again.

use cassgate::api::CassandraBackup;
use cassgate::icarus::{Operation, OperationId, OperationKind, OperationState};
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::oracle::{Account, Form, Plan, Wall};
use super::world::{World, in_skipping_time};
use super::year::violations;
use crate::runs::world::now;
use crate::support::manifests;
use crate::support::servers::{Alone, Crds};

/// The user agent of CassKop's client, which names its program.
const CASSKOP: &str = "casskop/v0.0.0 (linux/amd64) kubernetes/$Format";

const ANNOTATION: &str = "cassandrabackups.db.orange.com/last-applied-configuration";

/// The operation of a run, and one that no sidecar remembers.
const OPERATION: &str = "d8bbb89e-1b2a-404d-b4b2-6b1f80f6aa01";
const FORGOTTEN: &str = "d8bbb89e-1b2a-404d-b4b2-6b1f80f6aa02";

/// The states that `CassKop` writes and reads: every field of its definition.
const VOCABULARY: [&str; 7] = [
    "timeCreated",
    "timeStarted",
    "timeCompleted",
    "progress",
    "id",
    "coordinatorMember",
    "condition",
];

/// Returns a status as `CassKop` leaves it.
fn left(state: &str) -> Value {
    let mut status = json!({
        "condition": {
            "type": state,
            "lastTransitionTime": "Thu, 1 Jan 2026 02:31:07 GMT",
        },
        "id": FORGOTTEN, "coordinatorMember": "c1-dc1-rack1-0",
        "timeCreated": "2026-01-01T02:30:00.121Z", "timeStarted": "2026-01-01T02:30:00.334Z",
    });
    if state == "RUNNING" {
        status["progress"] = json!("37%");
    } else {
        status["progress"] = json!("100%");
        status["timeCompleted"] = json!("2026-01-01T02:31:07.530Z");
    }
    if state == "FAILED" {
        let cause = json!([{ "source": "c1-dc1-rack1-0", "message": "Bucket bucket does not exist." }]);
        status["condition"]["failureCause"] = cause;
    }
    status
}

/// Returns an operation that the sidecar still remembers.
fn operation(state: OperationState) -> Operation {
    Operation {
        progress: 1.0,
        created: Some(now()),
        started: Some(now()),
        completed: Some(now()),
        snapshot_tag: Some("running".to_owned()),
        global: true,
        ..Operation::new(
            OperationId::parse(OPERATION).unwrap(),
            OperationKind::Backup,
            state,
        )
    }
}

fn daily(minute: i8, zone: &'static str) -> Plan {
    let wall = Wall {
        minutes: vec![minute],
        hours: vec![2],
        ..Wall::default()
    };
    // CassKop reads a zone only as a prefix of the schedule.
    let prefixed = true;
    Plan {
        prefixed,
        ..Plan::of(Form::Wall(wall), zone)
    }
}

/// Returns the part of a spec that `CassKop` reads.
fn spec(plan: &Plan) -> Value {
    json!({ "schedule": plan.spec()["schedule"] })
}

/// Writes what `CassKop` writes to a scheduled backup: annotation, finalizer and status.
async fn write(casskop: &Api<CassandraBackup>, name: &str, status: &Value) {
    let patch = Patch::Merge(json!({
        "metadata": {
            "annotations": { ANNOTATION: format!(r#"{{"metadata":{{"name":"{name}"}},"status":{{}}}}"#) },
            "finalizers": ["kubernetes.io/unschedule-needed"],
        },
        "status": status,
    }));
    casskop
        .patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// Installs CRDs and waits until the API server serves the status subresource, or does not. Discovery comes from
/// another source and may change earlier.
fn install(world: &World, folder: &str, subresource: bool) {
    let stage = &world.labs[0].stage;
    let path = format!(
        "/apis/db.orange.com/v2/namespaces/{}/cassandrabackups/once/status",
        stage.namespace
    );
    manifests::install_crds(&stage.kubectl, folder, || {
        let output = stage
            .kubectl
            .run(&["get", "--raw", "/apis/db.orange.com/v2"])
            .stdout;
        let serves = stage
            .kubectl
            .run(&["get", "--raw", &path])
            .stdout
            .contains("\"once\"");
        serves == subresource
            && ["backups", "restores"]
                .iter()
                .all(|kind| output.contains(&format!("cassandra{kind}/status")) == subresource)
    });
}

fn days(number: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * number)
}

/// Asserts that the marks of `CassKop` are as before.
#[track_caller]
fn is_held_as_before(name: &str, object: &Value) {
    let metadata = &object["metadata"];
    assert_eq!(
        metadata["finalizers"],
        json!(["kubernetes.io/unschedule-needed"]),
        "{name}"
    );
    let annotation = metadata["annotations"][ANNOTATION].as_str().unwrap();
    assert_eq!(
        annotation,
        format!(r#"{{"metadata":{{"name":"{name}"}},"status":{{}}}}"#)
    );
}

/// Asserts that `CassKop` can read the object, and that the last run reads as if it had written it.
#[track_caller]
fn is_told_as_casskop_would(name: &str, object: &Value) {
    let status = &object["status"];
    let fields: Vec<_> = status.as_object().unwrap().keys().collect();
    assert!(
        fields.iter().all(|field| VOCABULARY.contains(&field.as_str())),
        "{name}: {fields:?}"
    );
    for field in VOCABULARY.iter().filter(|field| **field != "condition") {
        assert!(status[field].is_string(), "{name}: {field} in {status:#}");
    }
    let condition = &status["condition"];
    assert_eq!(condition["type"], "COMPLETED", "{name}: {status:#}");
    assert!(
        condition["failureCause"].as_array().is_none_or(Vec::is_empty),
        "{name}: {condition}"
    );
    let since = condition["lastTransitionTime"].as_str().unwrap();
    jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", since).unwrap();
    assert_eq!(status["progress"], "100%");
    assert!(
        ![OPERATION, FORGOTTEN].contains(&status["id"].as_str().unwrap()),
        "{name}: the run is ours"
    );
    is_held_as_before(name, object);
}

/// Takes the backups over and lets some days pass, in which each runs as often as its schedule says from then on.
async fn adopt(world: &World, accounts: &mut [(Account, Plan)], time: SignedDuration) {
    let history = |account: &Account| world.histories()[&world.key(0, &account.name)].clone();
    let (since, mut before) = (now(), Vec::new());
    for (account, plan) in accounts.iter_mut() {
        before.push(history(account).takes.len());
        account.plans.push((since, 1, plan.clone()));
    }
    world.set_running(true).await;
    world.rest().await;
    for (account, _) in accounts.iter() {
        let status = &history(account).object["status"];
        assert_eq!(
            status["missedRuns"],
            Value::Null,
            "{}: no slot is due",
            account.name
        );
        assert!(
            status["nextScheduleTime"].is_string(),
            "{}: {status:#}",
            account.name
        );
    }
    world.pass(since + time).await;
    world.rest().await;
    for ((account, plan), before) in accounts.iter().zip(before) {
        let (history, name) = (history(account), &account.name);
        let slots: Vec<_> = history.takes[before..].iter().map(|take| take.slot).collect();
        assert_eq!(slots, plan.times(since, since + time), "{name}");
        assert!(slots.len() > 1, "{name}");
        is_held_as_before(name, &history.object);
        let text = history.object["status"].to_string();
        for theirs in ["2026-01-01", OPERATION, FORGOTTEN] {
            assert!(!text.contains(theirs), "{name}: {text}");
        }
    }
}

pub(crate) fn schedules_of_casskop_continue_from_now_and_can_be_returned() {
    let servers = Alone::start(Crds::Casskop, "adoption");
    // Days after their creation; those days belong to CassKop.
    let begin = Timestamp::from_second(Timestamp::now().as_second()).unwrap()
        + days(3)
        + SignedDuration::from_millis(250);
    in_skipping_time(servers.0, 1, begin, async |world| {
        let casskop: Api<CassandraBackup> =
            Api::namespaced(world.known_as(CASSKOP), &world.labs[0].stage.namespace);
        let mut accounts = Vec::new();
        let mut running = left("RUNNING");
        running["id"] = json!(OPERATION);
        let states = [
            ("completed", left("COMPLETED")),
            ("failed", left("FAILED")),
            ("running", running),
            ("forgotten", left("RUNNING")),
            // CassKop clears the status when a run begins.
            ("emptied", Value::Null),
        ];
        for (minute, (name, status)) in (10..).step_by(10).zip(states) {
            let plan = daily(minute, "Asia/Kolkata");
            world.create(0, name, &spec(&plan)).await;
            write(&casskop, name, &status).await;
            let account = Account {
                namespace: 0,
                name: name.to_owned(),
                owed_since: None,
                plans: Vec::new(),
                patience: SignedDuration::from_mins(5),
            };
            accounts.push((account, plan));
        }
        world.create(0, "once", &json!({})).await;
        write(&casskop, "once", &left("COMPLETED")).await;
        let once = world.histories()[&world.key(0, "once")].object.clone();
        install(world, "manifests/crds", true);
        // The last run of one of them has completed meanwhile.
        world.labs[0].ring.plant(0, operation(OperationState::Completed));
        adopt(world, &mut accounts, days(4)).await;
        let all = accounts.iter().map(|(account, _)| account);
        assert_eq!(violations(world, all), Vec::<String>::new());
        let now_once = &world.histories()[&world.key(0, "once")].object;
        assert_eq!(*now_once, once, "what is over is over");
        // Returns them to CassKop.
        world.set_running(false).await;
        install(world, "tests/casskop/crds", false);
        for (account, _) in &accounts {
            let object = casskop.get(&account.name).await.unwrap();
            is_told_as_casskop_would(&account.name, &serde_json::to_value(object).unwrap());
            write(&casskop, &account.name, &Value::Null).await;
            write(&casskop, &account.name, &left("COMPLETED")).await;
        }
        // CassKop has had them for some days.
        world.pass(now() + days(3)).await;
        install(world, "manifests/crds", true);
        adopt(world, &mut accounts, days(2)).await;
    });
}
