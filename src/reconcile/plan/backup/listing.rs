//! What a listing of the nodes' shares tells of a run: whether a part is there that nobody remembers, and whether there
//! is anything at all.

use super::{MOST_TRIES, RestorePlanner, node};
use crate::api::{NodeStatus, Reason};
use crate::reconcile::plan::{Answer, Question, Task, Wait};

impl<'a> RestorePlanner<'a> {
    /// What the node's share holds of this run; asked for when it is not known yet.
    fn listed(&mut self, pod: Option<String>, host_id: String) -> Option<&'a Answer> {
        let question = Question::Files {
            pod: pod.unwrap_or_default(),
            host_id,
        };
        let answer = self.making.look.answers.get(&question);
        if answer.is_none() {
            self.making.ask.insert(question);
        }
        answer
    }

    /// The sidecar does not know the operation: it was restarted, or has forgotten what ended more than an hour ago.
    ///
    /// It writes the manifest of a node last (seen on 2.0.4 and 3.0.0), so a snapshot that is listed was uploaded, and
    /// the node is through. What is not listed, or cannot be since the sidecar is too old, is sent again.
    pub(super) fn lost(&mut self, node: &mut NodeStatus, task: Task) -> bool {
        match self.listed(node.pod.clone(), node.host_id.clone()) {
            None => return false,
            Some(Answer::Files { count, .. }) if *count > 0 => {
                node::through(node);
                return true;
            }
            Some(Answer::Silence(why)) => return self.unlisted(node, why),
            Some(_) => node.silent_since = None,
        }
        if !self.replaced && node::attempts(node) >= MOST_TRIES {
            node::failed(node, node::LOST_AGAIN);
            return true;
        }
        self.send_or_give_up(node, task)
    }

    /// Nobody tells whether the lost part is there: sent again, it might meet itself. Whether the node is through.
    fn unlisted(&mut self, node: &mut NodeStatus, why: &str) -> bool {
        let now = self.making.look.now;
        node::silent(node, why, now);
        let given_up = node::is_out_of_reach(node, now);
        if given_up {
            node::failed(
                node,
                &format!(
                    "its sidecar lost the operation, and what it uploaded could not be listed for 15 minutes: {why}"
                ),
            );
        } else {
            let pod = node::name(node);
            let message = format!(
                "the sidecar of {pod} lost its operation, and what it uploaded cannot be listed: {why}"
            );
            self.making.hold(Wait::new(Reason::SidecarUnreachable, message));
        }
        given_up
    }

    /// Every node says that it is through. A backup in which no node lists a file is none: sidecars pass over tables
    /// whose files have names that they do not know (UUIDs), without a word.
    ///
    /// A listing that does not come is not waited for longer than a sidecar: what was uploaded is there without it.
    pub(super) fn look_into(&mut self) {
        let now = self.making.look.now;
        let mut all = Some((0_u64, 0_u64));
        let mut nodes = std::mem::take(&mut self.status.common.nodes);
        for node in &mut nodes {
            match self.listed(node.pod.clone(), node.host_id.clone()) {
                None => {}
                Some(Answer::Files { count, bytes }) => {
                    heard_of(node);
                    all =
                        all.map(|(files, size)| (files.saturating_add(*count), size.saturating_add(*bytes)));
                }
                Some(Answer::Silence(why)) => {
                    node::silent(node, why, now);
                    if node::is_out_of_reach(node, now) {
                        heard_of(node);
                        self.unlisted.get_or_insert_with(|| why.clone());
                        all = None;
                    } else {
                        let message = format!("what was uploaded cannot be listed: {why}");
                        self.making.hold(Wait::new(Reason::SidecarUnreachable, message));
                    }
                }
                Some(_) => all = None,
            }
        }
        self.status.common.nodes = nodes;
        if !self.making.ask.is_empty() || self.making.wait.is_some() {
            return;
        }
        self.size = all.and_then(|(_, size)| i64::try_from(size).ok());
        let empty = all.is_some_and(|(files, _)| files == 0).then(|| {
            let message = "no node lists a file of it, so there is nothing to restore: either the tables are empty, or \
                           their files have names that this sidecar does not know; set \
                           uuid_sstable_identifiers_enabled: false in cassandra.yaml and rewrite the files, or take a \
                           newer sidecar";
            (Reason::BackupEmpty, message.to_owned())
        });
        self.over(empty);
    }
}

/// Nothing is wrong with the node any more.
fn heard_of(node: &mut NodeStatus) {
    node.silent_since = None;
    node.message = None;
}
