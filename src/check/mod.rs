//! Verdicts from manifests alone: the answers of the webhook, with the line and the column of each finding.
//!
//! The steps: [`files`] finds the files, [`load`] parses their documents with [`yaml`], `place` applies the
//! kustomizations, `tree`, `layered` and `secrets` collect the facts, `judge` applies the rules of the webhook, and [`render`]
//! shows the report. All given files form one tree, unless they contain the objects of several Kubernetes clusters: `trees` keeps
//! those apart. A reference to an object outside of a tree is unknown, or is looked up in the Kubernetes cluster if there is one.
//!
//! # Guarantees
//! An unknown value never denies anything: a placeholder, a field that a patch may change, a Secret that is made
//! elsewhere. No value of a Secret is kept or shown: a line that may belong to a Secret is not quoted. A file that cannot be read is an error with its position, and all
//! other files are judged. A backup or restore that is not judged has a note.

pub mod files;
pub mod load;
pub mod render;
pub mod report;
pub mod yaml;

mod applications;
mod checkout;
mod excerpt;
mod expectations;
mod judge;
mod kustomize;
mod layered;
mod live;
mod manifest;
mod multi_casskop;
mod place;
mod placeholder;
mod redaction;
mod repeated;
mod resources;
mod secret_sources;
mod secrets;
mod settings;
mod tree;
mod trees;
mod unjudged;
mod update;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::rules::facts::{FactSource, Reference};

pub use checkout::Checkout;
pub use live::{Live, StoredObjects};
pub use placeholder::Placeholders;
pub use settings::{FailOn, Settings};

use judge::Judged;
use layered::Layered;
use load::Loaded;
use place::place;
use report::Report;
use tree::{ByFolder, Tree};
use trees::Trees;

/// Judges every backup and restore in the loaded files, in the order of the files.
///
/// `live` answers for objects that are not in the files, and has the stored versions of those that are: an object that is
/// stored already is judged as its update. `progress` is called after each object with the number of judged
/// objects and their total.
pub async fn check(
    loaded: Loaded,
    settings: &Settings,
    live: Option<Live<'_>>,
    mut progress: impl FnMut(usize, usize),
) -> Report {
    let (resources, mut report) = place(loaded, settings);
    let trees = Trees::new(&resources, &settings.trees);
    if trees.too_many {
        report.add_too_many_trees();
    }
    let by_folder = ByFolder::new(&resources);
    let facts: Vec<Tree> = trees
        .all()
        .iter()
        .map(|scope| Tree::new(&resources, &by_folder, scope))
        .collect();
    let total = resources.judged.len();
    let mut seen = HashSet::new();
    for (done, resource) in resources.judged.iter().enumerate() {
        let stored = match live.zip(resource.manifest.kind.judged()) {
            Some((live, kind)) => live.stored(kind, resource).await,
            None => Reference::Absent,
        };
        match &stored {
            Reference::Unknown(why) => report.add_unread(resource, why),
            Reference::Found(stored) if update::is_deleting(stored) => report.add_deleting(resource),
            Reference::Found(_) | Reference::Absent => {}
        }
        let mut verdicts: Vec<(Judged, Vec<usize>)> = Vec::new();
        for index in trees.of(&resource.folder, &resource.appliers) {
            // Several kustomizations may apply the same manifest in the same way.
            let begin = resource.manifest.object.span.begin;
            let identity = (
                index,
                resource.manifest.file,
                begin,
                &resource.namespace,
                resource.name(),
            );
            let Some(tree) = facts.get(index).filter(|_| seen.insert(identity)) else {
                continue;
            };
            let layered = live.map(|live| Layered {
                tree,
                live: live.facts,
            });
            let source: &dyn FactSource = match &layered {
                Some(layered) => layered,
                None => tree,
            };
            let judged = judge::judge(resource, source, stored.found(), settings).await;
            match verdicts.iter_mut().find(|(same, _)| same.is_like(&judged)) {
                Some((_, indexes)) => indexes.push(index),
                None => verdicts.push((judged, vec![index])),
            }
        }
        // A folder beside several trees may belong to some of them: those that contain what its objects name.
        let is_complete = |(judged, _): &(Judged, Vec<usize>)| !judged.lacks_reference();
        if settings.trees.is_empty() && verdicts.iter().any(is_complete) {
            verdicts.retain(is_complete);
        }
        for (judged, indexes) in verdicts {
            report.add(
                resource,
                trees.names(&indexes),
                judged.findings,
                &judged.placeholders,
            );
        }
        progress(done + 1, total);
    }
    report.allow(&settings.allow);
    report.summarize();
    report
}
