//! Checks the structure of `src`: imports point downwards only, and pure modules stay pure.
//!
//! The lists below name folders. A folder is written as its module path: `reconcile/plan` covers `reconcile/plan.rs`,
//! `reconcile/plan/mod.rs` and every file below `reconcile/plan/`.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/tests.rs"]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use imports::Imports;
use source::{Source, files_of, is_within, sources};

/// The modules directly below `src`, and what each may import beside itself. No module may import `commands`, and only
/// `commands` may import `supervisor`.
const MAY_IMPORT: [(&str, &[&str]); 16] = [
    ("domain", &[]),
    ("api", &["domain"]),
    ("rules", &["api", "domain"]),
    ("evaluate", &["rules", "api", "domain"]),
    ("admission", &["evaluate", "rules", "api", "domain", "telemetry"]),
    ("kubernetes", &["rules", "api", "domain", "telemetry"]),
    ("check", &["evaluate", "rules", "api", "domain"]),
    ("probe", &["kubernetes", "rules"]),
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

/// The folders of `reconcile` from the bottom up, and what each may import beside itself.
const RECONCILE_MAY_IMPORT: [(&str, &[&str]); 7] = [
    ("reconcile/lease", &["telemetry"]),
    ("reconcile/plan", &["api", "domain", "icarus", "rules"]),
    ("reconcile/object", &["api", "domain", "reconcile/plan"]),
    ("reconcile/queue", &["api", "reconcile/object", "reconcile/plan"]),
    (
        "reconcile/observe",
        &[
            "api",
            "domain",
            "evaluate",
            "icarus",
            "reconcile/object",
            "reconcile/plan",
            "reconcile/queue",
            "rules",
        ],
    ),
    (
        "reconcile/execute",
        &[
            "api",
            "domain",
            "icarus",
            "reconcile/lease",
            "reconcile/object",
            "reconcile/observe",
            "reconcile/plan",
            "reconcile/queue",
            "telemetry",
        ],
    ),
    (
        "reconcile/controller",
        &[
            "api",
            "evaluate",
            "icarus",
            "reconcile/execute",
            "reconcile/lease",
            "reconcile/object",
            "reconcile/observe",
            "reconcile/plan",
            "reconcile/queue",
            "rules",
            "telemetry",
        ],
    ),
];

/// The folders that use no clock, client, log, file or asynchronous code.
const PURE: [&str; 7] = [
    "domain",
    "reconcile/execute/request",
    "reconcile/lease/protocol",
    "reconcile/plan",
    "reconcile/queue/order",
    "rules",
    "tls/self_signed/plan",
];

/// The words that a pure module does not contain. `rules::facts` names a future without awaiting one.
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

/// The limit for the length of a file.
const MAX_LINES: usize = 500;

/// Returns the imports that a table of folders does not permit, and the rows of the table that match no file.
fn forbidden_imports(imports: &Imports, table: &[(&str, &[&str])]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (folder, may_import) in table {
        let modules = imports.used.keys().filter(|module| is_in_folder(module, folder));
        let mut count = 0;
        for module in modules {
            count += 1;
            let targets = imports.used[module].union(&imports.reexported[module]);
            let targets = targets.filter(|target| {
                !is_within(target, folder) && !may_import.iter().any(|allowed| is_within(target, allowed))
            });
            let messages = targets
                .map(|target| format!("{} may not import {}", imports.file(module), imports.file(target)));
            wrong.extend(messages);
        }
        if count == 0 {
            wrong.push(format!("{folder} is listed, but no file belongs to it"));
        }
    }
    wrong
}

fn is_in_folder(module: &str, folder: &str) -> bool {
    if folder == "lib" {
        module.is_empty()
    } else {
        is_within(module, folder)
    }
}

/// Returns the modules directly below `parent` that a table does not list.
fn unlisted_modules(sources: &[Source], parent: &str, table: &[(&str, &[&str])]) -> BTreeSet<String> {
    let below = sources.iter().filter_map(|source| {
        let path = if parent.is_empty() {
            source.top_level()
        } else {
            source.module.strip_prefix(parent)?.strip_prefix('/')?
        };
        let name = path.split('/').next()?;
        Some(if parent.is_empty() {
            name.to_owned()
        } else {
            format!("{parent}/{name}")
        })
    });
    below
        .filter(|module| !table.iter().any(|(listed, _)| listed == module))
        .collect()
}

/// Returns the impure words of the files in pure folders, and the folders that match no file.
fn impure_words(sources: &[Source], pure: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for folder in pure {
        let files = sources.iter().filter(|source| is_within(&source.module, folder));
        let mut count = 0;
        for source in files {
            count += 1;
            let code = source.production();
            let words = IMPURE.iter().filter(|word| code.contains(**word));
            wrong.extend(words.map(|word| format!("{} is pure, but contains {word:?}", source.file)));
        }
        if count == 0 {
            wrong.push(format!("{folder} is listed as pure, but no file belongs to it"));
        }
    }
    wrong
}

/// Returns the cycles between the modules directly below `src`.
fn cycles_between_modules(imports: &Imports) -> BTreeSet<String> {
    let top = |module: &str| module.split('/').next().unwrap_or_default().to_owned();
    let pairs = imports.used.iter().flat_map(|(from, targets)| {
        let pairs = targets.iter().map(|to| (top(from), top(to)));
        pairs.collect::<Vec<_>>()
    });
    let pairs: BTreeSet<_> = pairs.filter(|(from, to)| from != to).collect();
    let is_mutual = |(from, to): &&(String, String)| from < to && pairs.contains(&(to.clone(), from.clone()));
    let mutual = pairs.iter().filter(is_mutual);
    mutual
        .map(|(from, to)| format!("{from} and {to} import each other"))
        .collect()
}

#[test]
fn every_module_is_listed() {
    let sources = sources();
    let mut unlisted = unlisted_modules(&sources, "", &MAY_IMPORT);
    unlisted.extend(unlisted_modules(&sources, "reconcile", &RECONCILE_MAY_IMPORT));
    assert!(
        unlisted.is_empty(),
        "decide what these modules may import, and list them in tests/architecture.rs: {unlisted:?}"
    );
}

#[test]
fn imports_point_downwards_only() {
    let imports = Imports::new(&sources());
    let mut wrong = forbidden_imports(&imports, &MAY_IMPORT);
    wrong.extend(forbidden_imports(&imports, &RECONCILE_MAY_IMPORT));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_two_modules_import_each_other() {
    let cycles = cycles_between_modules(&Imports::new(&sources()));
    assert!(cycles.is_empty(), "{cycles:#?}");
}

#[test]
fn no_import_cycle_spans_folders() {
    let cycles = Imports::new(&sources()).cycles_across_folders();
    assert!(cycles.is_empty(), "import cycles across folders: {cycles:#?}");
}

#[test]
fn rules_and_domain_and_plans_are_pure() {
    let wrong = impure_words(&sources(), &PURE);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_stay_short() {
    let long: Vec<_> = ["src", "tests"]
        .into_iter()
        .flat_map(|folder| files_of(folder).into_iter().map(move |source| (folder, source)))
        .map(|(folder, source)| (source.text.lines().count(), format!("{folder}/{}", source.file)))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, file)| format!("{file} has {lines} lines; the limit is {MAX_LINES}"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Returns the names between backticks in a cell of a Markdown table.
fn code_spans(cell: &str) -> BTreeSet<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_architecture_page_lists_each_module_and_its_permitted_imports() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `src/"));
    let listed: BTreeMap<_, _> = rows
        .map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').collect();
            let module = cells[0].trim().trim_matches('`');
            (module, code_spans(cells[cells.len() - 1]))
        })
        .collect();
    let folders: Vec<_> = MAY_IMPORT
        .into_iter()
        .filter(|(name, _)| *name != "lib")
        .map(|(name, imports)| (format!("src/{name}/"), imports))
        .collect();
    let permitted: BTreeMap<_, BTreeSet<_>> = folders
        .iter()
        .map(|(folder, imports)| (folder.as_str(), imports.iter().copied().collect()))
        .collect();
    assert_eq!(listed, permitted, "docs/architecture.md and MAY_IMPORT differ");
}

#[test]
fn the_binary_is_thin() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 40, "{} lines", main.lines().count());
}

#[test]
fn every_spawned_task_has_an_owner() {
    let sources = sources();
    let spawning = sources
        .iter()
        .filter(|source| source.production().contains("tokio::spawn("));
    let wrong: Vec<_> = spawning.map(|source| &source.file).collect();
    assert!(
        wrong.is_empty(),
        "tokio::spawn detaches a task; use a JoinSet or poll the future: {wrong:#?}"
    );
}
