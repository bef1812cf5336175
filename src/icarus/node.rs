//! The ring as a sidecar reports it.

use std::net::IpAddr;

use serde::Deserialize;

use crate::domain::host_id::HostId;
use crate::domain::node_location::Segment;
use crate::domain::schema_version::SchemaVersion;

/// A node of the ring.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RingNode {
    /// Its host id.
    pub host: HostId,
    /// Its datacenter, by the name in Cassandra.
    pub datacenter: Segment,
    /// Its address in the ring.
    pub address: IpAddr,
}

/// The ring as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The name of the cluster, in which the sidecar replaces spaces by hyphens.
    pub cluster: Segment,
    /// The schema version.
    pub schema: Option<SchemaVersion>,
    /// The nodes, sorted by host id.
    pub nodes: Vec<RingNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawSchema {
    schema_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawTopology {
    cluster_name: String,
    schema_version: Option<String>,
    topology: Vec<RawNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawNode {
    dc: String,
    node_id: String,
    ip_address: String,
}

impl RawSchema {
    pub(super) fn parse(self) -> Option<SchemaVersion> {
        SchemaVersion::parse(&self.schema_version).ok()
    }
}

impl RawTopology {
    /// Returns `None` if a node has no valid host id, datacenter or address: a partly known ring is not used.
    pub(super) fn parse(self) -> Option<Topology> {
        let mut nodes = self
            .topology
            .into_iter()
            .map(RawNode::parse)
            .collect::<Option<Vec<_>>>()?;
        nodes.sort();
        Some(Topology {
            cluster: Segment::parse(&self.cluster_name).ok()?,
            schema: self
                .schema_version
                .and_then(|text| SchemaVersion::parse(&text).ok()),
            nodes,
        })
    }
}

impl RawNode {
    fn parse(self) -> Option<RingNode> {
        Some(RingNode {
            host: HostId::parse(&self.node_id).ok()?,
            datacenter: Segment::parse(&self.dc).ok()?,
            address: self.ip_address.parse().ok()?,
        })
    }
}
