//! From manifests to resources: the namespace and the name under which each manifest is applied.

use std::collections::{BTreeMap, BTreeSet};

use super::kustomize::Kustomizations;
use super::load::Loaded;
use super::manifest::{Manifest, ManifestKind, Resource};
use super::report::{Note, Report};
use super::resources::Resources;
use super::settings::Settings;

/// Applies the kustomizations to the manifests that they include. Other manifests are applied as they are written.
///
/// Returns the resources, and a report with the errors and notes so far.
pub(super) fn place(loaded: Loaded, settings: &Settings) -> (Resources, Report) {
    let names = loaded.names();
    let Loaded {
        manifests,
        sources,
        errors,
        mut notes,
        env_files,
        expectations,
        applications,
    } = loaded;
    let kustomizations = Kustomizations::read(&manifests, &names, &env_files);
    notes.extend(kustomizations.notes(&names));
    let mut resources = Resources {
        generated: kustomizations.generated().to_vec(),
        placeholders: settings.placeholders.clone(),
        applications,
        ..Resources::default()
    };
    for secret in &mut resources.generated {
        secret.namespace.get_or_insert_with(|| settings.namespace.clone());
    }
    // One note for each file and reason: overlays may give many.
    let mut unjudged: BTreeMap<(usize, String), BTreeSet<u32>> = BTreeMap::new();
    let mut noted = BTreeSet::new();
    for manifest in manifests {
        let name = names.get(manifest.file).map(String::as_str).unwrap_or_default();
        if manifest.kind == ManifestKind::Kustomization {
            continue;
        }
        if kustomizations.is_patch(name) {
            if manifest.kind.judged().is_some() && noted.insert(manifest.file) {
                notes.push(file_note(
                    &manifest,
                    "a patch of a kustomization, which is not judged on its own",
                ));
            }
            continue;
        }
        if expectations.contain(name) {
            if manifest.kind.judged().is_some() && noted.insert(manifest.file) {
                notes.push(file_note(
                    &manifest,
                    "an expectation of a kuttl or chainsaw test, which is not applied, so it is not judged",
                ));
            }
            continue;
        }
        for placement in kustomizations.placements(name, &manifest) {
            let namespace = placement
                .namespace
                .or_else(|| manifest.namespace().map(ToOwned::to_owned));
            let resource = Resource {
                namespace: namespace.unwrap_or_else(|| settings.namespace.clone()),
                renamed: placement.name,
                opaque: placement
                    .opaque
                    .or_else(|| manifest.opaque.map(ToOwned::to_owned)),
                folder: placement.root.unwrap_or_else(|| folder_of(name)),
                manifest: manifest.clone(),
            };
            if manifest.kind.judged().is_some() {
                match &resource.opaque {
                    Some(why) => {
                        unjudged
                            .entry((manifest.file, why.clone()))
                            .or_default()
                            .insert(manifest.object.span.line);
                    }
                    None => resources.judged.push(resource.clone()),
                }
            }
            resources.facts.push(resource);
        }
    }
    let unjudged = unjudged.into_iter();
    notes.extend(unjudged.map(|((file, why), lines)| unjudged_note(file, &why, &lines)));
    resources.names = names;
    (resources, Report::new(sources, errors, notes, settings))
}

/// Returns the note on the objects of a file, by their lines, that are not judged for the same reason.
fn unjudged_note(file: usize, why: &str, lines: &BTreeSet<u32>) -> Note {
    let others: Vec<String> = lines.iter().skip(1).map(ToString::to_string).collect();
    let others = match others.len() {
        0 => String::new(),
        1 => format!(" (also the object in line {})", others.concat()),
        _ => format!(" (also the objects in lines {})", others.join(", ")),
    };
    Note {
        file,
        line: lines.first().copied().unwrap_or(1),
        message: format!("not judged: {why}{others}"),
    }
}

/// Returns the folder of a file; an empty text for the current one.
pub(super) fn folder_of(file: &str) -> String {
    file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
}

fn file_note(manifest: &Manifest, message: &str) -> Note {
    Note {
        file: manifest.file,
        line: manifest.object.span.line,
        message: message.to_owned(),
    }
}
