//! The reconciler is stopped at every single thing that it does: nothing is lost, and nothing is done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cassgate::icarus::OperationRequest;
use tokio::time::sleep;

use super::wire::Blow;
use super::world::{World, in_made_up_time};

/// Set to anything: every act, as `make soak-kills` does. Else each fourth one.
const ALL: &str = "CASSGATE_TEST_ALL_KILLS";

/// How long after the end of a run its last event is waited for.
const FAREWELL: Duration = Duration::from_secs(5);

/// The numbers of the acts that are tried.
pub(super) fn tried(first: usize) -> impl Iterator<Item = usize> {
    let stride = if std::env::var_os(ALL).is_some() { 1 } else { 4 };
    (if stride == 1 { 0 } else { first }..).step_by(stride)
}

/// How often each node was sent what.
pub(super) fn sent(world: &World, since: usize) -> BTreeMap<(usize, String), usize> {
    let mut sent = BTreeMap::new();
    for (node, request) in world.ring.submitted().into_iter().skip(since) {
        let what = match request {
            OperationRequest::Backup(_) => "BACKUP".to_owned(),
            OperationRequest::Restore(restore) => format!("{:?}", restore.phase),
            OperationRequest::List(_) => continue,
            other => panic!("nobody asked for {other:?}"),
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

/// One backup, with a blow or without; its acts.
pub(super) async fn back_up(world: &World, name: &str, blow: Option<(usize, Blow)>) -> Vec<String> {
    let about = format!("{name} {blow:?}");
    let (before, stored) = (world.ring.submitted().len(), world.ring.stored(0));
    world.wire.arm(blow);
    world.back_up(name).await;
    let done = world
        .while_it_runs(async {
            let backups = world.backups();
            let over = world.until(&backups, name, |backup| {
                backup["status"]["timeCompleted"].is_string()
            });
            let over = over.await;
            sleep(FAREWELL).await;
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

/// One restore of that backup, with a blow or without; its acts.
pub(super) async fn restore(
    world: &World,
    name: &str,
    backup: &str,
    blow: Option<(usize, Blow)>,
) -> Vec<String> {
    let before = world.ring.submitted().len();
    damage(world);
    world.wire.arm(blow);
    world.restore(name, backup).await;
    let done = world
        .while_it_runs(async {
            let over = world.until_over(name).await;
            sleep(FAREWELL).await;
            over
        })
        .await;
    let acts = world.wire.acts();
    let about = format!(
        "{name} {blow:?} at {:?}",
        blow.and_then(|(number, _)| acts.get(number))
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

/// Each node was sent each phase once.
#[track_caller]
pub(super) fn each_phase_once(sent: &BTreeMap<(usize, String), usize>, about: &str) {
    for node in 0..2 {
        for phase in ["Init", "Download", "Truncate", "Import", "Cleanup"] {
            let times = sent.get(&(node, phase.to_owned())).copied().unwrap_or_default();
            // A download that never arrived is begun by tidying up what it may have left.
            let most = if phase == "Cleanup" { 2 } else { 1 };
            let least = usize::from(phase != "Truncate" || node == 0);
            assert!(
                (least..=most).contains(&times),
                "node {node} was sent {phase} {times} times: {about}"
            );
        }
    }
}

/// Whether the last run had no act of this number. How often progress is written differs from run to run, so acts that
/// only repeat the one before need not come.
#[track_caller]
fn is_beyond(world: &World, act: usize, acts: &[String]) -> bool {
    let beyond = world.wire.is_armed();
    let mut necessary = acts.to_vec();
    necessary.dedup();
    assert!(
        !beyond || act >= necessary.len(),
        "act {act} never came: {acts:#?}"
    );
    beyond
}

async fn every_backup(world: World, blows: [Blow; 2]) {
    fill(&world);
    let acts = back_up(&world, "whole", None).await;
    assert!(acts.len() >= 8, "{acts:#?}");
    println!("a backup has {} acts: {acts:#?}", acts.len());
    for (first, blow) in blows.into_iter().enumerate() {
        for act in tried(first) {
            let name = format!("{blow:?}-{act}").to_lowercase();
            back_up(&world, &name, Some((act, blow))).await;
            if is_beyond(&world, act, &acts) {
                break;
            }
            restore(&world, &format!("from-{name}"), &name, None).await;
        }
    }
}

async fn every_restore(world: World, blow: Blow, first: usize) {
    fill(&world);
    back_up(&world, "whole", None).await;
    let acts = restore(&world, "undisturbed", "whole", None).await;
    assert!(acts.len() >= 20, "{acts:#?}");
    println!("a restore has {} acts: {acts:#?}", acts.len());
    for act in tried(first) {
        let name = format!("{blow:?}-{act}").to_lowercase();
        restore(&world, &name, "whole", Some((act, blow))).await;
        if is_beyond(&world, act, &acts) {
            break;
        }
    }
}

pub(crate) fn a_backup_is_taken_once_wherever_the_reconciler_is_stopped() {
    in_made_up_time(|world| every_backup(world, [Blow::StopBefore, Blow::StopAfter]));
}

pub(crate) fn a_backup_is_taken_once_whichever_answer_is_lost() {
    in_made_up_time(|world| every_backup(world, [Blow::FailBefore, Blow::FailAfter]));
}

pub(crate) fn a_restore_brings_each_row_back_once_when_the_reconciler_is_stopped_before_an_act() {
    in_made_up_time(|world| every_restore(world, Blow::StopBefore, 0));
}

pub(crate) fn a_restore_brings_each_row_back_once_when_the_reconciler_is_stopped_after_an_act() {
    in_made_up_time(|world| every_restore(world, Blow::StopAfter, 1));
}

pub(crate) fn a_restore_brings_each_row_back_once_when_an_act_does_not_get_through() {
    in_made_up_time(|world| every_restore(world, Blow::FailBefore, 2));
}

pub(crate) fn a_restore_brings_each_row_back_once_when_an_answer_is_lost() {
    in_made_up_time(|world| every_restore(world, Blow::FailAfter, 3));
}
