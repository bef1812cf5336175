//! The paths of values that are unknown because of placeholders.

use std::collections::BTreeSet;

use super::placeholder::Placeholder;

/// The paths of unknown values. The work to look a path up grows with its own length, not with the number of values.
#[derive(Debug, Default)]
pub(super) struct UnknownPaths(BTreeSet<String>);

#[cfg(test)]
thread_local! {
    /// The number of paths that were looked up, for tests of the work that an object causes.
    static LOOKED_UP: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl FromIterator<String> for UnknownPaths {
    fn from_iter<T: IntoIterator<Item = String>>(paths: T) -> Self {
        Self(paths.into_iter().collect())
    }
}

impl UnknownPaths {
    /// Returns the paths of values with placeholders.
    pub(super) fn of(placeholders: &[Placeholder]) -> Self {
        placeholders.iter().map(|value| value.path.clone()).collect()
    }

    pub(super) fn add(&mut self, paths: impl IntoIterator<Item = String>) {
        self.0.extend(paths);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if a finding at `path` may depend on an unknown value, because one contains the other.
    pub(super) fn touch(&self, path: &str) -> bool {
        let ends = path.match_indices(['.', '[']).map(|(end, _)| end);
        let mut above = ends.chain([path.len()]).filter_map(|end| path.get(..end));
        above.any(|path| self.contain(path)) || ['.', '['].into_iter().any(|mark| self.has_below(path, mark))
    }

    fn contain(&self, path: &str) -> bool {
        #[cfg(test)]
        LOOKED_UP.set(LOOKED_UP.get() + 1);
        self.0.contains(path)
    }

    /// Returns true if a path continues `path` with this mark.
    fn has_below(&self, path: &str, mark: char) -> bool {
        #[cfg(test)]
        LOOKED_UP.set(LOOKED_UP.get() + 1);
        let begin = format!("{path}{mark}");
        let next = self.0.range(begin.clone()..).next();
        next.is_some_and(|next| next.starts_with(&begin))
    }
}

#[cfg(test)]
mod tests {
    use super::{LOOKED_UP, UnknownPaths};

    fn touches(path: &str, unknown: &str) -> bool {
        let unknown: UnknownPaths = [unknown.to_owned(), "spec.zzz".to_owned(), "a".to_owned()]
            .into_iter()
            .collect();
        unknown.touch(path)
    }

    #[test]
    fn a_path_touches_its_parents_and_its_children() {
        assert!(touches("spec.rename[k1.t1]", "spec.rename"));
        assert!(touches("spec.rename", "spec.rename[k1.t1]"));
        assert!(touches("spec.nodes", "spec.nodes.x"));
        assert!(touches("spec.secret", "spec.secret"));
        assert!(touches("spec", "spec.secret"));
        assert!(!touches("spec.secretName", "spec.secret"));
        assert!(!touches("spec.secret", "spec.secretName"));
        assert!(!touches("spec.secret-a", "spec.secret"));
        assert!(!touches("", "spec.secret"));
    }

    /// Every finding was once compared with every unknown value.
    #[test]
    fn the_work_for_a_finding_does_not_grow_with_the_number_of_values() {
        let looked_up = |count: usize| {
            let all = (0..count).map(|number| format!("spec.rename[k.t{number:06}]"));
            let unknown: UnknownPaths = all.collect();
            LOOKED_UP.set(0);
            assert!(!unknown.touch("spec.entities"));
            LOOKED_UP.get()
        };
        assert_eq!(looked_up(10), looked_up(1000));
    }
}
