//! Folders that belong to the same Kubernetes cluster because an application applies them together.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map};

use crate::check::applications::{Destination, Directories, PlacedApplication};
use crate::check::manifest::{ManifestKind, Resource};
use crate::check::resources::Resources;

use super::forks::{Forks, Parts};

/// Folders that belong together.
#[derive(Debug, Default)]
pub(super) struct Group<'a> {
    pub(super) name: String,
    /// The parts of the path of its first folder, and its destination.
    pub(super) parts: Parts<'a>,
    /// True if the last part is the destination.
    pub(super) has_destination: bool,
    pub(super) folders: BTreeSet<&'a str>,
    /// The applications that apply them, by index.
    pub(super) applications: BTreeSet<usize>,
}

/// An object: kind, namespace and name.
type Identity<'a> = (IdentityKind<'a>, &'a str, &'a str);

/// The kind of an object that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum IdentityKind<'a> {
    Resource(ManifestKind),
    Application(&'a str),
}

/// The folders of the resources and the applications in them.
pub(super) struct Layout<'a> {
    all: &'a Resources,
    /// The folders with resources or applications.
    pub(super) folders: BTreeSet<&'a str>,
    directories: Directories,
    /// The applications in each folder, by index.
    applications: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(all: &'a Resources) -> Self {
        let resources = all.facts.iter().map(|resource| &*resource.folder);
        let generated = all.generated.iter().map(|secret| secret.root.as_str());
        let placed = all
            .applications
            .iter()
            .map(|application| application.folder.as_str());
        let folders: BTreeSet<&str> = resources.chain(generated).chain(placed).collect();
        let mut applications: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, application) in all.applications.iter().enumerate() {
            applications.entry(&application.folder).or_default().push(index);
        }
        Self {
            all,
            directories: folders.iter().copied().collect(),
            folders,
            applications,
        }
    }

    /// Returns all folders as one group.
    pub(super) fn everything(&self) -> Group<'a> {
        Group {
            name: ".".to_owned(),
            folders: self.folders.clone(),
            applications: (0..self.all.applications.len()).collect(),
            ..Group::default()
        }
    }

    /// Returns these folders as one group, with the applications in them.
    pub(super) fn of_folders(&self, folders: BTreeSet<&'a str>) -> Group<'a> {
        let inside = folders.iter().filter_map(|folder| self.applications.get(folder));
        Group {
            applications: inside.flatten().copied().collect(),
            folders,
            ..Group::default()
        }
    }

    /// Returns the group of a folder that the flag `--tree` names.
    pub(super) fn named(&self, folder: &str) -> Group<'a> {
        let below: Vec<String> = self.directories.below(folder).map(ToOwned::to_owned).collect();
        let below = below
            .iter()
            .filter_map(|folder| self.folders.get(folder.as_str()).copied());
        Group {
            name: folder.to_owned(),
            ..self.reached(below.collect(), None)
        }
    }

    /// Returns the groups: the folders that one entry point applies to one Kubernetes cluster, and every other folder.
    ///
    /// An entry point is a folder with applications that no other one applies. Of folders that apply each other, it is the first one.
    pub(super) fn groups(&self) -> Vec<Group<'a>> {
        let mut groups = Vec::new();
        let mut grouped = BTreeSet::new();
        for entry in self.entries() {
            let start = BTreeSet::from([entry]);
            let all = self.reached(start.clone(), None);
            let destinations: BTreeSet<&Destination> = all
                .applications
                .iter()
                .filter_map(|index| self.all.applications.get(*index))
                .map(|application| &application.destination)
                .filter(|destination| **destination != Destination::Unknown)
                .collect();
            for destination in &destinations {
                let mut name = if entry.is_empty() { "." } else { entry }.to_owned();
                let mut parts = parts(entry);
                let has_destination = matches!(destination, Destination::Named(_));
                if let Destination::Named(destination) = destination {
                    name = format!("{name} for {destination}");
                    parts.push(destination);
                }
                let group = Group {
                    name,
                    parts,
                    has_destination,
                    ..self.reached(start.clone(), Some(destination))
                };
                grouped.extend(group.folders.iter().copied());
                groups.push(group);
            }
        }
        // The folders of an application for an unknown Kubernetes cluster belong to every tree.
        let applying = self.applying();
        let others = self.folders.iter().filter(|folder| !grouped.contains(*folder));
        groups.extend(others.map(|folder| Group {
            name: (*folder).to_owned(),
            parts: parts(folder),
            has_destination: false,
            folders: BTreeSet::from([*folder]),
            applications: applying.get(*folder).cloned().unwrap_or_default(),
        }));
        groups
    }

    /// Returns the applications for an unknown Kubernetes cluster, by the folders that they apply.
    fn applying(&self) -> HashMap<&'a str, BTreeSet<usize>> {
        let mut applying: HashMap<&str, BTreeSet<usize>> = HashMap::new();
        for (index, application) in self.all.applications.iter().enumerate() {
            if application.destination == Destination::Unknown {
                for applied in &application.applied {
                    applying.entry(&applied.folder).or_default().insert(index);
                }
            }
        }
        applying
    }

    fn entries(&self) -> Vec<&'a str> {
        let with_applications: BTreeSet<&str> = self.applications.keys().copied().collect();
        let applied_by = |folder: &'a str| self.next(folder).filter(move |next| *next != folder);
        let applied: BTreeSet<&str> = with_applications
            .iter()
            .flat_map(|folder| applied_by(folder))
            .collect();
        let (inner, outer): (Vec<&str>, Vec<&str>) = with_applications
            .into_iter()
            .partition(|folder| applied.contains(folder));
        let mut covered: BTreeSet<&str> = BTreeSet::new();
        let mut entries = Vec::new();
        for folder in outer.into_iter().chain(inner) {
            if covered.insert(folder) {
                entries.push(folder);
                let mut open = vec![folder];
                while let Some(folder) = open.pop() {
                    open.extend(self.next(folder).filter(|next| covered.insert(next)));
                }
            }
        }
        entries
    }

    /// Returns the folders that the applications in a folder apply or depend on.
    fn next(&self, folder: &str) -> impl Iterator<Item = &'a str> {
        let applications = self.applications.get(folder).into_iter().flatten();
        let applications = applications.filter_map(|index| self.all.applications.get(*index));
        applications.flat_map(reach)
    }

    /// Returns `from` and every folder that an application in them applies, also through other applications.
    ///
    /// With a destination, a folder that is applied to another one is left out. The applications in it still count: an app of apps
    /// applies its applications to its own Kubernetes cluster.
    fn reached(&self, from: BTreeSet<&'a str>, destination: Option<&Destination>) -> Group<'a> {
        let mut group = Group {
            folders: from.clone(),
            ..Group::default()
        };
        let mut open: Vec<&str> = from.iter().copied().collect();
        let mut searched = from;
        while let Some(folder) = open.pop() {
            for index in self.applications.get(folder).into_iter().flatten() {
                let Some(application) = self.all.applications.get(*index) else {
                    continue;
                };
                let own = &application.destination;
                let is_here = destination.is_none_or(|destination| own == destination);
                if is_here || *own == Destination::Unknown {
                    group.applications.insert(*index);
                }
                for next in reach(application) {
                    if is_here {
                        group.folders.insert(next);
                    }
                    if searched.insert(next) {
                        open.push(next);
                    }
                }
            }
        }
        group
    }

    /// Returns the objects that the files contain several times.
    fn copies(&self) -> BTreeMap<Identity<'a>, Vec<&'a Resource>> {
        let mut seen: HashMap<Identity<'a>, &'a Resource> = HashMap::with_capacity(self.all.facts.len());
        let mut copies: BTreeMap<Identity<'a>, Vec<&'a Resource>> = BTreeMap::new();
        // Several folders may declare the same namespace.
        let resources = self.all.facts.iter();
        for resource in resources.filter(|resource| resource.manifest.kind != ManifestKind::Namespace) {
            let kind = IdentityKind::Resource(resource.manifest.kind);
            let identity = (kind, resource.namespace.as_str(), resource.name());
            match seen.entry(identity) {
                hash_map::Entry::Vacant(vacant) => drop(vacant.insert(resource)),
                hash_map::Entry::Occupied(first) => {
                    let copies = copies.entry(identity).or_insert_with(|| vec![*first.get()]);
                    copies.push(resource);
                }
            }
        }
        copies
    }

    /// Compares the objects of the groups, and returns the names of folders that tell Kubernetes clusters apart.
    pub(super) fn forks(&self, groups: &[Group<'a>]) -> Forks<'a> {
        let mut holders: BTreeMap<Identity<'a>, BTreeMap<usize, BTreeSet<String>>> = BTreeMap::new();
        let mut by_folder: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, group) in groups.iter().enumerate() {
            for folder in &group.folders {
                by_folder.entry(folder).or_default().push(index);
            }
        }
        let of = |folder: &str| by_folder.get(folder).into_iter().flatten().copied();
        for (identity, found) in self.copies() {
            let first = found.first().map(|resource| &*resource.folder);
            let is_alike =
                |resource: &&Resource| Some(&*resource.folder) == first && resource.appliers.is_none();
            if found.iter().all(is_alike) {
                continue;
            }
            let contents = holders.entry(identity).or_default();
            for resource in found {
                let is_in = |index: &usize| groups.get(*index).is_some_and(|group| group.applies(resource));
                for index in of(&resource.folder).filter(is_in) {
                    contents.entry(index).or_default().insert(content(resource));
                }
            }
        }
        for application in &self.all.applications {
            let identity = (
                IdentityKind::Application(&application.kind),
                application.namespace.as_str(),
                application.name.as_str(),
            );
            let contents = holders.entry(identity).or_default();
            for index in of(&application.folder) {
                contents
                    .entry(index)
                    .or_default()
                    .insert(application.content.clone());
            }
        }
        let mut forks = Forks::default();
        for contents in holders.into_values().filter(|contents| contents.len() > 1) {
            let mut numbers: BTreeMap<BTreeSet<String>, usize> = BTreeMap::new();
            let numbered: Vec<(&Parts<'a>, usize)> = contents
                .into_iter()
                .filter_map(|(index, content)| {
                    let next = numbers.len();
                    let number = *numbers.entry(content).or_insert(next);
                    Some((&groups.get(index)?.parts, number))
                })
                .collect();
            forks.add(&numbered);
        }
        forks
    }
}

impl Group<'_> {
    /// Returns true if it applies a resource of one of its folders in this way.
    fn applies(&self, resource: &Resource) -> bool {
        let appliers = resource.appliers.as_deref();
        appliers.is_none_or(|appliers| appliers.iter().any(|index| self.applications.contains(index)))
    }
}

fn reach(application: &PlacedApplication) -> impl Iterator<Item = &str> {
    let applied = application.applied.iter().map(|applied| applied.folder.as_str());
    applied.chain(application.before.iter().map(String::as_str))
}

fn parts(folder: &str) -> Parts<'_> {
    folder.split('/').filter(|part| !part.is_empty()).collect()
}

/// Returns the content of a resource without its metadata and its status.
fn content(resource: &Resource) -> String {
    let mut text = resource.opaque.as_deref().unwrap_or_default().to_owned();
    for entry in resource.manifest.object().node.entries() {
        if !matches!(&*entry.key, "apiVersion" | "kind" | "metadata" | "status") {
            text.push_str(&entry.key);
            text.push_str(&entry.value.node.to_json().to_string());
        }
    }
    text
}
