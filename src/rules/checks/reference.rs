//! What all references have in common: a name that can exist, and an object that is there, is not, or nobody knows.

use crate::domain::object_name::is_object_name;

use crate::rules::catalogue::Rule;
use crate::rules::facts::Reference;
use crate::rules::finding::{Cause, Finding, Findings};

/// A field that names another object of the same namespace.
pub(super) struct Named<'a> {
    /// The rule that speaks when it is not there.
    pub(super) rule: &'static Rule,
    /// The field.
    pub(super) path: &'static str,
    /// The kind of the other object.
    pub(super) kind: &'static str,
    /// What the user wrote.
    pub(super) name: &'a str,
}

impl Named<'_> {
    /// The object, where it is there; else what keeps it from being there is found. Nobody knowing is a warning.
    pub(super) fn resolve<'f, T>(
        &self,
        known: Option<&'f Reference<T>>,
        absent: impl FnOnce() -> Finding,
        found: &mut Findings,
    ) -> Option<&'f T> {
        if !is_object_name(self.name) {
            found.push(self.impossible());
            return None;
        }
        match known? {
            Reference::Found(object) => return Some(object),
            Reference::Absent => found.push(absent().value(self.name).about(self.kind, self.name)),
            Reference::Unknown(reason) => {
                let message = format!("not checked: {reason}");
                let finding = Finding::warn(self.rule, self.path, Cause::NotFound, message);
                found.push(finding.value(self.name).unchecked());
            }
        }
        None
    }

    fn impossible(&self) -> Finding {
        let kind = self.kind;
        if self.name.is_empty() {
            let message = format!("name the {kind}, which is in the same namespace");
            return Finding::deny(self.rule, self.path, Cause::Required, message);
        }
        let message = format!("no {kind} can have this name; write the name of one in the same namespace");
        Finding::deny(self.rule, self.path, Cause::Invalid, message).value(self.name)
    }
}
