//! The outcome of a review.

use json_patch::Patch;

use crate::rules::finding::Findings;

/// The outcome of a review. Only [`wire`](super::wire) knows its encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The request is admitted, with warnings if there are findings.
    Allow(Findings),
    /// The request is denied because of these findings.
    Deny(Findings, DenialStatus),
    /// The request is admitted with these changes.
    Patch(Patch, Findings),
}

/// The status of a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DenialStatus {
    /// 422: the user corrects the object and applies it again.
    Invalid,
    /// 403: the object must not be deleted and created again, as `kubectl apply --force` does on 422.
    Forbidden,
}

impl Verdict {
    /// Returns all findings.
    pub(super) fn findings(&self) -> &Findings {
        match self {
            Self::Allow(findings) | Self::Deny(findings, _) | Self::Patch(_, findings) => findings,
        }
    }

    /// Returns a denial if `findings` has one, else an admission.
    pub(super) fn from_findings(findings: Findings, status: DenialStatus) -> Self {
        if findings.denied() {
            Self::Deny(findings, status)
        } else {
            Self::Allow(findings)
        }
    }

    /// Admits the request without a warning.
    pub(super) fn admit() -> Self {
        Self::Allow(Findings::default())
    }
}
