//! The files of `src`, and the parts of their text that are checked.

use std::fs;
use std::path::Path;

/// A file of `src`.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The module that the file contains: `reconcile/plan` for `reconcile/plan/mod.rs` and `reconcile/plan.rs`. The
    /// module of `lib.rs` is empty.
    pub(crate) module: String,
    /// The path below `src`.
    pub(crate) file: String,
    /// The whole text.
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let module = file.trim_end_matches(".rs");
        let module = module.strip_suffix("/mod").unwrap_or(module);
        Self {
            module: if module == "lib" { "" } else { module }.to_owned(),
            file: file.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Returns the text without comments, without `in` visibilities, which name modules but import nothing, and without
    /// the tests at its end.
    pub(crate) fn production(&self) -> String {
        let code = without_comments(&self.text).replace("pub(in crate::", "pub(in ");
        let code = code.split("#[cfg(test)]\nmod tests {").next();
        code.unwrap_or_default().to_owned()
    }

    /// Returns the module directly below `src`; `lib` for `lib.rs`.
    pub(crate) fn top_level(&self) -> &str {
        match self.module.split('/').next() {
            None | Some("") => "lib",
            Some(name) => name,
        }
    }
}

/// Returns true if `module` is `ancestor` or one of its descendants.
pub(crate) fn is_within(module: &str, ancestor: &str) -> bool {
    module
        .strip_prefix(ancestor)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns every file of `src` except `main.rs` and test files.
pub(crate) fn sources() -> Vec<Source> {
    files_of("src")
        .into_iter()
        .filter(|source| source.file != "main.rs" && !is_test_file(&source.file))
        .collect()
}

/// Returns every Rust file of a folder of the repository, such as `src`.
pub(crate) fn files_of(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.len() > 10, "{folder} has only {} Rust files", files.len());
    files
}

fn collect(root: &Path, folder: &Path, into: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(root).unwrap().to_str().unwrap();
            into.push(Source::new(file, &fs::read_to_string(&path).unwrap()));
        }
    }
}

fn is_test_file(file: &str) -> bool {
    file.split('/').any(|part| part == "tests.rs" || part == "tests")
}

/// A path that is named in prose is not an import.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}
