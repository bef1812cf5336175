//! Verdicts from manifests alone: what the webhook would say, with the line and the column of each mistake.
//!
//! One straight line: [`files`] finds what is to be read, [`load`] makes documents of it ([`yaml`]), `kustomize`,
//! `secrets` and `tree` make facts of the documents, `judge` puts objects and facts through the rules that the
//! webhook has, [`render`] shows what came out. All given documents form one tree: what is not in it is unknown, and
//! is asked of the Kubernetes cluster where there is one to ask.
//!
//! Guarantees: a value that is not known (a placeholder, what a patch changes, a Secret that is made elsewhere) never
//! refuses anything; no value of a Secret is kept or shown; what cannot be read is an error with its position, and
//! everything else is judged.

pub mod files;
pub mod load;
pub mod render;
pub mod report;
pub mod yaml;

mod facts;
mod judge;
mod kustomize;
mod manifest;
mod placeholder;
mod secrets;
mod tree;

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::rules::catalogue::Rule;
use crate::rules::facts::FactSource;
use crate::rules::policy::Policy;

use facts::Known;
use load::Loaded;
use report::Report;
use tree::Tree;

/// What decides verdicts beside the files.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The installation's policy.
    pub policy: Policy,
    /// Whether the files are taken for all there is: what is not in them is refused.
    pub strict: bool,
    /// Whether a warning fails the check.
    pub deny_warnings: bool,
    /// Rules whose refusals do not fail the check.
    pub allow: Vec<&'static Rule>,
    /// Where an object is that does not say.
    pub namespace: String,
    /// The time: schedules are told from it on.
    pub now: Timestamp,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            strict: false,
            deny_warnings: false,
            allow: Vec::new(),
            namespace: "default".to_owned(),
            now: Timestamp::UNIX_EPOCH,
        }
    }
}

/// Judges every backup and every restore among what was loaded, in the order of the files.
///
/// `live` is asked for what the files do not hold. `progress` hears how many objects of how many are judged.
pub async fn check(
    loaded: Loaded,
    settings: &Settings,
    live: Option<&dyn FactSource>,
    mut progress: impl FnMut(usize, usize),
) -> Report {
    let (placed, mut report) = loaded.place(&settings.namespace);
    let tree = Tree::grow(&placed);
    let known = Known {
        tree: &tree,
        live,
        strict: settings.strict,
    };
    let all = placed.judged.len();
    for (done, object) in placed.judged.iter().enumerate() {
        let judged = judge::judge(object, known, settings).await;
        report.add(object, judged);
        progress(done + 1, all);
    }
    report.allow(&settings.allow);
    report.finish();
    report
}
