//! The settings of a check: everything beside the files that decides verdicts.

use jiff::Timestamp;

use crate::rules::catalogue::Rule;
use crate::rules::policy::Policy;

use super::checkout::Checkout;
use super::placeholder::Placeholders;

/// The least severe result that fails a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailOn {
    /// A denial.
    Deny,
    /// A warning or a denial.
    Warn,
    /// A note on something that is not judged, a warning or a denial.
    Note,
}

/// The settings of one check.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The policy of the installation.
    pub policy: Policy,
    /// True if an object that refers to something outside the given files is denied.
    pub strict: bool,
    /// The least severe result that fails the check.
    pub fail_on: FailOn,
    /// True if a check that judges nothing is unusable.
    pub require_objects: bool,
    /// Rules whose denials do not fail the check.
    pub allow: Vec<&'static Rule>,
    /// The namespace of objects for which neither they nor a kustomization set one.
    pub namespace: String,
    /// The current time, from which the runs of schedules are computed.
    pub now: Timestamp,
    /// Folders whose files are applied to a Kubernetes cluster of their own.
    pub trees: Vec<String>,
    /// The texts that count as placeholders.
    pub placeholders: Placeholders,
    /// The repository that contains the files.
    pub checkout: Checkout,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            strict: false,
            fail_on: FailOn::Deny,
            require_objects: false,
            allow: Vec::new(),
            namespace: "default".to_owned(),
            now: Timestamp::UNIX_EPOCH,
            trees: Vec::new(),
            placeholders: Placeholders::default(),
            checkout: Checkout::default(),
        }
    }
}
