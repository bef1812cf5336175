//! The identity of a finding.

use std::cmp::Ordering;

use super::Finding;

/// The fields of a finding that are equal in findings of the same problem.
#[derive(Debug, Eq)]
pub(super) struct Identity<'a> {
    rule: &'static str,
    path: &'a str,
    value: Option<&'a str>,
    related_objects: &'a [String],
}

impl PartialEq for Identity<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl PartialOrd for Identity<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Identity<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        #[cfg(test)]
        crate::domain::steps::count();
        let rule = self.rule.cmp(other.rule);
        rule.then_with(|| self.path.cmp(other.path))
            .then_with(|| self.value.cmp(&other.value))
            .then_with(|| self.related_objects.cmp(other.related_objects))
    }
}

impl Finding {
    /// Returns what identifies the problem, at any severity.
    pub(super) fn identity(&self) -> Identity<'_> {
        Identity {
            rule: self.rule.id,
            path: &self.path,
            value: self.value.as_deref(),
            related_objects: &self.related_objects,
        }
    }
}
