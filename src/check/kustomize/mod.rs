//! What kustomizations do to the files that they take: their namespace, their Secrets, their patches.
//!
//! Nothing is rendered here. What a kustomization changes in an object makes the object one that is not known, and a
//! note says how to render it.

mod generator;
mod read;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::files::STDIN;
use super::manifest::{Manifest, What};
use super::report::Note;

pub(super) use generator::{EnvFiles, Generated, keys_of_env_file};
pub(super) use read::Kustomization;

use generator::{Behavior, Generator};
use read::join;
use way::Way;

/// How deep kustomizations may take each other.
const DEPTH: usize = 32;

/// The most places of all files together, with the patches on the way there: overlays of overlays multiply.
const MOST_PLACES: usize = 100_000;

/// One place of a manifest.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Placement {
    /// The namespace that a kustomization sets.
    pub(super) namespace: Option<String>,
    /// The name, where a kustomization puts something around it.
    pub(super) name: Option<String>,
    /// Why it is not applied as it is written.
    pub(super) opaque: Option<String>,
}

/// All kustomizations of the given files.
#[derive(Debug, Default)]
pub(super) struct Plan {
    all: BTreeMap<String, Kustomization>,
    ways: BTreeMap<String, Vec<Arc<Way>>>,
    patch_files: BTreeSet<String>,
    generated: Vec<Generated>,
    places: usize,
}

impl Plan {
    /// Reads all of them. `names` are the names of the files.
    pub(super) fn of(manifests: &[Manifest], names: &[String], env_files: &EnvFiles) -> Self {
        let mut plan = Self {
            all: kustomizations(manifests, names),
            ..Self::default()
        };
        let all = std::mem::take(&mut plan.all);
        let patch_files = all.values().flat_map(|own| own.patch_files.iter().cloned());
        plan.patch_files = patch_files.collect();
        let taken: BTreeSet<&String> = all
            .values()
            .flat_map(|own| own.resources.iter().chain(&own.components))
            .collect();
        let outermost = |own: &&Kustomization| !own.is_component && !taken.contains(&own.folder);
        for root in all.values().filter(outermost) {
            let way = Way::from(root.folder.as_str());
            plan.visit(root, &all, &way, DEPTH, env_files);
        }
        plan.all = all;
        plan
    }

    fn visit(
        &mut self,
        own: &Kustomization,
        all: &BTreeMap<String, Kustomization>,
        outer: &Way,
        depth: usize,
        env_files: &EnvFiles,
    ) {
        let parts = with_components(own, all);
        let way = Arc::new(outer.through(&parts));
        let begun = self.generated.len();
        self.places += way.cost();
        for part in parts {
            for path in &part.resources {
                self.places += 1;
                if self.places > MOST_PLACES {
                    return;
                }
                match all.get(path) {
                    Some(inner) if depth > 0 => self.visit(inner, all, &way, depth - 1, env_files),
                    Some(_) => {}
                    None => self.take(path, &way),
                }
            }
            for generator in &part.generators {
                self.make(generator, &way, &part.file, begun, env_files);
            }
        }
    }

    fn take(&mut self, path: &str, way: &Arc<Way>) {
        let ways = self.ways.entry(path.to_owned()).or_default();
        if !ways.last().is_some_and(|last| Arc::ptr_eq(last, way)) {
            ways.push(Arc::clone(way));
        }
    }

    /// Makes a Secret, or puts it over one that was made since `begun`, farther in.
    fn make(&mut self, generator: &Generator, way: &Way, file: &str, begun: usize, env_files: &EnvFiles) {
        let names = way.names(&generator.name);
        let mut made = Generated {
            namespace: way.namespace.clone().or_else(|| generator.namespace.clone()),
            name: names.last().cloned().unwrap_or_default(),
            keys: generator.keys(env_files),
            hashed: generator.hashed,
            file: file.to_owned(),
            names,
        };
        if let Some(why) = made.names.iter().find_map(|name| way.change("Secret", name)) {
            made.keys = Err(why);
        }
        let inner = self.generated.iter_mut().skip(begun);
        let under = inner
            .filter(|_| generator.behavior != Behavior::Create)
            .find(|inner| inner.is_meant_by(generator));
        if let Some(under) = under {
            return under.cover(made, generator.behavior);
        }
        if generator.behavior == Behavior::Merge {
            made.keys = Err("they are merged with those of a Secret that was not made there".to_owned());
        }
        self.generated.push(made);
    }

    /// Whether a file is a patch.
    pub(super) fn is_patch(&self, file: &str) -> bool {
        self.patch_files.contains(file)
    }

