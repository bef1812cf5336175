//! A history: a backup, its restores, their ring, and the reconciles of all objects.

use std::collections::BTreeMap;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::event::{At, Delayed};
use super::progress::Track;
use super::user::identify;
use super::{others, safety};
use crate::api::{
    CassandraBackup, CassandraBackupSpec, CassandraRestore, ConcurrencyPolicy, Reason, Retention,
    RetentionStatus,
};
use crate::domain::sidecar::Sidecar;
use crate::reconcile::object::{Plannable, ReconciledObject};
use crate::reconcile::plan::conflict::RunStatus;
use crate::reconcile::plan::prune::{PruneInputs, retention::snapshots_in_use};
use crate::reconcile::plan::restore::RestoreInputs;
use crate::reconcile::plan::restore::copies::restores_with_copies;
use crate::reconcile::plan::restore::part_sizes::part_sizes;
use crate::reconcile::plan::restore::source::source;
use crate::reconcile::plan::schedule::NextRun;
use crate::reconcile::plan::tests::harness::Planned;
use crate::reconcile::plan::tests::world::World;
use crate::reconcile::plan::tests::{Kill, decide};
use crate::reconcile::plan::{Actions, Finalizer, Observation, Task, Wait, record};
use crate::reconcile::queue::order::{Queued, reason_to_wait};

/// Maximum delay between two reconciles of one object in the model.
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// Maximum number of reconciles of a history. A long one takes 2000.
const MAX_STEPS: usize = 5_000;

/// The interval of a scheduled backup.
pub(super) const SCHEDULE_INTERVAL: SignedDuration = SignedDuration::from_hours(18);

/// The images of the sidecars.
const SIDECARS: [&str; 6] = [
    "icarus:2.0.4",
    "icarus:2.0.4",
    "icarus:2.0.4",
    "icarus:1.1.3",
    "icarus:3.0.0",
    "icarus:latest",
];

/// An object of a history.
#[derive(Debug, Clone)]
pub(super) struct Subject<K> {
    pub(super) object: K,
    /// True if the object does not exist any more.
    pub(super) is_gone: bool,
    pub(super) track: Track,
    next: Timestamp,
    pause: SignedDuration,
}

impl<K> Subject<K> {
    pub(super) fn new(object: K, now: Timestamp) -> Self {
        Self {
            object,
            is_gone: false,
            track: Track::new(now),
            next: now,
            pause: SignedDuration::from_secs(1),
        }
    }
}

/// The place of an object in a history.
#[derive(Debug, Clone, Copy)]
enum Place {
    Restore(usize),
    Backup,
    Other(usize),
}

/// Backups and restores of one cluster.
pub(super) struct History {
    pub(super) world: World,
    pub(super) backup: Subject<CassandraBackup>,
    pub(super) restores: Vec<Subject<CassandraRestore>>,
    /// The other backups of the cluster.
    pub(super) others: Vec<Subject<CassandraBackup>>,
    /// The kills of cassgate at the next plans with requests.
    pub(super) kills: Vec<Kill>,
    /// The errors of the clock at the next reconciles.
    pub(super) clock_errors: Vec<SignedDuration>,
    /// True if nodes were replaced or joined: not every restore can complete any more.
    pub(super) is_replaced: bool,
    /// The completed runs of the backup, the oldest first.
    pub(super) good_runs: Vec<String>,
    /// The number of reconciles.
    pub(super) steps: usize,
    /// The events so far, for people.
    pub(super) log: Vec<String>,
}

/// An object that takes part in a history.
pub(super) trait Subjected: Planned + Plannable + Queued {
    /// Checks the outcome of a reconcile.
    fn check(history: &mut History, before: &Self, after: &Self) -> Result<(), String>;

    /// Returns the removal of an expired snapshot.
    fn removal(&self) -> Option<&RetentionStatus> {
        None
    }

    /// Returns the snapshot that the object reads or writes with this status.
    fn snapshot(status: &<Self as Planned>::Status, task: Option<&Task>) -> String;
}

impl Subjected for CassandraBackup {
    fn check(history: &mut History, before: &Self, after: &Self) -> Result<(), String> {
        if after.name_any() == history.backup.object.name_any() {
            safety::check_backup(history, before, after)
        } else {
            others::check(history, after)
        }
    }

