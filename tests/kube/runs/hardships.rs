//! What users and clusters do to a restore while it runs: it ends as it should, and the rows are right.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Api;
use tokio::time::sleep;

use super::kills::{back_up, damage, each_phase_once, fill, is_as_it_was, sent, tried};
use super::wire::Blow;
use super::world::{Lease, World, in_made_up_time, set_clock_by};
use crate::stand_in::Torn;

const PHASES: [&str; 5] = ["Init", "Download", "Truncate", "Import", "Cleanup"];

/// Every restore has so many acts; what comes after is its end.
const ACTS: usize = 24;

/// Deletes something without waiting until it is gone. Made up time stands still meanwhile.
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

/// A restore whose requests up to this phase were sent when `meanwhile` happens; how it ended.
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
    in_made_up_time(async |world| {
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

pub(crate) fn a_backup_that_is_deleted_meanwhile_is_restored_all_the_same() {
    in_made_up_time(async |world| {
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

/// Nobody empties a namespace beside a bare API server: the test does, as the controller would.
pub(crate) fn a_restore_whose_namespace_goes_lets_go_of_it() {
    in_made_up_time(async |world| {
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

pub(crate) fn a_pod_that_comes_back_with_another_address_costs_no_row() {
    in_made_up_time(async |world| {
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

pub(crate) fn once_the_crds_are_casskops_nothing_more_is_sent() {
    in_made_up_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        for act in tried(1).take_while(|act| *act < ACTS) {
            let name = format!("foreign-at-{act}");
            let before = world.ring.submitted().len();
            damage(&world);
            world.wire.arm(Some((act, Blow::ForeignCrds)));
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
                world.wire.be_foreign(false);
                world.until_over(&name).await
            };
            completed(&world.while_it_runs(test).await, &name);
            is_as_it_was(&world, &name);
            each_phase_once(&sent(&world, before), &name);
        }
    });
}

pub(crate) fn a_clock_that_is_set_by_an_hour_and_an_api_server_that_is_gone_for_a_minute_cost_no_row() {
    in_made_up_time(async |world| {
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
                world.wire.be_gone(true);
                sleep(Duration::from_mins(1)).await;
                world.wire.be_gone(false);
            });
            completed(&restore.await, &name);
            is_as_it_was(&world, &name);
            each_phase_once(&sent(&world, before), &name);
        }
    });
}

/// A process that is frozen in the instant between its last look at the lease and the request, for longer than the
/// next leader waits, sends it all the same: that hole is known, and no act of that kind is tried here.
pub(crate) fn of_two_replicas_none_sends_again_what_the_other_one_sent_before_it_was_frozen() {
    in_made_up_time(async |world| {
        fill(&world);
        back_up(&world, "whole", None).await;
        for blow in [Blow::FreezeAfter, Blow::FreezeBefore] {
            for act in tried(2).take_while(|act| *act < ACTS) {
                let name = format!("{blow:?}-{act}").to_lowercase();
                let before = world.ring.submitted().len();
                damage(&world);
                world.wire.arm(Some((act, blow)));
                let lease = Lease::free(&world.second);
                let test = async {
                    // The first one is to lead.
                    sleep(Duration::from_secs(5)).await;
                    world.restore(&name, "whole").await;
                    while !world.wire.is_frozen() {
                        sleep(Duration::from_millis(100)).await;
                    }
                    let request = world.wire.acts().last().is_some_and(|act| act.contains(" to "));
                    if !(request && blow == Blow::FreezeBefore) {
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
