//! The bucket as several runs leave it, and the listings of it.

use std::collections::BTreeMap;

use super::World;
use crate::domain::storage::Provider;
use crate::reconcile::plan::{Phase, Task};

/// The listings of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Listing {
    /// They have everything.
    Complete,
    /// They lack the parts of every other node.
    Partial,
    /// They have the parts of this time.
    Stale(BTreeMap<(String, String), Part>),
    /// They do not end.
    Endless,
}

/// The part of a node in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Part {
    /// The tokens of the node.
    tokens: u32,
    /// True if every file is there. A killed upload leaves its manifest although files are missing.
    pub(in super::super) is_whole: bool,
}

/// The parts of all snapshots, by host id and tag.
pub(in super::super) type Archive = BTreeMap<(String, String), Part>;

impl World {
    /// Stores the part of a node if the archive is modelled. Sidecars keep the manifest of an earlier upload of a tag.
    pub(in super::super) fn store_part(&mut self, index: usize, tag: &str, is_whole: bool) {
        let node = &self.nodes[index];
        let part = Part {
            tokens: node.tokens,
            is_whole,
        };
        if let Some(archive) = &mut self.archive {
            archive.entry((node.host.clone(), tag.to_owned())).or_insert(part);
        }
    }

    pub(super) fn remove_part(&mut self, index: usize, tag: &str) {
        let node = &self.nodes[index];
        if let Some(archive) = &mut self.archive {
            archive.remove(&(node.host.clone(), tag.to_owned()));
        }
    }

    /// Returns true if the sidecars can list the bucket. Counts a question that the planner must not ask, because the listing
    /// might never end.
    pub(super) fn can_list(&self) -> bool {
        let provider = if self.uploads.cuts_files {
            Provider::File
        } else {
            Provider::S3
        };
        let is_modelled = self.archive.is_some();
        if is_modelled && !self.sidecar.lists_reliably(Some(provider)) {
            self.endless_listings.set(self.endless_listings.get() + 1);
        }
        !is_modelled || self.sidecar.supports_list_and_remove() != Some(false)
    }

    /// Returns true if a listing by a node has its part of a snapshot.
    pub(super) fn lists_part(&self, index: usize, tag: &str) -> bool {
        let node = &self.nodes[index];
        let key = (node.host.clone(), tag.to_owned());
        match (&self.archive, &self.listing) {
            (None, _) => node.uploaded,
            (Some(_), Listing::Partial) if index % 2 == 1 => false,
            (Some(_), Listing::Stale(parts)) => parts.contains_key(&key),
            (Some(archive), _) => archive.contains_key(&key),
        }
    }

    /// Returns the error of a task that reads a part of a snapshot; `None` if it succeeds.
    pub(super) fn stored_part_error(&self, index: usize, task: &Task) -> Option<&'static str> {
        let Some(archive) = &self.archive else {
            return self.uploads.proof_error(index, task);
        };
        let node = &self.nodes[index];
        let named = node.folder.as_ref().and_then(|folder| folder.rsplit('/').next());
        let host = named.unwrap_or(&node.host);
        let part = archive.get(&(host.to_owned(), self.uploads.tag.clone()));
        match (task, part) {
            (Task::Phase(Phase::Init | Phase::Download), None) => {
                Some("There is no manifest requested found.")
            }
            (Task::Phase(Phase::Download), Some(part)) if part.tokens != node.tokens => {
                Some("Tokens from snapshot and tokens of this node does not match!")
            }
            (Task::Phase(Phase::Download), Some(part)) if !part.is_whole => {
                Some("Unable to download files successfully: data/k1/t1-1/nb-5-big-Data.db")
            }
            _ => None,
        }
    }

    /// Returns true if the whole part of a node is stored in a snapshot.
    pub(in super::super) fn has_whole_part(&self, host: &str, tag: &str) -> bool {
        let archive = self.archive.as_ref();
        let part = archive.and_then(|archive| archive.get(&(host.to_owned(), tag.to_owned())));
        part.is_some_and(|part| part.is_whole)
    }
}
