//! What becomes of a request.

use json_patch::Patch;

use crate::rules::finding::Findings;

/// What becomes of a request. The wire form is [`wire`](super::wire)'s alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It passes; what was found are warnings.
    Allow(Findings),
    /// It is refused, and everything that was found says why.
    Deny(Findings, Refusal),
    /// It passes with these changes.
    Patch(Patch, Findings),
}

/// Which status a refusal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 422: mend the object and apply it again.
    Invalid,
    /// 403: never by deleting it and creating it anew, as `kubectl apply --force` does on 422.
    Forbidden,
}

impl Verdict {
    /// Everything that was found.
    pub(super) fn findings(&self) -> &Findings {
        match self {
            Self::Allow(findings) | Self::Deny(findings, _) | Self::Patch(_, findings) => findings,
        }
    }

    /// Refuses when anything among `findings` does.
    pub(super) fn of(findings: Findings, refusal: Refusal) -> Self {
        if findings.denied() {
            Self::Deny(findings, refusal)
        } else {
            Self::Allow(findings)
        }
    }

    /// Lets pass without a word.
    pub(super) fn silent() -> Self {
        Self::Allow(Findings::default())
    }
}
