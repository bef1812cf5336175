//! Another executor, or its CRDs, during a run of cassgate.

use std::time::Duration;

use cassgate::api::{CassandraBackup, CassandraRestore};
use cassgate::icarus::{Operation, OperationId, OperationKind, OperationState, RestorePhase};
use jiff::SignedDuration;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Lab;
use super::kills::{back_up, damage, each_phase_once, fill, is_as_it_was, sent};
use super::world::{World, in_simulated_time, in_simulated_time_on};
use crate::support::manifests;
use crate::support::servers::{Alone, Crds};
use crate::support::stage::Stage;

/// The user agent of CassKop's client, which names its program.
const CASSKOP: &str = "casskop/v0.0.0 (linux/amd64) kubernetes/$Format";

/// Returns the index of the last request that was sent to a sidecar.
fn last_request(world: &World) -> Option<usize> {
    world.wire.acts().iter().rposition(|act| act.contains(" to "))
}

pub(super) fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|one| one["type"] == type_)
}

fn is_stopped(object: &Value) -> bool {
    condition(object, "Stalled").is_some_and(|one| one["reason"] == "AnotherExecutor")
}

/// Returns the events with this reason on an object.
pub(super) fn events(world: &World, name: &str, reason: &str) -> Vec<Value> {
    let all = world
        .lab
        .stage
        .kubectl
        .run(&["get", "events.events.k8s.io", "--output=json"]);
    let all: Value = serde_json::from_str(&all.succeeds().stdout).unwrap();
    let items = all["items"].as_array().cloned().unwrap_or_default();
    let wanted = |event: &Value| event["regarding"]["name"] == name && event["reason"] == reason;
    items.into_iter().filter(wanted).collect()
}

/// Asserts that a stopped object has one event, and returns its message.
#[track_caller]
fn reported(world: &World, name: &str, object: &Value) -> String {
    let message = condition(object, "Stalled").unwrap()["message"]
        .as_str()
        .unwrap()
        .to_owned();
    let events = events(world, name, "AnotherExecutor");
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(
        (&events[0]["type"], &events[0]["series"]),
        (&json!("Warning"), &Value::Null)
    );
    assert_eq!(events[0]["note"], message.as_str());
    message
}

/// Returns the annotation that lets the object continue.
fn word(object: &Value) -> String {
    let since = condition(object, "Stalled").unwrap()["lastTransitionTime"]
        .as_str()
        .unwrap();
    format!("cassgate.db.orange.com/go-on={since}")
}

fn merge(what: &Value) -> Patch<Value> {
    Patch::Merge(what.clone())
}

/// A `CassKop` that writes the status subresource, as two of its development versions did.
pub(crate) fn a_status_write_of_casskop_during_a_restore_stops_it_before_the_next_request() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        let casskop: Api<CassandraRestore> = Api::default_namespaced(world.known_as(CASSKOP));
        for (phase, status) in [
            (
                "Download",
                json!({"condition": {"type": "RUNNING"}, "id": "theirs"}),
            ),
            (
                "Import",
                json!({"condition": {"type": "COMPLETED"}, "progress": "100%", "id": "theirs"}),
            ),
        ] {
            let before = world.ring.submitted().len();
            let name = format!("contested-in-{}", phase.to_lowercase());
            damage(&world);
            world.wire.arm(None);
            world.restore(&name, "whole").await;
            let test = async {
                world.until_sent(phase).await;
                sleep(Duration::from_secs(1)).await;
                let patch = merge(&json!({ "status": status }));
                casskop
                    .patch_status(&name, &PatchParams::default(), &patch)
                    .await
                    .unwrap();
                let last = last_request(&world);
                let stopped = world.until(&world.restores(), &name, is_stopped).await;
                sleep(Duration::from_mins(10)).await;
                assert_eq!(last_request(&world), last, "{:#?}", world.wire.acts());
                let later = world.until(&world.restores(), &name, is_stopped).await;
                assert_eq!(later["status"], stopped["status"], "it rests");
                let message = reported(&world, &name, &stopped);
                assert!(message.starts_with("casskop wrote status."), "{message}");
                assert_eq!(
                    stopped["status"]["condition"]["type"],
                    status["condition"]["type"]
                );
                assert_eq!(stopped["status"]["nodes"].as_array().unwrap().len(), 2);
                assert!(stopped["metadata"]["finalizers"].is_array(), "{stopped:#}");
                let annotate = ["annotate", "cassandrarestore", &name, &word(&stopped)];
                world.lab.stage.kubectl.run(&annotate).succeeds();
                world.until_over(&name).await
            };
            let done = world.while_it_runs(test).await;
            assert_eq!(
                done["status"]["condition"]["type"], "COMPLETED",
                "{:#}",
                done["status"]
            );
            assert_eq!(condition(&done, "Complete").unwrap()["status"], "True");
            is_as_it_was(&world, &name);
            let rounds = if phase == "Import" { 2 } else { 1 };
            assert_eq!(done["status"]["truncation"]["rounds"], rounds);
            if rounds == 1 {
                each_phase_once(&sent(&world, before), &name);
            }
        }
    });
}

