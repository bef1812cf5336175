//! A set of objects that goes from `CassKop` to cassgate and back, as docs/install.md and docs/uninstall.md say.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::casskop::{Access, CassKop, prune};
use super::history::{History, Subject};
use super::user::identify;
use crate::api::{CassandraBackup, CassandraBackupSpec, CassandraRestore, CassandraRestoreSpec};
use crate::reconcile::plan::tests::world::{Presence, World};

/// The steps of the procedure that a test may leave out.
#[derive(Debug, Clone, Copy)]
struct Steps {
    /// The `NetworkPolicy` is enforced before the switch.
    policy: bool,
    /// `CassKop` is restarted after that.
    restart: bool,
    /// The backups that `CassKop` would run in another way are listed and handled before the way back.
    listing: bool,
}

const ALL: Steps = Steps {
    policy: true,
    restart: true,
    listing: true,
};

/// The objects with both executors.
struct Switch {
    history: History,
    casskop: CassKop,
    /// The snapshot of the last run of each backup of cassgate, and the restores that it began.
    seen: BTreeMap<String, String>,
    /// The runs that cassgate began.
    begun: Vec<(Timestamp, String)>,
}

fn spec(name: &str) -> CassandraBackupSpec {
    CassandraBackupSpec {
        cassandra_cluster: "c1".to_owned(),
        storage_location: "s3://bucket".to_owned(),
        snapshot_tag: Some(name.to_owned()),
        ..CassandraBackupSpec::default()
    }
}

fn scheduled(name: &str, schedule: &str) -> CassandraBackupSpec {
    CassandraBackupSpec {
        schedule: Some(schedule.to_owned()),
        ..spec(name)
    }
}

impl Switch {
    fn new(slowness: i64) -> Self {
        let mut world = World::new(2);
        world.archive = Some(BTreeMap::new());
        world.slowness = slowness;
        Self {
            history: History::of(world, scheduled("nightly", "0 3 * * *")),
            casskop: CassKop::installed(),
            seen: BTreeMap::new(),
            begun: Vec::new(),
        }
    }

    /// Lets time pass. Both programs act each minute, `CassKop` first.
    fn pass(&mut self, minutes: i64, cassgate: bool) {
        self.history.wake();
        for _ in 0..minutes {
            let minute = SignedDuration::from_mins(1);
            self.casskop.act(&mut self.history);
            if cassgate {
                self.history.steps = 0;
                self.history.run(minute).unwrap();
                self.record();
            } else {
                self.history.world.advance(minute);
            }
        }
        assert_eq!(self.history.world.violations, Vec::<String>::new());
    }

    /// Records the runs that cassgate began in the last minute.
    fn record(&mut self) {
        let backups = self.history.others.iter().chain([&self.history.backup]);
        let snapshots = backups.filter_map(|backup| {
            let snapshot = backup.object.status.as_ref()?.snapshot_tag.clone()?;
            Some((backup.object.name_any(), snapshot))
        });
        let restores = self.history.restores.iter().filter_map(|restore| {
            let source = restore.object.status.as_ref()?.source.as_ref()?;
            Some((restore.object.name_any(), source.snapshot_tag.clone()?))
        });
        for (name, snapshot) in snapshots.chain(restores) {
            if self.seen.insert(name.clone(), snapshot.clone()) != Some(snapshot) {
                self.begun.push((self.history.world.now, name));
            }
        }
    }

    fn create_backup(&mut self, name: &str, spec: CassandraBackupSpec) {
        let mut backup = CassandraBackup::new(name, spec);
        let now = self.history.world.now;
        identify(&mut backup, now);
        self.history.others.push(Subject::new(backup, now));
        self.casskop.reconcile_backup(&mut self.history, name);
    }

    fn create_restore(&mut self, name: &str) {
        let spec = CassandraRestoreSpec {
            cassandra_backup: "nightly".to_owned(),
            cassandra_cluster: "c1".to_owned(),
            ..CassandraRestoreSpec::default()
        };
        let mut restore = CassandraRestore::new(name, spec);
        let now = self.history.world.now;
        identify(&mut restore, now);
        self.history.restores.push(Subject::new(restore, now));
    }

    fn other(&mut self, name: &str) -> &mut Subject<CassandraBackup> {
        let mut others = self.history.others.iter_mut();
        others.find(|other| other.object.name_any() == name).unwrap()
    }

    /// docs/install.md, "Instead of CassKop: the executor".
    fn switch_to_cassgate(&mut self, steps: Steps) {
        self.casskop.may_write = false;
        if steps.policy {
            self.casskop.access = Access::Closed;
        }
        if steps.restart {
            self.casskop.restart(&mut self.history);
        }
        self.casskop.has_subresource = true;
    }

    /// docs/uninstall.md, "With the executor".
    fn switch_to_casskop(&mut self, steps: Steps) {
        let backups = self.history.others.iter().chain([&self.history.backup]);
        for backup in backups {
            assert!(backup.is_gone || !backup.object.has_started() || backup.object.is_terminal());
        }
        if steps.listing {
            for name in ["resting", "catalog"] {
                let now = self.history.world.now;
                let backup = &mut self.other(name).object;
                backup.metadata.deletion_timestamp = Some(Time(now));
            }
            let zoned = &mut self.other("zoned").object;
            zoned.spec.time_zone = None;
            zoned.spec.schedule = Some("CRON_TZ=Europe/Paris 0 3 * * *".to_owned());
            zoned.metadata.generation = Some(2);
            self.pass(5, true);
            for name in ["resting", "catalog"] {
                let backup = self.other(name);
                assert!(backup.object.finalizers().is_empty(), "{name} is released");
                backup.is_gone = true;
            }
        }
        prune(&mut self.history);
        self.casskop.has_subresource = false;
        self.casskop.access = Access::Open;
        self.casskop.may_write = true;
        self.casskop.restart(&mut self.history);
    }

