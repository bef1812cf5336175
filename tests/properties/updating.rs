//! Properties of updates that change no meaning, such as those of CassKop and of manifests that are applied again.

use cassgate::api::Kind;
use cassgate::rules::policy::Executor;
use cassgate::rules::spec_change::{changed_fields, normalized};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::gate::{Gate, object};
use crate::inputs::{backup_spec, restore_spec};
use crate::world::World;

/// The optional text fields of both kinds.
const TEXTS: [&str; 5] = ["bandwidth", "datacenter", "duration", "schedule", "secret"];

fn any_spec() -> impl Strategy<Value = (Kind, Value)> {
    prop_oneof![
        backup_spec().prop_map(|spec| (Kind::Backup, spec)),
        restore_spec().prop_map(|spec| (Kind::Restore, spec)),
    ]
}

/// Returns the spec with every absent text written as an empty one, and the entities written in another way.
fn written_out(kind: Kind, spec: &Value) -> Value {
    let mut spec = spec.clone();
    let fields = spec.as_object_mut().unwrap();
    for field in TEXTS
        .into_iter()
        .filter(|field| kind == Kind::Backup || *field == "datacenter")
    {
        fields.entry(field).or_insert_with(|| json!(""));
    }
    if let Some(Value::String(entities)) = fields.get_mut("entities")
        && entities.contains(',')
    {
        let mut items: Vec<&str> = entities.split(',').rev().collect();
        items.extend(items.first().copied());
        *entities = items.join(" ,\n");
    }
    spec
}

proptest! {
    #[test]
    fn an_update_that_changes_no_meaning_is_admitted_without_a_warning(
        (kind, spec) in any_spec(),
        state in select(vec!["", "REQUIRED", "RUNNING", "COMPLETED", "FAILED"]),
        executor in select(vec![Executor::Casskop, Executor::Cassgate, Executor::None]),
    ) {
        // The references are gone: an update without a change is not judged.
        let gate = Gate::new(World::default(), executor);
        let stored = |spec: &Value| {
            let mut object = object(kind.as_str(), "o1", spec);
            if !state.is_empty() {
                object["status"] = json!({"condition": {"type": state}});
            }
            object
        };
        let forms = [spec.clone(), normalized(kind, &spec), written_out(kind, &spec)];
        for before in &forms {
            for after in &forms {
                let (_, answer) = gate.pass("UPDATE", &stored(after), &stored(before));
                prop_assert!(answer.allowed(), "{before} to {after}: {answer:?}");
                prop_assert_eq!(&answer.response["warnings"], &Value::Null, "{} to {}", before, after);
            }
        }
    }

    #[test]
    fn a_normalized_spec_stays_as_it_is((kind, spec) in any_spec()) {
        let once = normalized(kind, &spec);
        prop_assert_eq!(&normalized(kind, &once), &once);
        let fields = changed_fields(kind, &json!({"spec": spec}), &json!({"spec": once}));
        prop_assert_eq!(fields, Vec::<String>::new());
    }

    #[test]
    fn a_change_of_a_started_one_shot_is_denied_with_its_field((kind, mut spec) in any_spec(), tag in "[a-z]{30}") {
        let gate = Gate::new(World::default(), Executor::None);
        let field = if kind == Kind::Backup { "snapshotTag" } else { "cassandraBackup" };
        spec.as_object_mut().unwrap().remove("schedule");
        let mut old = object(kind.as_str(), "o1", &spec);
        old["status"] = json!({"condition": {"type": "COMPLETED"}});
        let mut new = old.clone();
        new["spec"][field] = json!(tag);
        let (_, answer) = gate.pass("UPDATE", &new, &old);
        let path = format!("spec.{field}");
        prop_assert!(answer.causes().iter().any(|cause| cause["field"] == path.as_str()), "{answer:?}");
    }
}
