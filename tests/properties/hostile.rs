//! Hostile sizes: every answer is bounded. Code with quadratic running time would take minutes here, so the tests need no
//! time limit.

use std::fmt::Write as _;

use cassgate::rules::policy::Executor;
use serde_json::{Map, Value, json};

use crate::gate::{Answer, Gate, object};
use crate::inputs::world;
use crate::world::World;

/// Maximum size of an answer, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

const MIB: usize = 1024 * 1024;

fn backup(change: &Value) -> Value {
    let spec =
        json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "secret": "s3", "snapshotTag": "t"});
    changed("CassandraBackup", spec, change)
}

fn restore(change: &Value) -> Value {
    let spec = json!({"cassandraCluster": "c1", "cassandraBackup": "tables", "entities": "k1.t1"});
    changed("CassandraRestore", spec, change)
}

fn changed(kind: &str, mut spec: Value, change: &Value) -> Value {
    json_patch::merge(&mut spec, change);
    object(kind, "x1", &spec)
}

/// Sends the object to both webhooks as a creation and as an update of `old`, and checks the size of every answer. Returns
/// the answer of the validating webhook to the creation.
fn answer_to(world: World, object: &Value, old: &Value) -> Answer {
    let gate = Gate::new(world, Executor::Casskop);
    let bounded = |path: &str, operation: &str, old: &Value| {
        let answer = gate.ask(path, operation, object, old);
        assert!(
            answer.bytes < MAX_ANSWER_BYTES,
            "{path} {operation}: {} bytes",
            answer.bytes
        );
        for cause in answer.causes() {
            let text = cause["message"].as_str().unwrap();
            assert!(text.ends_with(']') || is_rest(text), "{cause}");
            let field = cause["field"].as_str().unwrap();
            assert!(
                !text.contains(char::is_control) && !field.contains(char::is_control),
                "{cause}"
            );
        }
        answer
    };
    bounded("/mutate", "CREATE", &Value::Null);
    bounded("/mutate", "UPDATE", old);
    bounded("/validate", "UPDATE", old);
    bounded("/validate", "CREATE", &Value::Null)
}

/// Returns true if the text is the last cause, which counts the omitted ones.
fn is_rest(text: &str) -> bool {
    text.starts_with("and ") && text.contains(" more; ")
}

/// Asserts that the object is denied with a cause of `rule` for `field`.
fn assert_denied(object: &Value, field: &str, rule: &str) {
    let old = if object["kind"] == "CassandraBackup" {
        backup(&json!({}))
    } else {
        restore(&json!({}))
    };
    let answer = answer_to(world(), object, &old);
    let end = format!(" [cassgate {rule}]");
    let is_it = |cause: &Value| {
        cause["field"].as_str().unwrap().starts_with(field)
            && cause["message"].as_str().unwrap().ends_with(&end)
    };
    assert!(
        answer.causes().iter().any(is_it),
        "no {rule} of {field}: {}",
        answer.response
    );
}

/// Returns `piece`, repeated to 1 MiB.
fn mebibyte(piece: &str) -> String {
    repeated(piece, MIB)
}

/// Returns `piece`, repeated to this many bytes.
fn repeated(piece: &str, length: usize) -> String {
    piece.repeat(length / piece.len() + 1)
}

/// A length that fits the limits of a spec, and one that does not.
const LENGTHS: [usize; 2] = [100 * 1024, MIB];

/// Asserts that the object is denied with a cause of `rule` for `field`; a spec over its limits has another one.
fn assert_denied_at(length: usize, object: &Value, field: &str, rule: &str) {
    if length < MIB {
        assert_denied(object, field, rule);
    } else {
        assert_denied(object, field.trim_end_matches('['), "spec-malformed");
    }
}

