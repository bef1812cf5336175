//! The uploads of a backup in the model world: what the bucket holds of each part, and what a killed sidecar leaves.

use std::collections::{BTreeMap, BTreeSet};

use crate::reconcile::plan::{Phase, Task};

/// The parts of a backup in the bucket.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// The tag of the run under way.
    pub(super) tag: String,
    /// True if a killed upload leaves its manifest although files are missing, as on an object store.
    pub(super) early_manifest: bool,
    /// True if a killed upload leaves a file that is cut short, as in a directory.
    pub(super) cuts_files: bool,
    /// The nodes whose share has a file that is cut short.
    pub(super) cut: BTreeSet<usize>,
    /// The manifests by node and tag: true if every file of it is there and whole.
    pub(super) parts: BTreeMap<(usize, String), bool>,
}

impl Uploads {
    /// Ends an upload. Icarus 1.1.3 and 2.0.4 keep the manifest of an earlier upload under this tag, and skip every file
    /// that exists.
    pub(super) fn complete(&mut self, node: usize, tag: &str) {
        let is_whole = !self.cut.contains(&node);
        self.parts.entry((node, tag.to_owned())).or_insert(is_whole);
    }

    /// Kills an upload. Returns true if it leaves its manifest.
    pub(super) fn interrupt(&mut self, node: usize, tag: &str) -> bool {
        if self.cuts_files {
            self.cut.insert(node);
        }
        if self.early_manifest {
            self.parts.entry((node, tag.to_owned())).or_insert(false);
        }
        self.early_manifest
    }

    /// Returns true if the node's part of the run under way can be restored.
    pub(super) fn is_whole(&self, node: usize) -> bool {
        self.parts.get(&(node, self.tag.clone())) == Some(&true)
    }

    /// Returns the error of a task that proves a part; `None` if it succeeds, or if no backup is modelled.
    pub(super) fn proof_error(&self, node: usize, task: &Task) -> Option<&'static str> {
        let part = self.parts.get(&(node, self.tag.clone()));
        match task {
            _ if self.tag.is_empty() => None,
            Task::Phase(Phase::Init | Phase::Download) if part.is_none() => {
                Some("There is no manifest requested found.")
            }
            Task::Phase(Phase::Download) if part == Some(&false) => {
                Some("Unable to download files successfully: data/k1/t1-1/nb-5-big-Data.db")
            }
            _ => None,
        }
    }
}
