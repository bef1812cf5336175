//! Sets of folders whose files are applied to the same Kubernetes cluster.
//!
//! All files are one tree, unless two folders contain the same object with different content. Such folders belong to different
//! Kubernetes clusters, for example `staging` and `production`, and are judged apart. A folder that contains no such object is in
//! every tree.

use std::collections::{BTreeMap, BTreeSet};

use super::applications::Application;
use super::manifest::{ManifestKind, Resource};
use super::resources::Resources;

/// The maximum number of resources in all trees together, for each resource. Trees that overlap multiply the work.
const MAX_SHARE: usize = 32;

/// A set of folders that are applied to the same Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    /// The folder that gives the tree its name.
    pub(super) name: String,
    /// The folders of its resources.
    folders: BTreeSet<String>,
    /// The folders whose objects are judged in this tree.
    judged: BTreeSet<String>,
}

impl Scope {
    /// Returns true if the resources of this folder are facts of the tree.
    pub(super) fn contains(&self, folder: &str) -> bool {
        self.folders.contains(folder)
    }
}

/// The trees of the given files.
#[derive(Debug, Default)]
pub(super) struct Trees {
    scopes: Vec<Scope>,
    /// True if there are too many trees to keep them apart.
    pub(super) too_many: bool,
}

impl Trees {
    /// Finds the trees of all resources. `folders` are the folders of the files, by index, and `named` those of the flag `--tree`.
    pub(super) fn new(all: &Resources, folders: &[String], named: &[String]) -> Self {
        let layout = Layout::new(all, folders);
        let mut scopes = if named.is_empty() {
            layout.found()
        } else {
            layout.named(named)
        };
        let mut merged: Vec<Scope> = Vec::new();
        for scope in scopes.drain(..) {
            match merged.iter_mut().find(|other| other.folders == scope.folders) {
                Some(same) => same.judged.extend(scope.judged),
                None => merged.push(scope),
            }
        }
        let sizes = layout.sizes();
        let size_of = |folder: &String| sizes.get(folder).copied().unwrap_or_default();
        let total: usize = merged.iter().flat_map(|scope| &scope.folders).map(size_of).sum();
        if total > all.facts.len().saturating_mul(MAX_SHARE) {
            return Self {
                scopes: vec![layout.everything()],
                too_many: true,
            };
        }
        Self {
            scopes: merged,
            too_many: false,
        }
    }

    /// Returns all trees.
    pub(super) fn all(&self) -> &[Scope] {
        &self.scopes
    }

    /// Returns the trees in which the objects of a folder are judged, by index.
    pub(super) fn of(&self, folder: &str) -> impl Iterator<Item = usize> {
        let scopes = self.scopes.iter().enumerate();
        scopes
            .filter(|(_, scope)| scope.judged.contains(folder))
            .map(|(index, _)| index)
    }

    /// Returns the name of a tree, if there are several.
    pub(super) fn name(&self, index: usize) -> Option<&str> {
        let scope = self.scopes.get(index).filter(|_| self.scopes.len() > 1)?;
        Some(&scope.name)
    }
}

/// An object: kind, namespace and name.
type Identity<'a> = (ManifestKind, &'a str, &'a str);

/// The folders of the resources and the applications in them.
struct Layout<'a> {
    /// The folders with resources or applications.
    folders: BTreeSet<&'a str>,
    /// The folders that contain each object, and the object in them.
    identities: BTreeMap<Identity<'a>, Vec<(&'a str, &'a Resource)>>,
    /// The applications, each with its folder.
    applications: Vec<(&'a str, &'a Application)>,
    sizes: BTreeMap<String, usize>,
}

/// A set of folders that belong together.
struct Group<'a> {
    name: String,
    folders: BTreeSet<&'a str>,
}

impl<'a> Layout<'a> {
    fn new(all: &'a Resources, folders: &'a [String]) -> Self {
        let mut layout = Self {
            folders: all.generated.iter().map(|secret| secret.root.as_str()).collect(),
            identities: BTreeMap::new(),
            applications: Vec::new(),
            sizes: BTreeMap::new(),
        };
        for resource in &all.facts {
            let folder = resource.folder.as_str();
            layout.folders.insert(folder);
            *layout.sizes.entry(folder.to_owned()).or_default() += 1;
            // Several folders may declare the same namespace.
            if resource.manifest.kind != ManifestKind::Namespace {
                let identity = (
                    resource.manifest.kind,
                    resource.namespace.as_str(),
                    resource.name(),
                );
                let known = layout.identities.entry(identity).or_default();
                known.push((folder, resource));
            }
        }
        for application in &all.applications {
            if let Some(folder) = folders.get(application.file) {
                layout.folders.insert(folder);
                layout.applications.push((folder, application));
            }
        }
        layout
    }

    fn sizes(&self) -> &BTreeMap<String, usize> {
        &self.sizes
    }

