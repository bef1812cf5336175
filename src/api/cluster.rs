//! `CassandraCluster`: the part of CassKop's cluster that backups and restores depend on.
//!
//! The type has no `Serialize`, because writing it would lose the fields that it does not know. Fields that can cause a
//! denial are parsed strictly, because a guess could be a wrong verdict. `null`, absent and empty are the same, as in Go.
//! All other fields are skipped, whatever their type.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::core::{NamespaceResourceScope, ObjectMeta};
use serde::Deserialize;

use super::lenient::{null_is_default, unreadable_is_default};

/// The datacenter of a cluster with an empty topology: CassKop's default.
pub const DEFAULT_DATACENTER: &str = "dc1";

/// The image of the sidecar in a cluster that specifies none: CassKop's default (in 2.3.4).
pub const DEFAULT_SIDECAR_IMAGE: &str = "ghcr.io/cscetbon/instaclustr-icarus:1.1.3";

/// A Cassandra cluster of CassKop.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
pub struct CassandraCluster {
    /// The metadata of the object.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The desired state. CassKop's CRD does not require it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub spec: CassandraClusterSpec,
    /// The observed state. It affects warnings only, so a malformed status counts as empty.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub status: CassandraClusterStatus,
}

/// The desired state of a cluster.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CassandraClusterSpec {
    /// The image of Cassandra, `repository:tag`. It affects warnings only.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub cassandra_image: Option<String>,
    /// The number of pods in every rack. Default: 1. It affects warnings only.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub nodes_per_racks: Option<i64>,
    /// The datacenters.
    #[serde(default, deserialize_with = "null_is_default")]
    pub topology: Topology,
    /// The Icarus sidecar of every pod. If absent, CassKop's defaults apply and the pods have one.
    #[serde(default)]
    pub back_rest_sidecar: Option<Sidecar>,
}

/// The datacenters of a cluster, without their racks and other fields.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The datacenters in the object. [`CassandraCluster::datacenters`] returns those that exist.
    #[serde(default, deserialize_with = "null_is_default")]
    pub dc: Vec<Datacenter>,
}

/// One datacenter of a topology.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Datacenter {
    /// Its name in Cassandra.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// The number of pods in each of its racks, if it differs from that of the cluster. It affects warnings only.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub nodes_per_racks: Option<i64>,
}

/// The Icarus sidecar of a cluster's pods.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Sidecar {
    /// False if the pods have no sidecar. Default: true.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Its image, `repository:tag`. Default: [`DEFAULT_SIDECAR_IMAGE`].
    #[serde(default)]
    pub image: Option<String>,
    /// Its additional mounts. CassKop writes the field in the singular.
    #[serde(default, rename = "volumeMount", deserialize_with = "unreadable_is_default")]
    pub volume_mounts: Vec<SidecarVolumeMount>,
}

/// A volume mount of the sidecar in addition to the data of Cassandra.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SidecarVolumeMount {
    /// The mount path in the sidecar.
    pub mount_path: String,
    /// The name of the volume.
    #[serde(default)]
    pub name: Option<String>,
}

/// The observed state of a cluster.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CassandraClusterStatus {
    /// `Initializing`, `Running` or `Pending`.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub phase: Option<String>,
    /// The last action of CassKop on the cluster. Example: `ScaleUp`.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub last_cluster_action: Option<String>,
    /// The status of this action. Examples: `Ongoing`, `Done`.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub last_cluster_action_status: Option<String>,
    /// The Cassandra node of each pod that has ever been ready. CassKop never removes an entry.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub cassandra_node_status: BTreeMap<String, PodNode>,
}

/// The Cassandra node of a pod, as CassKop last saw it.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PodNode {
    /// The host id of the node.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub host_id: String,
}

