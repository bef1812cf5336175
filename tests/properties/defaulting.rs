//! Properties of the mutating webhook: it adds defaults and changes nothing else.

use std::collections::BTreeSet;

use cassgate::api::Kind;
use cassgate::rules::defaults::{Inputs, fill};
use cassgate::rules::facts::StoredBackup;
use cassgate::rules::policy::Executor;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::gate::{Answer, Gate};
use crate::inputs::{any_object, any_value, backup_spec, restore_spec, world};

/// Any JSON value, mostly an object with a spec of a backup or restore.
fn any_tree() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => prop_oneof![backup_spec(), restore_spec()].prop_map(|spec| json!({"spec": spec})),
        1 => any_value().prop_map(|spec| json!({"spec": spec})),
        1 => any_value(),
    ]
}

fn stored(spec: &Value) -> StoredBackup {
    StoredBackup {
        name: "b".to_owned(),
        spec: serde_json::from_value(spec.clone()).unwrap(),
        ..StoredBackup::default()
    }
}

/// Returns the rules of denials and the rules of warnings.
fn rules(answer: &Answer) -> (BTreeSet<String>, BTreeSet<String>) {
    let rule = |text: &str| text.rsplit_once("[cassgate ").unwrap().1.to_owned();
    let denied = answer.causes();
    let warned = answer.response["warnings"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    (
        denied
            .iter()
            .map(|cause| rule(cause["message"].as_str().unwrap()))
            .collect(),
        warned.iter().map(|text| rule(text.as_str().unwrap())).collect(),
    )
}

proptest! {
    #[test]
    fn defaults_applied_twice_change_nothing(
        object in any_tree(), old in option::of(any_tree()), backup in option::of(backup_spec()), restore in any::<bool>(),
    ) {
        let kind = if restore { Kind::Restore } else { Kind::Backup };
        let backup = backup.as_ref().map(stored);
        let inputs = Inputs { old: old.as_ref(), backup: backup.as_ref(), now_ms: 1 };
        let mut once = object;
        fill(kind, &mut once, inputs);
        let mut twice = once.clone();
        fill(kind, &mut twice, Inputs { now_ms: 2, ..inputs });
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn the_patch_applies_to_the_original_and_adds_only_absent_fields(
        object in any_object(), old in option::of(any_object()), meta in any_value(),
    ) {
        let gate = Gate::new(world(), Executor::Casskop);
        let mut object = object;
        object["metadata"]["annotations"] = json!({"x": meta.to_string()});
        // An update never changes the kind.
        let old = old.filter(|old| old["kind"] == object["kind"]).unwrap_or_default();
        let operation = if old.is_null() { "CREATE" } else { "UPDATE" };
        let answer = gate.ask("/mutate", operation, &object, &old);
        prop_assert!(answer.allowed());
        for change in answer.patch() {
            let path = change["path"].as_str().unwrap();
            prop_assert_eq!(&change["op"], "add");
            prop_assert!(path.starts_with("/spec/") && object.pointer(path).is_none(), "{}", change);
        }
        let mut filled = answer.applied(&object);
        for change in answer.patch() {
            let field = change["path"].as_str().unwrap().strip_prefix("/spec/").unwrap().to_owned();
            filled["spec"].as_object_mut().unwrap().remove(&field);
        }
        prop_assert_eq!(filled, object);
    }

    #[test]
    fn defaults_do_not_change_the_verdict(object in any_object()) {
        for executor in [Executor::Casskop, Executor::Cassgate, Executor::None] {
            let gate = Gate::new(world(), executor);
            let before = gate.ask("/validate", "CREATE", &object, &Value::Null);
            let (filled, after) = gate.pass("CREATE", &object, &Value::Null);
            prop_assert_eq!(rules(&after), rules(&before), "{}", filled);
        }
    }

    #[test]
    fn an_admitted_object_is_admitted_again_unchanged(object in any_object()) {
        for executor in [Executor::Casskop, Executor::Cassgate, Executor::None] {
            let gate = Gate::new(world(), executor);
            let (stored, answer) = gate.pass("CREATE", &object, &Value::Null);
            if !answer.allowed() {
                continue;
            }
            // Applied again in stored and in original form, and re-created as by a backup tool.
            for (operation, new, old) in
                [("UPDATE", &stored, &stored), ("UPDATE", &object, &stored), ("CREATE", &stored, &Value::Null)]
            {
                let (kept, answer) = gate.pass(operation, new, old);
                prop_assert!(answer.allowed(), "{}", answer.response);
                prop_assert_eq!(&kept, &stored);
            }
        }
    }
}
