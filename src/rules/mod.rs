//! Pure rules: an object and the facts to findings.
//!
//! No clock, no client, nothing asynchronous: what a rule needs is an argument. Every finding of an object is
//! reported at once. One file per subject; [`catalogue`] lists all rules.

pub mod catalogue;
pub mod defaults;
pub mod facts;
pub mod finding;
pub mod policy;
pub mod status;
pub mod subject;
pub mod transition;

mod cluster;
mod entities;
mod reference;
mod restore;
mod schedule;
mod secret;
mod storage;

#[cfg(test)]
mod tests;

use facts::Facts;
use finding::Findings;
use policy::Context;
use subject::Subject;

/// Judges an object as it stands, whatever it was before.
///
/// Findings come in the order of the spec, so that a user reads them from top to bottom.
#[must_use]
pub fn judge(subject: &Subject, facts: &Facts, context: &Context) -> Findings {
    let mut found = Findings::default();
    cluster::judge(subject, facts, context, &mut found);
    match subject {
        Subject::Backup(backup) => {
            storage::judge(backup, facts, &mut found);
            schedule::judge(backup, context, &mut found);
            entities::well_formed(&backup.entities, backup.spec.entities.as_deref(), &mut found);
        }
        Subject::Restore(own) => {
            restore::judge(own, facts, context, &mut found);
            entities::well_formed(&own.entities, own.spec.entities.as_deref(), &mut found);
            entities::within_backup(own, facts, &mut found);
        }
    }
    secret::judge(subject, facts, context, &mut found);
    found
}
