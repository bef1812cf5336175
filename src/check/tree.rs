//! The facts of all given manifests.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use serde::de::DeserializeOwned;

use crate::api::{CassandraBackup, CassandraCluster, CassandraRestore, MISSING_REFERENCES_LABEL};
use crate::domain::credentials::Credentials;
use crate::rules::facts::{
    BackupIndex, Caller, Cluster, FactSource, Freshness, Namespace, NeighbourIndex, NeighbourQuery,
    Neighbours, Pending, Reference, RestoreIndex, Run, StoredBackup, StoredRestore,
};
use crate::rules::policy::MissingReferences;

use super::kustomize::GeneratedSecret;
use super::manifest::{ManifestKind, Resource};
use super::placeholder::Placeholders;
use super::redaction::Redaction;
use super::resources::Resources;
use super::secret_sources::{self, SecretCopy};
use super::trees::Scope;
use super::yaml::SpannedNode;
use super::{multi_casskop, secrets};

/// The reason why an object is unknown that no file contains.
pub(super) const NOT_IN_THE_FILES: &str = "not in the given files";

/// The length of the hash that kustomize appends to a name.
const HASH_LENGTH: usize = 10;

/// The resources of each folder, by index, and the generated Secrets.
#[derive(Debug, Default)]
pub(super) struct ByFolder<'a> {
    facts: HashMap<&'a str, Vec<usize>>,
    generated: HashMap<&'a str, Vec<&'a GeneratedSecret>>,
}

impl<'a> ByFolder<'a> {
    pub(super) fn new(all: &'a Resources) -> Self {
        let mut by_folder = Self::default();
        for (index, resource) in all.facts.iter().enumerate() {
            by_folder.facts.entry(&resource.folder).or_default().push(index);
        }
        for secret in &all.generated {
            by_folder.generated.entry(&secret.root).or_default().push(secret);
        }
        by_folder
    }
}

/// The number of objects that are decoded before the first ones are added.
const DECODED_AT_ONCE: usize = 1024;

/// A cluster, backup or restore as the rules read it.
enum Decoded {
    Cluster(Box<Reference<Cluster>>),
    Backup(Reference<Arc<StoredBackup>>),
    Restore(Reference<Arc<StoredRestore>>),
    Other(SpannedNode),
}

impl Decoded {
    fn new(resource: &Resource, known: &Placeholders) -> Self {
        let object = resource.manifest.object();
        let placeholders = &known.of(&object.node);
        match resource.manifest.kind {
            ManifestKind::Cluster => {
                let cluster = decode(resource, &object, placeholders, |cluster: CassandraCluster| {
                    Cluster::from(&cluster)
                });
                Self::Cluster(Box::new(cluster))
            }
            ManifestKind::Backup => Self::Backup(decode(
                resource,
                &object,
                placeholders,
                |backup: CassandraBackup| {
                    let mut backup = StoredBackup::from(&backup);
                    backup.run = known_run(backup.run);
                    Arc::new(backup)
                },
            )),
            ManifestKind::Restore => Self::Restore(decode(
                resource,
                &object,
                placeholders,
                |restore: CassandraRestore| {
                    let mut restore = StoredRestore::from(&restore);
                    restore.run = known_run(restore.run);
                    Arc::new(restore)
                },
            )),
            _ => Self::Other(object),
        }
    }
}

type ByName<T> = HashMap<String, HashMap<String, Reference<T>>>;

/// The objects of the given manifests, as a source of facts.
///
/// An object that no manifest describes is `Unknown`, never `Absent`. A manifest without a status does not say whether
/// the object has run, so its run is [`Run::Unknown`] and it is no running, unfinished or ended neighbour.
#[derive(Debug, Default)]
pub(super) struct Tree {
    clusters: ByName<Cluster>,
    backups: ByName<Arc<StoredBackup>>,
    restores: ByName<Arc<StoredRestore>>,
    secrets: ByName<Credentials>,
    namespaces: HashMap<String, Namespace>,
    /// The Secrets that kustomize generates, by their namespaces and their names without hashes.
    generated: HashMap<String, HashMap<String, Vec<GeneratedSecret>>>,
    /// Secrets that operators make in namespaces which the manifests do not name one by one.
    copies: Vec<SecretCopy>,
    backup_index: BackupIndex,
    restore_index: RestoreIndex,
}

