//! One object's facts: out of the given files, and for what is not in them out of the Kubernetes cluster.

use crate::domain::credentials::Credentials;
use crate::domain::object_name::is_object_name;
use crate::domain::storage::Provider;
use crate::rules::facts::{
    Around, Cluster, FactSource, Facts, Freshness, Namespace, Neighbours, Reference, Run, StoredBackup,
};
use crate::rules::subject::Subject;

use super::tree::Tree;

/// Why a reference is unknown that no file has and nobody else was asked for.
pub(super) const NOT_IN_THE_FILES: &str = "not in the given files";

/// Whoever is asked, in this order.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) tree: &'a Tree,
    pub(super) live: Option<&'a dyn FactSource>,
    pub(super) strict: bool,
}

impl Known<'_> {
    /// Everything that `subject` names and meets.
    pub(super) async fn facts(self, subject: &Subject) -> Facts {
        let namespace = subject.meta().namespace.as_str();
        let backup = match subject.backup() {
            Some(name) => self.backup(namespace, name).await,
            None => None,
        };
        let mut facts = Facts {
            cluster: self.cluster(namespace, subject.cluster()).await,
            backup,
            namespace: self.namespace(namespace).await,
            ..Facts::default()
        };
        let found = facts.found_backup();
        if subject.provider(found) != Some(Provider::File)
            && let Some(name) = subject.secret(found)
        {
            facts.secret = self.secret(namespace, name).await;
        }
        facts.neighbours = self.neighbours(subject, facts.found_backup());
        facts
    }

    async fn cluster(self, namespace: &str, name: &str) -> Option<Reference<Cluster>> {
        if !is_object_name(name) {
            return None;
        }
        Some(match (self.tree.cluster(namespace, name), self.live) {
            (Some(known), _) => known,
            (None, Some(live)) => live.cluster(namespace, name, Freshness::Live).await,
            (None, None) => not_there(),
        })
    }

    /// A backup of the files. What a manifest without a status does not say is asked of the Kubernetes cluster.
    pub(super) async fn backup(self, namespace: &str, name: &str) -> Option<Reference<StoredBackup>> {
        if !is_object_name(name) {
            return None;
        }
        Some(match (self.tree.backup(namespace, name), self.live) {
            (Some(Reference::Found(mut own)), Some(live)) if own.run == Run::Unsaid => {
                if let Reference::Found(stored) = live.backup(namespace, name, Freshness::Live).await {
                    own.run = stored.run;
                    own.history = stored.history;
                    own.last_restore = own.last_restore.or(stored.last_restore);
                }
                Reference::Found(own)
            }
            (Some(known), _) => known,
            (None, Some(live)) => live.backup(namespace, name, Freshness::Live).await,
            (None, None) => not_there(),
        })
    }

    async fn secret(self, namespace: &str, name: &str) -> Option<Reference<Credentials>> {
        if !is_object_name(name) {
            return None;
        }
        Some(match (self.tree.secret(namespace, name), self.live) {
            (Some(known), _) => known,
            (None, Some(live)) => live.secret(namespace, name, Freshness::Live).await,
            (None, None) => not_there(),
        })
    }

    async fn namespace(self, name: &str) -> Option<Reference<Namespace>> {
        match (self.tree.namespace(name), self.live) {
            (Some(known), _) => Some(Reference::Found(known)),
            (None, Some(live)) => Some(live.namespace(name, Freshness::Live).await),
            (None, None) => None,
        }
    }

    fn neighbours(self, subject: &Subject, backup: Option<&StoredBackup>) -> Neighbours {
        let meta = subject.meta();
        let mut around = Around {
            namespace: &meta.namespace,
            name: &meta.name,
            restore: false,
            cluster: subject.cluster(),
            backup: &meta.name,
            location: "",
            tag: "",
        };
        match subject {
            Subject::Backup(own) => {
                around.location = &own.spec.storage_location;
                around.tag = own.spec.snapshot_tag.as_deref().unwrap_or_default();
            }
            Subject::Restore(own) => {
                around.restore = true;
                around.backup = &own.spec.cassandra_backup;
                around.location = backup.map_or("", |backup| &backup.spec.storage_location);
                around.tag = backup
                    .and_then(|backup| backup.spec.snapshot_tag.as_deref())
                    .unwrap_or_default();
            }
        }
        let mut found = self.tree.neighbours(around);
        if let Some(live) = self.live {
            let mut stored = live.neighbours(around);
            // Of a backup that stands in the files, the files say what it will be.
            stored
                .alike
                .retain(|other| !self.tree.has_backup(&other.namespace, &other.backup.name));
            stored.namesakes.retain(|namespace| {
                !found.namesakes.contains(namespace) && !self.tree.has_backup(namespace, around.name)
            });
            stored.alike.append(&mut found.alike);
            stored.namesakes.append(&mut found.namesakes);
            found = stored;
        }
        found
    }
}

fn not_there<T>() -> Reference<T> {
    Reference::Unknown(NOT_IN_THE_FILES.to_owned())
}
