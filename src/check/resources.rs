//! All manifests of the given files with the namespaces and names under which they are applied.

use super::applications::PlacedApplication;
use super::kustomize::GeneratedSecret;
use super::manifest::Resource;
use super::placeholder::Placeholders;

/// Everything that is applied, in the order of the files.
#[derive(Debug, Default)]
pub(super) struct Resources {
    /// The backups and restores that are applied as they are written, as indexes of `facts`.
    pub(super) judged: Vec<usize>,
    /// All resources, including the judged ones: the sources of facts.
    pub(super) facts: Vec<Resource>,
    /// The Secrets that kustomize generates.
    pub(super) generated: Vec<GeneratedSecret>,
    /// The names of the files, for messages about several documents.
    pub(super) names: Vec<String>,
    /// The objects of Flux and Argo CD that apply folders, each in the folder that applies it.
    pub(super) applications: Vec<PlacedApplication>,
    /// The texts that count as placeholders.
    pub(super) placeholders: Placeholders,
}