impl CassandraCluster {
    /// Returns the datacenters that exist, in the order of the object; for an empty topology [`DEFAULT_DATACENTER`].
    ///
    /// The ring may have more datacenters in other Kubernetes clusters.
    #[must_use]
    pub fn datacenters(&self) -> Vec<&str> {
        let named = &self.spec.topology.dc;
        if named.is_empty() {
            return vec![DEFAULT_DATACENTER];
        }
        named
            .iter()
            .map(|dc| dc.name.as_str())
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// Returns the datacenter of a pod of this cluster; `None` if the cluster has no pod of this name.
    ///
    /// CassKop names a pod `CLUSTER-DATACENTER-RACK-NUMBER`. The number of a pod that a scale-down removed is too high.
    #[must_use]
    pub fn datacenter_of_pod(&self, pod: &str) -> Option<&str> {
        let cluster = self.metadata.name.as_deref()?;
        let datacenter = datacenter_of_pod(cluster, self.datacenters().into_iter(), pod)?;
        let number: i64 = pod.rsplit_once('-')?.1.parse().ok()?;
        let own = self.spec.topology.dc.iter().find(|dc| dc.name == datacenter);
        let pods = own
            .and_then(|dc| dc.nodes_per_racks)
            .or(self.spec.nodes_per_racks)
            .unwrap_or(1);
        (number < pods.max(1)).then_some(datacenter)
    }

    /// Returns true if the pods have the sidecar, which backups and restores need.
    #[must_use]
    pub fn sidecar_enabled(&self) -> bool {
        self.spec
            .back_rest_sidecar
            .as_ref()
            .and_then(|sidecar| sidecar.enabled)
            .unwrap_or(true)
    }

    /// Returns the image of the sidecar in the object, or `None` if CassKop's default applies. As in CassKop, an empty
    /// image counts as absent.
    #[must_use]
    pub fn sidecar_image(&self) -> Option<&str> {
        let image = self.spec.back_rest_sidecar.as_ref()?.image.as_deref()?;
        (!image.is_empty()).then_some(image)
    }

    /// Returns the image that the sidecar runs: the one in the object, or else [`DEFAULT_SIDECAR_IMAGE`]. Returns `None`
    /// without a sidecar. The release of CassKop may have another default.
    #[must_use]
    pub fn running_sidecar_image(&self) -> Option<&str> {
        self.sidecar_enabled()
            .then(|| self.sidecar_image().unwrap_or(DEFAULT_SIDECAR_IMAGE))
    }

    /// Returns the mount paths of the sidecar in addition to the data of Cassandra.
    pub fn sidecar_mount_paths(&self) -> impl Iterator<Item = &str> {
        let mounts = self
            .spec
            .back_rest_sidecar
            .as_ref()
            .map(|sidecar| sidecar.volume_mounts.as_slice());
        mounts
            .unwrap_or_default()
            .iter()
            .map(|mount| mount.mount_path.as_str())
    }
}

/// Returns the datacenter in the name of a pod, `CLUSTER-DATACENTER-RACK-NUMBER`; `None` if no datacenter fits.
#[must_use]
pub fn datacenter_of_pod<'a>(
    cluster: &str,
    datacenters: impl Iterator<Item = &'a str>,
    pod: &str,
) -> Option<&'a str> {
    let rest = pod.strip_prefix(cluster)?.strip_prefix('-')?;
    let (rest, number) = rest.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let has_rack = |datacenter: &&str| {
        rest.strip_prefix(*datacenter)
            .and_then(|rack| rack.strip_prefix('-'))
            .is_some_and(|rack| !rack.is_empty())
    };
    datacenters
        .filter(|_| is_number)
        .filter(has_rack)
        .max_by_key(|datacenter| datacenter.len())
}

impl kube::Resource for CassandraCluster {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "CassandraCluster".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        super::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        super::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "cassandraclusters".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use kube::Resource;
    use serde_json::{Value, json};

    use super::*;

