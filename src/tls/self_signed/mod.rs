//! Mode `self`: an authority in a Secret, certificates in memory, and the `caBundle` kept by cassgate.
//!
//! Every replica does the same, without a leader: it looks at the Secret and at the two webhook configurations, and
//! [`plan`] says from that look alone what is to be done. So a replica that dies anywhere leaves nothing that another
//! one could not go on from.
//!
//! | what happens | when |
//! |---|---|
//! | a next authority is written to the Secret | there is none that can sign, or two thirds of its life are over |
//! | every authority is put into every `caBundle` | one of them lacks it |
//! | the next authority becomes the current one | every `caBundle` was seen to hold it for a while |
//! | a certificate is signed by the current authority | every `caBundle` was seen to hold it |
//! | a former authority goes from Secret and `caBundle` | it has expired, and with it everything that it signed |
//!
//! The Secret is replaced only at the `resourceVersion` that was read, and so is a configuration: of two replicas
//! that write at once one has to look again. A certificate never outlives its authority.

mod authority;
mod bundle;
mod content;
mod options;
pub mod plan;
mod rotator;
mod store;
#[cfg(test)]
mod tests;

pub use options::SelfOptions;
pub use rotator::SelfRotator;
pub use store::{ConfigurationObject, Configured, Entry, SecretObject, Store, StoreError, Written};
