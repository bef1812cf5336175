//! Files of kuttl and chainsaw tests whose objects are expected, and not applied.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::kustomize::join;
use super::yaml::Node;

/// The files whose objects a test expects or patches.
#[derive(Debug, Default)]
pub(super) struct Expectations {
    files: Patterns,
    /// The files that a test applies. Their objects are applied, also if the test expects them afterwards.
    applied: Patterns,
}

/// Names of files. A name from a chainsaw test may contain `*`.
#[derive(Debug, Default)]
struct Patterns {
    names: BTreeSet<String>,
    /// The texts before the first `*` of a pattern and behind its last one.
    parts: BTreeSet<(String, String)>,
}

/// Patterns by their texts, so that the work for a file does not grow with the number of patterns.
#[derive(Debug)]
struct PatternIndex<'a> {
    names: &'a BTreeSet<String>,
    ends_by_begin: HashMap<&'a str, Ends<'a>>,
    begin_lengths: BTreeSet<usize>,
}

/// The texts behind the last `*` of patterns, by their lengths.
type Ends<'a> = BTreeMap<usize, BTreeSet<&'a str>>;

/// Finds the files whose objects are expected.
#[derive(Debug)]
pub(super) struct ExpectedFiles<'a> {
    files: PatternIndex<'a>,
    applied: PatternIndex<'a>,
}

#[cfg(test)]
thread_local! {
    /// The number of texts that were looked up, for tests of the work that tests of kuttl and chainsaw cause.
    static LOOKED_UP: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The fields of a test step that name files whose objects are not applied as they are written.
const OPERATIONS: [&str; 3] = ["assert", "error", "patch"];

/// The fields of a test step that name files whose objects are applied.
const APPLYING: [&str; 3] = ["apply", "create", "update"];

impl Expectations {
    /// Adds the files that an object names, if it is a test.
    pub(super) fn add(&mut self, file: &str, api_version: &str, kind: &str, node: &Node) {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        match (group, kind) {
            ("kuttl.dev", "TestAssert") => drop(self.files.names.insert(file.to_owned())),
            ("kuttl.dev", "TestStep") => {
                for field in OPERATIONS.into_iter().chain(APPLYING) {
                    for item in node.get(field).map(Node::items).unwrap_or_default() {
                        self.add_file(field, folder, item.node.text());
                    }
                }
            }
            ("chainsaw.kyverno.io", "Test" | "StepTemplate") => self.add_operations(folder, node),
            _ => {}
        }
    }

    /// Adds the files that other objects name.
    pub(super) fn append(&mut self, other: Self) {
        let Self { files, applied } = other;
        self.files.append(files);
        self.applied.append(applied);
    }

    /// Adds the files of all operations in a chainsaw test, at any depth.
    fn add_operations(&mut self, folder: &str, node: &Node) {
        for entry in node.entries() {
            let inner = &entry.value.node;
            self.add_file(&entry.key, folder, inner.text_at(&["file"]));
            self.add_operations(folder, inner);
        }
        for item in node.items() {
            self.add_operations(folder, &item.node);
        }
    }

    /// Adds a file that a field of a test names.
    fn add_file(&mut self, field: &str, folder: &str, path: Option<&str>) {
        let file = path.map(|path| join(folder, path));
        let Some(file) = file else {
            return;
        };
        if OPERATIONS.contains(&field) {
            self.files.add(file);
        } else if APPLYING.contains(&field) {
            self.applied.add(file);
        }
    }

    /// Returns the files that the tests expect.
    pub(super) fn index(&self) -> ExpectedFiles<'_> {
        ExpectedFiles {
            files: self.files.index(),
            applied: self.applied.index(),
        }
    }
}

impl ExpectedFiles<'_> {
    /// Returns true if the objects of a file are expectations, by its name in kuttl or because a test says so, and no test applies
    /// the file.
    pub(super) fn contain(&self, file: &str) -> bool {
        (is_named(file) || self.files.match_name(file)) && !self.applied.match_name(file)
    }
}

impl Patterns {
    fn add(&mut self, pattern: String) {
        match (pattern.split_once('*'), pattern.rsplit_once('*')) {
            (Some((begin, _)), Some((_, end))) => {
                self.parts.insert((begin.to_owned(), end.to_owned()));
            }
            _ => drop(self.names.insert(pattern)),
        }
    }

    fn append(&mut self, other: Self) {
        self.names.extend(other.names);
        self.parts.extend(other.parts);
    }

    fn index(&self) -> PatternIndex<'_> {
        let mut ends_by_begin: HashMap<&str, Ends<'_>> = HashMap::new();
        for (begin, end) in &self.parts {
            let ends = ends_by_begin.entry(begin).or_default();
            ends.entry(end.len()).or_default().insert(end);
        }
        PatternIndex {
            names: &self.names,
            begin_lengths: ends_by_begin.keys().map(|begin| begin.len()).collect(),
            ends_by_begin,
        }
    }
}