    fn removal(&self) -> Option<&RetentionStatus> {
        self.status.as_ref()?.retention.as_deref()
    }

    fn snapshot(status: &<Self as Planned>::Status, task: Option<&Task>) -> String {
        let removing = status
            .retention
            .as_ref()
            .and_then(|retention| retention.removing.as_ref());
        match (task, removing) {
            (Some(Task::Remove), Some(run)) => run.snapshot.clone(),
            _ => status.snapshot_tag.clone().unwrap_or_default(),
        }
    }
}

impl Subjected for CassandraRestore {
    fn check(history: &mut History, before: &Self, after: &Self) -> Result<(), String> {
        safety::check_restore(&mut history.world, before, after)
    }

    fn snapshot(status: &<Self as Planned>::Status, _: Option<&Task>) -> String {
        let source = status.source.as_ref();
        source
            .and_then(|source| source.snapshot_tag.clone())
            .unwrap_or_default()
    }
}

impl History {
    pub(super) fn new(random: &mut Rng, nodes: usize) -> Self {
        let mut world = World::new(nodes);
        world.archive = Some(BTreeMap::new());
        world.sidecar = Sidecar::from_image(SIDECARS[random.usize(0..SIDECARS.len())]);
        world.slowness = [1, 1, 4, 40][random.usize(0..4)];
        let is_directory = random.bool();
        world.uploads.cuts_files = is_directory;
        world.uploads.early_manifest = !is_directory;
        let location = if is_directory {
            "file:///backups/bucket/c/d/n"
        } else {
            "s3://bucket"
        };
        let is_scheduled = random.u8(0..3) > 0;
        let retention = Retention {
            keep_last: Some(random.i32(1..3)),
            keep_days: random.bool().then_some(1),
        };
        let policies = [
            None,
            Some(ConcurrencyPolicy::Allow),
            Some(ConcurrencyPolicy::Forbid),
            Some(ConcurrencyPolicy::Replace),
        ];
        let spec = CassandraBackupSpec {
            cassandra_cluster: "c1".to_owned(),
            storage_location: location.to_owned(),
            snapshot_tag: Some("nightly".to_owned()),
            schedule: is_scheduled.then(|| "@every 18h".to_owned()),
            retention: (is_scheduled && random.bool()).then_some(retention),
            concurrency_policy: policies[random.usize(0..policies.len())],
            ..CassandraBackupSpec::default()
        };
        let mut history = Self::of(world, spec);
        if is_scheduled {
            // The first run is due at once.
            let before = history.world.now.checked_sub(SCHEDULE_INTERVAL).unwrap();
            history.backup.object.metadata.creation_timestamp = Some(Time(before));
        }
        history
    }

    /// Returns a history of a backup `nightly` with this spec.
    pub(super) fn of(world: World, spec: CassandraBackupSpec) -> Self {
        let mut backup = CassandraBackup::new("nightly", spec);
        let created = world.now;
        identify(&mut backup, created);
        Self {
            backup: Subject::new(backup, created),
            world,
            restores: Vec::new(),
            others: Vec::new(),
            kills: Vec::new(),
            clock_errors: Vec::new(),
            is_replaced: false,
            good_runs: Vec::new(),
            steps: 0,
            log: Vec::new(),
        }
    }

    /// Plays the events, and reconciles between them. Returns the first broken property.
    pub(super) fn play(&mut self, events: &[Delayed]) -> Result<(), String> {
        for (delay, event) in events {
            self.run(*delay)?;
            self.log.push(At(self.world.now, event).to_string());
            event.apply(self);
            self.wake();
        }
        Ok(())
    }

