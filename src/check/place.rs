//! From manifests to resources: the namespace and the name under which each manifest is applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smol_str::SmolStr;

use super::applications::Effects;
use super::expectations::Expectations;
use super::kustomize::{GeneratedSecret, Kustomizations};
use super::load::Loaded;
use super::manifest::{Manifest, ManifestKind, Resource};
use super::report::{Note, Report};
use super::resources::Resources;
use super::settings::Settings;

/// A manifest as the kustomizations apply it.
struct Draft {
    manifest: Arc<Manifest>,
    namespace: Option<SmolStr>,
    renamed: Option<SmolStr>,
    opaque: Option<Box<str>>,
    folder: Arc<str>,
}

/// Applies the kustomizations and applications to the manifests in their folders. Other manifests are applied as they are written.
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
    let kustomizations = Kustomizations::read(&manifests, &names, &env_files, &applications.paths());
    notes.extend(kustomizations.notes(&names));
    let drafts = drafts(manifests, &names, &kustomizations, &expectations, &mut notes);
    let generated = kustomizations.generated();
    let folders = drafts.iter().map(|draft| &*draft.folder);
    let folders = folders.chain(generated.iter().map(|secret| secret.root.as_str()));
    let (applications, unknown) = applications.place(&kustomizations, folders, &names);
    let mut effects = Effects::new(&applications);
    let mut resources = Resources {
        generated: placed_secrets(generated, &mut effects, settings),
        placeholders: settings.placeholders.clone(),
        applications,
        facts: Vec::with_capacity(drafts.len()),
        ..Resources::default()
    };
    // One note for each file and reason: overlays may give many.
    let mut unjudged: BTreeMap<(usize, Box<str>), BTreeSet<u32>> = BTreeMap::new();
    for draft in drafts {
        let file = names
            .get(draft.manifest.file)
            .map(String::as_str)
            .unwrap_or_default();
        for resource in placed(&draft, file, &mut effects, settings) {
            if resource.manifest.kind.judged().is_some() {
                match &resource.opaque {
                    Some(why) => {
                        unjudged
                            .entry((resource.manifest.file, why.clone()))
                            .or_default()
                            .insert(resource.manifest.span.line);
                    }
                    None => resources.judged.push(resources.facts.len()),
                }
            }
            resources.facts.push(resource);
        }
    }
    // Without a backup or restore, nothing depends on the applications.
    if !resources.judged.is_empty() || !unjudged.is_empty() {
        notes.extend(unknown);
    }
    let unjudged = unjudged.into_iter();
    notes.extend(unjudged.map(|((file, why), lines)| unjudged_note(file, &why, &lines)));
    resources.names = names;
    (resources, Report::new(sources, errors, notes, settings))
}

/// Applies the kustomizations. Leaves out kustomizations, patches and the expectations of tests.
fn drafts(
    manifests: Vec<Manifest>,
    names: &[String],
    kustomizations: &Kustomizations,
    expectations: &Expectations,
    notes: &mut Vec<Note>,
) -> Vec<Draft> {
    let mut reported = BTreeSet::new();
    let expectations = expectations.index();
    let mut drafts = Vec::with_capacity(manifests.len());
    let mut folder: Arc<str> = Arc::from("");
    for manifest in manifests {
        let name = names.get(manifest.file).map(String::as_str).unwrap_or_default();
        if manifest.kind == ManifestKind::Kustomization {
            continue;
        }
        let why = if kustomizations.is_patch(name) {
            Some("a patch of a kustomization, which is not judged on its own")
        } else if expectations.contain(name) {
            Some("an expectation of a kuttl or chainsaw test, which is not applied, so it is not judged")
        } else {
            None
        };
        if let Some(why) = why {
            if manifest.kind.judged().is_some() && reported.insert(manifest.file) {
                notes.push(file_note(&manifest, why));
            }
            continue;
        }
        let manifest = Arc::new(manifest);
        // The manifests of a file share the name of their folder.
        let own = folder_of(name);
        if *folder != *own {
            folder = own.into();
        }
        for placement in kustomizations.placements(name, manifest.kind_name(), manifest.name()) {
            let namespace = placement.namespace.as_deref().or_else(|| manifest.namespace());
            let opaque = placement.opaque.as_deref().or(manifest.opaque);
            drafts.push(Draft {
                namespace: namespace.map(SmolStr::from),
                renamed: placement.name.map(SmolStr::from),
                opaque: opaque.map(Box::from),
                folder: placement.root.map_or_else(|| Arc::clone(&folder), Arc::from),
                manifest: Arc::clone(&manifest),
            });
        }
    }
    drafts
}

/// Returns a resource for each way in which applications apply a manifest.
fn placed(draft: &Draft, file: &str, effects: &mut Effects, settings: &Settings) -> Vec<Resource> {
    let manifest = &draft.manifest;
    let name = draft.renamed.as_deref().unwrap_or_else(|| manifest.name());
    let place = (&*draft.folder, file);
    let variants = effects.variants(place, manifest.kind_name(), name, draft.namespace.clone());
    variants
        .into_iter()
        .map(|variant| Resource {
            namespace: variant
                .namespace
                .unwrap_or_else(|| SmolStr::from(settings.namespace.as_str())),
            renamed: variant.name.map(SmolStr::from).or_else(|| draft.renamed.clone()),
            opaque: draft.opaque.clone().or_else(|| variant.opaque.map(Box::from)),
            folder: Arc::clone(&draft.folder),
            appliers: variant.appliers,
            manifest: Arc::clone(manifest),
        })
        .collect()
}

/// Returns the generated Secrets in each way in which applications apply them.
fn placed_secrets(
    generated: &[GeneratedSecret],
    effects: &mut Effects,
    settings: &Settings,
) -> Vec<GeneratedSecret> {
    let mut placed = Vec::with_capacity(generated.len());
    for secret in generated {
        let namespace = secret.namespace.as_deref().map(SmolStr::from);
        for variant in effects.variants((&secret.root, &secret.file), "Secret", &secret.name, namespace) {
            let mut own = secret.clone();
            let namespace = variant.namespace.as_deref().unwrap_or(&settings.namespace);
            own.namespace = Some(namespace.to_owned());
            own.name = variant.name.unwrap_or(own.name);
            own.appliers = variant.appliers;
            if let Some(why) = variant.opaque {
                own.keys = Err(why);
            }
            placed.push(own);
        }
    }
    placed
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
        line: manifest.span.line,
        message: message.to_owned(),
    }
}
