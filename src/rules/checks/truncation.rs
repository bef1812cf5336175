//! What a restore empties beyond what it fills.
//!
//! Seen on the real sidecar, each with the state COMPLETED: an empty list empties every table of the users; a keyspace
//! empties the tables that were made since the backup; a datacenter empties the replicas of all the others.

use crate::api::{CONFIRM_ANNOTATION, LAST_RESTORE_ANNOTATION};
use crate::domain::entities::Entities;

use crate::rules::catalogue::{
    RESTORE_PARTIAL_DATACENTER, RESTORE_RECREATED, RESTORE_TRUNCATES_EVERYTHING, RESTORE_TRUNCATES_KEYSPACE,
    Rule, Severity,
};
use crate::rules::facts::Facts;
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::Context;
use crate::rules::subject::{Restore, written};

const ENTITIES: &str = "spec.entities";

pub(super) fn judge(restore: &Restore, facts: &Facts, context: &Context, found: &mut Findings) {
    found.extend(recreated(restore, facts, context));
    let entities = restore.effective_entities(facts.found_backup());
    let whole = entities.and_then(|entities| whole(restore, &entities));
    found.extend(
        [whole, partial(restore, facts)]
            .into_iter()
            .flatten()
            .map(|finding| {
                let severity = context.guarded();
                let way_out = match severity {
                    Severity::Deny if !restore.meta.confirms(finding.rule) => confirm(finding.rule),
                    _ => String::new(),
                };
                Finding {
                    message: finding.message.clone() + &way_out,
                    ..finding.severity(severity)
                }
            }),
    );
}

fn confirm(rule: &Rule) -> String {
    format!("; where it is meant, annotate {CONFIRM_ANNOTATION}: {}", rule.id)
}

fn whole(restore: &Restore, entities: &Entities) -> Option<Finding> {
    let own = !matches!(restore.entities, Ok(Entities::Everything));
    match entities {
        Entities::Tables(_) => None,
        Entities::Everything => {
            let rule = &RESTORE_TRUNCATES_EVERYTHING;
            let message = "empties every table but Cassandra's own, also those that the backup does not hold; name what to restore";
            Some(Finding::deny(rule, ENTITIES, Cause::Required, message))
        }
        Entities::Keyspaces(_) => {
            let rule = &RESTORE_TRUNCATES_KEYSPACE;
            let message = "empties all tables of it, also those made since the backup; name the tables";
            let origin = if own { "" } else { "(from the backup) " };
            Some(
                Finding::deny(rule, ENTITIES, Cause::Invalid, format!("{origin}{message}"))
                    .value(entities.abbreviated()),
            )
        }
    }
}

fn partial(restore: &Restore, facts: &Facts) -> Option<Finding> {
    let asked = written(restore.spec.datacenter.as_deref())?;
    let cluster = facts.found_cluster()?;
    let others: Vec<&str> = cluster
        .datacenters
        .iter()
        .map(String::as_str)
        .filter(|dc| *dc != asked)
        .collect();
    if others.is_empty() {
        return None;
    }
    let rule = &RESTORE_PARTIAL_DATACENTER;
    // A backup of one datacenter cannot give back the others.
    let whole = facts
        .found_backup()
        .is_some_and(|backup| written(backup.spec.datacenter.as_deref()).is_none());
    let way_out = if whole {
        "restore the whole ring, or repair it afterwards"
    } else {
        "repair the ring afterwards"
    };
    let message = format!(
        "the tables are emptied in {} too and get nothing back there; {way_out}",
        others.join(", ")
    );
    Some(Finding::deny(rule, "spec.datacenter", Cause::Invalid, message).value(asked))
}

/// Source: Velero labels what it brings back, and brings it back without status; our own executor notes on the backup
/// which restore used it last.
fn recreated(restore: &Restore, facts: &Facts, context: &Context) -> Option<Finding> {
    if !context.creating {
        return None;
    }
    let name = &restore.meta.name;
    let noted = facts
        .found_backup()
        .and_then(|backup| backup.last_restore.as_deref());
    let (path, cause, why) = if restore.meta.velero_restore.is_some() {
        let why = "Velero brings this restore back, and it would run again over what was written since; leave it out, or \
                   take the label off"
            .to_owned();
        ("metadata.labels", Cause::Forbidden, why)
    } else if context.cassgate_acts() && !name.is_empty() && noted == Some(name) {
        let why = format!(
            "a restore of this name has run already ({LAST_RESTORE_ANNOTATION} of its backup); leave it out, or use \
             another name"
        );
        ("metadata.name", Cause::Forbidden, why)
    } else {
        return None;
    };
    let rule = &RESTORE_RECREATED;
    let way_out = if restore.meta.confirms(rule) {
        String::new()
    } else {
        confirm(rule)
    };
    let message = format!("{why}{way_out}");
    Some(Finding::deny(rule, path, cause, message).severity(Severity::Deny))
}
