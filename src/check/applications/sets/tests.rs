//! Tests of sets of applications.

use super::{ApplicationSet, Destination, Directories};
use crate::check::yaml::Reader;

/// Returns the path and the destination of each application, and what is unknown.
fn generated(spec: &str, folders: &[&str]) -> (Vec<(String, Destination)>, Vec<&'static str>) {
    let text = format!("metadata: {{name: set}}\nspec:\n{spec}");
    let document = Reader::new(&text).next().unwrap().unwrap();
    let directories: Directories = folders.iter().copied().collect();
    let generated = ApplicationSet::read(0, &document).generate(&directories);
    let applications = generated.applications.into_iter();
    let all = applications.map(|application| {
        let paths: Vec<&str> = application
            .sources
            .iter()
            .map(|source| source.path.as_str())
            .collect();
        (paths.join(" "), application.destination)
    });
    (all.collect(), generated.unknown.into_iter().collect())
}

fn to(name: &str) -> Destination {
    Destination::Named(name.to_owned())
}

const TEMPLATE: &str =
    "  template: {spec: {source: {path: 'envs/{{env}}/backups'}, destination: {name: '{{env}}'}}}\n";

#[test]
fn a_list_makes_an_application_for_each_element() {
    let spec = format!("  generators: [{{list: {{elements: [{{env: a}}, {{env: b}}]}}}}]\n{TEMPLATE}");
    let expected = vec![
        ("envs/a/backups".to_owned(), to("a")),
        ("envs/b/backups".to_owned(), to("b")),
    ];
    assert_eq!(generated(&spec, &[]), (expected.clone(), vec![]));
    let go = spec.replace("{{env}}", "{{ .env }}");
    assert_eq!(generated(&go, &[]).0, expected);
}

#[test]
fn a_git_generator_makes_an_application_for_each_folder() {
    let folders = ["envs/a/x", "envs/b", "envs/skipped"];
    for (path, base) in [
        ("{{path}}", "{{path.basename}}"),
        ("{{.path.path}}", "{{ index .path.segments 1 }}"),
        ("{{ .path.path }}", "{{path[1]}}"),
    ] {
        let spec = format!(
            "  generators: [{{git: {{directories: [{{path: envs/*}}, {{path: envs/skipped, exclude: true}}]}}}}]\n  template: \
             {{spec: {{source: {{path: '{path}'}}, destination: {{name: '{base}'}}}}}}\n"
        );
        let expected = vec![("envs/a".to_owned(), to("a")), ("envs/b".to_owned(), to("b"))];
        assert_eq!(generated(&spec, &folders), (expected, vec![]));
    }
}

#[test]
fn a_matrix_makes_an_application_for_each_pair() {
    let spec = "  generators: [{matrix: {generators: [{list: {elements: [{env: a}, {env: b}]}}, {git: {directories: [{path: apps/*}]}}]}}]\n  template: {spec: {source: {path: '{{path}}'}, destination: {name: '{{env}}'}}}\n";
    let (applications, unknown) = generated(spec, &["apps/x", "apps/y"]);
    assert_eq!((applications.len(), unknown.len()), (4, 0));
}

#[test]
fn an_unknown_parameter_in_a_path_matches_folders() {
    let spec = format!("  generators: [{{clusters: {{}}}}]\n{TEMPLATE}");
    let folders = ["envs/a/backups", "envs/b/backups", "envs/c/rings"];
    let (applications, unknown) = generated(&spec, &folders);
    assert_eq!(
        applications,
        [
            ("envs/a/backups".to_owned(), to("a")),
            ("envs/b/backups".to_owned(), to("b"))
        ]
    );
    assert_eq!(unknown, ["clusters"]);
    let everywhere = spec.replace("envs/{{env}}/", "envs/a/");
    let (applications, _) = generated(&everywhere, &folders);
    assert_eq!(
        applications,
        [("envs/a/backups".to_owned(), Destination::Unknown)]
    );
}

/// Argo CD matches with Go's `path.Match`, for which `**` is a `*`.
#[test]
fn two_asterisks_match_one_level_of_folders() {
    let spec = "  generators: [{git: {directories: [{path: 'envs/**'}, {path: '[x-z]'}]}}]\n  template: {spec: {source: {path: '{{path}}'}}}\n";
    let (applications, _) = generated(spec, &["envs/a/x", "x", "w"]);
    let paths: Vec<_> = applications.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["envs/a", "x"]);
}
