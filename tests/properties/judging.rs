//! Properties of the validating webhook.

use cassgate::rules::policy::Executor;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::gate::{Answer, Gate, object};
use crate::inputs::{any_items, any_value, world};

/// Returns field and rule of each finding.
fn rules_by_field(answer: &Answer) -> Vec<(String, String)> {
    let of = |field: &Value, text: &str| {
        let rule = text.rsplit_once("[cassgate ").unwrap().1;
        (field.as_str().unwrap().to_owned(), rule.to_owned())
    };
    let warnings = answer.response["warnings"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let warned = warnings.iter().map(|text| text.as_str().unwrap());
    let mut rules: Vec<_> = warned.map(|text| of(&json!("warning"), text)).collect();
    rules.extend(
        answer
            .causes()
            .iter()
            .map(|cause| of(&cause["field"], cause["message"].as_str().unwrap())),
    );
    rules.sort();
    rules
}

/// Sends a creation, an update and a deletion of the object.
fn send_all(gate: &Gate, object: &Value, old: &Value) {
    gate.pass("CREATE", object, &Value::Null);
    gate.pass("UPDATE", object, old);
    gate.ask("/validate", "DELETE", &Value::Null, object);
}

proptest! {
    #[test]
    fn no_verdict_depends_on_the_order_of_entities(
        (own, shuffled) in any_items().prop_flat_map(|own| (Just(own.clone()), Just(own).prop_shuffle())),
        (held, turned) in any_items().prop_flat_map(|held| (Just(held.clone()), Just(held).prop_shuffle())),
        separator in prop_oneof![Just(","), Just(" "), Just(" ,\n")],
    ) {
        let answers = [(own, held, ","), (shuffled, turned, separator)].map(|(own, held, separator)| {
            let mut world = world();
            let spec = json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t", "secret": "s3",
                              "entities": held.join(separator)});
            world.objects.push(object("CassandraBackup", "b1", &spec));
            let gate = Gate::new(world, Executor::None);
            let restore = json!({"cassandraCluster": "c1", "cassandraBackup": "b1", "entities": own.join(separator)});
            let backup = gate.ask("/validate", "CREATE", &object("CassandraBackup", "b2", &spec), &Value::Null);
            let restore = gate.ask("/validate", "CREATE", &object("CassandraRestore", "r1", &restore), &Value::Null);
            (rules_by_field(&backup), rules_by_field(&restore))
        });
        let [first, second] = answers;
        prop_assert_eq!(first, second);
    }

    #[test]
    fn no_object_makes_the_webhook_panic(
        spec in any_value(), status in any_value(), metadata in any_value(), old in any_value(), restore in any::<bool>(),
    ) {
        let kind = if restore { "CassandraRestore" } else { "CassandraBackup" };
        let gate = Gate::new(world(), Executor::Casskop);
        let old = json!({"kind": kind, "spec": old, "status": status});
        send_all(&gate, &json!({"kind": kind, "spec": spec, "status": old["status"]}), &old);
        // Metadata that is not an object makes the review malformed, so only the name is random.
        let named = json!({"kind": kind, "metadata": {"name": metadata.to_string()}, "spec": spec});
        send_all(&gate, &named, &old);
    }

    #[test]
    fn no_field_of_a_valid_object_makes_the_webhook_panic(
        field in prop_oneof![
            Just("cassandraCluster"), Just("cassandraBackup"), Just("storageLocation"), Just("datacenter"),
            Just("schedule"), Just("timeZone"), Just("snapshotTag"), Just("duration"), Just("bandwidth"),
            Just("entities"), Just("secret"), Just("rename"), Just("schemaVersion"), Just("cassandraDirectory"),
            Just("snapshot"), Just("retention"), Just("concurrentConnections"), Just("concurrentConnection"),
        ],
        value in any_value(),
    ) {
        let gate = Gate::new(world(), Executor::Casskop);
        let backup = json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "secret": "s3"});
        let restore = json!({"cassandraCluster": "c1", "cassandraBackup": "tables", "entities": "k1.t1"});
        for (kind, sound) in [("CassandraBackup", backup), ("CassandraRestore", restore)] {
            let old = object(kind, "x1", &sound);
            let mut new = old.clone();
            new["spec"][field] = value.clone();
            send_all(&gate, &new, &old);
        }
    }
}
