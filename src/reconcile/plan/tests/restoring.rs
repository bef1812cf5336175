//! A restore and everything around it, moved look by look.

use jiff::SignedDuration;

use super::world::{Rows, World};
use super::{Act, Counter, Crash, MOST_LOOKS, decide, send};
use crate::api::{CassandraRestore, CassandraRestoreSpec, RESTORE_FINALIZER, RestoreSource, RestoreStatus};
use crate::reconcile::plan::restore::{RestoreInputs, plan};
use crate::reconcile::plan::{Actions, Event, Finalizer, record};

/// A restore and everything around it.
pub(super) struct Run {
    pub(super) world: World,
    pub(super) restore: CassandraRestore,
    pub(super) means: RestoreInputs,
    pub(super) events: Vec<Event>,
    pub(super) crashes: Vec<Crash>,
    pub(super) counter: Counter,
}

impl Run {
    pub(super) fn new(nodes: usize) -> Self {
        let mut restore = CassandraRestore::new(
            "monday",
            CassandraRestoreSpec {
                cassandra_backup: "nightly".to_owned(),
                cassandra_cluster: "c1".to_owned(),
                entities: Some("k1.t1,k1.t2".to_owned()),
                ..CassandraRestoreSpec::default()
            },
        );
        restore.metadata.generation = Some(1);
        let source = RestoreSource {
            storage_location: Some("file:///backups/bucket/c/d/n".to_owned()),
            snapshot_tag: Some("nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776".to_owned()),
            entities: Some("k1.t1,k1.t2".to_owned()),
            ..RestoreSource::default()
        };
        let means = RestoreInputs {
            source: Some(source),
            keep_truncated: false,
        };
        Self {
            world: World::new(nodes),
            restore,
            means,
            events: Vec::new(),
            crashes: Vec::new(),
            counter: Counter::default(),
        }
    }

    pub(super) fn status(&self) -> RestoreStatus {
        self.restore.status.clone().unwrap_or_default()
    }

    pub(super) fn state(&self) -> String {
        self.status()
            .common
            .condition
            .map(|condition| condition.type_)
            .unwrap_or_default()
    }

    pub(super) fn phase(&self) -> String {
        self.status().phase.unwrap_or_default()
    }

    pub(super) fn reason(&self, type_: &str) -> Option<(String, String)> {
        let conditions = self.status().common.conditions;
        let condition = conditions
            .into_iter()
            .find(|condition| condition.type_ == type_)?;
        Some((condition.reason, condition.message))
    }

    pub(super) fn rows(&self) -> Vec<Rows> {
        self.world.nodes.iter().map(|node| node.rows).collect()
    }

    /// One look, and what follows.
    pub(super) fn step(&mut self) -> Actions<RestoreStatus> {
        let deeds = decide(&self.world, None, |look| plan(&self.restore, look, &self.means));
        self.carry_out(&deeds);
        deeds
    }

    /// `None`: the planner died over it.
    fn carry_out(&mut self, deeds: &Actions<RestoreStatus>) -> Option<()> {
        if deeds.finalizer == Finalizer::Add {
            self.hold(Some(vec![RESTORE_FINALIZER.to_owned()]))?;
        }
        self.write(deeds.status.clone())?;
        self.events.extend(deeds.events.iter().cloned());
        let crash = if self.crashes.is_empty() || deeds.requests.is_empty() {
            Crash::No
        } else {
            self.crashes.remove(0)
        };
        if crash == Crash::BeforeSending {
            return None;
        }
        let outcomes = send(&mut self.world, deeds, &mut self.counter)?;
        let mut status = self.status();
        for (host_id, outcome) in outcomes {
            record(&mut status.common.nodes, &host_id, &outcome);
        }
        if crash == Crash::No {
            self.write(status)?;
        }
        if deeds.finalizer == Finalizer::Release {
            self.hold(None)?;
        }
        Some(())
    }

    fn write(&mut self, status: RestoreStatus) -> Option<()> {
        if self.restore.status.as_ref() == Some(&status) {
            return Some(());
        }
        let stored = serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
        assert_eq!(status, stored, "the API server keeps what is written");
        let act = self.counter.act();
        if act != Act::Never {
            self.restore.status = Some(status);
        }
        (act == Act::Done).then_some(())
    }

    fn hold(&mut self, finalizers: Option<Vec<String>>) -> Option<()> {
        let act = self.counter.act();
        if act != Act::Never {
            self.restore.metadata.finalizers = finalizers;
        }
        (act == Act::Done).then_some(())
    }

    /// Goes on until this holds.
    pub(super) fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..MOST_LOOKS {
            if holds(self) {
                return;
            }
            let deeds = self.step();
            let again = deeds.again.unwrap_or(SignedDuration::from_secs(1));
            self.world.pass(again.max(SignedDuration::from_millis(200)));
        }
        panic!("it hangs in {} {:?}", self.phase(), self.status());
    }

    pub(super) fn finish(&mut self) {
        self.until(|run| run.status().common.is_terminal());
    }

    pub(super) fn delete(&mut self) {
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.world.now);
        self.restore.metadata.deletion_timestamp = Some(now);
    }
}
