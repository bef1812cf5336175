//! The parts of a backup in the bucket, and a ring whose nodes join, leave and are replaced.

use super::disruption::Silence;
use super::{Downloaded, Node, Presence, Rows, World, host_id};
use crate::reconcile::plan::{Phase, Task};

/// The number of the first host id of a node that joined after the world began.
const FIRST_NEW_HOST: usize = 100;

/// The tokens of the first node that joined, less its number.
const NEW_TOKENS: u32 = 1000;

impl World {
    /// Puts the part of every node into the bucket, as a backup of this moment does. From then on, parts stay as they are.
    pub(in super::super) fn back_up(&mut self) {
        let parts = self.ring_members().map(|node| (folder(&node.host), node.tokens));
        self.bucket = Some(parts.collect());
    }

    /// Adds a node with tokens of its own, in a pod of its own.
    pub(in super::super) fn join(&mut self) {
        let mut node = self.nodes[0].clone();
        self.renew(&mut node);
        node.address = self.nodes.len();
        node.ring_address = node.address;
        node.tokens = NEW_TOKENS + u32::try_from(self.nodes.len()).unwrap();
        self.nodes.push(node);
    }

    /// Decommissions a node.
    pub(in super::super) fn leave(&mut self, index: usize) {
        self.nodes[index].presence = Presence::LeftRing;
    }

    /// Replaces a node: its pod has an empty disk and a new host id, with the former tokens or with new ones.
    pub(in super::super) fn replace(&mut self, index: usize, keeps_tokens: bool) {
        let mut node = self.nodes[index].clone();
        self.renew(&mut node);
        node.restarts += 1;
        self.uploads.cut.remove(&index);
        if !keeps_tokens {
            node.tokens += NEW_TOKENS;
        }
        self.nodes[index] = node;
    }

    /// Makes a node one that has just joined.
    fn renew(&mut self, node: &mut Node) {
        node.host = host_id(FIRST_NEW_HOST + self.joined);
        self.joined += 1;
        node.rows = Rows::Users;
        node.downloaded = Downloaded::Nothing;
        node.presence = Presence::Present;
        node.folder = None;
        node.imported.clear();
        node.operations.clear();
        node.silence = Silence::None;
        node.hangs = false;
    }

    /// Returns the nodes of the ring.
    pub(in super::super) fn ring_members(&self) -> impl Iterator<Item = &Node> {
        let mut nodes = self.nodes.iter();
        let is_member = |node: &&Node| !matches!(node.presence, Presence::LeftRing | Presence::OutsideRing);
        std::iter::from_fn(move || nodes.find(is_member))
    }

    /// Returns the nodes that have to download files before a table is emptied. With parts in the bucket, the test decides
    /// which parts those are.
    pub(super) fn participants(&self) -> impl Iterator<Item = &Node> {
        let all = self.bucket.is_none() && self.archive.is_none();
        self.nodes.iter().filter(move |node| all || node.folder.is_some())
    }

    /// Returns the error of a sidecar whose folder in the bucket has no part, or one with other tokens.
    pub(super) fn part_error(&self, index: usize, task: &Task) -> Option<&'static str> {
        if self.archive.is_some() {
            return None;
        }
        let node = &self.nodes[index];
        let named = node.folder.as_ref()?;
        let tokens = match &self.bucket {
            None => (*named == folder(&node.host)).then_some(node.tokens),
            Some(parts) => parts.get(named).copied(),
        };
        match (task, tokens) {
            (Task::Phase(Phase::Init | Phase::Download), None) => {
                Some("There is no manifest requested found.")
            }
            (Task::Phase(Phase::Download), Some(tokens)) if tokens != node.tokens => {
                Some("Tokens from snapshot and tokens of this node does not match!")
            }
            _ => None,
        }
    }

    /// Records that a node has imported its part.
    pub(super) fn record_import(&mut self, index: usize) {
        let folder = self.nodes[index].folder.clone();
        self.nodes[index].imported.extend(folder);
    }
}

/// Returns the folder of a node of this ring in the bucket.
pub(in super::super) fn folder(host: &str) -> String {
    format!("lab-A/dc1/{host}")
}