impl Tree {
    /// Reads the documents of a scope.
    pub(super) fn new(all: &Resources, index: &ByFolder<'_>, scope: &Scope) -> Self {
        let generated = scope
            .folders()
            .flat_map(|folder| index.generated.get(folder).into_iter().flatten());
        let generated = generated.filter(|secret| scope.applies(&secret.appliers));
        let mut tree = Self::default();
        for secret in generated {
            tree.add_generated((*secret).clone(), &all.placeholders);
        }
        let facts = scope
            .folders()
            .flat_map(|folder| index.facts.get(folder).into_iter().flatten());
        let mut facts: Vec<usize> = facts.copied().collect();
        facts.sort_unstable();
        let facts: Vec<&Resource> = facts
            .into_iter()
            .filter_map(|fact| all.facts.get(fact))
            .filter(|resource| scope.applies(&resource.appliers))
            .collect();
        for resources in facts.chunks(DECODED_AT_ONCE) {
            let decoded: Vec<Decoded> = resources
                .par_iter()
                .with_min_len(64)
                .map(|resource| Decoded::new(resource, &all.placeholders))
                .collect();
            for (resource, decoded) in resources.iter().zip(decoded) {
                tree.add(resource, decoded, &all.names, &all.placeholders);
            }
        }
        tree
    }

    /// Adds an object. `known` are the placeholders of all objects.
    fn add(&mut self, resource: &Resource, decoded: Decoded, names: &[String], known: &Placeholders) {
        let manifest = &resource.manifest;
        let (namespace, name) = (resource.namespace.as_str(), resource.name());
        let file = names.get(manifest.file).map(String::as_str).unwrap_or_default();
        match decoded {
            Decoded::Cluster(cluster) => insert(&mut self.clusters, namespace, name, *cluster, file),
            Decoded::Backup(backup) => {
                if let Reference::Found(backup) = &backup {
                    self.backup_index.insert(namespace, name, backup);
                }
                insert(&mut self.backups, namespace, name, backup, file);
            }
            Decoded::Restore(restore) => {
                if let Reference::Found(restore) = &restore
                    && restore.run != Run::Unknown
                {
                    self.restore_index.insert(namespace, name, restore);
                }
                insert(&mut self.restores, namespace, name, restore, file);
            }
            Decoded::Other(object) => self.add_other(resource, &object, names, &known.of(&object.node)),
        }
    }

    /// Adds an object that is neither a cluster nor a backup or restore.
    fn add_other(
        &mut self,
        resource: &Resource,
        object: &SpannedNode,
        names: &[String],
        placeholders: &Placeholders,
    ) {
        let manifest = &resource.manifest;
        let (namespace, name) = (resource.namespace.as_str(), resource.name());
        let file = names.get(manifest.file).map(String::as_str).unwrap_or_default();
        match manifest.kind {
            ManifestKind::Namespace => {
                let labels = ["metadata", "labels", MISSING_REFERENCES_LABEL];
                let word = object.node.text_at(&labels);
                let fact = Namespace {
                    terminating: false,
                    missing_references: word.and_then(MissingReferences::parse),
                };
                self.namespaces.insert(name.to_owned(), fact);
            }
            ManifestKind::ClusterExternalSecret => {
                let (namespaces, selects) = secrets::namespaces(&object.node);
                for namespace in namespaces {
                    self.add_secrets(resource, namespace, file, placeholders);
                }
                if selects {
                    let names = secrets::created_by(manifest, name, placeholders)
                        .into_iter()
                        .map(|(name, _)| name);
                    self.copies.extend(names.map(SecretCopy::selected_by_labels));
                }
            }
            ManifestKind::MultiCasskop => {
                for own in multi_casskop::clusters(resource, placeholders) {
                    insert(&mut self.clusters, &own.namespace, &own.name, own.cluster, file);
                }
            }
            _ => self.add_secrets(resource, namespace, file, placeholders),
        }
    }

