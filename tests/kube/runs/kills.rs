//! The reconciler is stopped at every act: nothing is lost, and nothing is done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cassgate::icarus::OperationRequest;
use tokio::time::sleep;

use super::wire::Fault;
use super::world::{World, in_simulated_time};

/// Set to any value to try every act, as `make soak-kills` does; otherwise every fourth act is tried.
const ALL: &str = "CASSGATE_TEST_ALL_KILLS";

/// Time after the end of a run in which its last event must arrive.
const LAST_EVENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the numbers of the acts to try.
pub(super) fn tried(first: usize) -> impl Iterator<Item = usize> {
    let stride = if std::env::var_os(ALL).is_some() { 1 } else { 4 };
    (if stride == 1 { 0 } else { first }..).step_by(stride)
}

/// Counts the operations that were sent, by node and kind.
pub(super) fn sent(world: &World, since: usize) -> BTreeMap<(usize, String), usize> {
    let mut sent = BTreeMap::new();
    for (node, request) in world.ring.submitted().into_iter().skip(since) {
        let what = match request {
            OperationRequest::Backup(_) => "BACKUP".to_owned(),
            OperationRequest::Restore(restore) => format!("{:?}", restore.phase),
            OperationRequest::List(_) => continue,
            other => panic!("unexpected request: {other:?}"),
        };
        *sent.entry((node, what)).or_default() += 1;
    }
    sent
}

pub(super) fn fill(world: &World) {
    world.ring.write("k1.t1", 0..100);
    world.ring.write("k1.t2", 0..100);
}

pub(super) fn damage(world: &World) {
    world.ring.delete("k1.t1", 0..50);
    world.ring.write("k1.t2", 100..150);
}

#[track_caller]
pub(super) fn is_as_it_was(world: &World, about: &str) {
    let whole: BTreeSet<u32> = (0..100).collect();
    for table in ["k1.t1", "k1.t2"] {
        assert_eq!(world.ring.rows(table), whole, "{about}: {table}");
    }
    assert_eq!(world.ring.violations(), Vec::<String>::new(), "{about}");
}

/// Runs one backup, with or without a fault, and returns its acts.
pub(super) async fn back_up(world: &World, name: &str, fault: Option<(usize, Fault)>) -> Vec<String> {
    let about = format!("{name} {fault:?}");
    let (before, stored) = (world.ring.submitted().len(), world.ring.stored(0));
    world.wire.arm(fault);
    world.back_up(name).await;
    let done = world
        .while_it_runs(async {
            let backups = world.backups();
            let over = world.until(&backups, name, |backup| {
                backup["status"]["timeCompleted"].is_string()
            });
            let over = over.await;
            sleep(LAST_EVENT_TIMEOUT).await;
            over
        })
        .await;
    let acts = world.wire.acts();
    assert_eq!(
        done["status"]["condition"]["type"], "COMPLETED",
        "{about}: {:#}",
        done["status"]
    );
    let tag = done["status"]["snapshotTag"].as_str().unwrap().to_owned();
    for node in 0..2 {
        let mut more = world.ring.stored(node);
        more.retain(|tag| !stored.contains(tag));
        assert_eq!(more, BTreeSet::from([tag.clone()]), "{about}: node {node}");
    }
    for (what, times) in sent(world, before) {
        assert_eq!(times, 1, "{about}: {what:?} in {acts:#?}");
    }
    assert_eq!(world.ring.violations(), Vec::<String>::new(), "{about}");
    acts
}

/// Runs one restore of that backup, with or without a fault, and returns its acts.
pub(super) async fn restore(
    world: &World,
    name: &str,
    backup: &str,
    fault: Option<(usize, Fault)>,
) -> Vec<String> {
    let before = world.ring.submitted().len();
    damage(world);
    world.wire.arm(fault);
    world.restore(name, backup).await;
    let done = world
        .while_it_runs(async {
            let over = world.until_over(name).await;
            sleep(LAST_EVENT_TIMEOUT).await;
            over
        })
        .await;
    let acts = world.wire.acts();
    let about = format!(
        "{name} {fault:?} at {:?}",
        fault.and_then(|(number, _)| acts.get(number))
    );
    assert_eq!(
        done["status"]["condition"]["type"], "COMPLETED",
        "{about}: {:#}",
        done["status"]
    );
    is_as_it_was(world, &about);
    let sent = sent(world, before);
    each_phase_once(&sent, &format!("{about}: {acts:#?}"));
    acts
}

