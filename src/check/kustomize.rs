//! What kustomizations do to the files that they take: their namespace, their Secrets, their patches.
//!
//! Nothing is rendered here. What a kustomization changes in an object makes the object one that is not known, and a
//! note says how to render it.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{Manifest, What};
use super::yaml::Node;

/// How deep kustomizations may take each other.
const DEPTH: usize = 32;

/// The most places of all files together: overlays of overlays multiply.
const MOST_PLACES: usize = 100_000;

/// What one kustomization says.
#[derive(Debug, Default)]
pub(super) struct Kustomization {
    /// Its file.
    file: String,
    /// Its folder.
    folder: String,
    namespace: Option<String>,
    /// Files and folders that it takes.
    resources: Vec<String>,
    components: Vec<String>,
    /// What it patches: kind and name, each only where it says them.
    patched: Vec<(Option<String>, Option<String>)>,
    patch_files: Vec<String>,
    /// Those of them that say themselves what they patch.
    strategic: Vec<String>,
    /// The field that changes every object, where there is one.
    changes_all: Option<&'static str>,
    generators: Vec<Generator>,
}

#[derive(Debug, Clone)]
struct Generator {
    name: String,
    namespace: Option<String>,
    /// `None` where they stand in a file that is not looked into.
    keys: Option<Vec<String>>,
    hashed: bool,
}

/// A Secret that kustomize makes.
#[derive(Debug, Clone)]
pub(super) struct Generated {
    pub(super) namespace: String,
    pub(super) name: String,
    /// `None` where they are not known.
    pub(super) keys: Option<Vec<String>>,
    /// Whether a hash is put behind the name.
    pub(super) hashed: bool,
    /// The kustomization's file.
    pub(super) file: String,
}

/// One way in which a file is applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Way {
    namespace: Option<String>,
    /// The outermost folder, and what is patched on the way.
    root: String,
    patched: Vec<(Option<String>, Option<String>)>,
    changes_all: Option<&'static str>,
}

/// All kustomizations of the given files.
#[derive(Debug, Default)]
pub(super) struct Plan {
    ways: BTreeMap<String, BTreeSet<Way>>,
    patch_files: BTreeSet<String>,
    generated: Vec<(Option<String>, Generator, String)>,
}

impl Kustomization {
    /// Whether a file is one by its name.
    pub(super) fn is_named(path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization")
    }

    fn read(node: &Node, file: &str) -> Self {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let paths = |field: &str| -> Vec<String> {
            let items = node.get(field).map(Node::items).unwrap_or_default();
            items
                .iter()
                .filter_map(|item| Some(join(&folder, item.node.text()?)))
                .collect()
        };
        let mut own = Self {
            file: file.to_owned(),
            namespace: node.text_at(&["namespace"]).map(ToOwned::to_owned),
            resources: [paths("resources"), paths("bases")].concat(),
            components: paths("components"),
            changes_all: ["namePrefix", "nameSuffix", "replacements", "transformers", "vars"]
                .into_iter()
                .find(|field| {
                    node.get(field)
                        .is_some_and(|value| value.text().is_some() || !value.items().is_empty())
                }),
            generators: generators(node),
            ..Self::default()
        };
        for field in ["patches", "patchesStrategicMerge", "patchesJson6902"] {
            for patch in node.get(field).map(Node::items).unwrap_or_default() {
                own.patch(&patch.node, &folder);
            }
        }
        own.folder = folder;
        own
    }

    fn patch(&mut self, patch: &Node, folder: &str) {
        // A patch of the old form is a path, or the patch itself.
        let written = patch
            .text_at(&["path"])
            .or_else(|| patch.text().filter(|text| !text.contains('\n')));
        let file = written.map(|path| join(folder, path));
        self.patch_files.extend(file.clone());
        if patch.get("target").is_none()
            && let Some(file) = file
        {
            self.strategic.push(file);
            return;
        }
        let target = |field| patch.text_at(&["target", field]).map(ToOwned::to_owned);
        self.patched.push((target("kind"), target("name")));
        let inline = patch
            .text_at(&["patch"])
            .or_else(|| patch.text().filter(|text| text.contains('\n')));
        if patch.get("target").is_none()
            && let (Some(text), Some(last)) = (inline, self.patched.last_mut())
            && let Some(Ok(child)) = super::yaml::Reader::new(text).next()
        {
            let own = |keys: &[&str]| child.node.text_at(keys).map(ToOwned::to_owned);
            *last = (own(&["kind"]), own(&["metadata", "name"]));
        }
    }
}

fn generators(node: &Node) -> Vec<Generator> {
    let plain = |options: Option<&Node>| {
        let flag = options.and_then(|options| options.get("disableNameSuffixHash"));
        flag.map(|flag| matches!(flag.kind, super::yaml::Kind::Bool(true)))
    };
    let of_all = plain(node.get("generatorOptions"));
    // With a configuration kustomize can be told which fields name a Secret, and then the hash gets into them.
    let configured = node
        .get("configurations")
        .is_some_and(|list| !list.items().is_empty());
    let items = node.get("secretGenerator").map(Node::items).unwrap_or_default();
    let read = |item: &Node| {
        let texts = |field| {
            item.get(field)
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .filter_map(|text| text.node.text())
        };
        let key = |text: &str| {
            text.split_once('=')
                .map_or(text, |(key, _)| key)
                .rsplit('/')
                .next()
                .map(ToOwned::to_owned)
        };
        let keys: Vec<String> = texts("literals").chain(texts("files")).filter_map(key).collect();
        let from_file = item.get("envs").is_some() || item.get("env").is_some();
        Some(Generator {
            name: item.text_at(&["name"])?.to_owned(),
            namespace: item.text_at(&["namespace"]).map(ToOwned::to_owned),
            keys: (!from_file).then_some(keys),
            hashed: !plain(item.get("options")).or(of_all).unwrap_or_default() && !configured,
        })
    };
    items.iter().filter_map(|item| read(&item.node)).collect()
}