    /// Where a manifest of this file is applied, and how.
    pub(super) fn placements(&self, file: &str, manifest: &Manifest) -> Vec<Placement> {
        if self.places > MOST_PLACES {
            let why = "the kustomizations take more files than can be followed";
            return vec![Placement {
                opaque: Some(why.to_owned()),
                ..Placement::default()
            }];
        }
        let Some(ways) = self.ways.get(file) else {
            return vec![Placement::default()];
        };
        let (kind, name) = (manifest.kind(), manifest.name());
        let mut places: Vec<_> = ways.iter().map(|way| way.placement(kind, name)).collect();
        places.sort();
        places.dedup();
        places
    }

    /// The Secrets that are made.
    pub(super) fn generated(&self) -> &[Generated] {
        &self.generated
    }

    /// The files in which generators look for keys, where kustomize would let them look: in their own folder.
    pub(super) fn env_files(manifests: &[Manifest], names: &[String]) -> BTreeSet<String> {
        let all = kustomizations(manifests, names);
        let own_files = |own: &Kustomization| {
            let files = own
                .generators
                .iter()
                .flat_map(|generator| generator.env_files.iter());
            let within = |file: &&String| match own.folder.as_str() {
                "" => own.file != STDIN && !file.starts_with("../"),
                folder => file
                    .strip_prefix(folder)
                    .is_some_and(|rest| rest.starts_with('/')),
            };
            files.filter(within).cloned().collect::<Vec<_>>()
        };
        all.values().flat_map(own_files).collect()
    }

    /// What kustomizations bring that is not here.
    pub(super) fn notes(&self, names: &[String]) -> Vec<Note> {
        let given: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let place = |own: &Kustomization| names.iter().position(|name| *name == own.file);
        let of_one = |own: &Kustomization| {
            let file = place(own);
            let note = |line: u32, message: String| {
                Some(Note {
                    file: file?,
                    line,
                    message,
                })
            };
            let folder = if own.folder.is_empty() { "." } else { &own.folder }.to_owned();
            let notes = own.brings.iter().filter_map(|(field, line)| {
                let message = format!(
                    "{field}: what it brings is not judged; render it: kustomize build --enable-helm {folder} | \
                     cassgate check -"
                );
                note(*line, message)
            });
            let missing = own.takes.iter().filter(|_| own.file != STDIN);
            let missing = missing.filter(|(path, _)| !self.is_given(&join(&own.folder, path), &given));
            let missing = missing.filter_map(|(path, line)| {
                let message = format!(
                    "{path} is not in the given files, so it is not judged; render it: kustomize build {folder} | \
                     cassgate check -"
                );
                note(*line, message)
            });
            notes.chain(missing).collect::<Vec<_>>()
        };
        self.all.values().flat_map(of_one).collect()
    }

    /// Whether a kustomization takes something that was given: a file, or the folder of another one.
    fn is_given(&self, path: &str, files: &BTreeSet<&str>) -> bool {
        files.contains(path) || self.all.contains_key(path)
    }
}

/// All of them by their folders.
fn kustomizations(manifests: &[Manifest], names: &[String]) -> BTreeMap<String, Kustomization> {
    let mut by_file: BTreeMap<&str, Vec<&Manifest>> = BTreeMap::new();
    for manifest in manifests {
        let file = names.get(manifest.file).map(String::as_str).unwrap_or_default();
        by_file.entry(file).or_default().push(manifest);
    }
    let given: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let read = |manifest: &Manifest| {
        let mut own = Kustomization::read(manifest.node(), names.get(manifest.file)?);
        for file in std::mem::take(&mut own.strategic) {
            let patches = by_file.get(file.as_str()).into_iter().flatten();
            let told = |patch: &&Manifest| (Some(patch.kind().to_owned()), Some(patch.name().to_owned()));
            own.patched.extend(patches.map(told));
            // A patch that was not given may be one of anything.
            own.patched
                .extend((!given.contains(file.as_str())).then_some((None, None)));
        }
        Some((own.folder.clone(), own))
    };
    let own = |manifest: &&Manifest| manifest.what == What::Kustomization;
    manifests.iter().filter(own).filter_map(read).collect()
}

/// A kustomization and its components, theirs too, each once.
fn with_components<'a>(
    own: &'a Kustomization,
    all: &'a BTreeMap<String, Kustomization>,
) -> Vec<&'a Kustomization> {
    let mut parts = vec![own];
    let mut at = 0;
    while let Some(part) = parts.get(at).copied() {
        for component in part.components.iter().filter_map(|folder| all.get(folder)) {
            if !parts.iter().any(|part| part.folder == component.folder) {
                parts.push(component);
            }
        }
        at += 1;
    }
    parts
}
