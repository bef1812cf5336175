//! Other restores of the same cluster.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::rules::facts::{Neighbours, StoredRestore};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A restore that was created so many minutes ago.
fn other(name: &str, state: Option<&str>, minutes: i64) -> Arc<StoredRestore> {
    Arc::new(StoredRestore {
        name: name.to_owned(),
        cluster: "c1".to_owned(),
        run: state.map_or(Run::Never, |state| Run::State(state.into())),
        created: Some(NOW - SignedDuration::from_mins(minutes)),
        ..StoredRestore::default()
    })
}

fn beside(others: Vec<Arc<StoredRestore>>) -> (Facts, Context) {
    let facts = Facts {
        neighbours: Neighbours {
            unfinished_restores: others,
            ..Neighbours::default()
        },
        ..facts()
    };
    let context = Context {
        now: NOW,
        ..acting(Executor::Casskop)
    };
    (facts, context)
}

#[test]
fn a_restore_that_was_given_up_does_not_hide_one_that_runs() {
    for stale in [Some("REQUIRED"), None] {
        let stale = other("stale", stale, 61);
        for young in [Some("RUNNING"), Some("PENDING"), Some("REQUIRED"), None] {
            let (facts, context) = beside(vec![Arc::clone(&stale), other("young", young, 5)]);
            for (subject, rule) in [
                (restore(&json!({})), "restore-in-progress"),
                (backup(&json!({"schedule": null})), "backup-during-restore"),
            ] {
                let finding = of_rule(&judge(&subject, &facts, &context), rule);
                assert_eq!(
                    (finding.severity, finding.path.as_str()),
                    (Severity::Deny, "spec.cassandraCluster")
                );
                let said = young.unwrap_or("not begun");
                let begin = format!("restore young of this cluster is {said} (created 5 min ago)");
                assert!(finding.message.starts_with(&begin), "{}", finding.message);
            }
        }
    }
}

#[test]
fn restores_that_were_given_up_only_warn() {
    let all = vec![other("a", Some("REQUIRED"), 90), other("b", None, 180)];
    let (facts, context) = beside(all);
    let finding = of_rule(
        &judge(&restore(&json!({})), &facts, &context),
        "restore-in-progress",
    );
    assert_eq!(finding.severity, Severity::Warn);
    assert!(
        finding
            .message
            .starts_with("restore a of this cluster is REQUIRED (created 90 min ago)"),
        "{}",
        finding.message
    );
}
