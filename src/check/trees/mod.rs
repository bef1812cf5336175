//! Sets of folders whose files are applied to the same Kubernetes cluster.
//!
//! All files are one tree, unless two folders contain the same object with different content. Such folders belong to different
//! Kubernetes clusters, for example `staging` and `production`, and are judged apart. The folders that an application applies are
//! together, and so are those below the folder whose name tells the Kubernetes clusters apart, and others of that name. Every other
//! folder is in every tree.

mod forks;
mod groups;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::manifest::Appliers;
use super::resources::Resources;

use forks::{Forks, Mark};
use groups::{Group, Layout};

/// The maximum number of trees.
const MAX_TREES: usize = 1000;

/// The maximum number of resources in all trees together, for each resource and in total. Trees that overlap multiply the work.
const MAX_SHARE: usize = 32;
const MAX_TOTAL: usize = 200_000;

/// The maximum number of names of trees in a text.
const MAX_NAMES: usize = 3;

/// A set of folders that are applied to the same Kubernetes cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// The folder that gives the tree its name.
    name: String,
    /// The folders of its resources.
    folders: BTreeSet<String>,
    /// The folders whose objects are judged in this tree.
    judged: BTreeSet<String>,
    /// The applications that apply objects in this tree, by index.
    applications: HashSet<usize>,
}

impl Scope {
    /// Returns the folders whose resources are facts of the tree.
    pub(super) fn folders(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(String::as_str)
    }

    /// Returns true if a resource of one of its folders is applied in this way.
    pub(super) fn applies(&self, appliers: &Appliers) -> bool {
        appliers
            .as_deref()
            .is_none_or(|appliers| appliers.iter().any(|index| self.applications.contains(index)))
    }
}

/// The trees of the given files.
#[derive(Debug, Default)]
pub(super) struct Trees {
    scopes: Vec<Scope>,
    /// The trees in which the objects of each folder are judged, by index.
    by_folder: HashMap<String, Vec<usize>>,
    /// True if there are too many trees to keep them apart.
    pub(super) too_many: bool,
}

impl Trees {
    /// Finds the trees of all resources. `named` are the folders of the flag `--tree`.
    pub(super) fn new(all: &Resources, named: &[String]) -> Self {
        let layout = Layout::new(all);
        let scopes = if named.is_empty() {
            found(&layout)
        } else {
            Some(scopes_of(&layout, named))
        };
        let scopes = scopes.map(merged).filter(|scopes| is_affordable(all, scopes));
        let too_many = scopes.is_none();
        let scopes = scopes.unwrap_or_else(|| vec![everything(&layout)]);
        let mut by_folder: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, scope) in scopes.iter().enumerate() {
            for folder in &scope.judged {
                by_folder.entry(folder.clone()).or_default().push(index);
            }
        }
        Self {
            scopes,
            by_folder,
            too_many,
        }
    }

    /// Returns all trees.
    pub(super) fn all(&self) -> &[Scope] {
        &self.scopes
    }

    /// Returns the trees in which an object of a folder is judged, by index.
    pub(super) fn of(&self, folder: &str, appliers: &Appliers) -> impl Iterator<Item = usize> {
        let scopes = self.by_folder.get(folder).into_iter().flatten().copied();
        scopes.filter(|index| {
            self.scopes
                .get(*index)
                .is_some_and(|scope| scope.applies(appliers))
        })
    }

    /// Returns the names of trees, if there are several trees.
    pub(super) fn names(&self, indexes: &[usize]) -> Option<String> {
        if self.scopes.len() < 2 {
            return None;
        }
        let scopes = indexes.iter().filter_map(|index| self.scopes.get(*index));
        let mut names: Vec<&str> = scopes.map(|scope| scope.name.as_str()).collect();
        let more = names.len().saturating_sub(MAX_NAMES);
        names.truncate(MAX_NAMES);
        let names = names.join(", ");
        Some(match more {
            0 => names,
            more => format!("{names} and {more} more"),
        })
    }
}

/// Returns true if the trees together do not contain too many resources.
fn is_affordable(all: &Resources, scopes: &[Scope]) -> bool {
    let mut sizes: HashMap<&str, usize> = HashMap::new();
    for resource in &all.facts {
        *sizes.entry(&resource.folder).or_default() += 1;
    }
    let folders = scopes.iter().flat_map(Scope::folders);
    let total: usize = folders
        .map(|folder| 1 + sizes.get(folder).copied().unwrap_or_default())
        .sum();
    total <= all.facts.len().saturating_mul(MAX_SHARE).max(MAX_TOTAL)
}

