//! Other restores of the same cluster.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::rules::facts::{Neighbours, StoredRestore};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// Returns a restore that was created `minutes` ago.
fn other(name: &str, state: Option<&str>, minutes: i64) -> Arc<StoredRestore> {
    Arc::new(StoredRestore {
        name: name.to_owned(),
        cluster: "c1".to_owned(),
        run: state.map_or(Run::Never, |state| Run::State(state.into())),
        created: Some(NOW - SignedDuration::from_mins(minutes)),
        ..StoredRestore::default()
    })
}

fn facts_with_restores(others: Vec<Arc<StoredRestore>>) -> (Facts, Context) {
    let facts = Facts {
        neighbours: Neighbours {
            restores_with_copies: others,
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
fn an_abandoned_restore_does_not_hide_a_running_one() {
    for stale in [Some("REQUIRED"), None] {
        let abandoned = other("stale", stale, 61);
        for young in [Some("RUNNING"), Some("PENDING"), Some("REQUIRED"), None] {
            let (facts, context) =
                facts_with_restores(vec![Arc::clone(&abandoned), other("young", young, 5)]);
            for (subject, rule) in [
                (restore(&json!({})), "restore-in-progress"),
                (backup(&json!({"schedule": null})), "backup-during-restore"),
            ] {
                let finding = of_rule(&judge(&subject, &facts, &context), rule);
                assert_eq!(
                    (finding.severity, finding.path.as_str()),
                    (Severity::Deny, "spec.cassandraCluster")
                );
                let condition = young.unwrap_or("not started");
                let start = format!("restore young of this cluster is {condition} (created 5 min ago)");
                assert!(finding.message.starts_with(&start), "{}", finding.message);
            }
        }
    }
}

#[test]
fn abandoned_restores_only_warn() {
    let all = vec![other("a", Some("REQUIRED"), 90), other("b", None, 180)];
    let (facts, context) = facts_with_restores(all);
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
