//! From manifests to resources: the namespace and the name under which each manifest is applied.

use std::collections::{BTreeMap, BTreeSet};

use super::kustomize::Kustomizations;
use super::load::Loaded;
use super::manifest::{Manifest, ManifestKind, Resource};
use super::report::{Note, Report};
use super::resources::Resources;

/// Applies the kustomizations to the manifests that they include. Other manifests are applied as they are written.
///
/// Returns the resources, and a report with the errors and notes so far.
pub(super) fn place(loaded: Loaded, default_namespace: &str) -> (Resources, Report) {
    let names = loaded.names();
    let Loaded {
        manifests,
        sources,
        errors,
        mut notes,
        env_files,
    } = loaded;
    let kustomizations = Kustomizations::read(&manifests, &names, &env_files);
    notes.extend(kustomizations.notes(&names));
    let mut resources = Resources {
        generated: kustomizations.generated().to_vec(),
        ..Resources::default()
    };
    for secret in &mut resources.generated {
        secret
            .namespace
            .get_or_insert_with(|| default_namespace.to_owned());
    }
    // One note for each file and reason: overlays may give many.
    let mut unjudged: BTreeMap<(usize, String), u32> = BTreeMap::new();
    let mut patch_files = BTreeSet::new();
    for manifest in manifests {
        let name = names.get(manifest.file).map(String::as_str).unwrap_or_default();
        if manifest.kind == ManifestKind::Kustomization {
            continue;
        }
        if kustomizations.is_patch(name) {
            if manifest.kind.judged().is_some() && patch_files.insert(manifest.file) {
                notes.push(patch_note(&manifest));
            }
            continue;
        }
        for placement in kustomizations.placements(name, &manifest) {
            let namespace = placement
                .namespace
                .or_else(|| manifest.namespace().map(ToOwned::to_owned));
            let resource = Resource {
                namespace: namespace.unwrap_or_else(|| default_namespace.to_owned()),
                renamed: placement.name,
                opaque: placement
                    .opaque
                    .or_else(|| manifest.opaque.map(ToOwned::to_owned)),
                manifest: manifest.clone(),
            };
            if manifest.kind.judged().is_some() {
                match &resource.opaque {
                    Some(why) => {
                        unjudged
                            .entry((manifest.file, why.clone()))
                            .or_insert(manifest.object.span.line);
                    }
                    None => resources.judged.push(resource.clone()),
                }
            }
            resources.facts.push(resource);
        }
    }
    notes.extend(unjudged.into_iter().map(|((file, why), line)| Note {
        file,
        line,
        message: format!("not judged: {why}"),
    }));
    resources.names = names;
    (resources, Report::new(sources, errors, notes))
}

fn patch_note(patch: &Manifest) -> Note {
    Note {
        file: patch.file,
        line: patch.object.span.line,
        message: "a patch of a kustomization, which is not judged on its own".to_owned(),
    }
}
