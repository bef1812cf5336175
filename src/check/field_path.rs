//! The path of a field, built only when it is shown.

use std::fmt;

use crate::rules::finding::field;

/// The path of a value during a walk through an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum FieldPath<'a> {
    /// The path at which the walk begins; an empty text for the object itself.
    Root(&'a str),
    /// The value of a key.
    Field(&'a Self, &'a str),
    /// An item of a list, by its index.
    Item(&'a Self, usize),
}

impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(path) => formatter.write_str(path),
            Self::Field(Self::Root(""), key) => formatter.write_str(key),
            Self::Field(parent, key) => formatter.write_str(&field(&parent.to_string(), key)),
            Self::Item(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}