    fn everything(&self) -> Scope {
        scope(".", &self.folders, &self.folders)
    }

    /// Returns a tree for each of these folders. A folder outside of all of them is in every tree.
    fn named(&self, named: &[String]) -> Vec<Scope> {
        let groups: Vec<Group<'a>> = named
            .iter()
            .map(|name| Group {
                name: name.clone(),
                folders: self.reached(self.below(name), None),
            })
            .collect();
        let claimed: BTreeSet<&str> = groups
            .iter()
            .flat_map(|group| group.folders.iter().copied())
            .collect();
        let shared: BTreeSet<&str> = self.folders.difference(&claimed).copied().collect();
        groups
            .iter()
            .map(|group| {
                let folders = group.folders.union(&shared).copied().collect();
                scope(&group.name, &folders, &folders)
            })
            .collect()
    }

    /// Returns a tree for each group that contains the same object as another one, and one for all others.
    fn found(&self) -> Vec<Scope> {
        let groups = self.groups();
        let conflicts = self.conflicts(&groups);
        if conflicts.iter().all(BTreeSet::is_empty) {
            return vec![self.everything()];
        }
        let mut scopes = Vec::new();
        let mut rest: BTreeSet<&str> = BTreeSet::new();
        for (group, others) in groups.iter().zip(&conflicts) {
            if others.is_empty() {
                rest.extend(&group.folders);
                continue;
            }
            let apart = groups
                .iter()
                .enumerate()
                .filter(|(index, _)| others.contains(index));
            let hidden: BTreeSet<&str> = apart
                .flat_map(|(_, other)| other.folders.iter().copied())
                .collect();
            let folders = self
                .folders
                .iter()
                .copied()
                .filter(|folder| group.folders.contains(folder) || !hidden.contains(folder))
                .collect();
            scopes.push(scope(&group.name, &folders, &group.folders));
        }
        let judged: BTreeSet<&str> = scopes
            .iter()
            .flat_map(|scope: &Scope| scope.judged.iter().map(String::as_str))
            .collect();
        let rest: BTreeSet<&str> = rest
            .into_iter()
            .filter(|folder| !judged.contains(folder))
            .collect();
        if !rest.is_empty() {
            let all = scope(".", &self.folders, &rest);
            scopes.push(all);
        }
        scopes
    }

