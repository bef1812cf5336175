//! Giving a restore up, and the requests of a user to do so.

use jiff::SignedDuration;

use super::RestorePlanner;
use crate::api::{ABANDON_ANNOTATION, GivingUp, Phase, Reason};
use crate::reconcile::plan::timing::{add, whole_seconds};

/// Maximum time for the cleanup of a restore that is given up. After it a folder may stay behind.
const CLEANUP_TIMEOUT: SignedDuration = SignedDuration::from_mins(15);

impl RestorePlanner<'_> {
    /// Handles a deletion of the restore, and the annotation to give the restore up.
    pub(super) fn handle_give_up_requests(&mut self) {
        if self.status.giving_up.is_some() {
            return;
        }
        if self.has_abandon_annotation() && self.status.phase() != Some(Phase::Cleanup) {
            let message = format!("the annotation {ABANDON_ANNOTATION} is set");
            self.give_up(Reason::Abandoned, message, None);
        } else if self.is_deleted() && !self.may_have_emptied() {
            self.give_up_deleted();
        }
    }

    /// Gives a deleted restore up that has emptied no table.
    pub(super) fn give_up_deleted(&mut self) {
        let message = "the restore was deleted before any table was emptied".to_owned();
        self.give_up(Reason::Deleted, message, None);
    }

    /// Gives the restore up.
    ///
    /// While no table can have been emptied, no row is lost: the downloaded files are deleted, and nothing is sent that
    /// this plan had planned before. The outcome of a `TRUNCATE` under way is awaited. After an import the tables are
    /// emptied once more and stay empty, so that no partly imported file is loaded later.
    pub(super) fn give_up(&mut self, reason: Reason, message: String, source: Option<String>) {
        self.status.giving_up = Some(GivingUp {
            reason: reason.as_str().to_owned(),
            message,
            source,
            since: whole_seconds(self.observation.now),
        });
        if self.may_have_emptied() {
            return;
        }
        self.plan.close();
        if self.status.phase() == Some(Phase::Init) {
            self.end();
        } else {
            self.enter(Phase::Cleanup);
        }
    }

    /// Returns true if the cleanup of a restore that is given up has taken too long.
    pub(super) fn cleanup_timed_out(&self) -> bool {
        let giving_up = self.status.giving_up.as_ref();
        giving_up.is_some_and(|giving_up| add(&giving_up.since, CLEANUP_TIMEOUT) <= self.observation.now)
    }

    fn has_abandon_annotation(&self) -> bool {
        let annotations = self.restore.metadata.annotations.as_ref();
        annotations.is_some_and(|annotations| annotations.contains_key(ABANDON_ANNOTATION))
    }
}