impl Plan {
    /// Reads all of them. `names` are the names of the files.
    pub(super) fn of(manifests: &[Manifest], names: &[String]) -> Self {
        let mut by_file: BTreeMap<&str, Vec<&Manifest>> = BTreeMap::new();
        for manifest in manifests {
            let file = names.get(manifest.file).map(String::as_str).unwrap_or_default();
            by_file.entry(file).or_default().push(manifest);
        }
        let given: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let kustomizations = manifests
            .iter()
            .filter(|manifest| manifest.what == What::Kustomization);
        let all: BTreeMap<String, Kustomization> = kustomizations
            .filter_map(|manifest| {
                let mut own = Kustomization::read(manifest.node(), names.get(manifest.file)?);
                for file in std::mem::take(&mut own.strategic) {
                    let patches = by_file.get(file.as_str()).into_iter().flatten();
                    let told =
                        |patch: &&Manifest| (Some(patch.kind().to_owned()), Some(patch.name().to_owned()));
                    own.patched.extend(patches.map(told));
                    // A patch that was not given may be one of anything.
                    own.patched
                        .extend((!given.contains(file.as_str())).then_some((None, None)));
                }
                Some((own.folder.clone(), own))
            })
            .collect();
        let taken: BTreeSet<&String> = all
            .values()
            .flat_map(|own| own.resources.iter().chain(&own.components))
            .collect();
        let mut plan = Self {
            patch_files: all
                .values()
                .flat_map(|own| own.patch_files.iter().cloned())
                .collect(),
            ..Self::default()
        };
        let mut places = 0;
        for root in all.values().filter(|own| !taken.contains(&own.folder)) {
            let way = Way {
                root: root.folder.clone(),
                ..Way::default()
            };
            plan.visit(root, &all, &way, DEPTH, &mut places);
        }
        plan
    }

    fn visit(
        &mut self,
        own: &Kustomization,
        all: &BTreeMap<String, Kustomization>,
        outer: &Way,
        depth: usize,
        places: &mut usize,
    ) {
        let mut way = outer.clone();
        // The outermost transformer has the last word.
        way.namespace = outer.namespace.clone().or_else(|| own.namespace.clone());
        way.changes_all = outer.changes_all.or(own.changes_all);
        let components = own.components.iter().filter_map(|folder| all.get(folder));
        for part in std::iter::once(own).chain(components.clone()) {
            way.patched.extend(part.patched.iter().cloned());
            way.changes_all = way.changes_all.or(part.changes_all);
        }
        for generator in &own.generators {
            self.generated
                .push((way.namespace.clone(), generator.clone(), own.file.clone()));
        }
        for path in own.resources.iter().chain(&own.components) {
            *places += 1;
            if *places > MOST_PLACES {
                return;
            }
            match all.get(path) {
                Some(inner) if depth > 0 => self.visit(inner, all, &way, depth - 1, places),
                Some(_) => {}
                None => drop(self.ways.entry(path.clone()).or_default().insert(way.clone())),
            }
        }
    }

    /// Whether a file is a patch.
    pub(super) fn is_patch(&self, file: &str) -> bool {
        self.patch_files.contains(file)
    }

    /// Where a manifest of this file is applied: the namespace that a kustomization sets, and why it is not applied as
    /// it is written.
    pub(super) fn placements(
        &self,
        file: &str,
        manifest: &Manifest,
    ) -> Vec<(Option<String>, Option<String>)> {
        let Some(ways) = self.ways.get(file) else {
            return vec![(None, None)];
        };
        let (kind, name) = (manifest.kind(), manifest.name());
        let mut places: Vec<_> = ways
            .iter()
            .map(|way| (way.namespace.clone(), way.change(kind, name)))
            .collect();
        places.sort();
        places.dedup();
        places
    }

    /// The Secrets that are made.
    pub(super) fn generated(&self, default_namespace: &str) -> Vec<Generated> {
        let one = |(namespace, generator, file): &(Option<String>, Generator, String)| Generated {
            namespace: namespace
                .clone()
                .or_else(|| generator.namespace.clone())
                .unwrap_or_else(|| default_namespace.to_owned()),
            name: generator.name.clone(),
            keys: generator.keys.clone(),
            hashed: generator.hashed,
            file: file.clone(),
        };
        self.generated.iter().map(one).collect()
    }
}

impl Way {
    /// Why an object is not applied as it is written. A name or a kind of a target is an expression; what is no plain
    /// word may match anything.
    fn change(&self, kind: &str, name: &str) -> Option<String> {
        let folder = if self.root.is_empty() { "." } else { &self.root };
        let render = format!("render it: kustomize build {folder} | cassgate check -");
        if let Some(field) = self.changes_all {
            return Some(format!(
                "{field} in the kustomization of {folder} may change it; {render}"
            ));
        }
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let fits = |wanted: &Option<String>, own: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| wanted == own || !plain(wanted))
        };
        let hit = self
            .patched
            .iter()
            .any(|(kinds, names)| fits(kinds, kind) && fits(names, name));
        hit.then(|| format!("a patch in the kustomization of {folder} may change it; {render}"))
    }
}

/// A path from a folder, with `.` and `..` taken out.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let root = if folder.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn a_path_is_taken_from_its_folder() {
        assert_eq!(join("a/overlays/prod", "../../base"), "a/base");
        assert_eq!(join("", "./x.yaml"), "x.yaml");
        assert_eq!(join("a", "../../x"), "../x");
        assert_eq!(join("/abs/a", "../b"), "/abs/b");
    }
}