pub(crate) fn a_put_of_casskop_during_a_backup_stops_it_until_the_user_continues_it() {
    in_simulated_time(async |world| {
        fill(&world);
        world.wire.arm(None);
        world.back_up("nightly").await;
        let casskop: Api<CassandraBackup> = Api::default_namespaced(world.known_as(CASSKOP));
        let test = async {
            world.until_sent("Backup").await;
            loop {
                let mut read = casskop.get("nightly").await.unwrap();
                let annotation = "cassandrabackups.db.orange.com/last-applied-configuration";
                read.annotations_mut()
                    .insert(annotation.to_owned(), "{}".to_owned());
                match casskop.replace("nightly", &PostParams::default(), &read).await {
                    Err(kube::Error::Api(status)) if status.code == 409 => {}
                    written => break drop(written.unwrap()),
                }
            }
            let stopped = world.until(&world.backups(), "nightly", is_stopped).await;
            let message = reported(&world, "nightly", &stopped);
            assert!(
                message.starts_with("casskop wrote the metadata while cassgate runs this"),
                "{message}"
            );
            let annotate = ["annotate", "cassandrabackup", "nightly", &word(&stopped)];
            world.lab.stage.kubectl.run(&annotate).succeeds();
            let over = |backup: &Value| backup["status"]["timeCompleted"].is_string();
            world.until(&world.backups(), "nightly", over).await
        };
        let done = world.while_it_runs(test).await;
        assert_eq!(
            done["status"]["condition"]["type"], "COMPLETED",
            "{:#}",
            done["status"]
        );
        assert_eq!(condition(&done, "Stalled"), None);
        for times in sent(&world, 0).into_values() {
            assert_eq!(times, 1, "nothing is sent twice");
        }
    });
}

/// An operation of `CassKop`: a restore of the whole cluster in one node's sidecar, already finished.
fn casskops_restore(world: &World) -> Operation {
    let id = OperationId::parse("5a5a5a5a-0000-0000-0000-00000000ca55").unwrap();
    Operation {
        progress: 1.0,
        created: Some(world.ring.now() + SignedDuration::from_secs(1)),
        storage_location: Some("s3://bucket/c1/dc1".to_owned()),
        snapshot_tag: Some("whole".to_owned()),
        phase: Some(RestorePhase::Init),
        source_directory: Some("file:///var/lib/cassandra/downloadedsstables/".to_owned()),
        global: true,
        ..Operation::new(id, OperationKind::Restore, OperationState::Completed)
    }
}

