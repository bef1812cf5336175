//! Actions of users and clusters during a restore: it ends as documented, and the rows are correct.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Api;
use tokio::time::sleep;

use super::kills::{back_up, damage, each_phase_once, fill, is_as_it_was, sent, tried};
use super::wire::Fault;
use super::world::{Lease, World, in_simulated_time, set_clock_by};
use crate::stand_in::Torn;
use crate::support::objects::{cluster, documents};

const PHASES: [&str; 5] = ["Init", "Download", "Truncate", "Import", "Cleanup"];

/// Upper bound for the number of acts of a restore; later acts belong to its end.
const ACTS: usize = 24;

/// Deletes an object without waiting until it is gone. Simulated time stands still meanwhile.
fn delete(world: &World, what: &[&str]) {
    let command = [&["delete", "--wait=false"], what].concat();
    world.lab.stage.kubectl.run(&command).succeeds();
}

async fn until_gone<K>(world: &World, api: &Api<K>, name: &str)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    world.until(api, name, serde_json::Value::is_null).await;
}

/// Runs `meanwhile` once all requests up to `phase` are sent; returns the finished restore.
async fn disturbed(
    world: &World,
    name: &str,
    phase: &str,
    meanwhile: impl AsyncFnOnce(),
) -> serde_json::Value {
    damage(world);
    world.wire.arm(None);
    world.restore(name, "whole").await;
    let test = async {
        world.until_sent(phase).await;
        meanwhile().await;
        world.until_over(name).await
    };
    world.while_it_runs(test).await
}

#[track_caller]
fn completed(restore: &serde_json::Value, about: &str) {
    let status = &restore["status"];
    assert_eq!(status["condition"]["type"], "COMPLETED", "{about}: {status:#}");
}

pub(crate) fn a_restore_that_is_deleted_ends_as_its_phase_allows() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        for phase in PHASES {
            let before = world.ring.submitted().len();
            let name = format!("deleted-in-{}", phase.to_lowercase());
            damage(&world);
            world.wire.arm(None);
            world.restore(&name, "whole").await;
            let test = async {
                world.until_sent(phase).await;
                delete(&world, &["cassandrarestore", &name]);
                until_gone(&world, &world.restores(), &name).await;
            };
            world.while_it_runs(test).await;
            let truncated = sent(&world, before).contains_key(&(0, "Truncate".to_owned()));
            let touched = !matches!(phase, "Init" | "Download");
            assert_eq!(truncated, touched, "{phase}");
            if touched {
                is_as_it_was(&world, phase);
            } else {
                assert_eq!(world.ring.rows("k1.t1"), (50..100).collect(), "{phase}");
                assert_eq!(world.ring.rows("k1.t2"), (0..150).collect(), "{phase}");
                fill(&world);
            }
        }
        assert_eq!(world.ring.violations(), Vec::<String>::new());
    });
}

pub(crate) fn a_restore_continues_when_its_backup_is_deleted() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        let restore = disturbed(&world, "orphan", "Init", async || {
            delete(&world, &["cassandrabackup", "whole"]);
        });
        completed(&restore.await, "orphan");
        assert!(!world.lab.stage.kubectl.has("cassandrabackup", "whole"));
        is_as_it_was(&world, "orphan");
    });
}

/// No controller deletes the objects of a namespace here, so the test does.
pub(crate) fn a_restore_releases_its_finalizer_when_its_namespace_is_deleted() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        let before = world.ring.submitted().len();
        damage(&world);
        world.wire.arm(None);
        world.restore("last", "whole").await;
        let test = async {
            world.until_sent("Download").await;
            delete(&world, &["namespace", &world.lab.stage.namespace]);
            delete(&world, &["cassandracluster", "c1"]);
            delete(&world, &["pods", "--all", "--force"]);
            delete(&world, &["cassandrarestore", "last"]);
            until_gone(&world, &world.restores(), "last").await;
        };
        world.while_it_runs(test).await;
        let sent: BTreeSet<String> = sent(&world, before).into_keys().map(|(_, what)| what).collect();
        assert!(!sent.contains("Truncate"), "{sent:?}");
    });
}

/// `kubectl replace --force` and `kubectl delete --cascade=orphan` remove the object and leave the pods.
pub(crate) fn a_restore_outlives_the_object_of_its_cluster() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        for phase in ["Truncate", "Import", "Cleanup"] {
            let name = format!("without-cluster-in-{}", phase.to_lowercase());
            let restore = disturbed(&world, &name, phase, async || {
                delete(&world, &["cassandracluster", "c1"]);
            });
            completed(&restore.await, &name);
            is_as_it_was(&world, &name);
            let cluster = documents(&[cluster()]);
            world.lab.stage.kubectl.apply(&cluster).succeeds();
        }
    });
}

