//! Lists as the real kubectl takes them apart: `check` judges the same objects, or says that something is wrong.

use cassgate::check::files::Input;
use cassgate::check::load::Loaded;
use cassgate::check::{Settings, check};
use fastrand::Rng;

use super::read_by_kubectl;

/// The types of lists and items, as fields in braces.
const TYPES: [&str; 12] = [
    "apiVersion: v1, kind: List",
    "apiVersion: db.orange.com/v2, kind: CassandraBackupList",
    "apiVersion: db.orange.com/v2, kind: CassandraRestoreList",
    "apiVersion: db.orange.com/v2, kind: CassandraBackup",
    "apiVersion: v1, kind: PodList",
    "apiVersion: v1, kind: list",
    "kind: List",
    "apiVersion: v1",
    "apiVersion: v1, kind: \"\"",
    "apiVersion: \"\", kind: List",
    "apiVersion: 5, kind: List",
    "apiVersion: v1, kind: 5",
];

/// Items that are no lists. Each `N` is replaced by a number.
const ITEMS: [&str; 12] = [
    "{apiVersion: db.orange.com/v2, kind: CassandraBackup, metadata: {name: bN}}",
    "{apiVersion: db.orange.com/v2, kind: CassandraRestore, metadata: {name: rN}}",
    "{metadata: {name: nN}}",
    "{kind: CassandraBackup, metadata: {name: kN}}",
    "{apiVersion: db.orange.com/v2, metadata: {name: vN}}",
    "{apiVersion: \"\", kind: \"\", metadata: {name: eN}}",
    "{apiVersion: v1, kind: Secret, metadata: {name: sN}}",
    "{}",
    "null",
    "5",
    "[]",
    "text",
];

fn one<'a>(random: &mut Rng, all: &[&'a str]) -> &'a str {
    random.choice(all).copied().unwrap_or_default()
}

/// Returns a list of this depth at most.
fn list(random: &mut Rng, depth: usize) -> String {
    let count = random.usize(0..4);
    let items: Vec<String> = (0..count)
        .map(|_| match random.u8(..6) {
            0 if depth > 0 => list(random, depth - 1),
            // Most items are as they should be, so that some lists are.
            1..4 => ITEMS[random.usize(..2)].to_owned(),
            _ => one(random, &ITEMS).to_owned(),
        })
        .collect();
    let items = match random.u8(..12) {
        0 => "null".to_owned(),
        1 => "{}".to_owned(),
        2 => "text".to_owned(),
        _ => format!("[{}]", items.join(", ")),
    };
    let field = one(random, &["items", "items", "items", "items", "items", "Items"]);
    let list_type = if random.bool() {
        TYPES[random.usize(..4)]
    } else {
        one(random, &TYPES)
    };
    format!("{{{list_type}, metadata: {{name: l}}, {field}: {items}}}")
}

/// Returns a file with a list in which every object has a name of its own.
fn file(random: &mut Rng) -> String {
    // Not in the notation of JSON, which kubectl also reads in another way.
    let text = format!("# a list\n{}\n", list(random, 2));
    let parts: Vec<&str> = text.split('N').collect();
    let numbered = parts.iter().enumerate().map(|(number, part)| match number {
        0 => (*part).to_owned(),
        _ => format!("{number}{part}"),
    });
    numbered.collect()
}

/// Returns the kinds and names of the backups and restores that kubectl sends; `None` if it rejects the file.
fn sent_by_kubectl(text: &str) -> Option<Vec<(String, String)>> {
    let text_of = |object: &serde_json::Value, path: &str| {
        let text = object.pointer(path).and_then(serde_json::Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let objects = read_by_kubectl(text)?.into_iter();
    let judged = objects.filter(|object| {
        text_of(object, "/apiVersion") == "db.orange.com/v2"
            && matches!(&*text_of(object, "/kind"), "CassandraBackup" | "CassandraRestore")
    });
    Some(
        judged
            .map(|object| (text_of(&object, "/kind"), text_of(&object, "/metadata/name")))
            .collect(),
    )
}

/// Returns the kinds and names of the judged objects, and true if the report has a note, an error or a denial.
fn judged_by_check(text: &str) -> (Vec<(String, String)>, bool) {
    let mut loaded = Loaded::default();
    loaded.add(Input {
        name: "a.yaml".to_owned(),
        bytes: Ok(text.as_bytes().to_vec()),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let report = runtime.block_on(check(loaded, &Settings::default(), None, |_, _| ()));
    let objects = report.objects.iter();
    let judged = objects
        .map(|object| (object.kind.to_string(), object.name.to_string()))
        .collect();
    (judged, !report.notes.is_empty() || !report.errors.is_empty())
}

fn difference(text: &str) -> Option<String> {
    let (judged, is_told) = judged_by_check(text);
    let sent = sent_by_kubectl(text);
    let is_equal = match &sent {
        Some(sent) => *sent == judged,
        // Objects of a file that kubectl rejects may be judged, if the file holds nothing else.
        None => judged.is_empty() && !text.contains("Cassandra"),
    };
    (!is_equal && !is_told).then(|| format!("{text}    check:   {judged:?}\n    kubectl: {sent:?}"))
}

#[test]
fn check_judges_the_objects_of_a_list_that_kubectl_sends_or_has_a_note() {
    let count = std::env::var("CASSGATE_TEST_YAML")
        .ok()
        .and_then(|count| count.parse::<usize>().ok())
        .map_or(100, |count| count / 20);
    let mut random = Rng::with_seed(11);
    let wrong: Vec<String> = (0..count)
        .filter_map(|_| difference(&file(&mut random)))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
