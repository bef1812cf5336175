//! Texts that an expression could parse differently from the rules.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::texts::{BANDWIDTHS, DIRECTORIES, ENTITIES, LENGTHS, LOCATIONS, NAMES, PIECES, TABLES, VERSIONS};

/// Returns the seed of this run: constant, unless `CASSGATE_SEED` is set.
pub(super) fn seed() -> u64 {
    std::env::var("CASSGATE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(20_261_124)
}

/// Random texts per field.
const RANDOM: usize = 60;

fn text(rng: &mut Rng) -> String {
    let mut text: String = (0..rng.usize(1..7))
        .map(|_| PIECES[rng.usize(..PIECES.len())])
        .collect();
    if rng.u8(..12) == 0 {
        text = text.repeat(rng.usize(10..60));
    }
    text
}

/// Returns one of the chosen texts, or two of them joined.
fn chosen(rng: &mut Rng, texts: &[&str]) -> String {
    let pick = |rng: &mut Rng| texts[rng.usize(..texts.len())];
    match rng.u8(..4) {
        0 => format!("{}{}{}", pick(rng), PIECES[rng.usize(..PIECES.len())], pick(rng)),
        1 => text(rng),
        _ => pick(rng).to_owned(),
    }
}

/// Returns the fields of both kinds with their texts.
fn fields() -> Vec<(&'static str, &'static str, &'static [&'static str])> {
    let (backup, restore) = ("CassandraBackup", "CassandraRestore");
    vec![
        (backup, "cassandraCluster", &NAMES),
        (backup, "secret", &NAMES),
        (backup, "storageLocation", &LOCATIONS),
        (backup, "snapshotTag", &PIECES),
        (backup, "duration", &LENGTHS),
        (backup, "bandwidth", &BANDWIDTHS),
        (backup, "entities", &ENTITIES),
        (restore, "cassandraCluster", &NAMES),
        (restore, "cassandraBackup", &NAMES),
        (restore, "entities", &ENTITIES),
        (restore, "schemaVersion", &VERSIONS),
        (restore, "cassandraDirectory", &DIRECTORIES),
    ]
}

