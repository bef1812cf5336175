//! The objects of a kind that cannot be decoded, for `/readyz?verbose` and the metrics.

use std::collections::BTreeMap;
use std::fmt;

/// The maximum number of objects that are named.
const MAX_NAMED: usize = 5;

/// The maximum length of a kept error, in characters.
const MAX_ERROR_LENGTH: usize = 200;

/// The objects that a cache leaves out, by namespace and name, with the error of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undecodable(BTreeMap<(String, String), String>);

impl Undecodable {
    /// Returns the number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if every object can be decoded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an object, or replaces its error.
    pub(super) fn insert(&mut self, namespace: String, name: String, error: &str) {
        let error = error.chars().take(MAX_ERROR_LENGTH).collect();
        self.0.insert((namespace, name), error);
    }

    /// Removes an object that was deleted or can be decoded again. Returns true if it was there.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> bool {
        !self.0.is_empty() && self.0.remove(&(namespace.to_owned(), name.to_owned())).is_some()
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        write!(f, "{} left out; correct or delete: ", self.len())?;
        for (place, ((namespace, name), error)) in self.0.iter().take(MAX_NAMED).enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            let slash = if namespace.is_empty() { "" } else { "/" };
            write!(f, "{separator}{namespace}{slash}{name} ({error})")?;
        }
        if self.len() > MAX_NAMED {
            write!(f, "; and {} more", self.len() - MAX_NAMED)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Undecodable;

    #[test]
    fn the_text_names_a_few_objects_with_their_errors() {
        let mut undecodable = Undecodable::default();
        assert_eq!(undecodable.to_string(), "none");
        undecodable.insert("prod".to_owned(), "b1".to_owned(), "missing field `spec`");
        undecodable.insert(String::new(), "prod".to_owned(), &"x".repeat(1_000));
        let text = undecodable.to_string();
        let long = "x".repeat(200);
        assert_eq!(
            text,
            format!("2 left out; correct or delete: prod ({long}); prod/b1 (missing field `spec`)")
        );
        assert!(undecodable.remove("", "prod") && !undecodable.remove("", "prod"));
        for number in 0..9 {
            undecodable.insert("prod".to_owned(), format!("c{number}"), "no");
        }
        assert!(
            undecodable.to_string().ends_with("prod/c3 (no); and 5 more"),
            "{undecodable}"
        );
    }
}