impl PatternIndex<'_> {
    fn match_name(&self, file: &str) -> bool {
        let split = |length: &usize| file.split_at_checked(*length);
        let mut parts = self.begin_lengths.iter().filter_map(split);
        self.names.contains(file)
            || parts.any(|(begin, rest)| {
                #[cfg(test)]
                LOOKED_UP.set(LOOKED_UP.get() + 1);
                let ends = self.ends_by_begin.get(begin);
                ends.is_some_and(|ends| matches_end(ends, rest))
            })
    }
}

/// Returns true if a text ends with one of `ends`.
fn matches_end(ends: &Ends<'_>, text: &str) -> bool {
    ends.range(..=text.len()).any(|(length, ends)| {
        #[cfg(test)]
        LOOKED_UP.set(LOOKED_UP.get() + 1);
        let end = text.get(text.len() - length..);
        end.is_some_and(|end| ends.contains(end))
    })
}

/// Returns true for names such as `02-assert.yaml` and `02-errors.yaml`.
fn is_named(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let Some((number, rest)) = name.split_once('-') else {
        return false;
    };
    let stem = rest.strip_suffix(".yaml").or_else(|| rest.strip_suffix(".yml"));
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && stem.is_some_and(|stem| {
            ["assert", "errors"].iter().any(|word| {
                stem.strip_prefix(word)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::{Expectations, LOOKED_UP};
    use crate::check::yaml::Reader;

    #[test]
    fn files_are_expectations_by_name() {
        let none = Expectations::default();
        let none = none.index();
        for file in ["02-assert.yaml", "a/b/0-errors.yml", "10-assert-later.yaml"] {
            assert!(none.contain(file), "{file}");
        }
        for file in [
            "assert.yaml",
            "02-backup.yaml",
            "a-assert.yaml",
            "02-assertion.yaml",
            "02-assert.json",
        ] {
            assert!(!none.contain(file), "{file}");
        }
    }

    #[test]
    fn a_test_names_its_expectations() {
        let mut all = Expectations::default();
        for (file, text) in [
            ("k/x.yaml", "apiVersion: kuttl.dev/v1beta1\nkind: TestAssert\n"),
            (
                "k/01-step.yaml",
                "apiVersion: kuttl.dev/v1beta1\nkind: TestStep\nassert: [expected.yaml]\napply: [backup.yaml]\n",
            ),
            (
                "c/chainsaw-test.yaml",
                "apiVersion: chainsaw.kyverno.io/v1alpha1\nkind: Test\nspec:\n  steps:\n  - try:\n    - apply: {file: backup.yaml}\n    \
                 - assert: {file: ../shared/ok.yaml}\n    - error: {file: no-*.yaml}\n    - apply: {file: \
                 both.yaml}\n    - assert: {file: both.yaml}\n    - create: {file: made-*.yaml}\n    - error: {file: made-a.yaml}\n",
            ),
        ] {
            let document = Reader::new(text).next().unwrap().unwrap();
            let field = |name: &str| document.node.text_at(&[name]).unwrap();
            all.add(file, field("apiVersion"), field("kind"), &document.node);
        }
        let all = all.index();
        for file in [
            "k/x.yaml",
            "k/expected.yaml",
            "shared/ok.yaml",
            "c/no-backup.yaml",
        ] {
            assert!(all.contain(file), "{file}");
        }
        for file in [
            "k/backup.yaml",
            "c/backup.yaml",
            "expected.yaml",
            "c/no.yaml",
            "c/both.yaml",
            "c/made-a.yaml",
        ] {
            assert!(!all.contain(file), "{file}");
        }
    }

    #[test]
    fn a_pattern_matches_the_begin_and_the_end_of_a_name() {
        let mut all = Expectations::default();
        for pattern in ["a/*.yaml", "a/x*", "*-b.yaml", "c*d*e", "plain"] {
            all.add_file("assert", "", Some(pattern));
        }
        let all = all.index();
        for file in [
            "a/.yaml",
            "a/b.yaml",
            "a/x",
            "a/xy",
            "a/b/-b.yaml",
            "é-b.yaml",
            "ce",
            "cdxe",
            "plain",
        ] {
            assert!(all.contain(file), "{file}");
        }
        for file in ["a.yaml", "a/b.yml", "b/x", "plain2", "c", "e", "é", ""] {
            assert!(!all.contain(file), "{file}");
        }
    }

    /// Every file was once compared with every pattern.
    #[test]
    fn the_work_for_a_file_does_not_grow_with_the_number_of_patterns() {
        let looked_up = |count: usize| {
            let mut all = Expectations::default();
            for number in 0..count {
                let pattern = format!("t-{:06}/*-{:06}.yaml", number % (count / 2), number);
                all.add_file("assert", "", Some(&pattern));
            }
            let all = all.index();
            LOOKED_UP.set(0);
            for number in 0..count {
                assert!(!all.contain(&format!("t-{number:06}/backup.yaml")));
            }
            LOOKED_UP.get()
        };
        assert_eq!(looked_up(2000), 2 * looked_up(1000));
        assert!(looked_up(1000) <= 2 * 1000, "{}", looked_up(1000));
    }
}