/// With our CRDs the operation is the only evidence: the API server drops what `CassKop` writes.
pub(crate) fn an_operation_of_casskop_in_a_sidecar_stops_a_restore_once_until_the_user_continues_it() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        damage(&world);
        world.wire.arm(None);
        world.restore("contested", "whole").await;
        let test = async {
            world.until_sent("Download").await;
            world.ring.plant(1, casskops_restore(&world));
            let stopped = world.until(&world.restores(), "contested", is_stopped).await;
            let last = last_request(&world);
            sleep(Duration::from_mins(10)).await;
            assert_eq!(last_request(&world), last, "{:#?}", world.wire.acts());
            let message = reported(&world, "contested", &stopped);
            let expected = "the sidecar of c1-dc1-rack1-1 has operation 5a5a5a5a-0000-0000-0000-00000000ca55, which \
                            cassgate did not send: another executor may act on the same tables";
            assert!(message.starts_with(expected), "{message}");
            // The sidecar still remembers that operation.
            let annotate = ["annotate", "cassandrarestore", "contested", &word(&stopped)];
            world.lab.stage.kubectl.run(&annotate).succeeds();
            world.until_over("contested").await
        };
        let done = world.while_it_runs(test).await;
        assert_eq!(done["status"]["condition"]["type"], "COMPLETED", "{done:#}");
        assert_eq!(events(&world, "contested", "AnotherExecutor").len(), 1);
        is_as_it_was(&world, "contested");
    });
}

pub(crate) fn a_finished_restore_stays_finished_after_a_write_of_casskop() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        damage(&world);
        world.wire.arm(None);
        world.restore("done", "whole").await;
        let casskop: Api<CassandraRestore> = Api::default_namespaced(world.known_as(CASSKOP));
        let test = async {
            let done = world.until_over("done").await;
            let sent = world.ring.submitted().len();
            let patch = merge(&json!({"status": {"condition": {"type": "COMPLETED"}, "id": "theirs"}}));
            casskop
                .patch_status("done", &PatchParams::default(), &patch)
                .await
                .unwrap();
            // On the main resource the API server drops the status silently.
            let patch = merge(&json!({ "status": null, "metadata": { "labels": { "a": "b" } } }));
            casskop
                .patch("done", &PatchParams::default(), &patch)
                .await
                .unwrap();
            sleep(Duration::from_mins(10)).await;
            let later = world.until_over("done").await;
            assert_eq!(later["status"]["conditions"], done["status"]["conditions"]);
            assert_eq!(later["status"]["condition"], done["status"]["condition"]);
            assert_eq!(world.ring.submitted().len(), sent);
            assert_eq!(events(&world, "done", "AnotherExecutor"), Vec::<Value>::new());
        };
        world.while_it_runs(test).await;
        is_as_it_was(&world, "done");
    });
}

pub(crate) fn a_schedule_of_casskop_continues_and_its_last_run_leaves_no_trace() {
    in_simulated_time(async |world| {
        fill(&world);
        world.wire.arm(None);
        let casskop: Api<CassandraBackup> = Api::default_namespaced(world.known_as(CASSKOP));
        let backup = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup", "metadata": { "name": "often" },
            "spec": {
                "cassandraCluster": "c1", "storageLocation": "s3://bucket", "snapshotTag": "often",
                "secret": "s3", "entities": "k1", "schedule": "@every 1m",
            },
        });
        let backup = serde_json::from_value(backup).unwrap();
        world
            .backups()
            .create(&PostParams::default(), &backup)
            .await
            .unwrap();
        let left = json!({
            "metadata": { "finalizers": ["kubernetes.io/unschedule-needed"] },
            "status": {
                "condition": { "type": "COMPLETED", "failureCause": [{ "source": "pod", "message": "old" }] },
                "id": "theirs", "coordinatorMember": "c1-dc1-rack1-7", "progress": "100%",
                "timeCreated": "2026-01-01T00:00:00Z", "timeStarted": "2026-01-01T00:00:00Z",
                "timeCompleted": "2026-01-01T00:01:00Z",
            },
        });
        casskop
            .patch("often", &PatchParams::default(), &merge(&left))
            .await
            .unwrap();
        casskop
            .patch_status("often", &PatchParams::default(), &merge(&left))
            .await
            .unwrap();
        let test = async {
            let runs = |backup: &Value| backup["status"]["history"].as_array().map_or(0, Vec::len);
            world
                .until(&world.backups(), "often", |backup| runs(backup) >= 2)
                .await
        };
        let done = world.while_it_runs(test).await;
        let status = &done["status"];
        assert_eq!(status["history"][0]["outcome"], "COMPLETED", "{status:#}");
        assert!(!is_stopped(&done), "{status:#}");
        assert!(!status.to_string().contains("2026-01-01"), "{status:#}");
        assert!(!status.to_string().contains("theirs"), "{status:#}");
        let managers: Vec<_> = done["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .iter()
            .collect();
        let theirs = managers.iter().find(|entry| entry["manager"] == "casskop");
        assert_eq!(theirs, None);
    });
}

