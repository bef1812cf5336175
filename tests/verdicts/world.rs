//! A Kubernetes cluster in memory: the facts of a scenario, computed without an index from all objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use cassgate::api::{CassandraBackup, CassandraCluster, CassandraRestore, MISSING_REFERENCES_LABEL};
use cassgate::domain::credentials::Credentials;
use cassgate::domain::storage::StorageLocation;
use cassgate::rules::facts::{
    Caller, Cluster, FactSource, Freshness, LabelsWithoutPod, Namespace, NeighbourQuery, Neighbours, Pending,
    PodQuery, Reference, StoredBackup, StoredRestore,
};
use cassgate::rules::policy::MissingReferences;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The objects of all namespaces.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// The stored objects.
    pub(crate) objects: Vec<Value>,
    /// The labels of every namespace.
    pub(crate) labels: serde_json::Map<String, Value>,
    /// True if the caller may read Secrets.
    pub(crate) reads_secrets: bool,
}

impl World {
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.objects
            .iter()
            .filter(move |object| object["kind"] == kind)
            .map(|object| {
                let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
                (text("namespace"), text("name"), object)
            })
    }

    fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.of_kind(kind)
            .find(|(own, called, _)| (*own, *called) == (namespace, name))
            .map(|(_, _, object)| object)
    }

    fn answer<T: Send + 'static>(fact: Option<T>) -> Pending<'static, T> {
        Pending::asked(async move { fact.map_or(Reference::Absent, Reference::Found) })
    }

    fn backups(&self) -> impl Iterator<Item = (&str, StoredBackup)> {
        self.of_kind("CassandraBackup")
            .map(|(namespace, _, object)| (namespace, StoredBackup::from(&typed::<CassandraBackup>(object))))
    }

    fn restores(&self, namespace: &str) -> Vec<Arc<StoredRestore>> {
        self.of_kind("CassandraRestore")
            .filter(|(own, ..)| *own == namespace)
            .map(|(_, _, object)| Arc::new(StoredRestore::from(&typed::<CassandraRestore>(object))))
            .collect()
    }
}

fn typed<T: DeserializeOwned>(object: &Value) -> T {
    serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{object}: {error}"))
}

fn place(location: &str) -> String {
    StorageLocation::parse(location).map_or_else(|_| location.to_owned(), |location| location.place())
}

impl FactSource for World {
    fn cluster<'a>(&'a self, namespace: &'a str, name: &'a str, _: Freshness) -> Pending<'a, Cluster> {
        let found = self.find("CassandraCluster", namespace, name);
        Self::answer(found.map(|object| Cluster::from(&typed::<CassandraCluster>(object))))
    }

    fn backup<'a>(&'a self, namespace: &'a str, name: &'a str, _: Freshness) -> Pending<'a, StoredBackup> {
        let found = self.find("CassandraBackup", namespace, name);
        Self::answer(found.map(|object| StoredBackup::from(&typed::<CassandraBackup>(object))))
    }

    fn secret<'a>(&'a self, namespace: &'a str, name: &'a str, _: Freshness) -> Pending<'a, Credentials> {
        let found = self.find("Secret", namespace, name);
        Self::answer(found.map(|object| {
            let entries = object["stringData"].as_object().into_iter().flatten();
            Credentials::read(entries.map(|(key, value)| (key.as_str(), value.as_str().unwrap().as_bytes())))
        }))
    }

    fn namespace<'a>(&'a self, _: &'a str, _: Freshness) -> Pending<'a, Namespace> {
        let word = self.labels.get(MISSING_REFERENCES_LABEL).and_then(Value::as_str);
        Self::answer(Some(Namespace {
            terminating: false,
            missing_references: word.and_then(MissingReferences::parse),
        }))
    }

    fn restore<'a>(&'a self, namespace: &'a str, name: &'a str) -> Pending<'a, StoredRestore> {
        let found = self.find("CassandraRestore", namespace, name);
        Self::answer(found.map(|object| StoredRestore::from(&typed::<CassandraRestore>(object))))
    }

    fn neighbours(&self, query: NeighbourQuery<'_>) -> Neighbours {
        let others = || {
            self.backups().filter(move |(namespace, backup)| {
                *namespace == query.namespace && backup.name != query.backup
            })
        };
        let overlaps = |backup: &StoredBackup| {
            let tag = backup.spec.snapshot_tag.as_deref().unwrap_or_default();
            let near = backup.spec.cassandra_cluster == query.cluster
                && place(&backup.spec.storage_location) == place(query.location);
            let both = !tag.is_empty() && !query.tag.is_empty();
            near && both && (tag.starts_with(query.tag) || query.tag.starts_with(tag))
        };
        let restores = self.restores(query.namespace);
        let unfinished = |restore: &&Arc<StoredRestore>| restore.run.is_unfinished();
        let itself = |name: &str, is_restore: bool| query.restore == is_restore && name == query.name;
        Neighbours {
            overlapping_backups: others()
                .filter(|(_, backup)| overlaps(backup))
                .map(|(_, backup)| Arc::new(backup))
                .collect(),
            running_backups: self
                .backups()
                .filter(|(namespace, backup)| {
                    *namespace == query.namespace
                        && backup.spec.cassandra_cluster == query.cluster
                        && backup.run.is_active()
                        && !itself(&backup.name, false)
                })
                .map(|(_, backup)| Arc::new(backup))
                .collect(),
            restores_with_copies: restores
                .iter()
                .filter(unfinished)
                .filter(|restore| restore.cluster == query.cluster && !itself(&restore.name, true))
                .cloned()
                .collect(),
            users: restores
                .iter()
                .filter(unfinished)
                .filter(|restore| !query.restore && restore.backup == query.backup)
                .cloned()
                .collect(),
            past_users: restores
                .iter()
                .filter(|restore| !restore.run.is_unfinished())
                .filter(|restore| !query.restore && restore.backup == query.backup)
                .cloned()
                .collect(),
            last_restore: restores
                .iter()
                .filter(|restore| !restore.run.is_unfinished() && restore.cluster == query.cluster)
                .max_by_key(|restore| restore.ended)
                .cloned(),
            unreadable: Vec::new(),
        }
    }

    fn labels_without_pod<'a>(&'a self, query: PodQuery<'a>) -> Pending<'a, LabelsWithoutPod> {
        let labels = |pod: &Value| -> BTreeMap<String, String> {
            serde_json::from_value(pod["metadata"]["labels"].clone()).unwrap_or_default()
        };
        let pods: Vec<LabelsWithoutPod> = self
            .of_kind("Pod")
            .filter(|(namespace, ..)| *namespace == query.namespace)
            .map(|(.., pod)| labels(pod))
            .filter(|own| {
                let mut labels = query.labels_of_pods().into_iter();
                labels.all(|(key, value)| own.get(key).is_some_and(|own| own == value))
            })
            .map(|own| query.lacking(&own))
            .collect();
        let lacking = pods.into_iter().min_by_key(Vec::len);
        Self::answer(Some(lacking.unwrap_or_default()))
    }

    fn may_read_secret<'a>(&'a self, _: &'a Caller, _: &'a str, _: &'a str) -> Pending<'a, bool> {
        Self::answer(Some(self.reads_secrets))
    }
}
