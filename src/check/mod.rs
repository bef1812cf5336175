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
pub mod source;
pub mod yaml;

mod applications;
mod batch;
mod checkout;
mod excerpt;
mod expectations;
mod field_path;
mod judge;
mod kustomize;
mod last_applied;
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
mod unknown_paths;
mod update;

#[cfg(test)]
mod tests;

pub use checkout::Checkout;
pub use live::{Live, StoredObjects};
pub use placeholder::Placeholders;
pub use settings::{FailOn, Settings};

use batch::{Batch, jobs};
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
    let jobs = jobs(&resources, &trees);
    let total = jobs.len();
    report.objects.reserve_exact(total);
    let all = Batch {
        trees: &trees,
        facts: &facts,
        settings,
    };
    for (number, jobs) in jobs.chunks(batch::SIZE).enumerate() {
        let judged = match live {
            None => all.judge_at_once(jobs, &report.sources),
            Some(_) => Vec::new(),
        };
        let mut judged = judged.into_iter();
        for (done, job) in jobs.iter().enumerate() {
            // Only facts of the Kubernetes cluster have to be waited for.
            match judged.next().flatten() {
                Some(reports) => {
                    for (object, placeholders) in reports {
                        report.add(object, job.resource, &placeholders);
                    }
                }
                None => all.judge(job, live, &mut report).await,
            }
            progress(number * batch::SIZE + done + 1, total);
        }
    }
    report.allow(&settings.allow);
    report.summarize();
    report
}