#[test]
fn entities_of_a_mebibyte_are_denied() {
    for piece in [
        "k",
        "k1,",
        "k1.t1 ",
        "é",
        "\"",
        "a.b.c,",
        "k1,k2.t2,",
        "\u{1b}[31m",
    ] {
        for length in LENGTHS {
            let entities = json!({"entities": repeated(piece, length)});
            for object in [backup(&entities), restore(&entities)] {
                assert_denied_at(length, &object, "spec.entities", "entities-malformed");
            }
        }
    }
}

#[test]
fn the_maximum_number_of_malformed_items_is_denied() {
    let full = |piece: &str| piece.repeat(32 * 1024 / piece.len());
    for (piece, rule) in [
        ("-,", "entities-malformed"),
        ("a.b.c ", "entities-malformed"),
        ("k1,k2.t2,", "entities-mixed"),
    ] {
        assert_denied(&backup(&json!({"entities": full(piece)})), "spec.entities", rule);
        assert_denied(&restore(&json!({"entities": full(piece)})), "spec.entities", rule);
    }
}

#[test]
fn ten_thousand_renames_are_denied() {
    let map = |name: fn(usize) -> (String, String), count: usize| -> Map<String, Value> {
        (0..count)
            .map(name)
            .map(|(from, into)| (from, json!(into)))
            .collect()
    };
    for name in [
        |n| (format!("k1.a{n}"), format!("k1.b{n}")),
        |n| (format!("k1.a{n}"), "k1.b".to_owned()),
        |n| (format!("k1.a{n}"), format!("k1.a{}", n + 1)),
        |n| (format!("\u{1b}{n}"), String::new()),
    ] as [fn(usize) -> (String, String); 4]
    {
        for (count, rule) in [(8_000, "rename-malformed"), (10_000, "spec-malformed")] {
            assert_denied(
                &restore(&json!({"rename": map(name, count)})),
                "spec.rename",
                rule,
            );
        }
        // And the most that are read.
        let answer = answer_to(
            world(),
            &restore(&json!({"rename": map(name, 1_000)})),
            &restore(&json!({})),
        );
        assert!(!answer.allowed());
    }
}

#[test]
fn a_rename_of_a_mebibyte_is_refused() {
    for length in LENGTHS {
        for (from, into) in [
            (repeated("k", length), "k1.t2".to_owned()),
            ("k1.t1".to_owned(), repeated("k1.t2", length)),
        ] {
            let object = restore(&json!({"rename": {from: into}}));
            assert_denied_at(length, &object, "spec.rename[", "rename-malformed");
        }
    }
}

#[test]
fn a_schedule_of_a_mebibyte_is_refused() {
    for length in LENGTHS {
        for piece in ["1,", "\u{7f}"] {
            let object = backup(&json!({"schedule": repeated(piece, length)}));
            assert_denied_at(length, &object, "spec.schedule", "schedule-malformed");
        }
    }
    // The longest that are read.
    for piece in ["* ", "1,", "\u{7f}", "é"] {
        let text = piece.repeat(4096 / piece.len());
        assert_denied(
            &backup(&json!({"schedule": text})),
            "spec.schedule",
            "schedule-malformed",
        );
    }
    let text = format!("TZ={} 0 3 * * *", "Europe/Berlim".repeat(300));
    assert_denied(
        &backup(&json!({"schedule": text})),
        "spec.schedule",
        "schedule-malformed",
    );
}

#[test]
fn a_storage_location_of_a_mebibyte_has_a_bounded_answer() {
    for length in LENGTHS {
        for text in [
            repeated("s3", length),
            repeated("s3://", length),
            repeated(" ", length),
            format!("file:///{}", repeated("a//", length)),
        ] {
            let object = backup(&json!({"storageLocation": text}));
            assert_denied_at(
                length,
                &object,
                "spec.storageLocation",
                "storage-location-malformed",
            );
        }
    }
    for text in [
        format!("s3://{}", mebibyte("b")),
        format!("file:///{}/b/c/d/n", mebibyte("a/a")),
    ] {
        answer_to(
            world(),
            &backup(&json!({"storageLocation": text})),
            &backup(&json!({})),
        );
    }
}

