//! Tests of the checks themselves, on small texts.

use crate::imports::Imports;
use crate::paths::{declared_modules, inline_paths, uses};
use crate::source::{Source, is_within};
use crate::{cycles_between_modules, forbidden_imports, impure_words, unlisted_modules};

/// The imported paths of a text.
fn imported(code: &str) -> Vec<String> {
    uses(code)
        .into_iter()
        .map(|import| import.path.join("::"))
        .collect()
}

fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    files.iter().map(|(file, text)| Source::new(file, text)).collect()
}

fn cycles(files: &[(&str, &str)]) -> Vec<String> {
    Imports::new(&sources(files)).cycles_across_folders()
}

#[test]
fn groups_of_imports_are_expanded() {
    assert_eq!(
        imported("use crate::{api::{A, B as C}, rules, telemetry::metrics::{self, M}};"),
        [
            "crate::api::A",
            "crate::api::B",
            "crate::rules",
            "crate::telemetry::metrics",
            "crate::telemetry::metrics::M"
        ]
    );
    assert_eq!(imported("pub(crate) use super::wire::*;"), ["super::wire"]);
    assert_eq!(imported("let refuse = 1;"), [""; 0]);
}

#[test]
fn paths_inside_expressions_are_found() {
    let paths = inline_paths("let x: crate::api::Kind = crate::server::bind(K::NAME);");
    let paths: Vec<_> = paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["crate::api::Kind", "crate::server::bind", "K::NAME"]);
}

#[test]
fn declarations_of_modules_are_found() {
    let code = "mod a;\npub mod b;\npub(in crate::x) mod c;\nmod d {\n}\n";
    assert_eq!(declared_modules(code), ["a", "b", "c"]);
}

#[test]
fn comments_and_tests_are_no_imports() {
    let text = "a // crate::rules\n#[cfg(test)]\nmod tests {\n use crate::x; }";
    assert_eq!(Source::new("a.rs", text).production(), "a \n");
}

#[test]
fn a_module_file_and_its_folder_are_one_module() {
    assert_eq!(Source::new("a/b.rs", "").module, "a/b");
    assert_eq!(Source::new("a/b/mod.rs", "").module, "a/b");
    assert!(is_within("a/b/c", "a/b") && is_within("a/b", "a/b") && !is_within("a/bc", "a/b"));
}

#[test]
fn an_import_that_a_table_does_not_permit_is_named() {
    let files = sources(&[
        ("low/mod.rs", "pub mod a;"),
        ("low/a.rs", "use crate::high::b::B;"),
        ("high/mod.rs", "pub(in crate::low) mod b;"),
        ("high/b.rs", "fn f() { crate::low::a::f() }"),
    ]);
    let imports = Imports::new(&files);
    assert_eq!(
        forbidden_imports(&imports, &[("low", &[]), ("high", &["low"]), ("gone", &[])]),
        [
            "low/a.rs may not import high/b.rs",
            "gone is listed, but no file belongs to it"
        ]
    );
    assert!(
        cycles_between_modules(&imports).contains("high and low import each other"),
        "both directions are imported"
    );
}

#[test]
fn a_module_that_no_table_lists_is_named() {
    let files = sources(&[("a.rs", ""), ("new/mod.rs", ""), ("a/x.rs", ""), ("a/y/z.rs", "")]);
    assert_eq!(
        Vec::from_iter(unlisted_modules(&files, "", &[("a", &[])])),
        ["new"]
    );
    assert_eq!(
        Vec::from_iter(unlisted_modules(&files, "a", &[("a/x", &[])])),
        ["a/y"]
    );
}

#[test]
fn a_re_export_is_followed_to_the_file_that_defines_the_item() {
    let files = [
        ("a/mod.rs", "mod one;\nmod two;\npub use one::One;"),
        ("a/one.rs", "use super::two::Two;"),
        ("a/two.rs", ""),
        ("b/c.rs", "use crate::a::One;"),
    ];
    let imports = Imports::new(&sources(&files));
    let targets: Vec<_> = imports.used["b/c"].iter().collect();
    assert_eq!(targets, ["a/one"]);
    assert_eq!(cycles(&files), [""; 0]);
}

#[test]
fn a_cycle_across_folders_is_named() {
    let found = cycles(&[
        ("a/mod.rs", "mod x;"),
        ("a/x.rs", "use crate::b::y;"),
        ("b/mod.rs", ""),
        ("b/y.rs", "use super::z::Z;"),
        ("b/z.rs", "fn f() { crate::a::x::g() }"),
    ]);
    assert_eq!(found, ["a/x.rs -> b/y.rs -> b/z.rs -> a/x.rs"]);
}

#[test]
fn a_cycle_through_a_short_module_name_is_found() {
    let found = cycles(&[
        ("a/mod.rs", "mod deep;\nfn f() { deep::leaf::g() }"),
        ("a/deep/mod.rs", "pub mod leaf;"),
        ("a/deep/leaf.rs", "use crate::a::F;"),
    ]);
    assert_eq!(found, ["a/mod.rs -> a/deep/leaf.rs -> a/mod.rs"]);
}

#[test]
fn a_cycle_within_a_folder_is_permitted() {
    assert_eq!(
        cycles(&[
            ("a/mod.rs", "mod x;\nfn f() { x::g() }"),
            ("a/x.rs", "use super::{b::g, f};"),
            ("a/b/mod.rs", "use super::x::y;"),
        ]),
        [""; 0]
    );
}

#[test]
fn an_impure_word_in_a_pure_folder_is_named() {
    let files = sources(&[
        ("plan/a.rs", "fn f() { tokio::x() }"),
        ("plan/b.rs", "// tokio\n"),
    ]);
    assert_eq!(
        impure_words(&files, &["plan", "gone"]),
        [
            "plan/a.rs is pure, but contains \"tokio\"",
            "gone is listed as pure, but no file belongs to it"
        ]
    );
}