    fn add_generated(&mut self, mut secret: GeneratedSecret, placeholders: &Placeholders) {
        let is_open = |key: &String| placeholders.is_in(key);
        if secret.keys.as_ref().is_ok_and(|keys| keys.iter().any(is_open)) {
            secret.keys = Err("its keys contain placeholders; render it first".to_owned());
        }
        let namespace = secret.namespace.as_deref().unwrap_or_default();
        let unnamed = SecretCopy::unnamed("secretGenerator", namespace, &secret.name, placeholders);
        self.copies.extend(unnamed);
        let known = self.generated.entry(namespace.to_owned()).or_default();
        known.entry(secret.name.clone()).or_default().push(secret);
    }

    fn add_secrets(&mut self, resource: &Resource, namespace: &str, file: &str, placeholders: &Placeholders) {
        for (name, mut credentials) in secrets::created_by(&resource.manifest, resource.name(), placeholders)
        {
            if let Some(why) = &resource.opaque {
                credentials = Reference::Unknown(why.to_string());
            }
            let kind = resource.manifest.kind_name();
            self.copies
                .extend(SecretCopy::unnamed(kind, namespace, &name, placeholders));
            insert(&mut self.secrets, namespace, &name, credentials, file);
        }
        self.copies
            .extend(secret_sources::copies(&resource.manifest, resource.name()));
    }

    /// Returns the cluster of this name; `None` if no manifest describes it.
    pub(super) fn find_cluster(&self, namespace: &str, name: &str) -> Option<Reference<Cluster>> {
        self.clusters.get(namespace)?.get(name).cloned()
    }

    /// Returns the backup of this name; `None` if no manifest describes it.
    pub(super) fn find_backup(&self, namespace: &str, name: &str) -> Option<Reference<StoredBackup>> {
        find_shared(&self.backups, namespace, name)
    }

    /// Returns the namespace of this name; `None` if no manifest describes it.
    pub(super) fn find_namespace(&self, name: &str) -> Option<Reference<Namespace>> {
        self.namespaces.get(name).cloned().map(Reference::Found)
    }

    /// Returns the restore of this name; `None` if no manifest describes it.
    pub(super) fn find_restore(&self, namespace: &str, name: &str) -> Option<Reference<StoredRestore>> {
        find_shared(&self.restores, namespace, name)
    }

    /// Returns the Secret of this name, or the one to which kustomize gives this name; `None` if no manifest
    /// describes it.
    pub(super) fn find_secret(&self, namespace: &str, name: &str) -> Option<Reference<Credentials>> {
        let written = self.secrets.get(namespace).and_then(|secrets| secrets.get(name));
        let copied = || {
            let copy = self.copies.iter().find(|copy| copy.is_in(namespace, name));
            copy.map(|copy| Reference::Unknown(copy.reason.clone()))
        };
        written
            .cloned()
            .or_else(|| self.find_generated(namespace, name))
            .or_else(copied)
    }

    fn find_generated(&self, namespace: &str, name: &str) -> Option<Reference<Credentials>> {
        let here = self.generated.get(namespace)?;
        let with_hash = name
            .len()
            .checked_sub(HASH_LENGTH + 1)
            .and_then(|end| here.get(name.get(..end)?));
        let written = here.get(name);
        let all = written.into_iter().chain(with_hash).flatten();
        let mut matching = all.filter(|generated| is_named(generated, name));
        if let Some(generated) = matching.next() {
            if matching.any(|other| other.keys != generated.keys) {
                let why = "kustomizations in the given files generate it more than once, with different keys";
                return Some(Reference::Unknown(why.to_owned()));
            }
            return Some(match &generated.keys {
                Ok(keys) => {
                    let keys = keys.iter().map(String::as_str);
                    Reference::Found(Credentials::default().and_named(keys))
                }
                Err(why) => Reference::Unknown(format!("{} generates it: {why}", generated.file)),
            });
        }
        let unhashed = written?.first()?;
        Some(Reference::Unknown(format!(
            "{} appends a hash to this name, which kustomize does not write into a backup or restore; set \
             disableNameSuffixHash: true there",
            unhashed.file
        )))
    }

    /// Returns true if a manifest describes this backup.
    pub(super) fn has_backup(&self, namespace: &str, name: &str) -> bool {
        self.backups
            .get(namespace)
            .is_some_and(|backups| backups.contains_key(name))
    }
}

