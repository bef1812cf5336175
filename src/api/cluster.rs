//! `CassandraCluster`: the part of CassKop's cluster that backups and restores depend on.
//!
//! It is only ever read, so it has no `Serialize`: what we do not know of cannot get lost by writing. The
//! parts that a denial may rest on are read strictly, since a wrong guess there would be a wrong verdict;
//! `null`, absent and empty are one, as in Go; everything else in the object is skipped, whatever its type.

use std::borrow::Cow;

use kube::core::{NamespaceResourceScope, ObjectMeta};
use serde::Deserialize;

use super::lenient::{null_is_default, unreadable_is_default};

/// The datacenter of a cluster whose topology is empty: CassKop's default.
pub const DEFAULT_DATACENTER: &str = "dc1";

/// The image of a sidecar whose cluster names none: CassKop's default (2.3.4).
pub const DEFAULT_SIDECAR_IMAGE: &str = "ghcr.io/cscetbon/instaclustr-icarus:1.1.3";

/// A Cassandra cluster that CassKop runs, as far as a backup or a restore depends on it.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
pub struct CassandraCluster {
    /// Name, namespace, deletion and so on.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What the user asked for. CassKop's CRD does not require it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub spec: CassandraClusterSpec,
    /// What CassKop says about it. Only warnings rest on it, so an unreadable one is an empty one.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub status: CassandraClusterStatus,
}

/// What the user asked for, as far as it matters here.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CassandraClusterSpec {
    /// The image of Cassandra itself, `repository:tag`. Only warnings rest on it.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub cassandra_image: Option<String>,
    /// The datacenters.
    #[serde(default, deserialize_with = "null_is_default")]
    pub topology: Topology,
    /// The Icarus sidecar of every pod. Absent means that there is one, with CassKop's defaults.
    #[serde(default)]
    pub back_rest_sidecar: Option<Sidecar>,
}

/// The datacenters of a cluster. Racks and everything else in them are skipped.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The datacenters as the object names them: see [`CassandraCluster::datacenters`] for those that exist.
    #[serde(default, deserialize_with = "null_is_default")]
    pub dc: Vec<Datacenter>,
}

/// One datacenter of a topology.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Datacenter {
    /// Its name in Cassandra.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
}

/// The Icarus sidecar of a cluster's pods.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Sidecar {
    /// Whether the pods have the sidecar. Absent: they have.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Its image, `repository:tag`. Absent: [`DEFAULT_SIDECAR_IMAGE`].
    #[serde(default)]
    pub image: Option<String>,
    /// Its additional mounts. CassKop writes the field in the singular.
    #[serde(default, rename = "volumeMount", deserialize_with = "unreadable_is_default")]
    pub volume_mounts: Vec<SidecarVolumeMount>,
}

/// A volume that the sidecar has mounted beside the data of Cassandra.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SidecarVolumeMount {
    /// Where in the sidecar it is mounted.
    pub mount_path: String,
    /// The name of the volume.
    #[serde(default)]
    pub name: Option<String>,
}

/// What CassKop says about the cluster, as far as it matters here.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CassandraClusterStatus {
    /// `Initializing`, `Running` or `Pending`.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub phase: Option<String>,
    /// What CassKop last did to the cluster. Example: `ScaleUp`.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub last_cluster_action: Option<String>,
    /// How far that is. Example: `Ongoing`, `Done`.
    #[serde(default, deserialize_with = "unreadable_is_default")]
    pub last_cluster_action_status: Option<String>,
}

impl CassandraCluster {
    /// The datacenters that exist, in the order of the object: an empty topology is [`DEFAULT_DATACENTER`].
    /// A ring may have more of them, in other Kubernetes clusters.
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

    /// Whether the pods have the sidecar, without which there is no backup and no restore.
    #[must_use]
    pub fn sidecar_enabled(&self) -> bool {
        self.spec
            .back_rest_sidecar
            .as_ref()
            .and_then(|sidecar| sidecar.enabled)
            .unwrap_or(true)
    }

    /// The image that the object names for the sidecar; `None` leaves the choice to CassKop. As in CassKop, an
    /// empty name is none.
    #[must_use]
    pub fn sidecar_image(&self) -> Option<&str> {
        let image = self.spec.back_rest_sidecar.as_ref()?.image.as_deref()?;
        (!image.is_empty()).then_some(image)
    }

    /// The image that the sidecar runs: the named one, else [`DEFAULT_SIDECAR_IMAGE`]; `None` when there is no
    /// sidecar. CassKop itself may be of a release with another default.
    #[must_use]
    pub fn running_sidecar_image(&self) -> Option<&str> {
        self.sidecar_enabled()
            .then(|| self.sidecar_image().unwrap_or(DEFAULT_SIDECAR_IMAGE))
    }

    /// The directories that the sidecar has mounted beside the data of Cassandra.
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

    /// Where and why a cluster with this spec cannot be read.
    fn refusal(spec: &Value) -> (String, String) {
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
    fn what_the_object_names_is_what_there_is() {
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
    fn a_datacenter_without_a_name_is_none_and_is_not_dc1_either() {
        let nameless = json!({ "topology": { "dc": [{ "rack": [] }, { "name": null }, { "name": "dc2" }] } });
        assert_eq!(cluster(&nameless).datacenters(), ["dc2"]);
    }

    #[test]
    fn parts_that_nothing_rests_on_may_have_any_type() {
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
    fn an_unreadable_status_is_an_empty_one() {
        let object = json!({ "metadata": { "name": "c1" }, "status": "Running" });
        let cluster: CassandraCluster = serde_json::from_value(object).unwrap();
        assert_eq!(cluster.status, CassandraClusterStatus::default());
    }

    #[test]
    fn a_part_that_a_denial_may_rest_on_is_not_guessed() {
        let (path, why) = refusal(&json!({ "topology": { "dc": "dc1" } }));
        assert_eq!(path, "spec.topology.dc");
        assert_eq!(why, "invalid type: string \"dc1\", expected a sequence");
        let (path, why) = refusal(&json!({ "topology": { "dc": [{ "name": "dc1" }, { "name": 2 }] } }));
        assert_eq!(path, "spec.topology.dc[1].name");
        assert_eq!(why, "invalid type: integer `2`, expected a string");
        let (path, why) = refusal(&json!({ "backRestSidecar": { "enabled": "no" } }));
        assert_eq!(path, "spec.backRestSidecar.enabled");
        assert_eq!(why, "invalid type: string \"no\", expected a boolean");
    }

    #[test]
    fn it_is_found_where_casskop_keeps_it() {
        assert_eq!(CassandraCluster::api_version(&()), super::super::API_VERSION);
        let path = CassandraCluster::url_path(&(), Some("prod"));
        assert_eq!(path, "/apis/db.orange.com/v2/namespaces/prod/cassandraclusters");
    }
}
