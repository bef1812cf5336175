//! The folders of the files, and those that a path in a repository names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::Source;

/// All folders with files, and the folders that contain them.
#[derive(Debug, Default)]
pub(in crate::check) struct Directories {
    /// The folders with files.
    used: BTreeSet<String>,
    /// The folders with files and those above them, sorted, by each path that ends them: `a/b/c`, `b/c`, `c`.
    by_end: BTreeMap<String, Vec<String>>,
}

impl<'a> FromIterator<&'a str> for Directories {
    fn from_iter<T: IntoIterator<Item = &'a str>>(folders: T) -> Self {
        let used: BTreeSet<String> = folders.into_iter().map(ToOwned::to_owned).collect();
        let mut all: BTreeSet<&str> = BTreeSet::new();
        for folder in &used {
            let above = folder.match_indices('/').filter_map(|(at, _)| folder.get(..at));
            all.extend(above.chain([folder.as_str()]).filter(|folder| !folder.is_empty()));
        }
        let mut by_end: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for folder in all {
            let behind = folder
                .match_indices('/')
                .filter_map(|(at, _)| folder.get(at + 1..));
            for end in behind.chain([folder]).filter(|end| !end.is_empty()) {
                by_end.entry(end.to_owned()).or_default().push(folder.to_owned());
            }
        }
        Self { used, by_end }
    }
}

impl Directories {
    /// Returns every folder that has files, or contains such a folder.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        let is_whole = |(end, folders): &(&String, &Vec<String>)| folders.binary_search(end).is_ok();
        self.by_end
            .iter()
            .filter(is_whole)
            .map(|(folder, _)| folder.as_str())
    }

    /// Returns the folders with files at or below `folder`.
    pub(in crate::check) fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let is_root = folder.is_empty() || folder == ".";
        let own = self.used.get(folder).filter(|_| !is_root);
        // The character behind `/` is `0`.
        let (begin, end) = if is_root {
            (Bound::Unbounded, Bound::Unbounded)
        } else {
            (
                Bound::Included(format!("{folder}/")),
                Bound::Excluded(format!("{folder}0")),
            )
        };
        let inner = self.used.range((begin, end));
        own.into_iter().chain(inner).map(String::as_str)
    }

    /// Returns the folders that a source names. `from` is the folder of the application.
    ///
    /// The root of the repository is not known. It is the folder with the name of the repository, or else one around the
    /// application, or else any folder that has the path.
    pub(super) fn named(&self, source: &Source, from: &str) -> Vec<&str> {
        let path = source.path.as_str();
        let in_repository = |name: &String| {
            let end = match path {
                "" => name.clone(),
                path => format!("{name}/{path}"),
            };
            self.by_end.get(&end)
        };
        let found: Vec<&str> = source
            .repositories
            .iter()
            .filter_map(in_repository)
            .flatten()
            .map(String::as_str)
            .collect();
        if !found.is_empty() || path.is_empty() {
            return found;
        }
        let Some(candidates) = self.by_end.get(path) else {
            return Vec::new();
        };
        let around = std::iter::once("")
            .chain(from.match_indices('/').filter_map(|(at, _)| from.get(..at)))
            .chain([from]);
        let around = around
            .map(|root| match root {
                "" => path.to_owned(),
                root => format!("{root}/{path}"),
            })
            .filter(|folder| source.may_contain_itself || !is_within(from, folder))
            .find_map(|folder| candidates.get(candidates.binary_search(&folder).ok()?));
        if let Some(folder) = around {
            return vec![folder];
        }
        let others = candidates
            .iter()
            .filter(|folder| source.may_contain_itself || !is_within(from, folder));
        others.map(String::as_str).collect()
    }
}

/// Returns true if `folder` is `within` or below it.
pub(in crate::check) fn is_within(folder: &str, within: &str) -> bool {
    within.is_empty()
        || within == "."
        || folder
            .strip_prefix(within)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::{Directories, Source};

    fn named(directories: &Directories, source: &Source, from: &str) -> Vec<String> {
        let folders = directories.named(source, from);
        folders.into_iter().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_path_is_in_the_repository_of_its_application() {
        let directories: Directories = ["x/clusters/prod", "x/apps/prod", "apps/prod", "y/apps/prod/z"]
            .into_iter()
            .collect();
        let source = Source::at("./apps/prod");
        assert_eq!(named(&directories, &source, "clusters/prod"), ["apps/prod"]);
        let only: Directories = ["x/clusters/prod", "x/apps/prod", "y/apps/prod/z"]
            .into_iter()
            .collect();
        assert_eq!(named(&only, &source, "x/clusters/prod"), ["x/apps/prod"]);
        assert_eq!(named(&only, &source, "w"), ["x/apps/prod", "y/apps/prod"]);
        let of_y = Source {
            repositories: vec!["y".to_owned()],
            ..source
        };
        assert_eq!(named(&only, &of_y, "x/clusters/prod"), ["y/apps/prod"]);
        let root = Source {
            repositories: vec!["y".to_owned()],
            ..Source::at(".")
        };
        assert_eq!(named(&only, &root, "x/clusters/prod"), ["y"]);
        assert!(named(&only, &Source::at("./"), "x").is_empty());
    }

    #[test]
    fn an_artifact_does_not_contain_the_application_that_applies_it() {
        let directories: Directories = ["clusters/production", "apps/production"].into_iter().collect();
        let source = Source {
            may_contain_itself: false,
            ..Source::at("production")
        };
        assert_eq!(
            named(&directories, &source, "clusters/production"),
            ["apps/production"]
        );
    }

    #[test]
    fn the_folders_below_a_folder_have_it_at_their_beginning() {
        let directories: Directories = ["a", "a/b", "a-b", "a/c/d", "b"].into_iter().collect();
        assert_eq!(directories.below("a").collect::<Vec<_>>(), ["a", "a/b", "a/c/d"]);
        assert_eq!(directories.below("a/c").collect::<Vec<_>>(), ["a/c/d"]);
        assert_eq!(directories.below("").count(), 5);
    }
}
