//! The harness of a run: an object, the ring, and a planner that reconciles until the run is over.

use std::fmt::Debug;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::world::{Rows, World};
use super::{Effect, Kill, MAX_RECONCILES, StepCounter, decide, send};
use crate::api::{
    ABANDON_ANNOTATION, BackupStatus, CassandraBackup, CassandraBackupSpec, CassandraRestore,
    CassandraRestoreSpec, RESTORE_FINALIZER, RestoreSource, RestoreStatus, UNSCHEDULE_FINALIZER,
};
use crate::icarus::OperationRequest;
use crate::reconcile::execute::request;
use crate::reconcile::plan::conflict::RunStatus;
use crate::reconcile::plan::restore::RestoreInputs;
use crate::reconcile::plan::{
    Actions, Event, Finalizer, Observation, Plan, Request, Task, Wait, backup, record, restore,
};
use crate::rules::run_record;

/// An object that the harness reconciles.
pub(super) trait Planned: Serialize {
    type Status: RunStatus + Clone + Default + PartialEq + Debug + Serialize + DeserializeOwned;
    type Inputs;

    const FINALIZER: &'static str;

    fn meta_mut(&mut self) -> &mut ObjectMeta;
    fn stored_status(&self) -> Option<&Self::Status>;
    fn store_status(&mut self, status: Self::Status);
    fn plan(&self, observation: &Observation<'_>, inputs: &Self::Inputs) -> Plan<Self::Status>;

    /// Returns the folder in the bucket that a request names: cluster, datacenter and host id. `None` if the world takes
    /// it to be that of the node.
    fn folder(&self, _: &Request) -> Option<String> {
        None
    }

    /// Returns the tag of the run under way, if the object is a backup.
    fn tag(&self) -> Option<String> {
        None
    }
}

impl Planned for CassandraBackup {
    type Status = BackupStatus;
    type Inputs = ();

    const FINALIZER: &'static str = UNSCHEDULE_FINALIZER;

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn stored_status(&self) -> Option<&BackupStatus> {
        self.status.as_ref()
    }

    fn store_status(&mut self, status: BackupStatus) {
        self.status = Some(status);
    }

    fn plan(&self, observation: &Observation<'_>, (): &()) -> Plan<BackupStatus> {
        backup::plan(self, observation)
    }

    fn tag(&self) -> Option<String> {
        self.status.as_ref()?.snapshot_tag.clone()
    }
}

impl Planned for CassandraRestore {
    type Status = RestoreStatus;
    type Inputs = RestoreInputs;

    const FINALIZER: &'static str = RESTORE_FINALIZER;

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn stored_status(&self) -> Option<&RestoreStatus> {
        self.status.as_ref()
    }

    fn store_status(&mut self, status: RestoreStatus) {
        self.status = Some(status);
    }

    fn plan(&self, observation: &Observation<'_>, inputs: &RestoreInputs) -> Plan<RestoreStatus> {
        restore::plan(self, observation, inputs)
    }

    fn folder(&self, request: &Request) -> Option<String> {
        let nodes = &self.status.as_ref()?.common.nodes;
        let node = nodes.iter().find(|node| node.host_id == request.host_id)?;
        let Ok(OperationRequest::Restore(body)) = request::restore(self, node, &request.task) else {
            return None;
        };
        let (_, folder) = body.store.location.as_str().split_once("/bucket/")?;
        Some(folder.to_owned())
    }
}

/// The run of an object, with the ring that it runs on.
pub(super) struct Run<O: Planned> {
    pub(super) world: World,
    pub(super) object: O,
    pub(super) inputs: O::Inputs,
    pub(super) wait: Option<Wait>,
    pub(super) events: Vec<Event>,
    pub(super) kills: Vec<Kill>,
    pub(super) counter: StepCounter,
}

/// The run of a backup.
pub(super) type BackupRun = Run<CassandraBackup>;

/// The run of a restore.
pub(super) type RestoreRun = Run<CassandraRestore>;

impl<O: Planned> Run<O> {
    fn of(mut object: O, inputs: O::Inputs, nodes: usize) -> Self {
        object.meta_mut().generation = Some(1);
        Self {
            world: World::new(nodes),
            object,
            inputs,
            wait: None,
            events: Vec::new(),
            kills: Vec::new(),
            counter: StepCounter::default(),
        }
    }

    pub(super) fn status(&self) -> O::Status {
        self.object.stored_status().cloned().unwrap_or_default()
    }

    pub(super) fn state(&self) -> String {
        let condition = self.status().common().condition.clone();
        condition.map(|condition| condition.type_).unwrap_or_default()
    }

    pub(super) fn condition(&self, type_: &str) -> Option<Condition> {
        let conditions = self.status().common().conditions.clone();
        conditions.into_iter().find(|condition| condition.type_ == type_)
    }

    /// Returns the reason and the message of a condition.
    pub(super) fn reason(&self, type_: &str) -> Option<(String, String)> {
        let condition = self.condition(type_)?;
        Some((condition.reason, condition.message))
    }

    pub(super) fn event_reasons(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.reason.as_str()).collect()
    }

    /// Reconciles once and executes the plan.
    pub(super) fn step(&mut self) -> Actions<O::Status> {
        self.world.uploads.tag = self.object.tag().unwrap_or_default();
        let actions = decide(&self.world, self.wait.as_ref(), |observation| {
            self.object.plan(observation, &self.inputs)
        });
        self.execute(&actions);
        actions
    }

