//! A restore of a part of its backup is never outside the backup.

use cassgate::rules::policy::Executor;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

use crate::gate::{Gate, object};
use crate::inputs::{items, world};

/// The entities of a backup, and a part of them: some keyspaces, some tables, or tables of its keyspaces.
fn backup_and_part() -> impl Strategy<Value = (String, String)> {
    items().prop_flat_map(|held| {
        let some = subsequence(held.clone(), 1..=held.len());
        (Just(held), some, any::<bool>()).prop_map(|(held, part, as_tables)| {
            let narrow = |name: &String| {
                let is_keyspace = !name.contains('.');
                if is_keyspace && as_tables {
                    format!("{name}.anything")
                } else {
                    name.clone()
                }
            };
            (
                held.join(","),
                part.iter().map(narrow).collect::<Vec<_>>().join(" "),
            )
        })
    })
}

proptest! {
    #[test]
    fn a_restore_drawn_from_its_backup_is_never_outside((held, part) in backup_and_part(), everything in any::<bool>()) {
        let mut world = world();
        let held = if everything { String::new() } else { held };
        let spec = json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "t", "secret": "s3",
                          "entities": held});
        let mut backup = object("CassandraBackup", "b1", &spec);
        backup["status"] = json!({"condition": {"type": "COMPLETED"}});
        world.objects.push(backup);
        let gate = Gate::new(world, Executor::Casskop);
        let spec = json!({"cassandraCluster": "c1", "cassandraBackup": "b1", "entities": part});
        let (_, answer) = gate.pass("CREATE", &object("CassandraRestore", "r1", &spec), &Value::Null);
        for cause in answer.causes() {
            let text = cause["message"].as_str().unwrap();
            let outside = ["[cassgate entities-outside-backup]", "[cassgate entities-wider-than-backup]", "[cassgate entities-malformed]"];
            prop_assert!(!outside.iter().any(|rule| text.ends_with(rule)), "{}", cause);
        }
    }
}
