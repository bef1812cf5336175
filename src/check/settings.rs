//! The settings of a check: everything beside the files that decides verdicts.

use jiff::Timestamp;

use crate::rules::catalogue::Rule;
use crate::rules::policy::Policy;

/// The settings of one check.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The policy of the installation.
    pub policy: Policy,
    /// True if an object that refers to something outside the given files is denied.
    pub strict: bool,
    /// True if a warning fails the check.
    pub deny_warnings: bool,
    /// Rules whose denials do not fail the check.
    pub allow: Vec<&'static Rule>,
    /// The namespace of objects for which neither they nor a kustomization set one.
    pub namespace: String,
    /// The current time, from which the runs of schedules are computed.
    pub now: Timestamp,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            strict: false,
            deny_warnings: false,
            allow: Vec::new(),
            namespace: "default".to_owned(),
            now: Timestamp::UNIX_EPOCH,
        }
    }
}
