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
#[derive(Debug)]
struct Rivals<'a> {
    names: BTreeSet<Word<'a>>,
    /// The beginning and the end that the name has in common with its rivals: `rings-` of `rings-staging` and `rings-production`.
    begin: &'a str,
    end: &'a str,
}

/// The characters between the words of a name.
const SEPARATORS: [char; 3] = ['-', '_', '.'];

/// The minimum length of a word that stands for a name.
const MIN_WORD: usize = 2;

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
                for (own, rival) in [(word, other), (other, word)] {
                    fork.entry(own).or_insert_with(|| Rivals::of(own)).insert(rival);
                }
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
            if rivals.names.contains(word) {
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

impl<'a> Rivals<'a> {
    /// Creates an empty set of rivals.
    fn of(own: Word<'a>) -> Self {
        let begin = own.rfind(SEPARATORS).and_then(|at| own.get(..=at));
        let end = own.find(SEPARATORS).and_then(|at| own.get(at..));
        Self {
            names: BTreeSet::new(),
            begin: begin.unwrap_or_default(),
            end: end.unwrap_or_default(),
        }
    }

    fn insert(&mut self, rival: Word<'a>) {
        self.names.insert(rival);
        // A path that ends at the folder has no words.
        if rival != END {
            while !rival.starts_with(self.begin) {
                let shorter = self.begin.strip_suffix(SEPARATORS).unwrap_or_default();
                let end = shorter.rfind(SEPARATORS).map_or(0, |at| at + 1);
                self.begin = shorter.get(..end).unwrap_or_default();
            }
            while !rival.ends_with(self.end) {
                let shorter = self.end.strip_prefix(SEPARATORS).unwrap_or_default();
                let begin = shorter.find(SEPARATORS).unwrap_or(shorter.len());
                self.end = shorter.get(begin..).unwrap_or_default();
            }
        }
    }

    /// Returns true if a folder has a name, or contains the words by which it differs from its rivals: `backups-staging` stands for
    /// `rings-staging`.
    fn stands_for(&self, folder: &str, is_name: impl Fn(&str) -> bool) -> bool {
        let with_common_words = |word: &str| is_name(&[self.begin, word, self.end].concat());
        is_name(folder) || words(folder).any(with_common_words)
    }
}

/// Returns the parts of a name before and behind each separator.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let separators = name.match_indices(SEPARATORS);
    let parts = separators.flat_map(|(at, _)| [name.get(..at), name.get(at + 1..)]);
    let whole = std::iter::once(Some(name));
    parts.chain(whole).flatten().filter(|word| word.len() >= MIN_WORD)
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
        if rivals.stands_for(name, |name| name == mark.word) {
            return false;
        }
        has_rival |= rivals.stands_for(name, |name| rivals.names.contains(name));
    }
    has_rival
}

#[cfg(test)]
mod tests {
    use super::{Forks, Mark, Parts};

    #[test]
    fn a_folder_with_the_distinguishing_word_of_a_tree_belongs_to_it() {
        let rings = [
            vec!["x", "rings-staging-1"],
            vec!["x", "rings-prod-1"],
            vec!["x", "rings-test-1"],
        ];
        let mut forks = Forks::default();
        let holders: Vec<(&Parts<'_>, usize)> = rings.iter().zip(0..).collect();
        forks.add(&holders);
        let mark = Mark {
            before: vec!["x"],
            word: "rings-staging-1",
        };
        for (folder, excluded) in [
            ("rings-prod-1", true),
            ("rings-staging-1", false),
            ("prod", true),
            ("staging", false),
            ("backups-prod", true),
            ("backups-staging", false),
            ("prod.backups", true),
            ("staging_to_prod", false),
            ("backups", false),
            ("product", false),
            ("rings", false),
        ] {
            assert_eq!(forks.excludes(&mark, &["x", folder]), excluded, "{folder}");
            assert_eq!(forks.excludes(&mark, &["y", folder, "z"]), excluded, "{folder}");
        }
    }

    #[test]
    fn a_single_letter_is_no_distinguishing_word() {
        let teams = [vec!["team-a"], vec!["team-b"]];
        let mut forks = Forks::default();
        let holders: Vec<(&Parts<'_>, usize)> = teams.iter().zip(0..).collect();
        forks.add(&holders);
        let mark = Mark {
            before: vec![],
            word: "team-a",
        };
        assert!(!forks.excludes(&mark, &["plan-b"]) && forks.excludes(&mark, &["x", "team-b"]));
    }
}
