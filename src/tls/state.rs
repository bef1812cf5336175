//! The state of the served certificate, for readiness.

use tokio::sync::watch;

/// The state of the served certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateState {
    /// The served certificate is valid, and API servers trust it as far as this replica can tell.
    Usable,
    /// No usable certificate is served. Holds the reason, in one line.
    Unusable(String),
}

impl CertificateState {
    /// Returns the reason why this replica should receive no reviews, and `None` while it can.
    #[must_use]
    pub fn unready(&self) -> Option<&str> {
        match self {
            Self::Usable => None,
            Self::Unusable(reason) => Some(reason),
        }
    }

    /// Sends `self` to the receivers of `sender` if it differs from the last state.
    pub(super) fn publish(self, sender: &watch::Sender<Self>) {
        sender.send_if_modified(|last| {
            let changed = *last != self;
            *last = self;
            changed
        });
    }
}
