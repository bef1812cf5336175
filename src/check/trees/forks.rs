//! The names of folders that tell Kubernetes clusters apart.
//!
//! `staging/rings` and `production/rings` contain the same object with different content, so `staging` and `production` are rivals: the folder
//! `staging/backups` belongs to the first one, and so does `backups/staging`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

#[cfg(test)]
thread_local! {
    /// The number of names that were compared, for tests of the work that the files cause.
    pub(super) static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The maximum number of names that are compared with each other below one folder.
const MAX_WORDS: usize = 512;

/// The parts of a path.
pub(super) type Parts<'a> = Vec<&'a str>;

/// The name that a path has behind a folder: a part of the path, or [`END`].
type Word<'a> = &'a str;

/// The name of a path that ends at the folder. No folder has this name.
const END: &str = ".";

/// The rivals of a name: the names behind the same folder that contain the same objects with different content.
type Rivals<'a> = BTreeSet<Word<'a>>;

/// The names behind a folder, and the contents that stand behind each.
type Contents<'a> = Vec<(Word<'a>, Vec<usize>)>;

/// All folders below which paths contain the same objects with different content.
#[derive(Debug, Default)]
pub(super) struct Forks<'a> {
    rivals: BTreeMap<Parts<'a>, BTreeMap<Word<'a>, Rivals<'a>>>,
    /// The paths and contents that were compared already.
    compared: HashSet<(Parts<'a>, Contents<'a>)>,
    /// True if too many names below one folder differ.
    pub(super) too_many: bool,
}

/// A name that distinguishes a path, and the folder before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark<'a> {
    pub(super) before: Parts<'a>,
    pub(super) word: Word<'a>,
}

impl<'a> Mark<'a> {
    /// Returns the name by which other paths are compared. A path that ends at a folder has no such name.
    pub(super) fn name(&self) -> Option<&'a str> {
        (self.word != END).then_some(self.word)
    }
}

impl<'a> Forks<'a> {
    /// Adds an object by the paths that contain it, each with its content.
    pub(super) fn add(&mut self, holders: &[(&Parts<'a>, usize)]) {
        self.split(holders, 0);
    }

    fn split(&mut self, holders: &[(&Parts<'a>, usize)], depth: usize) {
        let is_same =
            |(_, content): &(&Parts<'a>, usize)| holders.first().is_some_and(|(_, own)| own == content);
        let Some((first, _)) = holders.first().filter(|_| !holders.iter().all(is_same)) else {
            return;
        };
        let mut behind: BTreeMap<Word<'a>, Vec<(&Parts<'a>, usize)>> = BTreeMap::new();
        for (parts, content) in holders {
            let word = parts.get(depth).copied().unwrap_or(END);
            behind.entry(word).or_default().push((*parts, *content));
        }
        let before: Parts<'a> = first.iter().take(depth).copied().collect();
        if behind.len() > MAX_WORDS {
            self.too_many = true;
            return;
        }
        if behind.len() > 1 {
            self.compare(&before, &behind);
        }
        for (word, inner) in behind {
            if word != END {
                self.split(&inner, depth + 1);
            }
        }
    }

    fn compare(&mut self, before: &Parts<'a>, behind: &BTreeMap<Word<'a>, Vec<(&Parts<'a>, usize)>>) {
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        let contents: Contents<'a> = behind
            .iter()
            .map(|(word, holders)| {
                let mut own: Vec<usize> = holders
                    .iter()
                    .map(|(_, content)| {
                        let next = numbers.len();
                        *numbers.entry(*content).or_insert(next)
                    })
                    .collect();
                own.sort_unstable();
                own.dedup();
                (*word, own)
            })
            .collect();
        if !self.compared.insert((before.clone(), contents.clone())) {
            return;
        }
        for (index, (word, own)) in contents.iter().enumerate() {
            for (other, their) in contents.iter().skip(index + 1) {
                #[cfg(test)]
                COMPARED.set(COMPARED.get() + 1);
                if own.len() == 1 && own == their {
                    continue;
                }
                let fork = self.rivals.entry(before.clone()).or_default();
                fork.entry(word).or_default().insert(other);
                fork.entry(other).or_default().insert(word);
            }
        }
    }

    /// Returns true if no object has different content in two paths.
    pub(super) fn is_empty(&self) -> bool {
        self.rivals.is_empty()
    }

    /// Returns the names in a path that have rivals, from its beginning.
    pub(super) fn marks(&self, parts: &[&'a str]) -> Vec<Mark<'a>> {
        let mark = |depth: usize| {
            let before: Parts<'a> = parts.iter().take(depth).copied().collect();
            let word = parts.get(depth).copied().unwrap_or(END);
            self.rivals
                .get(&before)
                .is_some_and(|fork| fork.contains_key(word))
                .then_some(Mark { before, word })
        };
        (0..=parts.len()).filter_map(mark).collect()
    }

    /// Returns true if a path belongs to a rival of a mark.
    pub(super) fn excludes(&self, mark: &Mark<'a>, parts: &[&'a str]) -> bool {
        #[cfg(test)]
        COMPARED.set(COMPARED.get() + 1);
        let Some(rivals) = self.rivals(mark) else {
            return false;
        };
        if parts.starts_with(&mark.before) {
            let word = parts.get(mark.before.len()).copied().unwrap_or(END);
            if word == mark.word {
                return false;
            }
            if rivals.contains(word) {
                return true;
            }
        }
        names_a_rival(mark, rivals, parts)
    }

    /// Returns true if a set of names belongs to a rival of a mark.
    pub(super) fn excludes_names(&self, mark: &Mark<'a>, names: &BTreeSet<&'a str>) -> bool {
        self.rivals(mark)
            .is_some_and(|rivals| names_a_rival(mark, rivals, names))
    }

    fn rivals(&self, mark: &Mark<'a>) -> Option<&Rivals<'a>> {
        self.rivals.get(&mark.before)?.get(mark.word)
    }
}

/// Returns true if names contain a rival, and not the name of the mark itself.
fn names_a_rival<'n, 'a: 'n>(
    mark: &Mark<'a>,
    rivals: &Rivals<'a>,
    names: impl IntoIterator<Item = &'n &'a str>,
) -> bool {
    let mut has_rival = false;
    for name in names {
        #[cfg(test)]
        COMPARED.set(COMPARED.get() + 1);
        if *name == mark.word {
            return false;
        }
        has_rival |= rivals.contains(name);
    }
    has_rival
}
