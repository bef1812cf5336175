//! The house: imports point downwards only, and what has to be pure is pure.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules that a module may import. A module may always import itself. No module may import `commands`, and only
/// `commands` may import `supervisor`.
const MAY_IMPORT: [(&str, &[&str]); 16] = [
    ("domain", &[]),
    ("api", &["domain"]),
    ("rules", &["api", "domain"]),
    ("evaluate", &["rules", "api", "domain"]),
    ("admission", &["evaluate", "rules", "api", "domain", "telemetry"]),
    ("kubernetes", &["rules", "api", "domain", "telemetry"]),
    ("check", &["evaluate", "rules", "api", "domain"]),
    ("probe", &["kubernetes"]),
    ("icarus", &["domain", "telemetry"]),
    (
        "reconcile",
        &["evaluate", "rules", "api", "domain", "icarus", "telemetry"],
    ),
    ("server", &["telemetry"]),
    ("tls", &["telemetry"]),
    ("telemetry", &[]),
    (
        "supervisor",
        &[
            "admission",
            "api",
            "evaluate",
            "icarus",
            "kubernetes",
            "reconcile",
            "rules",
            "server",
            "telemetry",
            "tls",
        ],
    ),
    (
        "commands",
        &[
            "api",
            "check",
            "domain",
            "kubernetes",
            "probe",
            "rules",
            "supervisor",
            "telemetry",
            "tls",
        ],
    ),
    ("lib", &[]),
];

/// Modules without a clock, a client, a log or anything asynchronous.
const PURE: [&str; 2] = ["domain", "rules"];

/// Files of other modules that are as pure.
const PURE_FILES: [&str; 19] = [
    "reconcile/lease/decide.rs",
    "reconcile/lease/record.rs",
    "reconcile/plan.rs",
    "reconcile/plan/backup.rs",
    "reconcile/plan/backup/listing.rs",
    "reconcile/plan/conditions.rs",
    "reconcile/plan/foreign.rs",
    "reconcile/plan/builder.rs",
    "reconcile/plan/needs.rs",
    "reconcile/plan/node.rs",
    "reconcile/plan/restore.rs",
    "reconcile/plan/restore/begin.rs",
    "reconcile/plan/restore/ending.rs",
    "reconcile/plan/restore/phases.rs",
    "reconcile/plan/schedule.rs",
    "reconcile/execute/request.rs",
    "reconcile/plan/restore/source.rs",
    "reconcile/queue/turn.rs",
    "tls/self_signed/plan.rs",
];

/// What a pure module does not say. `rules::facts` names a future without awaiting one.
const IMPURE: [&str; 11] = [
    "async ",
    ".await",
    "tokio",
    "tracing",
    "kube::",
    "::now()",
    "std::env",
    "std::fs",
    "std::net",
    "std::thread",
    "SystemTime",
];

/// The longest file, in lines.
const LONGEST_FILE: usize = 500;

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

/// Every file of `src` with its room and its text.
fn house() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    assert!(paths.len() > 30, "the house was not found");
    let room_of = |path: &Path| {
        let inside = path.strip_prefix(&root).unwrap();
        inside
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned()
    };
    paths
        .into_iter()
        .map(|path| (room_of(&path), path.clone(), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// The text without comments, so that a word in prose is no import.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The part before the tests of a file.
fn production(text: &str) -> String {
    let code = code(text);
    code.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn is_test_file(path: &Path) -> bool {
    path.iter().any(|part| part == "tests.rs" || part == "tests")
}

/// The rooms that a text imports: what follows `crate::`, also in a group.
fn imports(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => top_level_names(group),
            None => vec![rest],
        };
        for name in names {
            rooms.push(
                name.trim_start()
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    rooms
}

fn top_level_names(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut names) = (0, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(&group[begin..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(&group[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.trim().is_empty());
    names
}

#[test]
fn imports_point_downwards_only() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.into_iter().collect();
    let mut wrong = Vec::new();
    for (room, path, text) in house() {
        if room == "main" || is_test_file(&path) {
            continue;
        }
        let Some(may) = allowed.get(room.as_str()) else {
            panic!("{room} is no room of the house")
        };
        for import in imports(&production(&text)) {
            if import != room && !may.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rules_and_domain_and_plans_are_pure() {
    let (mut wrong, mut pure_files) = (Vec::new(), 0);
    for (room, path, text) in house() {
        let is_pure = PURE.contains(&room.as_str()) || PURE_FILES.iter().any(|file| path.ends_with(file));
        pure_files += usize::from(is_pure && !PURE.contains(&room.as_str()));
        if !is_pure || is_test_file(&path) {
            continue;
        }
        let code = production(&text);
        for word in IMPURE.iter().filter(|word| code.contains(**word)) {
            wrong.push(format!("{} says {word}", path.display()));
        }
    }
    assert_eq!(pure_files, PURE_FILES.len(), "a file has another name now");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_file_has_one_subject_and_stays_short() {
    let long: Vec<_> = house()
        .into_iter()
        .filter(|(_, _, text)| text.lines().count() > LONGEST_FILE)
        .map(|(_, path, text)| format!("{} has {} lines", path.display(), text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_binary_is_thin() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 40, "{} lines", main.lines().count());
}

#[test]
fn nobody_spawns_a_task_that_nobody_owns() {
    let wrong: Vec<_> = house()
        .into_iter()
        .filter(|(_, path, text)| !is_test_file(path) && production(text).contains("tokio::spawn("))
        .map(|(_, path, _)| path)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_import_in_a_group_is_seen() {
    assert_eq!(
        imports("use crate::{api::{A, B}, rules, telemetry::metrics::M};"),
        ["api", "rules", "telemetry"]
    );
    assert_eq!(imports("crate::server::bind()"), ["server"]);
    assert_eq!(
        production("a\n#[cfg(test)]\nmod tests {\n use crate::x; }"),
        "a\n"
    );
}
