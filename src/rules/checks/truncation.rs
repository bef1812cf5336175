//! Restores that empty more tables than they refill.
//!
//! Observed on the real sidecar, each with the state COMPLETED: a restore without entities empties every user table; a
//! restore of a keyspace empties the tables that were created since the backup; a restore of one datacenter empties the
//! replicas of all others.
//!
//! Cassandra keeps the folder of a dropped table, with its snapshot. Icarus 2.0.4 and 3.0.0 find tables by their folders,
//! and their TRUNCATE fails for that table when others may already be empty (observed). It does not look for tables that
//! the restore does not name.

use crate::api::CONFIRM_ANNOTATION;
use crate::domain::entities::Entities;

use crate::rules::catalogue::{
    RESTORE_PARTIAL_DATACENTER, RESTORE_TRUNCATES_EVERYTHING, RESTORE_TRUNCATES_KEYSPACE, Rule, Severity,
};
use crate::rules::facts::Facts;
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Restore, non_empty};

const ENTITIES: &str = "spec.entities";

/// Reports restores that empty more than they refill, at the severity of `--restore-guard`.
pub(super) fn check(restore: &Restore, facts: &Facts, context: &Context, findings: &mut Findings) {
    let entities = restore.effective_entities(facts.found_backup());
    let whole_keyspaces = entities.and_then(|entities| whole_keyspaces(restore, &entities));
    findings.extend(
        [whole_keyspaces, one_datacenter(restore, facts)]
            .into_iter()
            .flatten()
            .map(|finding| {
                let severity = context.restore_guard_severity();
                let remedy = match severity {
                    Severity::Deny if !restore.meta.confirms(finding.rule) => how_to_confirm(finding.rule),
                    _ => String::new(),
                };
                Finding {
                    message: finding.message.clone() + &remedy,
                    ..finding.severity(severity)
                }
            }),
    );
}

fn how_to_confirm(rule: &Rule) -> String {
    format!(
        "; if this is intended, annotate {CONFIRM_ANNOTATION}: {}",
        rule.id
    )
}

/// Reports a restore of everything or of whole keyspaces.
fn whole_keyspaces(restore: &Restore, entities: &Entities) -> Option<Finding> {
    let inherited = matches!(restore.entities, Ok(Entities::Everything));
    match entities {
        Entities::Tables(_) => None,
        Entities::Everything => {
            let rule = &RESTORE_TRUNCATES_EVERYTHING;
            let message = "the restore empties every table but Cassandra's own, also those that the backup does not contain, and may fail if a \
                           dropped table left its folder; name the tables";
            Some(Finding::deny(rule, ENTITIES, Cause::Required, message))
        }
        Entities::Keyspaces(_) => {
            let rule = &RESTORE_TRUNCATES_KEYSPACE;
            let message = "empties all its tables, also those created since the backup, and may fail if a dropped table left its \
                           folder; name the tables";
            let origin = if inherited { "(from the backup) " } else { "" };
            Some(
                Finding::deny(rule, ENTITIES, Cause::Invalid, format!("{origin}{message}"))
                    .value(entities.abbreviated()),
            )
        }
    }
}

/// Reports a restore of one of several datacenters: TRUNCATE empties a table on the whole ring, and only the nodes of this
/// datacenter import their data.
fn one_datacenter(restore: &Restore, facts: &Facts) -> Option<Finding> {
    let requested = non_empty(restore.spec.datacenter.as_deref())?;
    let cluster = facts.found_cluster()?;
    let others: Vec<&str> = cluster
        .datacenters
        .iter()
        .map(String::as_str)
        .filter(|dc| *dc != requested)
        .collect();
    if others.is_empty() {
        return None;
    }
    let rule = &RESTORE_PARTIAL_DATACENTER;
    // Only a backup of all datacenters can restore the others.
    let covers_all = facts
        .found_backup()
        .is_some_and(|backup| restore.coverage(backup).datacenter().is_none());
    let remedy = if covers_all {
        "restore the whole ring, or repair it afterwards"
    } else {
        "repair the ring afterwards"
    };
    let message = format!(
        "the tables are emptied in {} too and not refilled there; {remedy}",
        others.join(", ")
    );
    Some(Finding::deny(rule, "spec.datacenter", Cause::Invalid, message).value(requested))
}