    /// Returns every run that began, in order: the hour of a scheduled one, the executor and the object.
    fn runs(&self) -> Vec<String> {
        let casskop = self.casskop.begun.iter().map(|run| (run, "casskop"));
        let mut runs: Vec<_> = casskop
            .chain(self.begun.iter().map(|run| (run, "cassgate")))
            .collect();
        runs.sort();
        let text = |((time, name), executor): (&(Timestamp, String), &str)| {
            let is_scheduled = ["nightly", "zoned", "resting"].contains(&name.as_str());
            let hour = if is_scheduled {
                time.strftime("%m-%d %H ").to_string()
            } else {
                String::new()
            };
            format!("{hour}{executor} {name}")
        };
        runs.into_iter().map(text).collect()
    }
}

/// Plays two days with `CassKop`, two with cassgate and two with `CassKop` again. `during_run`: the first switch comes while a
/// run of `CassKop` is under way.
fn play(steps: Steps, during_run: bool) -> Vec<String> {
    let mut all = Switch::new(if during_run { 40 } else { 1 });
    all.casskop.restart(&mut all.history);
    all.create_backup("once", spec("once"));
    all.create_restore("done");
    all.pass(if during_run { 41 * 60 + 2 } else { 48 * 60 }, false);
    all.switch_to_cassgate(steps);
    let zoned = CassandraBackupSpec {
        time_zone: Some("Europe/Paris".to_owned()),
        ..scheduled("zoned", "0 3 * * *")
    };
    let resting = CassandraBackupSpec {
        suspend: Some(true),
        ..scheduled("resting", "0 4 * * *")
    };
    let catalog = CassandraBackupSpec {
        suspend: Some(true),
        ..spec("catalog")
    };
    all.create_backup("zoned", zoned);
    all.create_backup("resting", resting);
    all.create_backup("catalog", catalog);
    all.pass(24 * 60 + 30, true);
    all.create_restore("ours");
    all.pass(90, true);
    // A restore that ends before its first request: the ring lacks a node of the backup.
    all.history.world.set_presence(1, Presence::LeftRing);
    all.create_restore("failed");
    all.pass(5, true);
    let failed = all.history.restores.last().unwrap().object.clone();
    let failed = failed.status.unwrap().common;
    assert_eq!(failed.condition.unwrap().type_, "FAILED");
    all.history.world.set_presence(1, Presence::Present);
    all.pass(24 * 60, true);
    all.switch_to_casskop(steps);
    all.pass(48 * 60, false);
    all.runs()
}

/// The runs of the whole procedure.
const EXPECTED: [&str; 14] = [
    "casskop done",
    "casskop once",
    "03-01 03 casskop nightly",
    "03-02 03 casskop nightly",
    "03-03 02 cassgate zoned",
    "03-03 03 cassgate nightly",
    "cassgate ours",
    "cassgate failed",
    "03-04 02 cassgate zoned",
    "03-04 03 cassgate nightly",
    "03-05 02 casskop zoned",
    "03-05 03 casskop nightly",
    "03-06 02 casskop zoned",
    "03-06 03 casskop nightly",
];

/// Returns the runs that the procedure does not have.
fn unexpected(steps: Steps) -> Vec<String> {
    let runs = play(steps, false);
    runs.into_iter()
        .filter(|run| !EXPECTED.contains(&run.as_str()))
        .collect()
}

#[test]
fn a_switch_to_cassgate_and_back_runs_nothing_twice_and_nothing_else() {
    let mut expected = EXPECTED;
    expected.sort_unstable();
    for during_run in [false, true] {
        let mut runs = play(ALL, during_run);
        runs.sort_unstable();
        assert_eq!(runs, expected, "during a run: {during_run}");
    }
}

#[test]
fn casskop_goes_on_with_its_backups_if_only_its_role_is_taken_away() {
    let runs = unexpected(Steps { policy: false, ..ALL });
    for run in [
        "casskop catalog",
        "03-03 03 casskop nightly",
        "03-03 04 casskop resting",
        "03-04 03 casskop nightly",
    ] {
        assert!(runs.iter().any(|one| one == run), "{run}: {runs:?}");
    }
    assert!(!runs.iter().any(|run| run.ends_with("casskop ours")), "{runs:?}");
}

#[test]
fn casskop_goes_on_over_its_open_connection_if_it_is_not_restarted() {
    let runs = unexpected(Steps {
        restart: false,
        ..ALL
    });
    assert!(
        runs.iter().any(|run| run == "03-03 03 casskop nightly"),
        "{runs:?}"
    );
}

#[test]
fn casskop_runs_what_is_suspended_and_ignores_time_zones_if_nothing_is_listed() {
    let runs = unexpected(Steps {
        listing: false,
        ..ALL
    });
    assert_eq!(
        runs,
        [
            "casskop catalog",
            "03-05 03 casskop zoned",
            "03-05 04 casskop resting",
            "03-06 03 casskop zoned",
            "03-06 04 casskop resting",
        ]
    );
}
