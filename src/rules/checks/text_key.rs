//! Texts as the keys of sets, whose comparisons are counted in tests.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A text as the key of a set or map.
///
/// Tests count its comparisons, which limits the work for a long list.
#[derive(Debug, Clone, Eq)]
pub(super) struct TextKey<'a>(Cow<'a, str>);

impl<'a> TextKey<'a> {
    /// Returns the key of a text, in its letter case.
    pub(super) fn exact(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Returns the key of a host id, in any letter case.
    pub(super) fn of_host_id(text: &str) -> Self {
        Self(Cow::Owned(text.to_ascii_lowercase()))
    }
}

impl PartialEq for TextKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl PartialOrd for TextKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TextKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        #[cfg(test)]
        crate::domain::steps::count();
        self.0.cmp(&other.0)
    }
}
