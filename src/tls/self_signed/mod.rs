//! Mode `self`: an authority in a Secret, certificates in memory, and the `caBundle` written by cassgate.
//!
//! All replicas do the same, without a leader: each observes the Secret and the two webhook configurations, and
//! [`plan`] derives the next actions from that observation alone. So a replica can die at any point, and another one
//! continues.
//!
//! | action | condition |
//! |---|---|
//! | add a next authority to the Secret | there is no valid current authority, or two thirds of its lifetime have passed |
//! | write every authority into every `caBundle` | a `caBundle` lacks one of them |
//! | promote the next authority to the current one | every `caBundle` has contained it for the propagation delay |
//! | sign a certificate with the current authority | every `caBundle` was observed to contain it |
//! | remove a former authority from Secret and `caBundle` | it has expired, and with it every certificate that it signed |
//!
//! The Secret and the configurations are replaced only at the `resourceVersion` that was read: of two replicas that
//! write at the same time, one gets a conflict and observes again. A certificate never outlives its authority.

mod bundle;
mod options;
pub mod plan;
mod rotator;
mod secret;
mod signer;
mod store;
#[cfg(test)]
mod tests;

pub use options::SelfOptions;
pub use rotator::SelfRotator;
pub use store::{Store, StoreError, StoredConfiguration, StoredSecret, StoredWebhook, WriteOutcome};
