//! The effects of events.

use std::time::Duration;

use cassgate::api::{ABANDON_ANNOTATION, CassandraBackup, CassandraCluster, CassandraRestore};
use fastrand::Rng;
use jiff::SignedDuration;
use serde_json::json;

use super::{BACKUP, History, NIGHTLY, RESTORE};
use crate::histories::event::Event;
use crate::histories::nodes::Nodes;
use crate::histories::objects;
use crate::runs::wire::Fault;
use crate::runs::world::{set_clock_by, world_time};

/// Maximum number of backups and of restores of a history.
const MAX_OBJECTS: usize = 3;

/// The end of an event that lasts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    StartSidecar(usize),
    StartCassandra(usize),
    ReleaseLease,
    ReachApiServer,
    CorrectClock,
}

impl History {
    fn later(&self, seconds: i64, due: Due) {
        let time = world_time()
            .checked_add(SignedDuration::from_secs(seconds))
            .unwrap();
        self.due.borrow_mut().push((time, due));
    }

    /// Ends the events whose time is over.
    pub(super) async fn end_due(&self) {
        let now = world_time();
        let ended: Vec<Due> = {
            let mut due = self.due.borrow_mut();
            let ended = due
                .iter()
                .filter(|(time, _)| *time <= now)
                .map(|(_, due)| *due)
                .collect();
            due.retain(|(time, _)| *time > now);
            ended
        };
        for due in ended {
            self.nodes.sidecars.advance();
            self.end(due).await;
        }
    }

    async fn end(&self, due: Due) {
        match due {
            Due::StartSidecar(node) => self.nodes.start_sidecar(node).await,
            Due::StartCassandra(node) => self.nodes.start_cassandra(node).await,
            Due::ReleaseLease => self.lease.release_of("another"),
            Due::ReachApiServer => self.wire.set_unreachable(false),
            Due::CorrectClock => set_clock_by(0),
        }
    }

    pub(super) async fn apply(&self, event: &Event, random: &mut Rng) {
        let nodes = &self.nodes;
        match event {
            Event::Kill(away) => {
                self.away.set(Duration::from_millis(*away));
                self.cut.notify_one();
            }
            Event::Act(number, fault, away) => {
                if matches!(fault, Fault::StopBefore | Fault::StopAfter) {
                    self.away.set(Duration::from_millis(*away));
                }
                self.wire.arm(Some((*number, *fault)));
            }
            Event::LoseLease(seconds) => {
                self.lease.take();
                self.later(*seconds, Due::ReleaseLease);
            }
            Event::LoseApiServer(seconds) => {
                self.wire.set_unreachable(true);
                self.later(*seconds, Due::ReachApiServer);
            }
            Event::ClockError(hours, seconds) => {
                set_clock_by(hours * 3_600);
                self.later(*seconds, Due::CorrectClock);
            }
            Event::Request(fault) => nodes.sidecars.add_fault(*fault),
            Event::RestartSidecar(node, torn, seconds) => {
                nodes.kill_sidecar(*node, *torn).await;
                self.later(*seconds, Due::StartSidecar(*node));
            }
            Event::RestartCassandra(node, seconds) => {
                nodes.ring.kill_cassandra(*node);
                self.later(*seconds, Due::StartCassandra(*node));
            }
            Event::Silence(node, silence) => nodes.sidecars.set_silence(*node, *silence),
            Event::Hang(node) => nodes.ring.set_hanging(*node, true),
            Event::Failing(kind, error, times) => nodes.ring.fail_operations(*kind, error, *times),
            Event::Presence(node, presence) => nodes.set_presence(*node, *presence).await,
            Event::Move(node) => nodes.move_node(*node).await,
            Event::Unseen(node, other) if node != other => nodes.ring.set_unseen(*node, *other, true),
            Event::Unseen(..) => {}
            Event::DeleteCluster => {
                nodes.delete_all().await;
                self.delete::<CassandraCluster>("c1").await;
            }
            Event::Heal => self.heal().await,
            Event::Write
            | Event::CreateBackup
            | Event::CreateRestore
            | Event::Abandon
            | Event::DeleteRestore
            | Event::DeleteBackup
            | Event::Suspend(_) => self.act_as_user(event, random).await,
        }
    }

    async fn act_as_user(&self, event: &Event, random: &mut Rng) {
        let (backups, restores) = (self.record.names(BACKUP), self.record.names(RESTORE));
        match event {
            Event::Write => self.write(),
            Event::CreateBackup if backups.len() < MAX_OBJECTS => {
                let name = format!("once-{}", backups.len());
                self.create::<CassandraBackup>(&objects::backup(&name, &json!({})))
                    .await;
            }
            Event::CreateRestore if restores.len() < MAX_OBJECTS => {
                let name = format!("restore-{}", restores.len());
                let backup = &backups[random.usize(0..backups.len())];
                self.create::<CassandraRestore>(&objects::restore(&name, backup))
                    .await;
            }
            Event::Abandon => {
                if let Some(name) = restores.last() {
                    let abandon = Nodes::annotation(ABANDON_ANNOTATION, "yes");
                    self.patch::<CassandraRestore>(name, &abandon).await;
                }
            }
            Event::DeleteRestore => {
                if let Some(name) = restores.last() {
                    self.delete::<CassandraRestore>(name).await;
                }
            }
            Event::DeleteBackup => self.delete::<CassandraBackup>(NIGHTLY).await,
            // A one-shot backup that is suspended describes a snapshot.
            Event::Suspend(suspend) if self.object(BACKUP, NIGHTLY)["spec"]["schedule"].is_string() => {
                let patch = json!({ "spec": { "suspend": suspend } });
                self.patch::<CassandraBackup>(NIGHTLY, &patch).await;
            }
            _ => {}
        }
    }

    /// Writes and deletes rows as users do, unless a restore is under way: it would replace them.
    pub(super) fn write(&self) {
        let is_open = |name: &String| {
            let status = &self.object(RESTORE, name)["status"];
            status["source"].is_object() && status["timeCompleted"].is_null()
        };
        if self.record.names(RESTORE).iter().any(is_open) {
            return;
        }
        let mut keys = self.keys.borrow_mut();
        for table in ["k1.t1", "k1.t2"] {
            self.nodes.ring.delete(table, *keys / 2..*keys);
            self.nodes.ring.write(table, *keys..*keys + 20);
        }
        *keys += 20;
    }

    /// Removes every cause of a disruption.
    pub(super) async fn heal(&self) {
        self.due.borrow_mut().clear();
        self.wire.arm(None);
        self.wire.set_unreachable(false);
        self.lease.release_of("another");
        set_clock_by(0);
        if self
            .api::<CassandraCluster>()
            .get_opt("c1")
            .await
            .unwrap()
            .is_none()
        {
            self.create::<CassandraCluster>(&objects::cluster(self.version))
                .await;
        }
        self.nodes.sidecars.advance();
        self.nodes.heal().await;
    }
}
