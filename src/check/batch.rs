//! Judges many objects: on all cores if every fact is known from the files, and one by one with a Kubernetes cluster.

use std::collections::HashSet;

use futures::FutureExt;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use crate::rules::facts::{FactSource, Reference};

use super::judge::{Judged, judge};
use super::layered::Layered;
use super::live::Live;
use super::manifest::Resource;
use super::placeholder::Placeholder;
use super::report::{ObjectReport, Report};
use super::resources::Resources;
use super::settings::Settings;
use super::source::Source;
use super::tree::Tree;
use super::trees::Trees;
use super::update;

/// The number of objects that are judged before their reports are added.
pub(super) const SIZE: usize = 1024;

/// A resource and the trees in which it is judged, by index.
pub(super) struct Job<'a> {
    pub(super) resource: &'a Resource,
    trees: Vec<usize>,
}

/// Returns the jobs for all judged resources, in the order of the files.
///
/// Several kustomizations may apply the same manifest in the same way, which is judged once in each tree.
pub(super) fn jobs<'a>(resources: &'a Resources, trees: &Trees) -> Vec<Job<'a>> {
    let mut seen = HashSet::new();
    let judged = resources.judged.iter();
    let judged = judged.filter_map(|index| resources.facts.get(*index));
    let job = |resource: &'a Resource| {
        let begin = resource.manifest.span.begin;
        let all = trees.of(&resource.folder, &resource.appliers);
        let trees = all.filter(|tree| {
            seen.insert((
                *tree,
                resource.manifest.file,
                begin,
                &resource.namespace,
                resource.name(),
            ))
        });
        Job {
            resource,
            trees: trees.collect(),
        }
    };
    judged.map(job).collect()
}

/// Everything that the jobs have in common.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) trees: &'a Trees,
    /// The facts of each tree, by index.
    pub(super) facts: &'a [Tree],
    pub(super) settings: &'a Settings,
}

/// The report on an object, and its values with placeholders.
type Reported = (ObjectReport, Vec<Placeholder>);

impl Batch<'_> {
    /// Judges objects from the files alone, on all cores. Returns `None` for an object with a fact that has to be waited for.
    pub(super) fn judge_at_once(self, jobs: &[Job<'_>], sources: &[Source]) -> Vec<Option<Vec<Reported>>> {
        let judge_one = |job: &Job<'_>| {
            let mut verdicts = Vec::new();
            for index in &job.trees {
                let tree = self.facts.get(*index)?;
                let judged = judge(job.resource, tree, None, self.settings).now_or_never()?;
                verdicts.push((judged, *index));
            }
            Some(self.reports(job, verdicts, sources))
        };
        jobs.par_iter().with_min_len(32).map(judge_one).collect()
    }

    /// Judges an object, and adds it to the report. Waits for the facts of the Kubernetes cluster.
    pub(super) async fn judge(self, job: &Job<'_>, live: Option<Live<'_>>, report: &mut Report) {
        let resource = job.resource;
        let stored = match live.zip(resource.manifest.kind.judged()) {
            Some((live, kind)) => live.stored(kind, resource).await,
            None => Reference::Absent,
        };
        match &stored {
            Reference::Unknown(why) => report.add_unread(resource, why),
            Reference::Found(stored) if update::is_deleting(stored) => report.add_deleting(resource),
            Reference::Found(_) | Reference::Absent => {}
        }
        let mut verdicts = Vec::new();
        for index in &job.trees {
            let Some(tree) = self.facts.get(*index) else {
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
            let judged = judge(resource, source, stored.found(), self.settings).await;
            verdicts.push((judged, *index));
        }
        for (object, placeholders) in self.reports(job, verdicts, &report.sources) {
            report.add(object, resource, &placeholders);
        }
    }

    /// Returns one report for each different verdict on an object, with the trees in which it is given.
    fn reports(self, job: &Job<'_>, judged: Vec<(Judged, usize)>, sources: &[Source]) -> Vec<Reported> {
        let mut verdicts: Vec<(Judged, Vec<usize>)> = Vec::new();
        for (judged, index) in judged {
            match verdicts.iter_mut().find(|(same, _)| same.is_like(&judged)) {
                Some((_, indexes)) => indexes.push(index),
                None => verdicts.push((judged, vec![index])),
            }
        }
        // A folder beside several trees may belong to some of them: those that contain what its objects name.
        let is_complete = |(judged, _): &(Judged, Vec<usize>)| !judged.lacks_reference();
        if self.settings.trees.is_empty() && verdicts.iter().any(is_complete) {
            verdicts.retain(is_complete);
        }
        let report = |(judged, indexes): (Judged, Vec<usize>)| {
            let names = self.trees.names(&indexes);
            let object = ObjectReport::new(job.resource, sources, names, judged.findings);
            (object, judged.placeholders)
        };
        verdicts.into_iter().map(report).collect()
    }
}
