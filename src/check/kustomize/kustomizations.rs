//! All kustomizations of the given files, followed from each root to the files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::check::files::STDIN;
use crate::check::manifest::{Manifest, ManifestKind};

use super::generator::{Behavior, EnvFiles, GeneratedSecret, Generator};
use super::kustomization::Kustomization;
use super::transformation::{Placement, Transformation};

/// The maximum depth of kustomizations that include each other.
const MAX_DEPTH: usize = 32;

/// The maximum number of places of all files together, with the patches on the way there: overlays of overlays
/// multiply.
const MAX_PLACES: usize = 100_000;

/// All kustomizations of the given files.
#[derive(Debug, Default)]
pub(in crate::check) struct Kustomizations {
    /// The kustomizations by their folders.
    pub(super) all: BTreeMap<String, Kustomization>,
    /// The transformations of each file that a kustomization includes.
    transformations: BTreeMap<String, Vec<Arc<Transformation>>>,
    patch_files: BTreeSet<String>,
    generated: Vec<GeneratedSecret>,
    places: usize,
}

impl Kustomizations {
    /// Reads all kustomizations and follows them to the files. `names` are the names of the given files.
    ///
    /// `applied` are paths that applications name: a kustomization there is a root, also if another one includes it.
    pub(in crate::check) fn read(
        manifests: &[Manifest],
        names: &[String],
        env_files: &EnvFiles,
        applied: &BTreeSet<&str>,
    ) -> Self {
        let all = read_all(manifests, names);
        let included: BTreeSet<&String> = all
            .values()
            .flat_map(|kustomization| kustomization.resources.iter().chain(&kustomization.components))
            .collect();
        let mut read = Self {
            patch_files: all
                .values()
                .flat_map(|kustomization| kustomization.patch_files.iter().cloned())
                .collect(),
            ..Self::default()
        };
        let is_root = |kustomization: &&Kustomization| {
            let folder = &kustomization.folder;
            !kustomization.is_component
                && (!included.contains(folder) || suffixes(folder).any(|path| applied.contains(path)))
        };
        for root in all.values().filter(is_root) {
            let transformation = Transformation::from(root.folder.as_str());
            read.visit(root, &all, &transformation, MAX_DEPTH, env_files);
        }
        read.all = all;
        read
    }

    fn visit(
        &mut self,
        kustomization: &Kustomization,
        all: &BTreeMap<String, Kustomization>,
        outer: &Transformation,
        depth: usize,
        env_files: &EnvFiles,
    ) {
        let parts = with_components(kustomization, all);
        let transformation = Arc::new(outer.through(&parts));
        let first_generated = self.generated.len();
        self.places += transformation.size();
        for part in parts {
            for path in &part.resources {
                self.places += 1;
                if self.places > MAX_PLACES {
                    return;
                }
                match all.get(path) {
                    Some(inner) if depth > 0 => {
                        self.visit(inner, all, &transformation, depth - 1, env_files);
                    }
                    Some(_) => {}
                    None => self.include(path, &transformation),
                }
            }
            for generator in &part.generators {
                self.generate(generator, &transformation, &part.file, first_generated, env_files);
            }
        }
    }

    fn include(&mut self, path: &str, transformation: &Arc<Transformation>) {
        let known = self.transformations.entry(path.to_owned()).or_default();
        if !known.last().is_some_and(|last| Arc::ptr_eq(last, transformation)) {
            known.push(Arc::clone(transformation));
        }
    }

    /// Adds a generated Secret, or merges it into one of an inner kustomization, those from `first_inner` on.
    fn generate(
        &mut self,
        generator: &Generator,
        transformation: &Transformation,
        file: &str,
        first_inner: usize,
        env_files: &EnvFiles,
    ) {
        let names = transformation.names(&generator.name);
        let mut secret = GeneratedSecret {
            namespace: transformation
                .namespace
                .clone()
                .or_else(|| generator.namespace.clone()),
            name: names.last().cloned().unwrap_or_default(),
            keys: generator.keys(env_files),
            hashed: generator.hashed,
            file: file.to_owned(),
            root: transformation.root.clone(),
            appliers: None,
            names,
        };
        let patched = |name: &String| transformation.change("Secret", name);
        if let Some(why) = secret.names.iter().find_map(patched) {
            secret.keys = Err(why);
        }
        let inner = self.generated.iter_mut().skip(first_inner);
        let target = inner
            .filter(|_| generator.behavior != Behavior::Create)
            .find(|inner| inner.is_target_of(generator));
        if let Some(target) = target {
            return target.cover(secret, generator.behavior);
        }
        if generator.behavior == Behavior::Merge {
            secret.keys =
                Err("its keys are merged with those of a Secret that no kustomization generates".to_owned());
        }
        self.generated.push(secret);
    }