fn everything(layout: &Layout<'_>) -> Scope {
    let group = layout.everything();
    let mut scope = scope(&group.name, &[&group]);
    scope.judged = scope.folders.clone();
    scope
}

/// Returns a tree with the folders of these groups.
fn scope(name: &str, groups: &[&Group<'_>]) -> Scope {
    let folders = groups.iter().flat_map(|group| group.folders.iter());
    Scope {
        name: name.to_owned(),
        folders: folders.map(|folder| (*folder).to_owned()).collect(),
        judged: BTreeSet::new(),
        applications: groups
            .iter()
            .flat_map(|group| group.applications.iter().copied())
            .collect(),
    }
}

/// Merges the trees with the same folders.
fn merged(scopes: Vec<Scope>) -> Vec<Scope> {
    let mut merged: Vec<Scope> = Vec::new();
    let mut known: HashMap<(BTreeSet<String>, Vec<usize>), usize> = HashMap::new();
    for scope in scopes {
        let mut applications: Vec<usize> = scope.applications.iter().copied().collect();
        applications.sort_unstable();
        let key = (scope.folders.clone(), applications);
        if let Some(same) = known.get(&key).and_then(|index| merged.get_mut(*index)) {
            same.judged.extend(scope.judged);
        } else {
            known.insert(key, merged.len());
            merged.push(scope);
        }
    }
    merged
}

/// Returns a tree for each of these folders. A folder outside of all of them is in every tree.
fn scopes_of(layout: &Layout<'_>, named: &[String]) -> Vec<Scope> {
    let groups: Vec<Group<'_>> = named.iter().map(|name| layout.named(name)).collect();
    let claimed = groups.iter().flat_map(|group| group.folders.iter().copied());
    let claimed: BTreeSet<&str> = claimed.collect();
    let shared = layout.of_folders(layout.folders.difference(&claimed).copied().collect());
    let tree = |group: &Group<'_>| {
        let mut scope = scope(&group.name, &[group, &shared]);
        scope.judged = scope.folders.clone();
        scope
    };
    groups.iter().map(tree).collect()
}

/// The names that distinguish a tree from others, and the marks of its folders.
#[derive(Debug, Default)]
struct Label<'a> {
    names: BTreeSet<&'a str>,
    marks: BTreeSet<Mark<'a>>,
    /// The name of its first group.
    tree: String,
}

/// Returns a tree for each set of names that tells Kubernetes clusters apart; `None` if there are too many.
fn found(layout: &Layout<'_>) -> Option<Vec<Scope>> {
    let groups = layout.groups();
    let forks = layout.forks(&groups);
    if forks.is_empty() && !forks.too_many {
        return Some(vec![everything(layout)]);
    }
    let marks: Vec<Vec<Mark<'_>>> = groups.iter().map(|group| forks.marks(&group.parts)).collect();
    let labels = labels(&groups, &marks);
    if forks.too_many || labels.len() > MAX_TREES {
        return None;
    }
    let mut scopes: Vec<Scope> = labels
        .iter()
        .map(|label| tree(label, &groups, &marks, &forks))
        .collect();
    // A folder that no tree judges is judged with all others.
    let judged: BTreeSet<&String> = scopes.iter().flat_map(|scope| &scope.judged).collect();
    let rest = layout.folders.iter().map(|folder| (*folder).to_owned());
    let rest: BTreeSet<String> = rest.filter(|folder| !judged.contains(folder)).collect();
    if !rest.is_empty() {
        scopes.push(Scope {
            judged: rest,
            ..everything(layout)
        });
    }
    Some(scopes)
}