    /// Reconciles the objects for this time.
    pub(super) fn run(&mut self, time: SignedDuration) -> Result<(), String> {
        let end = self.world.now.checked_add(time).unwrap();
        loop {
            let (next, place) = self.next_reconcile().unwrap_or((end, Place::Backup));
            let time = next.min(end).duration_since(self.world.now);
            self.world.advance(time.max(SignedDuration::ZERO));
            if next >= end {
                return Ok(());
            }
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err("reconciled in a loop".to_owned());
            }
            match place {
                Place::Restore(index) => {
                    let mut subject = self.restores[index].clone();
                    self.step(&mut subject)?;
                    self.restores[index] = subject;
                }
                Place::Backup => {
                    let mut subject = self.backup.clone();
                    self.step(&mut subject)?;
                    self.backup = subject;
                }
                Place::Other(index) => {
                    let mut subject = self.others[index].clone();
                    self.step(&mut subject)?;
                    self.others[index] = subject;
                }
            }
        }
    }

    /// Returns the object that is reconciled next, and the time; `None` if every object is gone.
    fn next_reconcile(&self) -> Option<(Timestamp, Place)> {
        let restores = self.restores.iter().enumerate();
        let restores = restores.filter(|(_, subject)| !subject.is_gone);
        let restores = restores.map(|(index, subject)| (subject.next, Place::Restore(index)));
        let backup = (!self.backup.is_gone).then_some((self.backup.next, Place::Backup));
        let others = self.others.iter().enumerate();
        let others = others.map(|(index, subject)| (subject.next, Place::Other(index)));
        restores.chain(backup).chain(others).min_by_key(|(next, _)| *next)
    }

    /// Reconciles all objects at once.
    pub(super) fn wake(&mut self) {
        let now = self.world.now;
        let next = now.checked_add(SignedDuration::from_secs(1)).unwrap();
        let second = SignedDuration::from_secs(1);
        (self.backup.next, self.backup.pause) = (next, second);
        for restore in &mut self.restores {
            (restore.next, restore.pause) = (next, second);
        }
        for other in &mut self.others {
            (other.next, other.pause) = (next, second);
        }
    }

    /// Reconciles one object, executes its plan and checks what it did.
    fn step<K>(&mut self, subject: &mut Subject<K>) -> Result<(), String>
    where
        K: Subjected + Planned<Status = <K as ReconciledObject>::Status>,
    {
        let before = subject.object.clone();
        let no_error = SignedDuration::ZERO;
        let clock_error = if self.clock_errors.is_empty() {
            no_error
        } else {
            self.clock_errors.remove(0)
        };
        self.world.clock_error = clock_error;
        let planned_at = self.world.now.checked_add(clock_error).unwrap();
        let idle = match before.next_wake(planned_at) {
            NextRun::Now => None,
            NextRun::At(next) => Some(next.duration_since(planned_at)),
            NextRun::Never => Some(MAX_PAUSE),
        };
        let mut delay = idle;
        let mut changed = false;
        if idle.is_none() {
            let actions = self.plan(&before, planned_at);
            safety::check_requests(&self.world, &before, &actions)?;
            delay = actions.requeue_after;
            changed = !actions.is_empty(&before.status().cloned().unwrap_or_default());
            self.execute(&mut subject.object, &actions);
        }
        self.world.clock_error = no_error;
        let name = before.name_any();
        K::check(self, &before, &subject.object)?;
        if !self.world.violations.is_empty() {
            return Err(format!("{name}: {}", self.world.violations.join("; ")));
        }
        if self.world.endless_listings.get() > 0 {
            return Err(format!("{name}: asks for a listing that might never end"));
        }
        subject.track.observe(&subject.object, self.world.now)?;
        let meta = subject.object.meta();
        subject.is_gone = meta.deletion_timestamp.is_some() && subject.object.finalizers().is_empty();
        let delay = delay
            .unwrap_or(MAX_PAUSE)
            .clamp(SignedDuration::from_millis(200), MAX_PAUSE);
        subject.pause = if changed {
            delay
        } else {
            delay.max(subject.pause * 2).min(MAX_PAUSE)
        };
        subject.pause = subject.pause.max(subject.track.min_pause());
        // An object that has nothing left to do is reconciled when something happens.
        let rests = subject.object.next_wake(self.world.now) == NextRun::Never;
        subject.next = if rests {
            Timestamp::MAX
        } else {
            self.world.now.checked_add(subject.pause).unwrap()
        };
        let is_over = |object: &K| {
            object
                .status()
                .is_some_and(|status| status.common().is_terminal())
        };
        if subject.is_gone || is_over(&subject.object) != is_over(&before) {
            self.wake();
        }
        Ok(())
    }

    /// Plans the next step of an object.
    fn plan<K>(&mut self, object: &K, now: Timestamp) -> Actions<<K as ReconciledObject>::Status>
    where
        K: Subjected + Planned<Status = <K as ReconciledObject>::Status>,
    {
        let status = object.status().cloned().unwrap_or_default();
        self.world.owner = format!("{:?}/{}", K::KIND, object.name_any());
        self.world.uploads.tag = K::snapshot(&status, None);
        let (mut missing, mut inputs) = (None, RestoreInputs::default());
        if self.world.cluster_gone {
            missing = Some(Wait::new(
                Reason::ClusterNotFound,
                "there is no CassandraCluster c1",
            ));
        }
        if let Some(restore) = object.as_restore() {
            match self.source(restore) {
                Ok(found) => inputs = found,
                Err(wait) => missing = missing.or(Some(wait)),
            }
        }
        let used = self
            .restores
            .iter()
            .flat_map(|subject| snapshots_in_use(&subject.object));
        let prune_inputs = PruneInputs {
            in_use: used.collect(),
            ..PruneInputs::default()
        };
        let wait = if object.run_has_started() {
            None
        } else {
            self.turn(object, now)
        };
        let unproven_elsewhere = self.unproven_elsewhere(object);
        decide(&self.world, wait.as_ref(), |observation| {
            let observation = Observation {
                missing: missing.clone(),
                unproven_elsewhere: unproven_elsewhere.clone(),
                ..observation.clone()
            };
            Plannable::plan(object, &observation, &inputs, &prune_inputs)
        })
    }

    /// Returns what a restore takes over from the backup.
    fn source(&self, restore: &CassandraRestore) -> Result<RestoreInputs, Wait> {
        if self.backup.is_gone {
            let message = "there is no CassandraBackup \"nightly\" in the namespace; the lookup is retried";
            return Err(Wait::new(Reason::BackupNotFound, message));
        }
        let source = source(restore, &self.backup.object)?;
        let snapshot = source.snapshot_tag.clone().unwrap_or_default();
        let restores = self.restores.iter().filter(|subject| !subject.is_gone);
        let restores: Vec<_> = restores.map(|subject| subject.object.clone()).collect();
        Ok(RestoreInputs {
            source: Some(source),
            part_sizes: part_sizes(&self.backup.object, &snapshot),
            restores_with_copies: restores_with_copies(&restores, "c1", &restore.name_any()),
        })
    }

    /// Returns the reason why it is not the object's turn.
    fn turn<K: Queued>(&self, object: &K, now: Timestamp) -> Option<Wait> {
        let restores = self.restores.iter().filter(|subject| !subject.is_gone);
        let mut entries: Vec<_> = restores.map(|subject| subject.object.queue_entry(now)).collect();
        if !self.backup.is_gone {
            entries.push(self.backup.object.queue_entry(now));
        }
        entries.extend(self.others.iter().map(|subject| subject.object.queue_entry(now)));
        reason_to_wait(&object.queue_entry(now), &entries)
    }

    /// Executes a plan, unless cassgate is killed meanwhile.
    fn execute<K>(&mut self, object: &mut K, actions: &Actions<<K as ReconciledObject>::Status>)
    where
        K: Subjected + Planned<Status = <K as ReconciledObject>::Status>,
    {
        if actions.finalizer == Finalizer::Add {
            object.finalizers_mut().push(<K as Planned>::FINALIZER.to_owned());
        }
        object.store_status(actions.status.clone());
        let kill = if self.kills.is_empty() || actions.requests.is_empty() {
            Kill::Never
        } else {
            self.kills.remove(0)
        };
        if kill == Kill::BeforeSending {
            return;
        }
        let folders = actions.requests.iter();
        let folders = folders.filter_map(|sent| Some((sent.host_id.clone(), object.folder(sent)?)));
        self.world.folders = folders.collect();
        let mut status = actions.status.clone();
        for request in &actions.requests {
            self.world.uploads.tag = K::snapshot(&status, Some(&request.task));
            let outcome = self.world.send(request);
            record(K::nodes(&mut status), &request.host_id, &outcome);
        }
        if kill == Kill::Never {
            object.store_status(status);
        }
        if actions.finalizer == Finalizer::Release {
            object
                .finalizers_mut()
                .retain(|finalizer| finalizer != <K as Planned>::FINALIZER);
        }
    }
}
