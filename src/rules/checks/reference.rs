//! The common part of all checks of references: the name is valid, and the object exists.

use crate::domain::object_name::is_object_name;

use crate::rules::catalogue::Rule;
use crate::rules::facts::Reference;
use crate::rules::finding::{Cause, Finding, Findings};

/// A field that names another object of the same namespace.
pub(super) struct NamedReference<'a> {
    /// The rule that reports a missing object.
    pub(super) rule: &'static Rule,
    /// The path of the field.
    pub(super) path: &'static str,
    /// The kind of the other object.
    pub(super) kind: &'static str,
    /// The name as written by the user.
    pub(super) name: &'a str,
}

impl NamedReference<'_> {
    /// Returns the referenced object, or adds a finding that says why it is not available.
    ///
    /// An invalid name is denied without a lookup. `absent` makes the finding for an object that does not exist. A
    /// failed lookup is a warning, so that an outage of the API server never causes a denial.
    pub(super) fn resolve<'f, T>(
        &self,
        known: Option<&'f Reference<T>>,
        absent: impl FnOnce() -> Finding,
        findings: &mut Findings,
    ) -> Option<&'f T> {
        if !is_object_name(self.name) {
            findings.push(self.invalid_name());
            return None;
        }
        match known? {
            Reference::Found(object) => return Some(object),
            Reference::Absent => {
                findings.push(absent().value(self.name).related_object(self.kind, self.name));
            }
            Reference::Unknown(reason) => {
                let message = format!("not checked: {reason}");
                let finding = Finding::warn(self.rule, self.path, Cause::NotFound, message);
                findings.push(finding.value(self.name).unchecked());
            }
        }
        None
    }

    fn invalid_name(&self) -> Finding {
        let kind = self.kind;
        if self.name.is_empty() {
            let message = format!("name a {kind} of this namespace");
            return Finding::deny(self.rule, self.path, Cause::Required, message);
        }
        let message = format!("is not a valid name of a {kind}; name a {kind} of this namespace");
        Finding::deny(self.rule, self.path, Cause::Invalid, message).value(self.name)
    }
}
