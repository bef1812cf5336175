//! The answers of the sidecars.

use super::archive::Listing;
use super::disruption::Silence;
use super::operations::Operation;
use super::{World, index};
use crate::reconcile::plan::{Answer, Question};

impl World {
    pub(in super::super) fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Ring => return Answer::Ring(self.ring()),
            Question::RingViews => return self.ring_views(),
            _ => {}
        }
        let (Question::Busy { pod }
        | Question::Mode { pod }
        | Question::Operation { pod, .. }
        | Question::Sent { pod, .. }
        | Question::Stored { pod, .. }
        | Question::Others { pod }
        | Question::Files { pod, .. }) = question
        else {
            unreachable!()
        };
        let node = &self.nodes[index(pod)];
        if self.now < node.down_until || !node.runs() || node.silence != Silence::None {
            return Answer::Unavailable("connection refused".to_owned());
        }
        let matches = |operation: &&Operation| match question {
            Question::Operation { id, .. } => operation.report.id == *id,
            Question::Sent { phase, .. } => {
                operation.task.phase() == *phase
                    && operation.tag == self.uploads.tag
                    && operation.owner == self.owner
            }
            _ => operation.is_running(),
        };
        match question {
            Question::Mode { .. } => Answer::Mode(node.mode.clone()),
            Question::Stored { .. } | Question::Files { .. } if !self.can_list() => Answer::Unsupported,
            Question::Stored { .. } | Question::Files { .. } if self.listing == Listing::Endless => {
                Answer::Unavailable("its listing takes long; it is asked again".to_owned())
            }
            Question::Files { .. } | Question::Stored { .. } if self.now < self.unlisted_until => {
                Answer::Unavailable("Access Denied".to_owned())
            }
            Question::Stored { snapshot, .. } => {
                self.listings.set(self.listings.get() + 1);
                Answer::Stored(self.lists_part(index(pod), snapshot))
            }
            Question::Files { .. } => {
                let files = u64::from(self.lists_part(index(pod), &self.uploads.tag));
                Answer::Files {
                    count: files * 8,
                    bytes: files * 4096,
                }
            }
            Question::Others { .. } => Answer::Operations(node.others.clone()),
            _ => {
                let operations = node
                    .operations
                    .iter()
                    .filter(|operation| operation.is_known(self.now));
                let operations = operations.filter(matches);
                Answer::Operations(operations.map(|operation| operation.reported(self.now)).collect())
            }
        }
    }
}