    fn cluster(spec: &Value) -> CassandraCluster {
        let object = json!({
            "apiVersion": "db.orange.com/v2", "kind": "CassandraCluster",
            "metadata": { "name": "c1", "namespace": "prod" }, "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    /// Returns the path and the text of the error for a cluster with this spec.
    fn error(spec: &Value) -> (String, String) {
        let object = json!({ "metadata": { "name": "c1" }, "spec": spec });
        let error = serde_path_to_error::deserialize::<_, CassandraCluster>(object).unwrap_err();
        (error.path().to_string(), error.inner().to_string())
    }

    #[test]
    fn absent_null_and_empty_parts_are_casskops_defaults() {
        let nothing: CassandraCluster =
            serde_json::from_value(json!({ "metadata": { "name": "c1" } })).unwrap();
        let specs = [
            json!(null),
            json!({}),
            json!({ "topology": null, "backRestSidecar": null, "cassandraImage": null }),
            json!({ "topology": {}, "backRestSidecar": {} }),
            json!({ "topology": { "dc": null }, "backRestSidecar": { "enabled": null, "image": null, "volumeMount": null } }),
            json!({ "topology": { "dc": [] }, "backRestSidecar": { "enabled": true, "image": "" } }),
        ];
        for cluster in specs.iter().map(cluster).chain([nothing]) {
            assert_eq!(cluster.datacenters(), ["dc1"], "{cluster:?}");
            assert!(cluster.sidecar_enabled(), "{cluster:?}");
            assert_eq!(cluster.sidecar_image(), None, "{cluster:?}");
            assert_eq!(
                cluster.running_sidecar_image(),
                Some(DEFAULT_SIDECAR_IMAGE),
                "{cluster:?}"
            );
            assert_eq!(cluster.sidecar_mount_paths().count(), 0, "{cluster:?}");
            assert_eq!(cluster.spec.cassandra_image, None, "{cluster:?}");
            assert_eq!(cluster.status, CassandraClusterStatus::default(), "{cluster:?}");
        }
    }

    #[test]
    fn the_values_of_the_object_are_used() {
        let cluster = cluster(&json!({
            "cassandraImage": "cassandra:4.1.9",
            "topology": { "dc": [{ "name": "online", "rack": [{ "name": "rack1" }] }, { "name": "stats" }] },
            "backRestSidecar": {
                "image": "registry.example/icarus:2.0.4",
                "volumeMount": [{ "mountPath": "/data/backups", "name": "data" }, { "mountPath": "/mnt" }],
            },
        }));
        assert_eq!(cluster.datacenters(), ["online", "stats"]);
        assert_eq!(cluster.sidecar_image(), Some("registry.example/icarus:2.0.4"));
        assert_eq!(cluster.running_sidecar_image(), cluster.sidecar_image());
        assert_eq!(
            cluster.sidecar_mount_paths().collect::<Vec<_>>(),
            ["/data/backups", "/mnt"]
        );
        assert_eq!(cluster.spec.cassandra_image.as_deref(), Some("cassandra:4.1.9"));
        assert_eq!(cluster.metadata.namespace.as_deref(), Some("prod"));
    }

    #[test]
    fn a_sidecar_that_is_switched_off_runs_no_image() {
        let cluster = cluster(&json!({ "backRestSidecar": { "enabled": false, "image": "icarus:2.0.4" } }));
        assert!(!cluster.sidecar_enabled());
        assert_eq!(cluster.sidecar_image(), Some("icarus:2.0.4"));
        assert_eq!(cluster.running_sidecar_image(), None);
    }

    #[test]
    fn a_datacenter_without_a_name_is_skipped_and_not_replaced_by_dc1() {
        let nameless = json!({ "topology": { "dc": [{ "rack": [] }, { "name": null }, { "name": "dc2" }] } });
        assert_eq!(cluster(&nameless).datacenters(), ["dc2"]);
    }

    #[test]
    fn fields_that_affect_no_denial_may_have_any_type() {
        let object = json!({
            "metadata": { "name": "c1" },
            "spec": {
                "nodesPerRacks": "three", "cassandraImage": 4, "pod": [], "gcStdout": true,
                "topology": { "labels": 1, "dc": [{ "name": "dc1", "rack": "r1", "nodesPerRacks": {} }] },
                "backRestSidecar": { "image": "icarus:2.0.4", "resources": "much", "volumeMount": { "name": "x" } },
            },
            "status": { "phase": "Running", "lastClusterAction": 7, "cassandraRackStatus": [1], "seedlist": "none" },
        });
        let cluster: CassandraCluster = serde_json::from_value(object).unwrap();
        assert_eq!(cluster.datacenters(), ["dc1"]);
        assert_eq!(cluster.spec.cassandra_image, None);
        assert_eq!(cluster.running_sidecar_image(), Some("icarus:2.0.4"));
        assert_eq!(cluster.status.phase.as_deref(), Some("Running"));
        assert_eq!(cluster.status.last_cluster_action, None);
    }

    #[test]
    fn a_malformed_status_counts_as_empty() {
        let object = json!({ "metadata": { "name": "c1" }, "status": "Running" });
        let cluster: CassandraCluster = serde_json::from_value(object).unwrap();
        assert_eq!(cluster.status, CassandraClusterStatus::default());
    }

    #[test]
    fn a_malformed_field_that_can_cause_a_denial_is_an_error() {
        let (path, text) = error(&json!({ "topology": { "dc": "dc1" } }));
        assert_eq!(path, "spec.topology.dc");
        assert_eq!(text, "invalid type: string \"dc1\", expected a sequence");
        let (path, text) = error(&json!({ "topology": { "dc": [{ "name": "dc1" }, { "name": 2 }] } }));
        assert_eq!(path, "spec.topology.dc[1].name");
        assert_eq!(text, "invalid type: integer `2`, expected a string");
        let (path, text) = error(&json!({ "backRestSidecar": { "enabled": "no" } }));
        assert_eq!(path, "spec.backRestSidecar.enabled");
        assert_eq!(text, "invalid type: string \"no\", expected a boolean");
    }

    #[test]
    fn the_kind_has_the_path_of_casskops_crd() {
        assert_eq!(CassandraCluster::api_version(&()), super::super::API_VERSION);
        let path = CassandraCluster::url_path(&(), Some("prod"));
        assert_eq!(path, "/apis/db.orange.com/v2/namespaces/prod/cassandraclusters");
    }
}