fn rename(rng: &mut Rng) -> Value {
    let side = |rng: &mut Rng| {
        if rng.u8(..10) == 0 {
            text(rng)
        } else {
            TABLES[rng.usize(..TABLES.len())].to_owned()
        }
    };
    // Mostly valid tables, so that the rules about valid maps are exercised too.
    let good = rng.bool();
    let few = |rng: &mut Rng| TABLES[rng.usize(..7)].to_owned();
    let pairs = (0..rng.usize(0..4)).map(|_| {
        let (from, into) = if good {
            (few(rng), few(rng))
        } else {
            (side(rng), side(rng))
        };
        (from, json!(into))
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// Returns specs of new objects: every chosen text in its field, random texts, and several fields at once.
pub(super) fn specs(seed: u64) -> Vec<(&'static str, Value)> {
    let mut rng = Rng::with_seed(seed);
    let mut specs = Vec::new();
    for (kind, field, texts) in fields() {
        specs.extend(texts.iter().map(|text| (kind, json!({field: text}))));
        specs.extend((0..RANDOM).map(|_| (kind, json!({field: chosen(&mut rng, texts)}))));
    }
    specs.extend(lengths());
    specs.extend(nodes());
    specs.extend(together(&mut rng));
    specs
}

/// Returns texts at the length limit and beyond.
fn lengths() -> Vec<(&'static str, Value)> {
    let mut specs = Vec::new();
    for length in [198, 199, 200] {
        specs.push(("CassandraBackup", json!({"snapshotTag": "t".repeat(length)})));
        specs.push(("CassandraBackup", json!({"snapshotTag": "é".repeat(length)})));
    }
    for length in [48, 49, 222, 223] {
        specs.push(("CassandraBackup", json!({"entities": "x".repeat(length)})));
        specs.push((
            "CassandraRestore",
            json!({"entities": format!("k.{}", "x".repeat(length))}),
        ));
        specs.push((
            "CassandraRestore",
            json!({"entities": "k1.t1", "rename": {"k1.t1": format!("k.{}", "x".repeat(length))}}),
        ));
    }
    for length in [253, 254] {
        specs.push(("CassandraBackup", json!({"cassandraCluster": "x".repeat(length)})));
    }
    for length in [4095, 4096] {
        specs.push((
            "CassandraRestore",
            json!({"cassandraDirectory": format!("/{}", "x".repeat(length))}),
        ));
        specs.push((
            "CassandraRestore",
            json!({"cassandraDirectory": format!("/{}", "é".repeat(length / 2))}),
        ));
    }
    for list in ["k1,k2.t2,", "k1,k2,", "k.é,"] {
        specs.push((
            "CassandraBackup",
            json!({"entities": list.repeat(32_768 / list.len())}),
        ));
        specs.push((
            "CassandraBackup",
            json!({"entities": list.repeat(1 + 32_768 / list.len())}),
        ));
    }
    specs
}

/// Returns nodes of a restore, and descriptions of a bucket.
fn nodes() -> Vec<(&'static str, Value)> {
    let (one, other) = (
        "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11",
        "3c1f5f4e-2b7d-4f5e-8a6c-1d2e3f405162",
    );
    let mut specs = Vec::new();
    for host_id in [
        one,
        &one.to_uppercase(),
        "",
        "n1",
        &format!("{one}0"),
        &format!(" {one}"),
    ] {
        let also = json!({"hostId": other, "pod": "c1-dc1-rack1-1"});
        specs.push((
            "CassandraRestore",
            json!({"nodes": [{"hostId": host_id, "pod": "c1-dc1-rack1-0"}, also]}),
        ));
        specs.push((
            "CassandraBackup",
            json!({"suspend": true, "nodes": [{"hostId": host_id, "datacenter": "dc1"}, {"hostId": one, "datacenter": "dc1"}]}),
        ));
    }
    for pod in ["c1-dc1-rack1-0", "c1.x", "C1", "", "a/b", &"x".repeat(254)] {
        specs.push((
            "CassandraRestore",
            json!({"nodes": [{"hostId": one, "pod": pod}, {"hostId": other, "pod": "c1.x"}]}),
        ));
    }
    let upper = one.to_uppercase();
    specs.push((
        "CassandraRestore",
        json!({"nodes": [{"hostId": one, "pod": "a"}, {"hostId": upper, "pod": "b"}]}),
    ));
    specs.push(("CassandraRestore", json!({"nodes": [{"hostId": one}]})));
    let folders = [
        "dc1",
        "é",
        ".",
        "..",
        "a/b",
        "a b",
        "a\u{a0}b",
        "a\u{85}",
        "\u{0}",
        &"x".repeat(255),
        &"é".repeat(128),
    ];
    for folder in folders {
        specs.push(("CassandraBackup", json!({"suspend": true, "clusterName": folder})));
        specs.push((
            "CassandraBackup",
            json!({"suspend": true, "nodes": [{"hostId": one, "datacenter": folder}]}),
        ));
    }
    for running in [
        json!({}),
        json!({"suspend": false}),
        json!({"suspend": true, "schedule": "@daily"}),
    ] {
        for described in [
            json!({"clusterName": "shop"}),
            json!({"nodes": [{"hostId": one, "datacenter": "dc1"}]}),
        ] {
            let mut spec = running.clone();
            json_patch::merge(&mut spec, &described);
            specs.push(("CassandraBackup", spec));
        }
    }
    specs
}

/// Returns fields that are judged together.
fn together(rng: &mut Rng) -> Vec<(&'static str, Value)> {
    let mut specs = Vec::new();
    for connections in [i32::MIN, -1, 0, 1, 8, 9, 10, 11, i32::MAX] {
        specs.push(("CassandraRestore", json!({"concurrentConnection": connections})));
        for text in BANDWIDTHS {
            let duration = if rng.bool() {
                Value::Null
            } else {
                json!(LENGTHS[rng.usize(..LENGTHS.len())])
            };
            specs.push((
                "CassandraBackup",
                json!({"concurrentConnections": connections, "bandwidth": text, "duration": duration}),
            ));
        }
    }
    for schedule in [
        "@daily",
        "TZ=UTC @daily",
        "CRON_TZ=UTC @daily",
        "tz=UTC @daily",
        "",
    ] {
        specs.push((
            "CassandraBackup",
            json!({"schedule": schedule, "timeZone": "UTC"}),
        ));
        specs.push(("CassandraBackup", json!({"schedule": schedule})));
    }
    for location in LOCATIONS {
        specs.push((
            "CassandraBackup",
            json!({"storageLocation": location, "secret": "NO"}),
        ));
    }
    for _ in 0..5 * RANDOM {
        let mut spec = json!({"rename": rename(rng)});
        spec["entities"] = match rng.u8(..3) {
            0 => Value::Null,
            1 => json!("k1.t1,k1.t2,k2.t1,k3.t3"),
            _ => json!(chosen(rng, &ENTITIES)),
        };
        specs.push(("CassandraRestore", spec));
    }
    for _ in 0..2 * RANDOM {
        let kind = if rng.bool() {
            "CassandraBackup"
        } else {
            "CassandraRestore"
        };
        let several = fields()
            .into_iter()
            .filter(|(own, ..)| *own == kind && rng.clone().bool());
        let several: Vec<_> = several.collect();
        let spec: Map<String, Value> = several
            .into_iter()
            .map(|(_, field, texts)| (field.to_owned(), json!(chosen(rng, texts))))
            .collect();
        specs.push((kind, Value::Object(spec)));
    }
    specs
}

/// A stored object and its update.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) kind: &'static str,
    pub(super) old: Value,
    pub(super) new: Value,
    pub(super) state: Option<&'static str>,
    pub(super) wipes: bool,
}

/// Returns updates between valid and hostile specs, of objects in every state.
pub(super) fn changes(seed: u64) -> Vec<Change> {
    let mut rng = Rng::with_seed(seed);
    let mut changes = Vec::new();
    for _ in 0..400 {
        let kind = if rng.bool() {
            "CassandraBackup"
        } else {
            "CassandraRestore"
        };
        let own: Vec<_> = fields().into_iter().filter(|(of, ..)| *of == kind).collect();
        let (mut old, mut new) = (Map::new(), Map::new());
        for _ in 0..rng.usize(1..3) {
            let (_, field, texts) = own[rng.usize(..own.len())];
            let few = &texts[..texts.len().min(12)];
            old.insert(field.to_owned(), json!(chosen(&mut rng, few)));
            if rng.u8(..3) > 0 {
                new.insert(field.to_owned(), json!(chosen(&mut rng, few)));
            }
        }
        if kind == "CassandraRestore" && rng.bool() {
            old.insert(
                "entities".to_owned(),
                json!(ENTITIES[rng.usize(..ENTITIES.len())]),
            );
            old.insert("rename".to_owned(), rename(&mut rng));
            new.insert("rename".to_owned(), rename(&mut rng));
        }
        let mut state = None;
        if rng.u8(..3) == 0 {
            state = Some(["RUNNING", "COMPLETED", "FAILED", "CANCELED", "PENDING"][rng.usize(..5)]);
        }
        if kind == "CassandraBackup" {
            for spec in [&mut old, &mut new] {
                if rng.u8(..3) > 0 {
                    spec.insert(
                        "schedule".to_owned(),
                        json!(["@daily", "@weekly", ""][rng.usize(..3)]),
                    );
                }
            }
            for spec in [&mut old, &mut new] {
                spec.insert(
                    "concurrentConnections".to_owned(),
                    json!([-1, -2, 1, 10, 20][rng.usize(..5)]),
                );
            }
        }
        if rng.u8(..6) == 0 {
            new.clear();
        }
        changes.push(Change {
            kind,
            old: Value::Object(old),
            new: Value::Object(new),
            state,
            wipes: state.is_some() && rng.u8(..4) == 0,
        });
    }
    changes
}
