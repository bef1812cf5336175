//! Files of kuttl and chainsaw tests whose objects are expected, and not applied.

use std::collections::BTreeSet;

use super::kustomize::join;
use super::yaml::Node;

/// The files whose objects a test expects or patches.
#[derive(Debug, Default)]
pub(super) struct Expectations {
    /// Names of files. A name from a chainsaw test may contain `*`.
    files: BTreeSet<String>,
    /// Names of files that a test applies, in the same form. Their objects are applied, also if the test expects them afterwards.
    applied: BTreeSet<String>,
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
            ("kuttl.dev", "TestAssert") => drop(self.files.insert(file.to_owned())),
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
        self.files.extend(files);
        self.applied.extend(applied);
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
        if OPERATIONS.contains(&field) {
            self.files.extend(file);
        } else if APPLYING.contains(&field) {
            self.applied.extend(file);
        }
    }

    /// Returns true if the objects of a file are expectations, by its name in kuttl or because a test says so, and no test applies
    /// the file.
    pub(super) fn contain(&self, file: &str) -> bool {
        let is_in = |patterns: &BTreeSet<String>| patterns.iter().any(|pattern| matches(pattern, file));
        (is_named(file) || is_in(&self.files)) && !is_in(&self.applied)
    }
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

fn matches(pattern: &str, file: &str) -> bool {
    match (pattern.split_once('*'), pattern.rsplit_once('*')) {
        (Some((begin, _)), Some((_, end))) => {
            file.len() >= begin.len() + end.len() && file.starts_with(begin) && file.ends_with(end)
        }
        _ => pattern == file,
    }
}

#[cfg(test)]
mod tests {
    use super::Expectations;
    use crate::check::yaml::Reader;

    #[test]
    fn files_are_expectations_by_name() {
        let none = Expectations::default();
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
}