/// Asserts that each node received each phase once.
#[track_caller]
pub(super) fn each_phase_once(sent: &BTreeMap<(usize, String), usize>, about: &str) {
    for node in 0..2 {
        for phase in ["Init", "Download", "Truncate", "Import", "Cleanup"] {
            let times = sent.get(&(node, phase.to_owned())).copied().unwrap_or_default();
            // A download whose request never arrived begins with a cleanup of its directory.
            let most = if phase == "Cleanup" { 2 } else { 1 };
            let least = usize::from(phase != "Truncate" || node == 0);
            assert!(
                (least..=most).contains(&times),
                "node {node} was sent {phase} {times} times: {about}"
            );
        }
    }
}

/// Returns true if the last run had no act with this number. The number of progress writes differs from run to run,
/// so acts that only repeat the previous one may be absent. So may the progress before the listings of a backup: the
/// uploads may be over at the first look at them.
#[track_caller]
fn is_beyond(world: &World, act: usize, acts: &[String]) -> bool {
    let beyond = world.wire.is_armed();
    let mut necessary = acts.to_vec();
    necessary.dedup();
    let listing = necessary
        .iter()
        .position(|act| act.starts_with("another operation"));
    if let Some(progress) = listing.and_then(|listing| listing.checked_sub(1))
        && necessary[progress].ends_with("/status")
    {
        necessary.remove(progress);
    }
    assert!(
        !beyond || act >= necessary.len(),
        "act {act} never came: {acts:#?}"
    );
    beyond
}

async fn every_backup(world: World, blows: [Fault; 2]) {
    fill(&world);
    let acts = back_up(&world, "whole", None).await;
    assert!(acts.len() >= 8, "{acts:#?}");
    println!("a backup has {} acts: {acts:#?}", acts.len());
    for (first, fault) in blows.into_iter().enumerate() {
        for act in tried(first) {
            let name = format!("{fault:?}-{act}").to_lowercase();
            back_up(&world, &name, Some((act, fault))).await;
            if is_beyond(&world, act, &acts) {
                break;
            }
            restore(&world, &format!("from-{name}"), &name, None).await;
        }
    }
}

async fn every_restore(world: World, fault: Fault, first: usize) {
    fill(&world);
    back_up(&world, "whole", None).await;
    let acts = restore(&world, "undisturbed", "whole", None).await;
    assert!(acts.len() >= 20, "{acts:#?}");
    println!("a restore has {} acts: {acts:#?}", acts.len());
    for act in tried(first) {
        let name = format!("{fault:?}-{act}").to_lowercase();
        restore(&world, &name, "whole", Some((act, fault))).await;
        if is_beyond(&world, act, &acts) {
            break;
        }
    }
}

pub(crate) fn a_backup_runs_once_wherever_the_reconciler_stops() {
    in_simulated_time(|world| every_backup(world, [Fault::StopBefore, Fault::StopAfter]));
}

pub(crate) fn a_backup_runs_once_whichever_answer_is_lost() {
    in_simulated_time(|world| every_backup(world, [Fault::FailBefore, Fault::FailAfter]));
}

pub(crate) fn a_restore_runs_once_when_the_reconciler_stops_before_an_act() {
    in_simulated_time(|world| every_restore(world, Fault::StopBefore, 0));
}

pub(crate) fn a_restore_runs_once_when_the_reconciler_stops_after_an_act() {
    in_simulated_time(|world| every_restore(world, Fault::StopAfter, 1));
}

pub(crate) fn a_restore_runs_once_when_an_act_fails() {
    in_simulated_time(|world| every_restore(world, Fault::FailBefore, 2));
}

pub(crate) fn a_restore_runs_once_when_an_answer_is_lost() {
    in_simulated_time(|world| every_restore(world, Fault::FailAfter, 3));
}