impl FactSource for Tree {
    fn cluster<'a>(&'a self, namespace: &'a str, name: &'a str, _: Freshness) -> Pending<'a, Cluster> {
        answer(self.find_cluster(namespace, name))
    }

    fn backup<'a>(&'a self, namespace: &'a str, name: &'a str, _: Freshness) -> Pending<'a, StoredBackup> {
        answer(self.find_backup(namespace, name))
    }

    fn secret<'a>(&'a self, namespace: &'a str, name: &'a str, _: Freshness) -> Pending<'a, Credentials> {
        answer(self.find_secret(namespace, name))
    }

    fn namespace<'a>(&'a self, name: &'a str, _: Freshness) -> Pending<'a, Namespace> {
        answer(self.find_namespace(name))
    }

    fn restore<'a>(&'a self, namespace: &'a str, name: &'a str) -> Pending<'a, StoredRestore> {
        answer(self.find_restore(namespace, name))
    }

    fn neighbours(&self, query: NeighbourQuery<'_>) -> Neighbours {
        let mut neighbours = Neighbours::default();
        self.backup_index.find(&query, &mut neighbours);
        self.restore_index.find(&query, &mut neighbours);
        neighbours
    }

    /// Manifests do not say what a user may read.
    fn may_read_secret<'a>(&'a self, _: &'a Caller, _: &'a str, _: &'a str) -> Pending<'a, bool> {
        answer(None)
    }
}

fn answer<'a, T>(found: Option<Reference<T>>) -> Pending<'a, T> {
    Pending::known(found.unwrap_or_else(|| Reference::Unknown(NOT_IN_THE_FILES.to_owned())))
}

fn find_shared<T: Clone>(objects: &ByName<Arc<T>>, namespace: &str, name: &str) -> Option<Reference<T>> {
    Some(match objects.get(namespace)?.get(name)? {
        Reference::Found(object) => Reference::Found(T::clone(object)),
        Reference::Unknown(why) => Reference::Unknown(why.clone()),
        Reference::Absent => return None,
    })
}

/// Returns true if kustomize gives this name to the Secret.
fn is_named(generated: &GeneratedSecret, name: &str) -> bool {
    let Some(rest) = name.strip_prefix(generated.name.as_str()) else {
        return false;
    };
    let is_hash =
        |hash: &str| hash.len() == HASH_LENGTH && hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if generated.hashed {
        rest.strip_prefix('-').is_some_and(is_hash)
    } else {
        rest.is_empty()
    }
}

/// Returns the run of a manifest. Without a status it is unknown, while a stored object without one has never run.
fn known_run(run: Run) -> Run {
    if run == Run::Never { Run::Unknown } else { run }
}

/// Decodes an object; `Unknown` if its final content is not known.
fn decode<K: DeserializeOwned, T>(
    resource: &Resource,
    object: &SpannedNode,
    placeholders: &Placeholders,
    read: impl FnOnce(K) -> T,
) -> Reference<T> {
    if let Some(why) = &resource.opaque {
        return Reference::Unknown(why.to_string());
    }
    let spec = object.node.get("spec");
    if spec.is_some_and(|spec| placeholders.is_in_node(spec)) {
        return Reference::Unknown(
            "its manifest in the given files contains placeholders; render it first".to_owned(),
        );
    }
    match K::deserialize(&*object.node) {
        Ok(object) => Reference::Found(read(object)),
        Err(error) => {
            let error = Redaction::of(object).redacted(&error.to_string());
            Reference::Unknown(format!("its manifest in the given files cannot be read: {error}"))
        }
    }
}

/// Inserts an object. Two different documents of the same name make it `Unknown`: either may be applied.
fn insert<T: PartialEq>(into: &mut ByName<T>, namespace: &str, name: &str, read: Reference<T>, file: &str) {
    let known = into.entry(namespace.to_owned()).or_default();
    match known.get_mut(name) {
        Some(other) if *other == read => {}
        Some(other) => {
            *other = Reference::Unknown(format!(
                "the given files contain it more than once, with differences ({file} is one of them)"
            ));
        }
        None => drop(known.insert(name.to_owned(), read)),
    }
}