/// `CassKop` replaces all other finalizers with its own.
pub(crate) fn finalizers_of_others_are_kept() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        world.wire.arm(None);
        world.restore("kept", "whole").await;
        let keep = merge(&json!({ "metadata": { "finalizers": ["example.com/keep"] } }));
        world
            .restores()
            .patch("kept", &PatchParams::default(), &keep)
            .await
            .unwrap();
        let test = async {
            world.until_sent("Download").await;
            let held = |restore: &Value| {
                restore["metadata"]["finalizers"]
                    == json!(["example.com/keep", "cassgate.db.orange.com/restore"])
            };
            world.until(&world.restores(), "kept", held).await;
            let over = |restore: &Value| {
                restore["status"]["timeCompleted"].is_string()
                    && restore["metadata"]["finalizers"] == json!(["example.com/keep"])
            };
            world.until(&world.restores(), "kept", over).await
        };
        world.while_it_runs(test).await;
        is_as_it_was(&world, "kept");
    });
}

/// Installs CRDs and waits until the API server shows the restore accordingly.
fn install(world: &World, folder: &str, restore: &str, shows: impl Fn(&Value) -> bool) {
    let kubectl = &world.lab.stage.kubectl;
    manifests::install_crds(kubectl, folder, || {
        shows(&kubectl.get("cassandrarestore", restore))
    });
}

/// CassKop's CRDs have no status subresource and none of our fields: the stored status is hidden, and no status can
/// be written.
pub(crate) fn casskops_crds_applied_during_a_restore_stop_it_until_ours_are_restored() {
    let servers = Alone::start(Crds::Ours, "swapped");
    in_simulated_time_on(Lab::on(Stage::on(servers.0)), async |mut world| {
        let discovery = world.discovery();
        let test = async {
            fill(&world);
            back_up(&world, "whole", None).await;
            for phase in ["Init", "Download", "Truncate", "Import"] {
                let before = world.ring.submitted().len();
                let name = format!("swapped-in-{}", phase.to_lowercase());
                damage(&world);
                world.wire.arm(None);
                world.restore(&name, "whole").await;
                let run = async {
                    world.until_sent(phase).await;
                    let nodes = |restore: &Value| restore["status"]["nodes"].is_array();
                    install(&world, "tests/casskop/crds", &name, |restore| !nodes(restore));
                    let last = last_request(&world);
                    sleep(Duration::from_mins(3)).await;
                    assert_eq!(world.found(), Some(false));
                    assert_eq!(last_request(&world), last, "{:#?}", world.wire.acts());
                    let events = events(&world, &name, "CrdNotOurs");
                    assert_eq!(events.len(), 1, "{events:#?}");
                    assert_eq!(events[0]["type"], "Warning");
                    install(&world, "manifests/crds", &name, nodes);
                    world.until_over(&name).await
                };
                let done = world.while_it_runs(run).await;
                let status = &done["status"];
                assert_eq!(status["condition"]["type"], "COMPLETED", "{phase}: {status:#}");
                is_as_it_was(&world, &name);
                each_phase_once(&sent(&world, before), &name);
            }
        };
        tokio::select! {
            () = test => {}
            () = discovery => panic!("the discovery ended"),
        }
    });
}