#[test]
fn any_text_of_a_mebibyte_has_a_bounded_answer() {
    for length in LENGTHS {
        any_text_has_a_bounded_answer(length);
    }
}

fn any_text_has_a_bounded_answer(length: usize) {
    let text = repeated("é\u{1b}[2J\"", length);
    for field in [
        "cassandraCluster",
        "datacenter",
        "secret",
        "snapshotTag",
        "duration",
        "bandwidth",
        "timeZone",
    ] {
        answer_to(world(), &backup(&json!({ field: text })), &backup(&json!({})));
    }
    for field in [
        "cassandraCluster",
        "cassandraBackup",
        "datacenter",
        "secret",
        "schemaVersion",
        "snapshot",
    ] {
        answer_to(world(), &restore(&json!({ field: text })), &restore(&json!({})));
    }
    let object = restore(&json!({"cassandraDirectory": text}));
    assert_denied_at(
        length,
        &object,
        "spec.cassandraDirectory",
        "cassandra-directory-malformed",
    );
}

#[test]
fn fields_of_a_wrong_type_have_a_bounded_answer() {
    for length in [40 * 1024, MIB] {
        let long = repeated("x\u{7}", length);
        for change in [
            json!({"concurrentConnections": long}),
            json!({"retention": {"keepLast": long}}),
            json!({"concurrencyPolicy": long}),
            json!({"suspend": vec![long.as_str(); 2]}),
        ] {
            assert_denied(&backup(&change), "spec.", "spec-malformed");
        }
        let rename = Map::from_iter([(long, json!(7))]);
        assert_denied(
            &restore(&json!({"rename": rename})),
            "spec.rename",
            "spec-malformed",
        );
    }
}

#[test]
fn twenty_thousand_changed_fields_of_a_started_object_have_a_bounded_answer() {
    let mut old = backup(&json!({}));
    let many =
        |count: usize| -> Map<String, Value> { (0..count).map(|n| (format!("f{n}"), json!(n))).collect() };
    for (new, state) in [
        (many(8_000), "COMPLETED".to_owned()),
        (many(8_000), mebibyte("COMPLETED\u{1b}")),
        (many(20_000), "COMPLETED".to_owned()),
    ] {
        let new = backup(&Value::Object(new));
        old["status"] = json!({"condition": {"type": state}});
        let mut new = new.clone();
        new["status"] = old["status"].clone();
        answer_to(world(), &new, &old);
        let mut long = old.clone();
        long["spec"] = Value::Object(Map::from_iter([(mebibyte("f\u{7}"), json!(1))]));
        answer_to(world(), &long, &old);
        // Without the status: it is put back, or its removal is denied.
        new["status"].take();
        let gate = Gate::new(world(), Executor::Casskop);
        assert!(gate.ask("/validate", "UPDATE", &new, &old).bytes < MAX_ANSWER_BYTES);
    }
}

#[test]
fn a_restore_of_thousands_of_tables_outside_its_backup_is_denied() {
    let list = |letter: char| {
        let mut text = String::new();
        for n in 0..4_000 {
            write!(text, "k.{letter}{n},").unwrap();
        }
        text
    };
    let mut world = world();
    let spec = json!({"cassandraCluster": "c1", "storageLocation": "s3://bk", "snapshotTag": "long", "entities": list('a')});
    let mut long = object("CassandraBackup", "long", &spec);
    long["status"] = json!({"condition": {"type": "COMPLETED"}});
    world.objects.push(long);
    let object = restore(&json!({"cassandraBackup": "long", "entities": list('b')}));
    let answer = answer_to(world, &object, &restore(&json!({})));
    let outside = |cause: &Value| {
        let text = cause["message"].as_str().unwrap();
        text.ends_with("[cassgate entities-outside-backup]")
    };
    assert!(answer.causes().iter().any(outside), "{}", answer.response);
}