/// Returns the names of each tree. Names that another tree has too, with more of them, are no tree of their own.
fn labels<'a>(groups: &[Group<'a>], marks: &[Vec<Mark<'a>>]) -> Vec<Label<'a>> {
    let mut by_names: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    let mut labels: Vec<Label<'a>> = Vec::new();
    for (group, own) in groups.iter().zip(marks).filter(|(_, own)| !own.is_empty()) {
        let key = own.iter().map(|mark| match mark.name() {
            Some(name) => name.to_owned(),
            None => format!("{}/", mark.before.join("/")),
        });
        let index = *by_names.entry(key.collect()).or_insert_with(|| {
            labels.push(Label {
                tree: name_of(group, own),
                ..Label::default()
            });
            labels.len() - 1
        });
        if let Some(label) = labels.get_mut(index) {
            label.names.extend(own.iter().filter_map(Mark::name));
            label.marks.extend(own.iter().cloned());
        }
        if labels.len() > MAX_TREES {
            break;
        }
    }
    let is_part = |label: &Label<'_>| {
        let has_end = label.marks.iter().any(|mark| mark.name().is_none());
        !has_end
            && labels
                .iter()
                .any(|other| label.names.len() < other.names.len() && label.names.is_subset(&other.names))
    };
    let parts: Vec<bool> = labels.iter().map(is_part).collect();
    let inner: Vec<(BTreeSet<&str>, BTreeSet<Mark<'a>>)> = labels
        .iter()
        .zip(&parts)
        .filter(|(_, is_part)| **is_part)
        .map(|(label, _)| (label.names.clone(), label.marks.clone()))
        .collect();
    let mut whole: Vec<Label<'a>> = labels
        .into_iter()
        .zip(parts)
        .filter(|(_, is_part)| !is_part)
        .map(|(label, _)| label)
        .collect();
    for label in &mut whole {
        for (names, marks) in &inner {
            if names.is_subset(&label.names) {
                label.marks.extend(marks.iter().cloned());
            }
        }
    }
    whole
}

/// Returns the name of the tree of a group: the path as far as it distinguishes the group, or the group's name.
fn name_of(group: &Group<'_>, marks: &[Mark<'_>]) -> String {
    let depth = marks.last().map_or(0, |mark| mark.before.len() + 1);
    let folders = group.parts.len() - usize::from(group.has_destination);
    if depth > folders {
        return group.name.clone();
    }
    let parts: Vec<&str> = group.parts.iter().take(depth).copied().collect();
    let root = if group.name.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// Returns the tree of a label: all groups that do not belong to a rival.
fn tree<'a>(label: &Label<'a>, groups: &[Group<'a>], marks: &[Vec<Mark<'a>>], forks: &Forks<'a>) -> Scope {
    let is_in = |group: &Group<'a>, own: &[Mark<'a>]| {
        let is_rival = label.marks.iter().any(|mark| forks.excludes(mark, &group.parts));
        let is_excluded = own.iter().any(|mark| forks.excludes_names(mark, &label.names));
        !is_rival && !is_excluded
    };
    let all = groups.iter().zip(marks);
    let own: Vec<(&Group<'a>, &Vec<Mark<'a>>)> = all.filter(|(group, own)| is_in(group, own)).collect();
    let members: Vec<&Group<'a>> = own.iter().map(|(group, _)| *group).collect();
    let mut scope = scope(&label.tree, &members);
    let is_judged = |marks: &[Mark<'a>]| {
        marks.iter().all(|mark| {
            label.marks.contains(mark) || mark.name().is_some_and(|name| label.names.contains(name))
        })
    };
    let judged = own.iter().filter(|(_, marks)| is_judged(marks));
    let folders = judged.flat_map(|(group, _)| group.folders.iter());
    scope.judged = folders.map(|folder| (*folder).to_owned()).collect();
    scope
}

#[cfg(test)]
mod tests {
    use super::Trees;
    use super::forks::COMPARED;
    use crate::check::Settings;
    use crate::check::files::Input;
    use crate::check::load::Loaded;
    use crate::check::place::place;

    /// Returns the number of trees of these files, and the number of names that were compared.
    fn compared(files: impl Iterator<Item = (String, String)>) -> (usize, usize) {
        let mut loaded = Loaded::default();
        for (folder, name) in files {
            let text = format!(
                "apiVersion: db.orange.com/v2\nkind: CassandraCluster\nmetadata: {{name: {name}}}\nspec: {{of: {folder}}}\n"
            );
            loaded.add(Input {
                name: format!("{folder}/{name}.yaml"),
                bytes: Ok(text.into_bytes()),
            });
        }
        let (resources, _) = place(loaded, &Settings::default());
        COMPARED.set(0);
        let trees = Trees::new(&resources, &[]);
        (trees.all().len(), COMPARED.get())
    }

    #[test]
    fn the_work_for_two_trees_grows_with_the_number_of_their_folders() {
        let files = |count: usize| {
            let teams = (0..count).flat_map(|number| {
                ["staging", "production"]
                    .map(|cluster| (format!("{cluster}/team-{number}"), format!("c-{number}")))
            });
            compared(teams)
        };
        let (trees, few) = files(100);
        assert_eq!(trees, 2);
        let (_, many) = files(200);
        assert!(many <= 2 * few, "{few}, {many}");
    }

    #[test]
    fn the_work_for_folders_without_copies_does_not_grow() {
        let files = |count: usize| {
            compared((0..count).map(|number| (format!("team-{number}"), format!("c-{number}"))))
        };
        assert_eq!(files(100), (1, 0));
        assert_eq!(files(1000), (1, 0));
    }
}