pub(crate) fn a_pod_that_returns_with_another_address_loses_no_row() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        for phase in PHASES {
            let name = format!("moved-in-{}", phase.to_lowercase());
            let restore = disturbed(&world, &name, phase, async || {
                let ring = &world.ring;
                ring.kill_sidecar(1, Torn::Half);
                ring.kill_cassandra(1);
                sleep(Duration::from_secs(20)).await;
                let former = ring.address(1);
                assert_ne!(ring.move_node(1), former);
                ring.start_cassandra(1);
                ring.start_sidecar(1);
                world.lab.report(1);
            });
            completed(&restore.await, &name);
            is_as_it_was(&world, &name);
        }
    });
}

pub(crate) fn no_request_is_sent_under_casskops_crds() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        for act in tried(1).take_while(|act| *act < ACTS) {
            let name = format!("foreign-at-{act}");
            let before = world.ring.submitted().len();
            damage(&world);
            world.wire.arm(Some((act, Fault::ForeignCrds)));
            world.restore(&name, "whole").await;
            let test = async {
                while !world.wire.is_foreign() {
                    sleep(Duration::from_millis(100)).await;
                }
                sleep(Duration::from_mins(2)).await;
                let acts = world.wire.acts();
                let later: Vec<_> = acts
                    .iter()
                    .skip(act + 1)
                    .filter(|act| act.contains(" to "))
                    .collect();
                assert!(later.is_empty(), "{name}: {later:?} in {acts:#?}");
                let now = world.lab.stage.kubectl.get("cassandrarestore", &name);
                let over = now["status"]["timeCompleted"].is_string();
                let conditions = now["status"]["conditions"].to_string();
                assert!(over || conditions.contains("CrdNotOurs"), "{name}: {conditions}");
                world.wire.use_foreign_crds(false);
                world.until_over(&name).await
            };
            completed(&world.while_it_runs(test).await, &name);
            is_as_it_was(&world, &name);
            each_phase_once(&sent(&world, before), &name);
        }
    });
}

pub(crate) fn a_clock_change_of_an_hour_and_an_api_server_outage_of_a_minute_lose_no_row() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        for phase in ["Init", "Download", "Truncate", "Import"] {
            for hours in [1, -1] {
                let before = world.ring.submitted().len();
                let name = format!("set-by-{hours}-in-{}", phase.to_lowercase()).replace("--", "-minus-");
                let restore = disturbed(&world, &name, phase, async || set_clock_by(hours * 3_600));
                completed(&restore.await, &name);
                set_clock_by(0);
                is_as_it_was(&world, &name);
                each_phase_once(&sent(&world, before), &name);
            }
            let before = world.ring.submitted().len();
            let name = format!("alone-in-{}", phase.to_lowercase());
            let restore = disturbed(&world, &name, phase, async || {
                world.wire.set_unreachable(true);
                sleep(Duration::from_mins(1)).await;
                world.wire.set_unreachable(false);
            });
            completed(&restore.await, &name);
            is_as_it_was(&world, &name);
            each_phase_once(&sent(&world, before), &name);
        }
    });
}

/// A process that is frozen between its last check of the lease and the request, for longer than the next leader
/// waits, sends the request all the same. This gap is known and documented; no such act is tried here.
pub(crate) fn a_new_leader_does_not_repeat_the_requests_of_a_frozen_one() {
    in_simulated_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        for fault in [Fault::FreezeAfter, Fault::FreezeBefore] {
            for act in tried(2).take_while(|act| *act < ACTS) {
                let name = format!("{fault:?}-{act}").to_lowercase();
                let before = world.ring.submitted().len();
                damage(&world);
                world.wire.arm(Some((act, fault)));
                let lease = Lease::free(&world.second);
                let test = async {
                    // The first process becomes the leader.
                    sleep(Duration::from_secs(5)).await;
                    world.restore(&name, "whole").await;
                    while !world.wire.is_frozen() {
                        sleep(Duration::from_millis(100)).await;
                    }
                    let request = world.wire.acts().last().is_some_and(|act| act.contains(" to "));
                    if !(request && fault == Fault::FreezeBefore) {
                        sleep(Duration::from_mins(1)).await;
                    }
                    world.wire.thaw();
                    let over = world.until_over(&name).await;
                    sleep(Duration::from_mins(1)).await;
                    over
                };
                let second = async {
                    sleep(Duration::from_secs(2)).await;
                    world.process_with(lease.clone(), "two", &world.second).await;
                };
                let done = tokio::select! {
                    done = test => done,
                    () = world.process_with(lease.clone(), "one", &world.wire) => panic!("one ended"),
                    () = second => panic!("two ended"),
                };
                completed(&done, &name);
                is_as_it_was(&world, &name);
                each_phase_once(&sent(&world, before), &name);
            }
        }
    });
}