    /// Returns true if a file is a patch.
    pub(in crate::check) fn is_patch(&self, file: &str) -> bool {
        self.patch_files.contains(file)
    }

    /// Returns every namespace and name under which a manifest of this file is applied, each once.
    pub(in crate::check) fn placements(&self, file: &str, kind: &str, name: &str) -> Vec<Placement> {
        if self.places > MAX_PLACES {
            let why = "the kustomizations include more files than the check follows";
            return vec![Placement {
                opaque: Some(why.to_owned()),
                ..Placement::default()
            }];
        }
        let Some(transformations) = self.transformations.get(file) else {
            return vec![Placement::default()];
        };
        let mut placements: Vec<_> = transformations
            .iter()
            .map(|transformation| transformation.placement(kind, name))
            .collect();
        placements.sort();
        placements.dedup();
        placements
    }

    /// Returns the generated Secrets.
    pub(in crate::check) fn generated(&self) -> &[GeneratedSecret] {
        &self.generated
    }

    /// Returns the files that `secretGenerator` items name in `envs`.
    ///
    /// kustomize reads only files in the kustomization's own folder, so others are left out.
    pub(in crate::check) fn env_files(manifests: &[Manifest], names: &[String]) -> BTreeSet<String> {
        let all = read_all(manifests, names);
        let files_of = |kustomization: &Kustomization| {
            let files = kustomization
                .generators
                .iter()
                .flat_map(|generator| generator.env_files.iter());
            let is_within = |file: &&String| match kustomization.folder.as_str() {
                "" => kustomization.file != STDIN && !file.starts_with("../"),
                folder => file
                    .strip_prefix(folder)
                    .is_some_and(|rest| rest.starts_with('/')),
            };
            files.filter(is_within).cloned().collect::<Vec<_>>()
        };
        all.values().flat_map(files_of).collect()
    }
}

/// Returns the paths that end a folder: `a/b`, `b`.
fn suffixes(folder: &str) -> impl Iterator<Item = &str> {
    let behind = folder
        .match_indices('/')
        .filter_map(|(at, _)| folder.get(at + 1..));
    std::iter::once(folder).chain(behind)
}

/// Reads all kustomizations, by their folders.
fn read_all(manifests: &[Manifest], names: &[String]) -> BTreeMap<String, Kustomization> {
    let mut by_file: BTreeMap<&str, Vec<&Manifest>> = BTreeMap::new();
    for manifest in manifests {
        let file = names.get(manifest.file).map(String::as_str).unwrap_or_default();
        by_file.entry(file).or_default().push(manifest);
    }
    let given: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let read = |manifest: &Manifest| {
        let mut kustomization = Kustomization::read(&manifest.object().node, names.get(manifest.file)?);
        for file in std::mem::take(&mut kustomization.strategic) {
            let patches = by_file.get(file.as_str()).into_iter().flatten();
            let target =
                |patch: &&Manifest| (Some(patch.kind_name().to_owned()), Some(patch.name().to_owned()));
            kustomization.patched.extend(patches.map(target));
            // A patch that is not in the given files may change any object.
            kustomization
                .patched
                .extend((!given.contains(file.as_str())).then_some((None, None)));
        }
        Some((kustomization.folder.clone(), kustomization))
    };
    manifests
        .iter()
        .filter(|manifest| manifest.kind == ManifestKind::Kustomization)
        .filter_map(read)
        .collect()
}

/// Returns a kustomization, its components and their components, each once.
fn with_components<'a>(
    kustomization: &'a Kustomization,
    all: &'a BTreeMap<String, Kustomization>,
) -> Vec<&'a Kustomization> {
    let mut parts = vec![kustomization];
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
