//! Objects that require cassgate as executor, and whose fields CassKop's CRDs have dropped.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::harness::{BackupRun, Planned, RestoreRun, Run};
use crate::api::{Kind, REQUIRES_ANNOTATION, REQUIRES_EXECUTOR};
use crate::reconcile::plan::needs::Needs;
use crate::rules::facts::Facts;
use crate::rules::policy::{Context, Executor, Policy};
use crate::rules::subject::Metadata;
use crate::rules::{decode, judge};

/// Returns what the rules refuse of a stored object, as the executor asks them.
fn judged(kind: Kind, object: &impl Serialize) -> Needs {
    let value = serde_json::to_value(object).unwrap();
    let annotation = |name: &str| {
        let annotations = value.pointer("/metadata/annotations")?;
        annotations.get(name)?.as_str().map(str::to_owned)
    };
    let meta = Metadata::new("prod".to_owned(), "described".to_owned(), annotation, |_| None);
    let subject = decode::subject_from_value(kind, value.get("spec"), meta).unwrap();
    let context = Context {
        policy: Policy {
            executor: Executor::Cassgate,
            ..Policy::default()
        },
        dry_run: false,
        creating: false,
        now: Timestamp::UNIX_EPOCH,
    };
    Needs::from_findings(&judge(&subject, &Facts::default(), &context))
}

fn require_executor<O: Planned>(run: &mut Run<O>) {
    let annotations = run.object.meta_mut().annotations.get_or_insert_default();
    annotations.insert(REQUIRES_ANNOTATION.to_owned(), REQUIRES_EXECUTOR.to_owned());
}

/// Reconciles for an hour. Nothing may be sent, and the conditions say why.
fn is_left_alone<O: Planned + Serialize>(kind: Kind, mut run: Run<O>) {
    require_executor(&mut run);
    run.wait = judged(kind, &run.object).refused;
    for _ in 0..60 {
        let actions = run.step();
        assert_eq!(actions.requests, []);
        run.world.advance(SignedDuration::from_mins(1));
    }
    assert_eq!(run.world.arrived, []);
    assert_eq!(run.state(), "");
    let (reason, message) = run.reason("Stalled").unwrap();
    assert_eq!(reason, "Refused");
    assert!(message.contains("[cassgate executor-required]"), "{message}");
    assert!(message.contains(REQUIRES_ANNOTATION), "{message}");
}

#[test]
fn an_object_whose_fields_were_dropped_is_left_alone() {
    is_left_alone(Kind::Backup, BackupRun::new(2));
    is_left_alone(Kind::Restore, RestoreRun::new(2));
}

#[test]
fn an_object_whose_fields_are_there_is_not_refused_for_its_annotation() {
    let mut described = BackupRun::new(2);
    require_executor(&mut described);
    described.object.spec.suspend = Some(true);
    let mut restore = RestoreRun::new(2);
    require_executor(&mut restore);
    restore.object.spec.snapshot =
        Some("nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776".to_owned());
    for needs in [
        judged(Kind::Backup, &described.object),
        judged(Kind::Restore, &restore.object),
    ] {
        let refused = needs.refused.map(|wait| wait.message).unwrap_or_default();
        assert!(!refused.contains("[cassgate executor-required]"), "{refused}");
    }
}
