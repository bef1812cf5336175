//! The rules, one file per subject.
//!
//! A rule is a pure function from an object and the facts to findings. The order in which the rules run is the order
//! of the fields in the spec, so that a user reads the findings from top to bottom.

mod cluster;
mod entities;
mod executor;
mod place;
mod reference;
mod rename;
mod restore;
mod schedule;
mod secret;
mod snapshot;
mod storage;
mod tag;
mod transfer;
pub mod transition;
mod truncation;
mod turn;

use crate::rules::facts::Facts;
use crate::rules::finding::Findings;
use crate::rules::policy::Context;
use crate::rules::subject::{Backup, Restore, Subject};

/// Judges an object as it stands, whatever it was before.
///
/// Findings come in the order of the spec, so that a user reads them from top to bottom.
#[must_use]
pub fn judge(subject: &Subject, facts: &Facts, context: &Context) -> Findings {
    let mut found = Findings::default();
    cluster::judge(subject, facts, context, &mut found);
    match subject {
        Subject::Backup(own) => backup(own, facts, context, &mut found),
        Subject::Restore(own) => restore(own, facts, context, &mut found),
    }
    secret::judge(subject, facts, context, &mut found);
    executor::judge(subject, context, &mut found);
    found.doubt(&facts.neighbours.unreadable);
    found.confirm(|rule| subject.meta().confirms(rule));
    found
}

fn backup(own: &Backup, facts: &Facts, context: &Context, found: &mut Findings) {
    turn::backup(own, facts, context, found);
    storage::judge(own, facts, found);
    tag::judge(own, facts, context, found);
    schedule::judge(own, context, found);
    transfer::judge(own, facts, context, found);
    executor::numbers(own, context, found);
    entities::well_formed(&own.entities, own.spec.entities.as_deref(), found);
    found.extend(entities::name_case(&own.entities, None));
}

fn restore(own: &Restore, facts: &Facts, context: &Context, found: &mut Findings) {
    restore::judge(own, facts, context, found);
    snapshot::judge(own, facts, context, found);
    if let Some(backup) = facts.found_backup() {
        found.extend(tag::ambiguous(own, backup, facts, context));
    }
    turn::restore(own, facts, context, found);
    truncation::judge(own, facts, context, found);
    entities::well_formed(&own.entities, own.spec.entities.as_deref(), found);
    entities::within_backup(own, facts, found);
    let known = facts
        .found_backup()
        .and_then(|backup| backup.spec.entities.as_deref());
    found.extend(entities::name_case(&own.entities, known));
    rename::judge(own, facts, found);
    place::judge(own, found);
    found.extend(transfer::connections(
        "spec.concurrentConnection",
        own.spec.concurrent_connection,
    ));
}