    /// Executes the plan. `None` if the process was killed.
    fn execute(&mut self, actions: &Actions<O::Status>) -> Option<()> {
        if actions.finalizer == Finalizer::Add {
            self.set_finalizer(true)?;
        }
        let is_upload = |request: &Request| matches!(request.task, Task::Backup { .. });
        assert!(
            !actions.requests.iter().any(is_upload) || !actions.status.common().is_terminal(),
            "a run that sends uploads is not over"
        );
        self.write(actions.status.clone())?;
        self.world.uploads.tag = self.object.tag().unwrap_or_default();
        self.events.extend(actions.events.iter().cloned());
        let kill = if self.kills.is_empty() || actions.requests.is_empty() {
            Kill::Never
        } else {
            self.kills.remove(0)
        };
        if kill == Kill::BeforeSending {
            return None;
        }
        let folders = actions.requests.iter();
        let folders = folders.filter_map(|sent| Some((sent.host_id.clone(), self.object.folder(sent)?)));
        self.world.folders = folders.collect();
        let outcomes = send(&mut self.world, actions, &mut self.counter)?;
        let mut status = self.status();
        for (host_id, outcome) in outcomes {
            record(&mut status.common_mut().nodes, &host_id, &outcome);
        }
        status.fit();
        if kill == Kill::Never {
            self.write(status)?;
        }
        if actions.finalizer == Finalizer::Release {
            self.set_finalizer(false)?;
        }
        Some(())
    }

    fn write(&mut self, status: O::Status) -> Option<()> {
        if self.object.stored_status() == Some(&status) {
            return Some(());
        }
        let stored = serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
        assert_eq!(status, stored, "the API server keeps what is written");
        let effect = self.counter.step();
        if effect != Effect::KilledBefore {
            let before = serde_json::to_value(&self.object).unwrap();
            self.object.store_status(status);
            let after = serde_json::to_value(&self.object).unwrap();
            assert_eq!(
                run_record::lost(&before, &after),
                None,
                "the webhook refuses the write: {before} to {after}"
            );
        }
        (effect == Effect::Done).then_some(())
    }

    fn set_finalizer(&mut self, present: bool) -> Option<()> {
        let effect = self.counter.step();
        if effect != Effect::KilledBefore {
            let meta = self.object.meta_mut();
            let mut finalizers = meta.finalizers.take().unwrap_or_default();
            finalizers.retain(|finalizer| finalizer != O::FINALIZER);
            if present {
                finalizers.push(O::FINALIZER.to_owned());
            }
            meta.finalizers = (!finalizers.is_empty()).then_some(finalizers);
        }
        (effect == Effect::Done).then_some(())
    }

    /// Reconciles until the predicate holds.
    pub(super) fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..MAX_RECONCILES {
            if holds(self) {
                return;
            }
            self.step_and_wait();
        }
        panic!("the run hangs: {:?}", self.status());
    }

    /// Reconciles once, and advances the clock to the next reconcile.
    pub(super) fn step_and_wait(&mut self) {
        let after = self.step().requeue_after.unwrap_or(SignedDuration::from_secs(1));
        self.world.advance(after.max(SignedDuration::from_millis(200)));
    }

    pub(super) fn finish(&mut self) {
        self.until(|run| run.status().common().is_terminal());
    }

    pub(super) fn delete(&mut self) {
        self.object.meta_mut().deletion_timestamp = Some(Time(self.world.now));
    }
}

impl BackupRun {
    pub(super) fn new(nodes: usize) -> Self {
        let spec = CassandraBackupSpec {
            cassandra_cluster: "c1".to_owned(),
            storage_location: "file:///backups/bucket/c/d/n".to_owned(),
            snapshot_tag: Some("nightly".to_owned()),
            ..CassandraBackupSpec::default()
        };
        Self::of(CassandraBackup::new("nightly", spec), (), nodes)
    }
}

impl RestoreRun {
    pub(super) fn new(nodes: usize) -> Self {
        let spec = CassandraRestoreSpec {
            cassandra_backup: "nightly".to_owned(),
            cassandra_cluster: "c1".to_owned(),
            entities: Some("k1.t1,k1.t2".to_owned()),
            ..CassandraRestoreSpec::default()
        };
        let source = RestoreSource {
            storage_location: Some("file:///backups/bucket/c/d/n".to_owned()),
            snapshot_tag: Some("nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776".to_owned()),
            entities: Some("k1.t1,k1.t2".to_owned()),
            ..RestoreSource::default()
        };
        let inputs = RestoreInputs {
            source: Some(source),
            ..RestoreInputs::default()
        };
        let mut restore = CassandraRestore::new("monday", spec);
        restore.metadata.uid = Some("6f2b".to_owned());
        restore.metadata.namespace = Some("prod".to_owned());
        Self::of(restore, inputs, nodes)
    }

    pub(super) fn phase(&self) -> String {
        self.status().phase.unwrap_or_default()
    }

    /// Sets the annotation that gives the restore up.
    pub(super) fn abandon(&mut self) {
        let annotations = self.object.metadata.annotations.get_or_insert_default();
        annotations.insert(ABANDON_ANNOTATION.to_owned(), "yes".to_owned());
    }

    pub(super) fn rows(&self) -> Vec<Rows> {
        self.world.nodes.iter().map(|node| node.rows).collect()
    }
}
