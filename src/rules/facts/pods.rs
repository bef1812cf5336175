//! The pods of a cluster, as CassKop selects them.

use std::collections::BTreeMap;

/// The labels that CassKop sets on every pod, whatever labels the `CassandraCluster` has.
const SET_BY_CASSKOP: [&str; 5] = [
    "app",
    "cassandracluster",
    "cassandraclusters.db.orange.com.dc",
    "cassandraclusters.db.orange.com.rack",
    "dc-rack",
];

/// The query for the pods of a cluster to which CassKop can send a request.
///
/// CassKop copies the labels of the `CassandraCluster` to its pods when it creates them, and selects the pods by all of these
/// labels. A label that was added later matches no pod (observed at 40f5dfa9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodQuery<'a> {
    /// The namespace of the cluster.
    pub namespace: &'a str,
    /// The name of the cluster.
    pub cluster: &'a str,
    /// The datacenter of the backup; `None` for all.
    pub datacenter: Option<&'a str>,
    /// The labels of the `CassandraCluster`.
    pub labels: &'a BTreeMap<String, String>,
}

/// Labels of a `CassandraCluster` that its pods lack, as `KEY=VALUE`.
pub type LabelsWithoutPod = Vec<String>;

impl<'a> PodQuery<'a> {
    /// Returns the labels of every pod of the cluster, and in the datacenter.
    #[must_use]
    pub fn labels_of_pods(&self) -> Vec<(&'a str, &'a str)> {
        let datacenter = self
            .datacenter
            .map(|datacenter| ("cassandraclusters.db.orange.com.dc", datacenter));
        [("app", "cassandracluster"), ("cassandracluster", self.cluster)]
            .into_iter()
            .chain(datacenter)
            .collect()
    }

    /// Returns the labels that the `CassandraCluster` adds to the selection.
    pub fn own_labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let labels = self.labels.iter();
        labels
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .filter(|(key, _)| !SET_BY_CASSKOP.contains(key))
    }

    /// Returns the labels that a pod with these labels lacks.
    #[must_use]
    pub fn lacking(&self, pod: &BTreeMap<String, String>) -> LabelsWithoutPod {
        self.own_labels()
            .filter(|(key, value)| pod.get(*key).is_none_or(|own| own != value))
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::PodQuery;
    use std::collections::BTreeMap;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_pod_lacks_the_labels_that_the_cluster_got_later() {
        let own = labels(&[("app", "shop"), ("team", "a"), ("tier", "db")]);
        let query = PodQuery {
            namespace: "prod",
            cluster: "c1",
            datacenter: Some("dc1"),
            labels: &own,
        };
        assert_eq!(
            query.labels_of_pods(),
            [
                ("app", "cassandracluster"),
                ("cassandracluster", "c1"),
                ("cassandraclusters.db.orange.com.dc", "dc1")
            ]
        );
        let own: Vec<_> = query.own_labels().collect();
        assert_eq!(own, [("team", "a"), ("tier", "db")], "CassKop sets app itself");
        let pod = labels(&[("app", "cassandracluster"), ("team", "b")]);
        assert_eq!(query.lacking(&pod), ["team=a", "tier=db"]);
        let pod = labels(&[("team", "a"), ("tier", "db"), ("more", "x")]);
        assert_eq!(query.lacking(&pod), [""; 0]);
    }
}
