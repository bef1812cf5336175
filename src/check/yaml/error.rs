//! The error of a text that cannot be read as YAML.

use super::node::Span;

/// An error in a YAML text, with its position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The message.
    pub message: String,
    /// True if the text is YAML and kubectl reads it in another way, or rejects it. That is of no consequence in a file that is
    /// not for Kubernetes.
    pub is_difference: bool,
}

impl YamlError {
    /// Creates an error at the beginning of `span`.
    pub(super) fn at(span: Span, message: impl Into<String>) -> Self {
        Self {
            line: span.line,
            column: span.column,
            message: message.into(),
            is_difference: false,
        }
    }

    /// Creates an error at the beginning of `span` about what kubectl reads in another way, or rejects.
    pub(super) fn difference(span: Span, message: impl Into<String>) -> Self {
        Self {
            is_difference: true,
            ..Self::at(span, message)
        }
    }
}