    /// Returns the groups: the folders that one entry point applies to one Kubernetes cluster, and every other folder.
    ///
    /// An entry point is a folder with applications that no other one applies.
    fn groups(&self) -> Vec<Group<'a>> {
        let entries: BTreeSet<&str> = self.applications.iter().map(|(folder, _)| *folder).collect();
        let reachable: BTreeSet<&str> = entries
            .iter()
            .flat_map(|entry| {
                let mut reached = self.reached(BTreeSet::from([*entry]), None);
                reached.remove(entry);
                reached
            })
            .collect();
        let mut groups = Vec::new();
        let mut grouped = BTreeSet::new();
        for entry in entries.iter().filter(|entry| !reachable.contains(*entry)) {
            let start = BTreeSet::from([*entry]);
            let all = self.reached(start.clone(), None);
            let destinations: BTreeSet<&str> = self
                .applications
                .iter()
                .filter(|(folder, _)| all.contains(folder))
                .map(|(_, application)| application.destination.as_str())
                .collect();
            for destination in &destinations {
                let mut name = (*entry).to_owned();
                if !destination.is_empty() {
                    name = format!("{name} for {destination}");
                }
                groups.push(Group {
                    name,
                    folders: self.reached(start.clone(), Some(destination)),
                });
            }
            grouped.extend(all);
        }
        let others = self.folders.iter().filter(|folder| !grouped.contains(*folder));
        groups.extend(others.map(|folder| Group {
            name: (*folder).to_owned(),
            folders: BTreeSet::from([*folder]),
        }));
        groups
    }

    /// Returns `from` and every folder that an application in them applies, also through other applications.
    ///
    /// With a destination, a folder that is applied to another one is left out. The applications in it still count: an app of apps
    /// applies its applications to its own Kubernetes cluster.
    fn reached(&self, from: BTreeSet<&'a str>, destination: Option<&str>) -> BTreeSet<&'a str> {
        let mut searched = from.clone();
        let mut reached = from;
        let mut open: Vec<&str> = searched.iter().copied().collect();
        while let Some(folder) = open.pop() {
            for (_, application) in self.applications.iter().filter(|(own, _)| *own == folder) {
                let applied = application
                    .paths
                    .iter()
                    .flat_map(|path| self.applied(folder, path));
                let applied: Vec<&str> = applied.chain(self.before(folder, application)).collect();
                if destination.is_none_or(|destination| application.destination == destination) {
                    reached.extend(&applied);
                }
                open.extend(applied.into_iter().filter(|next| searched.insert(next)));
            }
        }
        reached
    }

    /// Returns the folders that a path in a repository names. Of several repositories, the one around `from` comes first.
    fn applied(&self, from: &str, path: &str) -> Vec<&'a str> {
        let roots: BTreeSet<&str> = self
            .folders
            .iter()
            .filter_map(|folder| root_before(folder, path))
            .collect();
        let around = roots
            .iter()
            .filter(|root| is_within(from, root))
            .max_by_key(|root| root.len());
        let chosen: Vec<&str> = match around {
            Some(root) => vec![*root],
            None => roots.into_iter().collect(),
        };
        self.folders
            .iter()
            .copied()
            .filter(|folder| {
                chosen.iter().any(|root| {
                    let whole = if root.is_empty() {
                        path.to_owned()
                    } else {
                        format!("{root}/{path}")
                    };
                    is_within(folder, &whole)
                })
            })
            .collect()
    }

    /// Returns the folders of the applications that one depends on, if its own folder does not contain them and exactly one other
    /// folder does.
    fn before(&self, folder: &str, application: &Application) -> Vec<&'a str> {
        let owners = |name: &String| -> BTreeSet<&'a str> {
            let all = self.applications.iter().filter(|(_, other)| other.name == *name);
            all.map(|(own, _)| *own).collect()
        };
        let names = application.depends_on.iter();
        names
            .map(owners)
            .filter(|owners| owners.len() == 1 && !owners.contains(folder))
            .flatten()
            .collect()
    }

    fn below(&self, folder: &str) -> BTreeSet<&'a str> {
        let all = self.folders.iter().copied();
        all.filter(|own| is_within(own, folder)).collect()
    }

    /// Returns the indexes of the groups that contain an object of each group, in another folder.
    fn conflicts(&self, groups: &[Group<'a>]) -> Vec<BTreeSet<usize>> {
        let mut conflicts = vec![BTreeSet::new(); groups.len()];
        let mut groups_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, group) in groups.iter().enumerate() {
            for folder in &group.folders {
                groups_of.entry(folder).or_default().push(index);
            }
        }
        let pairs = self.identities.values().flat_map(|found| different(found));
        let pairs: BTreeSet<(&str, &str)> = pairs.collect();
        let contains = |index: &usize, folder: &str| {
            groups
                .get(*index)
                .is_some_and(|group| group.folders.contains(folder))
        };
        for (one, other) in pairs {
            let of = |folder: &str| groups_of.get(folder).into_iter().flatten();
            for first in of(one).filter(|first| !contains(first, other)) {
                let apart = of(other).filter(|second| !contains(second, one));
                if let Some(conflicts) = conflicts.get_mut(*first) {
                    conflicts.extend(apart);
                }
            }
        }
        conflicts
    }
}

/// Returns the pairs of folders that contain an object with different content.
fn different<'a>(found: &[(&'a str, &'a Resource)]) -> Vec<(&'a str, &'a str)> {
    let is_single = found
        .iter()
        .all(|(folder, _)| Some(folder) == found.first().map(|(first, _)| first));
    if is_single {
        return Vec::new();
    }
    let contents: BTreeSet<(&str, String)> = found
        .iter()
        .map(|(folder, resource)| (*folder, content(resource)))
        .collect();
    let pairs = contents.iter().flat_map(|(one, own)| {
        let others = contents
            .iter()
            .filter(move |(other, content)| other != one && content != own);
        others.map(|(other, _)| (*one, *other))
    });
    pairs.collect()
}

/// Returns the content of a resource without its metadata and its status.
fn content(resource: &Resource) -> String {
    let mut text = resource.opaque.clone().unwrap_or_default();
    for entry in resource.manifest.node().entries() {
        if !matches!(&*entry.key, "apiVersion" | "kind" | "metadata" | "status") {
            text.push_str(&entry.key);
            text.push_str(&entry.value.node.to_json().to_string());
        }
    }
    text
}

fn scope(name: &str, folders: &BTreeSet<&str>, judged: &BTreeSet<&str>) -> Scope {
    let owned = |all: &BTreeSet<&str>| all.iter().map(|folder| (*folder).to_owned()).collect();
    Scope {
        name: name.to_owned(),
        folders: owned(folders),
        judged: owned(judged),
    }
}

/// Returns true if `folder` is `within` or below it.
pub(super) fn is_within(folder: &str, within: &str) -> bool {
    within.is_empty()
        || within == "."
        || folder
            .strip_prefix(within)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the root of the repository in which `folder` is at or below `path`.
fn root_before<'f>(folder: &'f str, path: &str) -> Option<&'f str> {
    if is_within(folder, path) {
        return Some("");
    }
    folder.match_indices(path).find_map(|(at, _)| {
        let root = folder.get(..at)?.strip_suffix('/')?;
        let rest = folder.get(at + path.len()..)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(root)
    })
}
