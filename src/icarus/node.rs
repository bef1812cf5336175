//! The ring as a sidecar reports it.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;

use crate::domain::host_id::HostId;
use crate::domain::node_location::Segment;
use crate::domain::schema_version::SchemaVersion;

/// Maximum length of a mode, in bytes. It becomes part of messages.
const MAX_MODE_LENGTH: usize = 64;

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

/// The mode of a Cassandra node, as the node sees itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeMode {
    /// It is a part of the ring.
    Normal,
    /// It is about to become a part of the ring and still receives its rows.
    Joining,
    /// It has left the ring for good and has no rows.
    Decommissioned,
    /// Another mode, such as `STARTING`, `LEAVING` or `DRAINED`.
    Other(String),
}

impl NodeMode {
    /// Parses the mode. Case matters.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "NORMAL" => Self::Normal,
            "JOINING" => Self::Joining,
            "DECOMMISSIONED" => Self::Decommissioned,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Returns the mode as a sidecar reports it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Normal => "NORMAL",
            Self::Joining => "JOINING",
            Self::Decommissioned => "DECOMMISSIONED",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for NodeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawStatus {
    node_state: String,
}

impl RawStatus {
    /// Returns `None` if the mode is longer than any known one several times over.
    pub(super) fn parse(self) -> Option<NodeMode> {
        (self.node_state.len() <= MAX_MODE_LENGTH).then(|| NodeMode::parse(&self.node_state))
    }
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
