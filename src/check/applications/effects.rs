//! The namespaces and names that applications give to the objects in their folders.

use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap};

use crate::check::manifest::Appliers;

use super::PlacedApplication;
use super::placed::Applied;

/// The maximum number of applications of all objects together. Applications that apply the same folders multiply the work.
const MAX_VARIANTS: usize = 200_000;

/// An object as some applications apply it.
#[derive(Debug, Default, Clone)]
pub(in crate::check) struct Variant {
    pub(in crate::check) namespace: Option<SmolStr>,
    /// The name, if a prefix or suffix changes it.
    pub(in crate::check) name: Option<String>,
    /// The reason that the applied object may differ from the manifest.
    pub(in crate::check) opaque: Option<String>,
    pub(in crate::check) appliers: Appliers,
}

/// The namespace and the name that applications give to an object, and the reason why they are unknown.
type Outcome = (Option<SmolStr>, Option<String>, Option<String>);

/// The changes of all applications, by the folders that they apply.
#[derive(Debug, Default)]
pub(in crate::check) struct Effects {
    by_folder: HashMap<String, Vec<(usize, Applied)>>,
    variants: usize,
}

impl Effects {
    pub(in crate::check) fn new(placed: &[PlacedApplication]) -> Self {
        let mut effects = Self::default();
        for (index, application) in placed.iter().enumerate() {
            for applied in &application.applied {
                let known = effects.by_folder.entry(applied.folder.clone()).or_default();
                known.push((index, applied.clone()));
            }
        }
        let changes_some = |all: &Vec<(usize, Applied)>| all.iter().any(|(_, own)| !own.changes.is_empty());
        effects.by_folder.retain(|_, all| changes_some(all));
        effects
    }

    /// Returns each way in which an object of a file is applied. `namespace` is the one that it has without applications; an object of
    /// a kind without namespaces keeps it. A file that no application of its folder applies is applied as it is written.
    pub(in crate::check) fn variants(
        &mut self,
        (folder, file): (&str, &str),
        kind: &str,
        name: &str,
        namespace: Option<SmolStr>,
    ) -> Vec<Variant> {
        let unchanged = Variant {
            namespace,
            ..Variant::default()
        };
        let Some(all) = self.by_folder.get(folder) else {
            return vec![unchanged];
        };
        self.variants += all.len();
        if self.variants > MAX_VARIANTS {
            let why = "the applications apply more objects than the check follows";
            return vec![Variant {
                opaque: Some(why.to_owned()),
                ..unchanged
            }];
        }
        let is_namespaced = !matches!(kind, "Namespace" | "ClusterExternalSecret");
        let mut grouped: BTreeMap<Outcome, Vec<usize>> = BTreeMap::new();
        for (index, applied) in all.iter().filter(|(_, applied)| applied.applies(file)) {
            let changes = &applied.changes;
            let placement = changes.transformation.placement(kind, name);
            let own = unchanged.namespace.clone();
            let namespace = if is_namespaced {
                let set = placement.namespace.as_deref().map(SmolStr::from);
                set.or(own)
                    .or_else(|| changes.default_namespace.as_deref().map(SmolStr::from))
            } else {
                own
            };
            let key = (namespace, placement.name, placement.opaque);
            grouped.entry(key).or_default().push(*index);
        }
        if grouped.is_empty() {
            return vec![unchanged];
        }
        grouped
            .into_iter()
            .map(|((namespace, name, opaque), appliers)| Variant {
                namespace,
                name,
                opaque,
                appliers: Some(appliers.into()),
            })
            .collect()
    }
}
