//! The ring as the nodes report it.

use super::disruption::Silence;
use super::{Presence, World, index};
use crate::domain::host_id::HostId;
use crate::domain::node_location::Segment;
use crate::domain::schema_version::SchemaVersion;
use crate::icarus::{RingNode, Topology};
use crate::reconcile::plan::{Answer, RingView};

impl World {
    /// Answers as the first two nodes with a running sidecar do.
    pub(super) fn ring_views(&self) -> Answer {
        let (mut views, mut silent) = (Vec::new(), Vec::new());
        for member in self.members() {
            let node = &self.nodes[index(&member.pod)];
            if views.len() == 2 {
                break;
            } else if self.now < node.down_until || node.silence != Silence::None {
                silent.push((member.pod, "connection refused".to_owned()));
            } else {
                let mut ring = self.ring();
                ring.nodes.retain(|seen| {
                    !node
                        .unseen
                        .iter()
                        .any(|unseen| self.nodes[*unseen].host == seen.host.as_str())
                });
                views.push(RingView {
                    pod: member.pod,
                    ring,
                });
            }
        }
        if views.is_empty() {
            return Answer::Unavailable("connection refused".to_owned());
        }
        Answer::RingViews { views, silent }
    }

    pub(in super::super) fn ring(&self) -> Topology {
        let node = |index: usize| RingNode {
            host: HostId::parse(&self.nodes[index].host).unwrap(),
            datacenter: Segment::parse("dc1").unwrap(),
            address: format!("10.0.0.{}", self.nodes[index].ring_address)
                .parse()
                .unwrap(),
        };
        Topology {
            cluster: Segment::parse("lab-A").unwrap(),
            schema: SchemaVersion::parse("168d568b-d346-3f61-968f-a2716307a6e4").ok(),
            nodes: (0..self.nodes.len())
                .filter(|index| {
                    let presence = self.nodes[*index].presence;
                    !matches!(presence, Presence::LeftRing | Presence::OutsideRing)
                })
                .map(node)
                .collect(),
        }
    }
}
